// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What an open file has of the device: contexts, and their jobs.
//!
//! | file | concept |
//! |---|---|
//! | this one | the contexts of one file |
//! | `context` | a context: its queues, and its jobs by number |
//! | `space` | a context's addresses, and what its jobs keep of them |
//! | `history` | the jobs that were submitted last |
//!
//! Locks, outermost first: `contexts`; a context's `state`; the scheduler's. `numbers` is a leaf.

mod context;
mod history;
mod space;

pub(crate) use context::{Context, Submission};

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};

use crate::device::Device;
use crate::errno::from_core;
use crate::numbers::Holder;
use crate::opener::Opener;
use crate::usage::Usage;

/// See the module documentation.
#[pin_data]
pub(crate) struct Client {
    holder: Arc<Holder>,
    usage: Arc<Usage>,
    opener: Opener,
    #[pin]
    contexts: Mutex<Contexts>,
}

struct Contexts {
    /// By their numbers in this file. No client has so many that they could not be searched.
    open: KVec<(u32, Arc<Context>)>,
    /// The number that was given last.
    last: u32,
}

impl Client {
    /// The client that a program has become, of a device with so many rings.
    pub(crate) fn new(opener: Opener, rings: u8) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            holder: Holder::new()?,
            opener,
            usage: Arc::new(Usage::new(rings)?, GFP_KERNEL)?,
            contexts <- new_mutex!(Contexts { open: KVec::new(), last: 0 }, "lifeboat::contexts"),
        })
    }

    /// Opens a context. Returns its number in this file. ENOMEM if all contexts of the device are in
    /// use, EDQUOT if this file has its share.
    pub(crate) fn open_context(&self, device: &Arc<Device>) -> Result<u32> {
        let number = device.numbers.take(&self.holder).map_err(from_core)?;
        let context = Context::new(device, number, self.usage.clone(), self.opener)?;
        let mut contexts = self.contexts.lock();
        let number = contexts.unused_number();
        contexts.open.push((number, context), GFP_KERNEL)?;
        contexts.last = number;
        Ok(number)
    }

    /// How long each ring has worked for the client's jobs that have ended.
    pub(crate) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// ENOENT if there is no such context.
    pub(crate) fn context(&self, number: u32) -> Result<Arc<Context>> {
        let contexts = self.contexts.lock();
        let found = contexts.open.iter().find(|(each, _)| *each == number);
        found.map(|(_, context)| context.clone()).ok_or(ENOENT)
    }

    /// Closes a context, whatever refers to it. ENOENT if there is none.
    pub(crate) fn close_context(&self, number: u32) -> Result {
        let context = {
            let mut contexts = self.contexts.lock();
            let index = contexts.open.iter().position(|(each, _)| *each == number).ok_or(ENOENT)?;
            contexts.open.remove(index).map_err(|_| ENOENT)?.1
        };
        context.close();
        Ok(())
    }
}

impl Contexts {
    /// Not 0, and after a long time one that was used before.
    fn unused_number(&self) -> u32 {
        let mut number = self.last;
        loop {
            number = number.wrapping_add(1).max(1);
            // There are fewer contexts than numbers.
            if self.open.iter().all(|(each, _)| *each != number) {
                return number;
            }
        }
    }
}
