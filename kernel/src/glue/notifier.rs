// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Watches a range of a program's addresses.

use kernel::{bindings, error::to_result, ffi::c_ulong, prelude::*, types::Opaque};

/// What is to be done when the program unmaps a part of the range, or ends. Called while memory is short and with the kernel's
/// locks of the address space held: allocates nothing, and waits for no lock under which somebody does.
pub(crate) trait Watch: Send + Sync + 'static {
    /// `false` if it could not be done without waiting, where `may_wait` is.
    fn unmapped(&self, may_wait: bool) -> bool;
}

/// A watch over a range. Dropped, no function runs and none will; so it must not be dropped in one.
pub(crate) struct Notifier<W: Watch>(Pin<KBox<Inner<W>>>);

#[repr(C)]
struct Inner<W> {
    raw: Opaque<bindings::mmu_interval_notifier>,
    watch: W,
}

// SAFETY: notifiers may be removed by any thread, and what it watches for is `Send` and `Sync`.
unsafe impl<W: Watch> Send for Notifier<W> {}
// SAFETY: as above.
unsafe impl<W: Watch> Sync for Notifier<W> {}

impl<W: Watch> Notifier<W> {
    const OPERATIONS: bindings::mmu_interval_notifier_ops = {
        let mut operations: bindings::mmu_interval_notifier_ops = pin_init::zeroed();
        operations.invalidate = Some(invalidate::<W>);
        operations
    };

    /// Watches `bytes` of the caller's addresses, at least 1, from `address` on.
    pub(crate) fn new(address: usize, bytes: usize, watch: W) -> Result<Self> {
        let raw = Opaque::new(bindings::mmu_interval_notifier::default());
        let inner = KBox::pin(Inner { raw, watch }, GFP_KERNEL)?;
        let current = kernel::current!();
        let mm = current.mm().ok_or(EFAULT)?;
        // SAFETY: the notifier is new, and stays where it is until it is removed; the address space is the caller's.
        let inserted = to_result(unsafe {
            bindings::mmu_interval_notifier_insert(
                inner.raw.get(),
                mm.as_raw(),
                address as c_ulong,
                bytes as c_ulong,
                &Self::OPERATIONS,
            )
        });
        inserted.map(|()| Self(inner))
    }

    pub(crate) fn watch(&self) -> &W {
        &self.0.watch
    }

    /// A moment at which no change of the range is under way, after a wait for one that is. A change that comes later, and may
    /// put other pages in the place of those that are found from now on, makes that
    /// [`is_unchanged_since`](Self::is_unchanged_since) says so. Call it with no lock held.
    pub(crate) fn settle(&self) -> usize {
        // SAFETY: the notifier was inserted by `new`.
        unsafe { bindings::mmu_interval_read_begin(self.0.raw.get()) as usize }
    }

    /// Whether no page of the range may have been replaced since a moment.
    pub(crate) fn is_unchanged_since(&self, moment: usize) -> bool {
        // SAFETY: the field lives as long as the notifier, and is read and written in one piece. A change that has returned to
        // the program is seen by what the program does then; of one that is under way either answer is right.
        let sequence = unsafe { (&raw const (*self.0.raw.get()).invalidate_seq).read_volatile() };
        sequence as usize == moment
    }
}

impl<W: Watch> Drop for Notifier<W> {
    fn drop(&mut self) {
        // SAFETY: `new` inserted it. It waits for functions that run.
        unsafe { bindings::mmu_interval_notifier_remove(self.0.raw.get()) };
    }
}

unsafe extern "C" fn invalidate<W: Watch>(
    notifier: *mut bindings::mmu_interval_notifier,
    range: *const bindings::mmu_notifier_range,
    sequence: c_ulong,
) -> bool {
    // SAFETY: the kernel passes a notifier of ours, with which an `Inner` begins, and a range.
    let (watch, event, flags) = unsafe { (&(*notifier.cast::<Inner<W>>()).watch, (*range).event, (*range).flags) };
    let is_end = event == bindings::mmu_notifier_event_MMU_NOTIFY_UNMAP
        || event == bindings::mmu_notifier_event_MMU_NOTIFY_RELEASE;
    if is_end && !watch.unmapped(flags & bindings::MMU_NOTIFIER_RANGE_BLOCKABLE != 0) {
        return false;
    }
    if !leaves_pages(event) {
        // SAFETY: the kernel asks for it, and reads it as it is written: in one piece.
        unsafe { (&raw mut (*notifier).invalidate_seq).write_volatile(sequence) };
    }
    true
}

/// Whether an event leaves the pages where they are, whatever it does to the rights to them.
fn leaves_pages(event: bindings::mmu_notifier_event) -> bool {
    matches!(
        event,
        bindings::mmu_notifier_event_MMU_NOTIFY_PROTECTION_VMA
            | bindings::mmu_notifier_event_MMU_NOTIFY_PROTECTION_PAGE
            | bindings::mmu_notifier_event_MMU_NOTIFY_SOFT_DIRTY
    )
}
