// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The device's nodes: programs open `/dev/dri/card*` and `renderD*`, and call.
//!
//! | file | concept |
//! |---|---|
//! | this one | the nodes of one device, and their open files |
//! | `table` | all ioctls, with the class of each |
//! | `call` | takes an ioctl from its number to its handler, by its class |
//! | `info` | INFO |
//! | `context` | CONTEXT_CREATE, CONTEXT_DESTROY, CONTEXT_STATUS |
//! | `submit`, `sync` | SUBMIT, and the fences of a submission |
//! | `wait` | WAIT |
//! | `fdinfo` | what a file's fdinfo says |
//! | `buffer`, `map` | BUFFER_*, MAP, UNMAP |
//! | `capability` | GET_CAP, as far as the core does not answer it |
//! | `display` | what the card node answers to who looks for a display |
//!
//! A handler is a function in a file of its own that takes a [`Call`], for an ioctl of class Device also a
//! [`Section`](crate::gate::Section), and the structure of `lifeboat_uapi`; and a row in `table`.

mod buffer;
mod call;
mod capability;
mod context;
mod display;
mod fdinfo;
mod info;
mod map;
mod submit;
mod sync;
mod table;
mod wait;

use kernel::{
    prelude::*,
    sync::{aref::ARef, Arc},
};
use lifeboat_core::class::{Class, Entry, Presence};
use lifeboat_core::errno::Errno;
use lifeboat_driver::Driver;

use crate::bringup::Working;
use crate::client::Client;
use crate::device::Device;
use crate::errno::from_core;
use crate::glue::{caller, Command, DmaBuf, DrmDevice, DrmFile, Nodes, Opened, Printer, Registration};
use crate::holders::FileHold;
use crate::memory::{Buffer, Object, Placement};
use crate::registration::Driven;

/// The nodes of a device, beside its `struct drm_device`. While they are there, programs may hold the device.
pub(crate) struct Node {
    device: Arc<Device>,
}

impl Node {
    fn new(device: Arc<Device>) -> Result<Self> {
        device.shared.holders.add(device.holding.clone())?;
        Ok(Self { device })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.device.shared.holders.remove(&self.device.holding);
    }
}

/// An open file.
#[pin_data]
pub(crate) struct File {
    device: Arc<Device>,
    #[pin]
    pub(crate) client: Client,
    _hold: FileHold,
}

/// What a handler gets.
pub(crate) struct Call<'a> {
    pub(crate) device: &'a Arc<Device>,
    pub(crate) file: &'a File,
    /// The device as the core knows it: for objects that belong to it.
    pub(crate) drm: &'a DrmDevice,
    /// The file as the core knows it: for its handles.
    pub(crate) drm_file: &'a DrmFile,
}

/// Registers the nodes of a device that has been proven to work: the last step of probe (LIFE-6). ENODEV if it has been lost since.
pub(crate) fn register(working: Working) -> Result {
    let device = working.device();
    let drm = DrmDevice::new(device.pci.as_ref(), Node::new(device.clone())?)?;
    device.dump.set_minor(drm.minor());
    let mut nodes = device.nodes.lock();
    // The end of the binding shuts the gate, then takes the nodes away: it sees these, or this sees the gate.
    if device.gate.presence() != Presence::Live {
        return Err(ENODEV);
    }
    *nodes = Some(Registration::new(drm)?);
    Ok(())
}

impl Nodes for Node {
    type File = File;

    type Content = Buffer;

    const DESCRIPTION: &'static CStr = c"GPU that can vanish";

    fn open(&self, _: &DrmFile) -> impl PinInit<File, Error> {
        let device = self.device.clone();
        pin_init::pin_init_scope(move || {
            if let Entry::Refuse(refusal) = device.gate.entry(Class::Open) {
                return Err(from_core(Errno::from(refusal)));
            }
            Ok(
                try_pin_init!(File { _hold: device.holding.hold_file()?, client <- Client::new(caller(), Driven::rings(&device.info)), device }),
            )
        })
    }

    fn performs(word: u32) -> bool {
        call::is_ours(word) || word == capability::GET_CAP || display::answers(word)
    }

    fn ioctl(opened: &Opened<'_, Self>, command: Command) -> Option<Result> {
        if command.word == capability::GET_CAP {
            return capability::get(command);
        }
        let Opened { drm, nodes, drm_file, file } = *opened;
        if display::answers(command.word) {
            return display::get(drm_file, command);
        }
        Some(call::perform(&Call { device: &nodes.device, file, drm, drm_file }, command))
    }

    fn import(&self, drm: &DrmDevice, origin: DmaBuf) -> Result<ARef<Object>> {
        Object::new(drm, Buffer::imported(&self.device.memory, origin)?)
    }

    fn create(opened: &Opened<'_, Self>, bytes: u64) -> Result<(u32, u64)> {
        let buffer = Buffer::new(&opened.nodes.device.memory, bytes, Placement::Lazy)?;
        let bytes = buffer.size();
        Ok((Object::new(opened.drm, buffer)?.handle(opened.drm_file)?, bytes))
    }

    fn is_lost(&self) -> bool {
        self.device.gate.presence() != Presence::Live
    }

    fn show(opened: &Opened<'_, Self>, printer: &mut Printer) -> core::fmt::Result {
        fdinfo::show(opened.file, printer)
    }
}
