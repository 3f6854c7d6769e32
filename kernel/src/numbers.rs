// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The hardware's contexts that are not the driver's own. A context stays taken while a job that uses
//! it may be on the hardware: its number must not mean another address space meanwhile.

use core::ops::Range;

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
};
use lifeboat_core::{sched::QueueError, share::Share};
use lifeboat_driver::gpu::ContextId;

/// The contexts of one device that clients share.
#[pin_data]
pub(crate) struct Numbers {
    all: Range<u8>,
    /// Most of them that one client has.
    share: Share,
    /// Room for all.
    #[pin]
    free: SpinLock<KVec<u8>>,
}

/// What a client holds of them.
pub(crate) struct Holder(Atomic<u32>);

/// A context of the hardware. Dropped, it is free for others.
pub(crate) struct Number {
    id: ContextId,
    numbers: Arc<Numbers>,
    holder: Arc<Holder>,
}

impl Numbers {
    pub(crate) fn new(all: Range<u8>) -> Result<Arc<Self>> {
        let mut free = KVec::with_capacity(all.len(), GFP_KERNEL)?;
        for number in all.clone().rev() {
            free.push(number, GFP_KERNEL)?;
        }
        let share = Share::quarter_of(u32::try_from(all.len())?);
        Arc::pin_init(pin_init!(Self { all, share, free <- new_spinlock!(free, "lifeboat::numbers") }), GFP_KERNEL)
    }

    /// As many as clients can have at a time.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Takes one. [`QueueError::Full`] if there is none, [`QueueError::OverShare`] if the holder has its share (SCHED-9).
    pub(crate) fn take(self: &Arc<Self>, holder: &Arc<Holder>) -> Result<Number, QueueError> {
        let mut free = self.free.lock();
        // Taken under the lock; given back at any time, which only makes room.
        if !self.share.admits(holder.0.load(Relaxed)) {
            return Err(QueueError::OverShare);
        }
        let number = free.pop().ok_or(QueueError::Full)?;
        holder.0.fetch_add(1, Relaxed);
        Ok(Number { id: ContextId(number), numbers: self.clone(), holder: holder.clone() })
    }
}

impl Holder {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self(Atomic::new(0)), GFP_KERNEL)?)
    }
}

impl Number {
    pub(crate) fn context(&self) -> ContextId {
        self.id
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        // There is room for all.
        let _ = self.numbers.free.lock().push_within_capacity(self.id.0);
        self.holder.0.fetch_add(u32::MAX, Relaxed);
    }
}
