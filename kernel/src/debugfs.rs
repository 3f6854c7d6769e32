// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The files under `lifeboat/` in debugfs: `removals`, `holders`, and for each function on the bus `slot`, `rebind`, and those of
//! the device that was bound last: `state`, `counters`, `load`, `section`, `mistake` and `refuse_start`.

use kernel::{
    debugfs::{Dir, File},
    fmt,
    prelude::*,
    sync::Arc,
    uaccess::UserSliceReader,
};

use crate::linger;
use crate::mistakes;
use crate::shared::Shared;
use crate::slot::Slot;

/// A slot's files. Dropped, they are gone, and nobody reads them.
#[pin_data]
pub(crate) struct Files {
    #[pin]
    slot: File<Arc<Slot>>,
    #[pin]
    rebind: File<Arc<Slot>>,
    #[pin]
    state: File<Arc<Slot>>,
    #[pin]
    counters: File<Arc<Slot>>,
    #[pin]
    load: File<Arc<Slot>>,
    #[pin]
    section: File<Arc<Slot>>,
    #[pin]
    mistake: File<Arc<Slot>>,
    #[pin]
    refuse_start: File<Arc<Slot>>,
    _dir: Dir,
}

impl Files {
    /// The files of a slot, in a directory with the function's name.
    pub(crate) fn new<'a>(slot: &'a Arc<Slot>, shared: &Shared) -> impl PinInit<Self, Error> + 'a {
        let dir = shared.dir.subdir(slot.function.as_ref().name());
        try_pin_init!(Self {
            slot <- dir.read_callback_file(c"slot", slot.clone(), &show_slot),
            rebind <- dir.write_callback_file(c"rebind", slot.clone(), &rebind),
            state <- dir.read_callback_file(c"state", slot.clone(), &show_state),
            counters <- dir.read_callback_file(c"counters", slot.clone(), &show_counters),
            load <- dir.read_write_callback_file(c"load", slot.clone(), &show_load, &set_load),
            section <- dir.read_write_callback_file(c"section", slot.clone(), &show_section, &set_section),
            mistake <- dir.write_callback_file(c"mistake", slot.clone(), &make_mistake),
            refuse_start <- dir.write_callback_file(c"refuse_start", slot.clone(), &refuse_start),
            _dir: dir,
        })
    }
}

/// The file with the last removals.
pub(crate) fn removals(shared: &Arc<Shared>) -> impl PinInit<File<Arc<Shared>>, Error> + '_ {
    shared.dir.read_callback_file(c"removals", Ok::<_, Error>(shared.clone()), &show_removals)
}

/// The file with everything that keeps the module loaded.
pub(crate) fn holders(shared: &Arc<Shared>) -> impl PinInit<File<Arc<Shared>>, Error> + '_ {
    shared.dir.read_callback_file(c"holders", Ok::<_, Error>(shared.clone()), &show_holders)
}

fn show_holders(shared: &Arc<Shared>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", shared.holders)
}

fn show_removals(shared: &Arc<Shared>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", shared.removals)
}

fn show_slot(slot: &Arc<Slot>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", slot.state())
}

/// `1`, as it comes from `echo`, binds the device again: also one that is wedged or left alone.
fn rebind(slot: &Arc<Slot>, reader: &mut UserSliceReader) -> Result {
    if !flag(reader)? {
        return Err(EINVAL);
    }
    slot.rebind()
}

fn show_state(slot: &Arc<Slot>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", slot.device().map_or("none", |device| device.state_name()))
}

fn show_counters(slot: &Arc<Slot>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    slot.device().map_or(Ok(()), |device| write!(f, "{}", *device.counters))
}

fn show_load(slot: &Arc<Slot>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", u8::from(slot.device().is_some_and(|device| device.load.is_on())))
}

/// `0` or `1`, as it comes from `echo`.
fn set_load(slot: &Arc<Slot>, reader: &mut UserSliceReader) -> Result {
    let on = flag(reader)?;
    slot.device().ok_or(ENODEV)?.set_load(on);
    Ok(())
}

fn show_section(slot: &Arc<Slot>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", u8::from(slot.device().is_some_and(|device| device.linger.is_on())))
}

/// `1` opens a section, and returns when `0` has ended it.
fn set_section(slot: &Arc<Slot>, reader: &mut UserSliceReader) -> Result {
    let on = flag(reader)?;
    let device = slot.device().ok_or(ENODEV)?;
    if on {
        return linger::linger(&device);
    }
    device.linger.end();
    Ok(())
}

fn flag(reader: &mut UserSliceReader) -> Result<bool> {
    let mut text = [0; 2];
    let written = reader.len();
    let text = text.get_mut(..written).ok_or(EINVAL)?;
    reader.read_slice(text)?;
    match text.trim_ascii() {
        b"0" => Ok(false),
        b"1" => Ok(true),
        _ => Err(EINVAL),
    }
}

/// The name of a mistake.
fn make_mistake(slot: &Arc<Slot>, reader: &mut UserSliceReader) -> Result {
    mistakes::make(&slot.device().ok_or(ENODEV)?, word(reader, &mut [0; 16])?)
}

/// A number of jobs, or `device`.
fn refuse_start(slot: &Arc<Slot>, reader: &mut UserSliceReader) -> Result {
    slot.device().ok_or(ENODEV)?.refusals.set(word(reader, &mut [0; 16])?)
}

/// A word as it comes from `echo`. EINVAL if it is too long.
fn word<'a>(reader: &mut UserSliceReader, text: &'a mut [u8]) -> Result<&'a [u8]> {
    let written = reader.len();
    let text = text.get_mut(..written).ok_or(EINVAL)?;
    reader.read_slice(text)?;
    Ok(text.trim_ascii())
}
