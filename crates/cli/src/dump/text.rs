//! A dump as text: what happened and who is blamed first, then the state.

use std::fmt::{self, Write};

use lifeboat::Dump;
use lifeboat::driver::Driver as _;
use lifeboat::driver::dump::Field;
use lifeboat::dump::{Guilty, PendingJob, Reason, RegisterValue, RingState};
use lifeboat_lb1::Lb1Driver;

use super::command;

/// Width of the column of labels.
const LABEL: usize = 10;
/// Width of the column of registers' names.
const NAME: usize = 20;
/// Longest text taken from the file, in characters.
const LONGEST: usize = 200;

pub(super) fn of(dump: &Dump) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, dump);
    text
}

fn write(out: &mut String, dump: &Dump) -> fmt::Result {
    head(out, dump)?;
    writeln!(out, "\nRegisters")?;
    match (&dump.registers[..], dump.reason) {
        ([], Reason::Lost) => writeln!(out, "  not read: the device did not answer")?,
        (registers, _) => registers.iter().try_for_each(|register| write_register(out, register))?,
    }
    dump.rings.iter().try_for_each(|ring| write_ring(out, ring))?;
    writeln!(out, "\nPending jobs: {}", dump.jobs.len())?;
    dump.jobs.iter().try_for_each(|job| write_job(out, job))?;
    let left = dump.left_out;
    let left = [(left.registers, "registers"), (left.descriptors, "descriptors"), (left.jobs, "jobs")];
    let left: Vec<_> =
        left.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if !left.is_empty() {
        writeln!(out, "\nLeft out for want of room: {}", left.join(", "))?;
    }
    Ok(())
}

fn head(out: &mut String, dump: &Dump) -> fmt::Result {
    let (device, driver) = (&dump.device, &dump.driver);
    let after = dump.taken.since_bind_ms;
    let mut row = |label: &str, value: fmt::Arguments<'_>| writeln!(out, "{label:LABEL$}{value}");
    row("Reason", format_args!("{}", dump.reason))?;
    let guilty = dump.guilty.as_ref().map_or_else(|| "nobody in particular".to_owned(), guilty);
    row("Guilty", format_args!("{guilty}"))?;
    row("Device", format_args!("{} {} at {}", plain(&device.model), device.minor, plain(&device.location)))?;
    row(
        "Taken",
        format_args!("{}, {}.{:03} s after it was bound", plain(&dump.taken.utc), after / 1000, after % 1000),
    )?;
    row("Driver", format_args!("{} {}", plain(&driver.name), plain(&driver.version)))
}

fn guilty(guilty: &Guilty) -> String {
    let Guilty { ring, context, fence, number, process } = guilty;
    let of = process.as_ref().map(|process| format!(" of process {} ({})", process.pid, plain(&process.name)));
    format!("context {context}{}, by {} number {number} on ring {ring}", of.unwrap_or_default(), plain(fence))
}

fn write_register(out: &mut String, read: &RegisterValue) -> fmt::Result {
    let name = plain(&read.name);
    write!(out, "  {:#07x}  {name:NAME$}  ", read.offset)?;
    let Some(value) = read.value else { return writeln!(out, "could not be read") };
    write!(out, "{value:#010x}")?;
    let fields = Lb1Driver::FACTS.dump.register(&read.name).map_or(&[][..], |register| register.fields);
    for (at, words) in fields.iter().filter_map(|field| in_words(field, value)).enumerate() {
        write!(out, "{}{words}", if at == 0 { "  " } else { ", " })?;
    }
    writeln!(out)
}

/// A bit that is not set says nothing.
fn in_words(field: &Field, register: u32) -> Option<String> {
    let value = field.of(register);
    match field.name_of(value) {
        _ if field.high == field.low => (value != 0).then(|| field.name.to_owned()),
        Some(name) => Some(format!("{} {name}", field.name)),
        None => Some(format!("{} {value}", field.name)),
    }
}

fn write_ring(out: &mut String, ring: &RingState) -> fmt::Result {
    let known = |number: Option<u32>| number.map_or_else(|| "unknown".to_owned(), |number| number.to_string());
    writeln!(
        out,
        "\nRing {} of {} descriptors: head {}, tail {}",
        ring.ring,
        ring.size,
        known(ring.head),
        known(ring.tail)
    )?;
    writeln!(
        out,
        "  sequence number: {} written by the device; {} given and {} seen by the driver",
        known(ring.seqno),
        known(ring.issued),
        known(ring.completed)
    )?;
    ring.registers.iter().try_for_each(|register| write_register(out, register))?;
    for descriptor in &ring.descriptors {
        let marker = if Some(descriptor.index) == ring.head { "head" } else { "" };
        let command = descriptor.bytes.as_deref().map_or_else(|| "could not be read".to_owned(), command::of);
        writeln!(out, "  {marker:4} {:>5}  {command}", descriptor.index)?;
    }
    Ok(())
}

fn write_job(out: &mut String, job: &PendingJob) -> fmt::Result {
    let PendingJob { ring, queue, context, commands, number, .. } = job;
    write!(out, "  ring {ring}, queue {queue}, context {context}: {} number {number}, ", plain(&job.fence))?;
    match job.seqno {
        Some(seqno) => write!(out, "on the ring as {seqno}")?,
        None if job.waits > 0 => write!(out, "waits for {}", counted(job.waits, "fence"))?,
        None => write!(out, "waits for its turn")?,
    }
    let ms = job.age_us / 1000;
    writeln!(out, "; {}, {}.{:03} s old", counted(*commands, "command"), ms / 1000, ms % 1000)
}

fn counted(count: u32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A text of the file, as one that can do nothing to a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).take(LONGEST).collect()
}
