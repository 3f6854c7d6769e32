// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A buffer on another device's memory. The attachment ends with the binding; the other device's buffer is held as long as
//! this one.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};

use super::binding::{Borrower, Lending, Note, Stretches};
use crate::glue::{Attached, DmaBuf};

/// See the module documentation.
#[pin_data]
pub(crate) struct Imported {
    #[pin]
    attached: Mutex<Option<Attached>>,
    pub(super) origin: DmaBuf,
}

impl Imported {
    /// Attaches this device to the buffer. ENODEV if the binding has ended.
    pub(super) fn new(origin: DmaBuf, lending: &Lending) -> Result<Arc<Self>> {
        let attached = new_mutex!(None, "lifeboat::attached");
        let imported = Arc::pin_init(pin_init!(Self { attached <- attached, origin }), GFP_KERNEL)?;
        let note = Note::new(imported.key(), imported.clone())?;
        let mut place = imported.attached.lock();
        // From here on the end of the binding finds it, and waits for the lock. Attaching may take the other driver's locks,
        // so no other lock of ours is held meanwhile.
        let reach = lending.lend(note, |lent| Ok(lent.reach.clone()))?;
        let attached = reach.attach(&imported.origin);
        drop(reach);
        match attached {
            Ok(attached) => {
                *place = Some(attached);
                drop(place);
                Ok(imported)
            }
            Err(error) => {
                drop(place);
                lending.forget(imported.key());
                Err(error)
            }
        }
    }

    /// A part of the memory as the device reaches it. ENODEV if the binding is over, ENOSPC for too many stretches.
    pub(super) fn reach(&self, offset: u64, bytes: u64) -> Result<Stretches> {
        let room = Stretches::new()?;
        room.part(self.attached.lock().as_ref().ok_or(ENODEV)?.stretches(), offset, bytes)
    }

    /// Ends the attachment for a buffer that goes before the binding does.
    pub(super) fn leave(&self, lending: &Lending) {
        // In this order, as for host memory.
        self.cut();
        lending.forget(self.key());
    }

    fn key(&self) -> usize {
        core::ptr::from_ref(self) as usize
    }
}

impl Borrower for Imported {
    fn cut(&self) {
        let mut place = self.attached.lock();
        *place = None;
    }
}
