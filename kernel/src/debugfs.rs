// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The files under `lifeboat/` in debugfs: `removals`, `holders`, and for each device `state`, `counters`,
//! `load`, `section`, `mistake` and `refuse_start`.

use kernel::{
    debugfs::{Dir, File},
    fmt,
    prelude::*,
    sync::Arc,
    uaccess::UserSliceReader,
};

use crate::device::Device;
use crate::linger;
use crate::mistakes;
use crate::shared::Shared;

/// A device's files. Dropped, they are gone, and nobody reads them.
#[pin_data]
pub(crate) struct Files {
    #[pin]
    state: File<Arc<Device>>,
    #[pin]
    counters: File<Arc<Device>>,
    #[pin]
    load: File<Arc<Device>>,
    #[pin]
    section: File<Arc<Device>>,
    #[pin]
    mistake: File<Arc<Device>>,
    #[pin]
    refuse_start: File<Arc<Device>>,
    _dir: Dir,
}

impl Files {
    /// The files of a device, in a directory with the device's name.
    pub(crate) fn new(device: &Arc<Device>) -> impl PinInit<Self, Error> + '_ {
        let dir = device.shared.dir.subdir(device.pci.as_ref().name());
        try_pin_init!(Self {
            state <- dir.read_callback_file(c"state", device.clone(), &show_state),
            counters <- dir.read_callback_file(c"counters", device.clone(), &show_counters),
            load <- dir.read_write_callback_file(c"load", device.clone(), &show_load, &set_load),
            section <- dir.read_write_callback_file(c"section", device.clone(), &show_section, &set_section),
            mistake <- dir.write_callback_file(c"mistake", device.clone(), &make_mistake),
            refuse_start <- dir.write_callback_file(c"refuse_start", device.clone(), &refuse_start),
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

fn show_state(device: &Arc<Device>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", device.state_name())
}

fn show_counters(device: &Arc<Device>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", *device.counters)
}

fn show_load(device: &Arc<Device>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", u8::from(device.load.is_on()))
}

/// `0` or `1`, as it comes from `echo`.
fn set_load(device: &Arc<Device>, reader: &mut UserSliceReader) -> Result {
    device.set_load(flag(reader)?);
    Ok(())
}

fn show_section(device: &Arc<Device>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "{}", u8::from(device.linger.is_on()))
}

/// `1` opens a section, and returns when `0` has ended it.
fn set_section(device: &Arc<Device>, reader: &mut UserSliceReader) -> Result {
    if flag(reader)? {
        return linger::linger(device);
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
fn make_mistake(device: &Arc<Device>, reader: &mut UserSliceReader) -> Result {
    mistakes::make(device, word(reader, &mut [0; 16])?)
}

/// A number of jobs, or `device`.
fn refuse_start(device: &Arc<Device>, reader: &mut UserSliceReader) -> Result {
    device.refusals.set(word(reader, &mut [0; 16])?)
}

/// A word as it comes from `echo`. EINVAL if it is too long.
fn word<'a>(reader: &mut UserSliceReader, text: &'a mut [u8]) -> Result<&'a [u8]> {
    let written = reader.len();
    let text = text.get_mut(..written).ok_or(EINVAL)?;
    reader.read_slice(text)?;
    Ok(text.trim_ascii())
}
