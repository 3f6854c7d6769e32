//! A failure leaves a dump of the device, which the kernel keeps and `lifeboat dump show` reads.

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use lifeboat::dump::{Dump, LeftOut, PendingJob, Reason, RegisterValue, RingState};
use lifeboat_gpu_server::control::{Fault, Trigger};
use lifeboat_guest::wire::Condition;
use lifeboat_lb1::command::{self, DESCRIPTOR_BYTES, Descriptor};
use lifeboat_lb1::regs::{device_status, ring_status};

use crate::card::hotplug::SLOT;
use crate::pace;
use crate::program::Program;
use crate::program::commands::fill;
use crate::suite::bench::Bench;
use crate::suite::failure::{Failure, expect};
use crate::suite::test::Test;
use crate::tests::ACPI_GPU;
use crate::tests::drm::desk::{BYTES, Desk, PATTERN};

/// The tests.
pub const TESTS: &[Test] = &[Test {
    name: "a_failure_leaves_a_dump",
    shows: "hangs, a ladder of resets, a dead heartbeat and a loss leave one dump each, of the time before; an unbind leaves none",
    proves: &["WEDGE-4"],
    plan: ACPI_GPU,
    alone: false,
    body: a_failure_leaves_a_dump,
}];

/// Where the kernel has dumps.
const CLASS: &str = "/sys/class/devcoredump";
/// What begins the name of one.
const PREFIX: &str = "devcd";
/// The most bytes of a dump of this driver's.
const LIMIT: usize = 64 << 10;

const PARAMETERS: &str = "health_ms=100 job_timeout_ms=500";
/// What a job has, in microseconds.
const JOB_TIMEOUT_US: u64 = 500_000;
/// No limit ends a job: longer than any test.
const PATIENT: &str = "health_ms=100 job_timeout_ms=3600000";
const ETIME: i64 = 62;
/// By how much jobs are held up, in microseconds: longer than any test.
const SLOW: u64 = 3_600_000_000;

fn a_failure_leaves_a_dump(bench: &mut Bench<'_>) -> Result<(), Failure> {
    let driver = bench.driver();
    let dumps = Dumps { bench };
    driver.load(PARAMETERS)?;
    driver.works(1)?;
    let program = Program::start(&bench.machine.agent)?;
    let desk = Desk::open(&program, &driver.nodes()?.render)?;
    desk.works()?;
    let first = a_hang(&dumps, &program, &desk)?;
    a_ladder_waits(&dumps, &desk, first)?;
    // Nothing is left that an unbind could publish, and it makes none itself.
    driver.unbind()?;
    dumps.are(&[])?;

    driver.bind()?;
    driver.works(1)?;
    a_dead_heartbeat(&dumps)?;
    driver.unbind()?;
    dumps.are(&[])?;

    program.kill()?;
    driver.unload()?;
    driver.load(PATIENT)?;
    driver.works(1)?;
    let program = Program::start(&bench.machine.agent)?;
    let desk = Desk::open(&program, &driver.nodes()?.render)?;
    let last = a_loss(&dumps, &desk)?;
    // The kernel keeps it, and needs nothing of the module.
    program.kill()?;
    driver.unload()?;
    let (_, dump) = dumps.read(&last)?;
    expect(dump.reason == Reason::Lost, || format!("after the module is gone, its dump is {dump:?}"))
}

/// The dumps that the kernel has.
struct Dumps<'a> {
    bench: &'a Bench<'a>,
}

