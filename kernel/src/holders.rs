// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What keeps this module loaded, counted by device, for a file in debugfs (LIFE-2).
//!
//! The kernel refuses to unload a module that is referred to, and does not say by what. Who holds a reference for a program counts it
//! here: an open file, a map, a buffer that was exported, a fence that has not signalled.

use core::fmt;

use kernel::{
    current, new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, Mutex,
    },
    task::Pid,
};

/// Longest name of a PCI function (`0000:00:00.0`; the domain can have more digits).
const NAME: usize = 20;

/// A kind of holder.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// An open file.
    File,
    /// A map of a buffer in a program's memory.
    Map,
    /// A buffer that was exported.
    Export,
    /// A fence that has not signalled, or whose job the hardware has not given back.
    Fence,
}

impl Kind {
    const NAMES: [&'static str; 4] = ["files", "maps", "exports", "fences"];
}

/// The holders that one device has, while it is bound and after.
#[pin_data]
pub(crate) struct Holding {
    name: [u8; NAME],
    /// By [`Kind`].
    counts: [Atomic<u32>; Kind::NAMES.len()],
    /// The process that opened each open file.
    #[pin]
    files: Mutex<KVec<Pid>>,
}

/// A holder. Dropped, it holds no longer.
pub(crate) struct Hold {
    holding: Arc<Holding>,
    kind: Kind,
}

/// A file that this process has opened. Dropped, it is closed.
pub(crate) struct FileHold {
    hold: Hold,
    opener: Pid,
}

impl Holding {
    pub(crate) fn of(device: &kernel::device::Device) -> Result<Arc<Self>> {
        let mut name = [0; NAME];
        for (to, from) in name.iter_mut().zip(device.name().to_bytes()) {
            *to = *from;
        }
        Arc::pin_init(
            pin_init!(Self {
                name,
                counts: [const { Atomic::new(0) }; Kind::NAMES.len()],
                files <- new_mutex!(KVec::new(), "lifeboat::files"),
            }),
            GFP_KERNEL,
        )
    }

    /// Counts a holder. May be called in any context, and so may its drop.
    pub(crate) fn hold(self: &Arc<Self>, kind: Kind) -> Hold {
        self.begin(kind);
        Hold { holding: self.clone(), kind }
    }

    /// Counts a holder that has no place for a [`Hold`], until [`end`](Self::end).
    pub(crate) fn begin(&self, kind: Kind) {
        self.counts[kind as usize].fetch_add(1, Relaxed);
    }

    /// A holder that was [counted](Self::begin) holds no longer.
    pub(crate) fn end(&self, kind: Kind) {
        self.counts[kind as usize].fetch_sub(1, Relaxed);
    }

    /// Counts an open file. ENOMEM.
    pub(crate) fn hold_file(self: &Arc<Self>) -> Result<FileHold> {
        let opener = current!().group_leader().pid();
        self.files.lock().push(opener, GFP_KERNEL)?;
        Ok(FileHold { hold: self.hold(Kind::File), opener })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holding.end(self.kind);
    }
}

impl Drop for FileHold {
    fn drop(&mut self) {
        let mut files = self.hold.holding.files.lock();
        if let Some(at) = files.iter().position(|opener| *opener == self.opener) {
            // There is such an element.
            let _ = files.remove(at);
        }
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        write!(f, "{}", core::str::from_utf8(&self.name[..end]).unwrap_or("?"))?;
        for (name, count) in Kind::NAMES.iter().zip(&self.counts) {
            write!(f, " {name}={}", count.load(Relaxed))?;
        }
        self.files.lock().iter().try_for_each(|opener| write!(f, " opener={opener}"))
    }
}

/// Every device that programs may hold: those that are bound, and those that are not and still referred to.
#[pin_data]
pub(crate) struct Holders {
    #[pin]
    all: Mutex<KVec<Arc<Holding>>>,
}

impl Holders {
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self { all <- new_mutex!(KVec::new(), "lifeboat::holders") })
    }

    /// Lists a device. ENOMEM.
    pub(crate) fn add(&self, holding: Arc<Holding>) -> Result {
        self.all.lock().push(holding, GFP_KERNEL)?;
        Ok(())
    }

    pub(crate) fn remove(&self, holding: &Arc<Holding>) {
        let removed = {
            let mut all = self.all.lock();
            let at = all.iter().position(|listed| Arc::ptr_eq(listed, holding));
            at.and_then(|at| all.remove(at).ok())
        };
        drop(removed);
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.lock().iter().try_for_each(|holding| writeln!(f, "{}", **holding))
    }
}