impl Dumps<'_> {
    fn names(&self) -> Result<Vec<String>, Failure> {
        let names = self.bench.machine.agent.list(CLASS)?;
        Ok(names.into_iter().filter(|name| name.starts_with(PREFIX)).collect())
    }

    /// The kernel has these, and no others.
    fn are(&self, expected: &[&str]) -> Result<(), Failure> {
        let names = self.names()?;
        expect(names == expected, || format!("the dumps are {names:?}, not {expected:?}"))
    }

    /// Waits for the one dump, and reads it. Gives its name.
    fn only(&self) -> Result<(String, Dump), Failure> {
        let began = Instant::now();
        loop {
            match self.names()?.as_slice() {
                [name] => return self.read(name),
                [] => expect(began.elapsed() < self.bench.limit(pace::DRIVER), || "there is no dump".to_owned())?,
                more => return Err(Failure::Unexpected(format!("there should be one dump: {more:?}"))),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn read(&self, name: &str) -> Result<(String, Dump), Failure> {
        let bytes = self.bytes(name)?;
        let read = Dump::read(&bytes);
        let dump =
            read.map_err(|error| Failure::Unexpected(format!("{error}: {}", String::from_utf8_lossy(&bytes))))?;
        expect(dump.device.location == SLOT && dump.device.model == "LB1", || format!("of another device: {dump:?}"))?;
        expect(dump.left_out == LeftOut::default(), || format!("there was no room: {:?}", dump.left_out))?;
        Ok((name.to_owned(), dump))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let bytes = self.bench.machine.agent.read_to_end(&format!("{CLASS}/{name}/data"))?;
        expect(bytes.len() <= LIMIT, || format!("a dump of {} bytes", bytes.len()))?;
        Ok(bytes)
    }

    /// Says that it has been read: the kernel drops it.
    fn dismiss(&self, name: &str) -> Result<(), Failure> {
        let agent = &self.bench.machine.agent;
        agent.write(&format!("{CLASS}/{name}/data"), "1", pace::COMMAND)?;
        Ok(agent.wait_until(&format!("{CLASS}/{name}"), Condition::Absent, pace::DRIVER).map(drop)?)
    }
}

/// A job hangs in its first command; its ring is reset. Gives the dump's name.
fn a_hang(dumps: &Dumps<'_>, program: &Program<'_>, desk: &Desk<'_>) -> Result<String, Failure> {
    let job = hangs(dumps, desk)?;
    let (name, dump) = dumps.only()?;
    expect(dump.reason == Reason::JobTimeout { ring: 0 }, || format!("the reason is {:?}", dump.reason))?;
    before_the_reset(&dump, job)?;
    let process = dump.guilty.as_ref().and_then(|guilty| guilty.process.as_ref());
    let called = program.read("/proc/self/comm")?;
    let is_right = process.is_some_and(|process| process.pid == program.process() && process.name == called.trim());
    expect(is_right, || format!("process {} ({called:?}) hangs, and {process:?} is blamed", program.process()))?;
    // By this clock, which is the host's, too.
    expect(dump.taken.utc.starts_with("20") && dump.taken.utc.ends_with('Z'), || format!("{:?}", dump.taken))?;
    shown(dumps, &name, program.process())?;
    Ok(name)
}

/// Hangs the ring with a job of the desk's: its number.
fn hangs(dumps: &Dumps<'_>, desk: &Desk<'_>) -> Result<u64, Failure> {
    dumps.bench.gpu()?.inject(Fault::Hang, Some(Trigger::Job(1)))?;
    let (jobs, _) = desk.file.submit(&desk.job, 1)?;
    let result = desk.file.wait(desk.context, jobs[0])?;
    expect(result == -ETIME, || format!("the job that hung ended with {result}"))?;
    Ok(jobs[0])
}

/// The state is from before the reset, which would have cleared all of it: the ring is at the job that hung, which is blamed.
fn before_the_reset(dump: &Dump, number: u64) -> Result<(), Failure> {
    let wrong = |what: &str| format!("{what}: {dump:?}");
    let ring = ring(dump, 0)?;
    let status = value(&ring.registers, "RING_STATUS");
    expect(status == Some(ring_status::ENABLED | ring_status::BUSY), || wrong("ring 0 was not at work"))?;
    expect(value(&dump.registers, "DEVICE_STATUS") == Some(device_status::READY), || {
        wrong("the device was not ready")
    })?;
    // Two commands and a sequence number.
    let (head, tail) = (ring.head.unwrap_or(0), ring.tail.unwrap_or(0));
    expect(head.wrapping_add(3) % ring.size == tail, || wrong("the ring was not at the job's first command"))?;
    let issued = ring.seqno.map(|seqno| seqno.wrapping_add(1));
    expect(issued == ring.issued && ring.seqno == ring.completed, || wrong("the job is not the only one"))?;
    let bytes = ring.descriptors.iter().find(|descriptor| descriptor.index == head).and_then(|at| at.bytes.as_deref());
    let descriptor =
        bytes.and_then(decoded).ok_or_else(|| Failure::Unexpected(wrong("there is nothing at the head")))?;
    let command = descriptor.decode();
    let is_fill = matches!(command, Ok(command::Command::Work(work)) if is_fill_of_the_desk(&work));
    expect(is_fill, || format!("at the head is {command:?}"))?;

    let [job] = dump.jobs.as_slice() else { return Err(Failure::Unexpected(wrong("there should be one job"))) };
    let context = descriptor.context().0;
    let expected = PendingJob { ring: 0, context, seqno: ring.issued, waits: 0, commands: 2, number, ..job.clone() };
    expect(*job == expected, || wrong("the job is another"))?;
    let has_hung = job.age_us >= JOB_TIMEOUT_US && job.fence.starts_with("lifeboat-lb1-queue");
    expect(has_hung, || wrong("the job has not had its time, or its fence another name"))?;
    let guilty = dump.guilty.as_ref().ok_or_else(|| Failure::Unexpected(wrong("nobody is blamed")))?;
    let blamed = (guilty.ring, guilty.context, &guilty.fence, guilty.number);
    expect(blamed == (0, context, &job.fence, number), || wrong("another job is blamed"))
}

fn is_fill_of_the_desk(work: &command::Work) -> bool {
    match work {
        command::Work::Fill(command::Fill { dst, .. }) => *work == fill(dst.0, BYTES, PATTERN),
        _ => false,
    }
}

fn decoded(hex: &str) -> Option<Descriptor> {
    let byte = |at: usize| hex.get(2 * at..2 * at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let mut bytes = [0; DESCRIPTOR_BYTES];
    for (at, into) in bytes.iter_mut().enumerate() {
        *into = byte(at)?;
    }
    (hex.len() == 2 * DESCRIPTOR_BYTES).then(|| Descriptor::from_bytes(&bytes))
}

/// The built command tells the same to people.
fn shown(dumps: &Dumps<'_>, name: &str, pid: u32) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::Unexpected(error.to_string());
    let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
    file.write_all(&dumps.bytes(name)?).map_err(failed)?;
    let mut command = Command::new(&dumps.bench.environment.lifeboat);
    let output = command.args(["dump", "show"]).arg(file.path()).output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let says = |words: &str| text.contains(words);
    let all = says("Reason    a job on ring 0 has had its time\n") && says(&format!(" of process {pid} "));
    expect(output.status.success() && all && says("head"), || format!("the command says {output:?}"))
}

/// The ring hangs again, its reset fails, and the device is reset: one incident, and another than the first. Its dump waits
/// until the first is dismissed.
fn a_ladder_waits(dumps: &Dumps<'_>, desk: &Desk<'_>, first: String) -> Result<(), Failure> {
    let driver = dumps.bench.driver();
    // The device works again: the incident is over.
    desk.works()?;
    dumps.bench.gpu()?.inject(Fault::FailReset, None)?;
    let job = hangs(dumps, desk)?;
    let resets = (driver.counter("ring_resets")?, driver.counter("device_resets")?);
    expect(resets == (2, 1), || format!("there were {resets:?} resets of the ring and the device"))?;
    desk.works()?;
    dumps.are(&[&first])?;
    let (_, kept) = dumps.read(&first)?;
    dumps.dismiss(&first)?;
    let (second, dump) = dumps.only()?;
    expect(dump.reason == Reason::JobTimeout { ring: 0 }, || format!("the ladder began with {:?}", dump.reason))?;
    before_the_reset(&dump, job)?;
    let later = dump.taken.since_bind_ms > kept.taken.since_bind_ms && dump.taken.utc > kept.taken.utc;
    expect(later, || format!("{:?} is not after {:?}", dump.taken, kept.taken))?;
    dumps.dismiss(&second)
}

/// The device answers, and does not go on: its registers are read before it is brought to rest.
fn a_dead_heartbeat(dumps: &Dumps<'_>) -> Result<(), Failure> {
    dumps.bench.gpu()?.inject(Fault::StickHeartbeat, None)?;
    dumps.bench.driver().wait_for_state("gone")?;
    let (name, dump) = dumps.only()?;
    expect(dump.reason == Reason::Hung, || format!("the reason is {:?}", dump.reason))?;
    expect(value(&dump.registers, "DEVICE_STATUS") == Some(device_status::READY), || format!("{dump:?}"))?;
    let status = value(&ring(&dump, 0)?.registers, "RING_STATUS");
    expect(status == Some(ring_status::ENABLED), || format!("ring 0 was stopped already: {dump:?}"))?;
    expect(dump.guilty.is_none() && dump.jobs.is_empty(), || format!("there was no job: {dump:?}"))?;
    dumps.dismiss(&name)
}

/// The device falls off the bus under a job: the dump has what the driver knows. Gives its name.
fn a_loss(dumps: &Dumps<'_>, desk: &Desk<'_>) -> Result<String, Failure> {
    desk.works()?;
    let gpu = dumps.bench.gpu()?;
    gpu.inject(Fault::Slow { micros: SLOW }, None)?;
    let (jobs, _) = desk.file.submit(&desk.job, 1)?;
    gpu.inject(Fault::Gone, None)?;
    dumps.bench.driver().wait_for_state("gone")?;
    let (name, dump) = dumps.only()?;
    expect(dump.reason == Reason::Lost, || format!("the reason is {:?}", dump.reason))?;
    let nothing_read = dump.registers.is_empty()
        && dump
            .rings
            .iter()
            .all(|ring| ring.registers.is_empty() && ring.descriptors.is_empty() && ring.head.is_none());
    expect(nothing_read && !dump.rings.is_empty(), || format!("something was read of a dead device: {dump:?}"))?;
    let numbers: Vec<_> = dump.jobs.iter().map(|job| (job.number, job.commands)).collect();
    expect(numbers == [(jobs[0], 2)] && dump.guilty.is_none(), || format!("job {} was lost: {dump:?}", jobs[0]))?;
    Ok(name)
}

fn ring(dump: &Dump, number: u8) -> Result<&RingState, Failure> {
    let found = dump.rings.iter().find(|ring| ring.ring == number);
    found.ok_or_else(|| Failure::Unexpected(format!("there is no ring {number}: {dump:?}")))
}

fn value(registers: &[RegisterValue], name: &str) -> Option<u32> {
    registers.iter().find(|register| register.name == name)?.value
}
