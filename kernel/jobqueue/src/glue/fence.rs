// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Fences: the kernel's `dma_fence`, ours to signal and anybody's to wait for.
//!
//! A fence of ours refers to no device, and outlives this module: once it has signalled, nothing of
//! ours is called for it. That takes these rules, which [`Unsignalled`] keeps:
//!
//! - Its operations are the two names and nothing else, so the signal takes them off.
//! - Its names stand in its own memory, which the kernel frees a grace period after the last
//!   reference; those who ask for them do so in an RCU section.
//! - Until it has signalled it holds the module, unless its [`Timeline`] is internal.
//! - It is signalled before its last reference is put, by its one signaller, the error first.
//!
//! Each fence has a `dma_fence` context of its own: among fences of one context the kernel takes the
//! latest for all, but a job that is cancelled while it waits ends before those ahead of it.

use core::ptr::{addr_of, NonNull};
use core::time::Duration;

use kernel::sync::atomic::{Acquire, Atomic, Relaxed, Release};
use kernel::{
    alloc::flags::GFP_KERNEL, bindings, error::to_result, ffi::c_char, prelude::*, sync::rcu, time::Jiffies,
    types::Opaque,
};
use lifeboat_core::errno::Errno;
use lifeboat_core::fence::FenceError;
use lifeboat_core::sched::JobId;

use super::shim;
use crate::clock::jiffies;

/// Bytes of a name, its closing 0 included: as long as a `drm_driver`'s name may be, twice.
const NAME_BYTES: usize = 32;

/// A name as C takes it: what is too long is cut off.
type Name = [u8; NAME_BYTES];

fn name(text: &str) -> Name {
    let mut name = [0; NAME_BYTES];
    // The last byte stays 0.
    for (to, from) in name.iter_mut().take(NAME_BYTES - 1).zip(text.bytes()) {
        *to = from;
    }
    name
}

fn text(name: &Name) -> &str {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
    name.get(..end).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("?")
}

/// The names of the fences of one queue, as tools show them.
#[derive(Clone, Copy)]
pub struct Timeline {
    driver: Name,
    timeline: Name,
    /// Fences may leave the module.
    shared: bool,
}

impl Timeline {
    /// A timeline whose fences anybody may hold.
    pub fn shared(driver: &str, timeline: &str) -> Self {
        Self { driver: name(driver), timeline: name(timeline), shared: true }
    }

    /// A timeline whose fences never leave the module, and so do not keep it loaded.
    pub fn internal(driver: &str, timeline: &str) -> Self {
        Self { shared: false, ..Self::shared(driver, timeline) }
    }
}

/// A fence as tools show it.
#[derive(Clone, Copy)]
pub struct FenceName {
    driver: Name,
    timeline: Name,
    context: u64,
    /// Its number.
    pub number: u64,
}

/// The name of the timeline, as that of a `sync_file` begins.
impl core::fmt::Display for FenceName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}-{}{}", text(&self.driver), text(&self.timeline), self.context)
    }
}

/// What a fence of ours is. Nothing in it needs to be dropped: `vmlinux` frees it.
#[repr(C)]
struct Block {
    /// First, so that the kernel frees the block by the address of the fence.
    fence: Opaque<bindings::dma_fence>,
    driver: Name,
    timeline: Name,
    /// The parts of its [`Origin`], 0 before it has one.
    scheduler: Atomic<u64>,
    job: Atomic<u64>,
}

/// The job that a fence of ours is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Number of its scheduler, never 0.
    pub(crate) scheduler: u64,
    pub(crate) job: JobId,
}

static OPS: bindings::dma_fence_ops = bindings::dma_fence_ops {
    get_driver_name: Some(driver_name),
    get_timeline_name: Some(timeline_name),
    enable_signaling: None,
    signaled: None,
    wait: None,
    release: None,
    set_deadline: None,
};

unsafe extern "C" fn driver_name(fence: *mut bindings::dma_fence) -> *const c_char {
    // SAFETY: only fences of a `Block` have these operations, and the caller is in an RCU section in
    // which the fence's memory is valid. The names do not change.
    unsafe { addr_of!((*fence.cast::<Block>()).driver) }.cast()
}

unsafe extern "C" fn timeline_name(fence: *mut bindings::dma_fence) -> *const c_char {
    // SAFETY: as in `driver_name`.
    unsafe { addr_of!((*fence.cast::<Block>()).timeline) }.cast()
}

/// A reference to a fence, of whatever driver.
pub struct Fence(NonNull<bindings::dma_fence>);

// SAFETY: fences are made to be shared by all threads.
unsafe impl Send for Fence {}
// SAFETY: as above.
unsafe impl Sync for Fence {}

impl Fence {
    /// Takes a reference over.
    ///
    /// # Safety
    /// `raw` is a fence, and the caller has a reference, which is the new object's from now on.
    pub unsafe fn from_raw(raw: NonNull<bindings::dma_fence>) -> Self {
        Self(raw)
    }

    /// The fence, valid as long as `self` lives.
    pub fn as_ptr(&self) -> *mut bindings::dma_fence {
        self.0.as_ptr()
    }

    /// How the fence ended, or `None` if it has not signalled. O(1).
    pub fn outcome(&self) -> Option<Result> {
        // SAFETY: the reference held keeps the fence valid.
        match unsafe { shim::fence_status(self.as_ptr()) } {
            0 => None,
            status => Some(to_result(status.min(0))),
        }
    }

    /// The job of a fence of ours that has not signalled, and was submitted.
    pub(crate) fn origin(&self) -> Option<Origin> {
        // In here the signal may take the operations off, but the fence's memory is ours to read in any
        // case, since the reference is held.
        let fence = self.as_ptr();
        // SAFETY: the reference held keeps the fence valid. The kernel writes the pointer at any time.
        let ops = unsafe { (&raw const (*fence).ops).read_volatile() };
        if !core::ptr::eq(ops, &OPS) {
            return None;
        }
        // SAFETY: only fences of a `Block` have these operations.
        let block = unsafe { &*fence.cast::<Block>() };
        let scheduler = block.scheduler.load(Acquire);
        let job = JobId::from_bits(block.job.load(Relaxed));
        (scheduler != 0).then_some(Origin { scheduler, job })
    }

    /// Waits at most so long for the fence to signal. Returns how it ended.
    ///
    /// # Errors
    /// ETIMEDOUT after `limit`, ERESTARTSYS if a signal came.
    pub fn wait(&self, limit: Jiffies) -> Result<Result> {
        let limit = isize::try_from(limit).unwrap_or(isize::MAX);
        // SAFETY: the reference held keeps the fence valid. This is called from a thread.
        match unsafe { bindings::dma_fence_wait_timeout(self.as_ptr(), true, limit) } {
            0 => self.outcome().ok_or(ETIMEDOUT),
            left if left > 0 => Ok(self.outcome().unwrap_or(Ok(()))),
            error => Err(Error::from_errno(i32::try_from(error).unwrap_or(0))),
        }
    }

    /// Waits until `deadline`, in nanoseconds of CLOCK_MONOTONIC; in the past: only looks. Returns how
    /// the fence ended.
    ///
    /// # Errors
    /// ETIME after the deadline, ERESTARTSYS if a signal came.
    pub fn wait_until(&self, deadline: i64) -> Result<Result> {
        loop {
            // SAFETY: needs nothing.
            let left = deadline.saturating_sub(unsafe { bindings::ktime_get() });
            // The look begins after the clock was read.
            if let Some(outcome) = self.outcome() {
                return Ok(outcome);
            }
            let left = u64::try_from(left).ok().filter(|left| *left > 0).ok_or(ETIME)?;
            match self.wait(jiffies(Duration::from_nanos(left))) {
                Err(error) if error == ETIMEDOUT => {}
                ended => return ended,
            }
        }
    }
}

impl Clone for Fence {
    fn clone(&self) -> Self {
        // SAFETY: the reference held keeps the fence valid.
        unsafe { shim::fence_get(self.as_ptr()) };
        Self(self.0)
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        // SAFETY: the reference is given back here alone.
        unsafe { shim::fence_put(self.as_ptr()) };
    }
}

/// The signalling side of a fence of ours, of which there is one (FENCE-1). Dropped without a
/// signal, it signals that the job was cancelled.
pub struct Unsignalled {
    fence: Fence,
    /// The fence holds the module.
    shared: bool,
    /// What the drop signals.
    outcome: Result<(), FenceError>,
}

impl Unsignalled {
    /// A new fence of a timeline, with `number` for tools to show.
    ///
    /// # Errors
    /// ENOMEM; ENODEV if the module is being unloaded.
    pub fn new(timeline: &Timeline, number: u64) -> Result<Self> {
        let Timeline { driver, timeline, shared } = *timeline;
        let block = KBox::new(
            Block { fence: Opaque::zeroed(), driver, timeline, scheduler: Atomic::new(0), job: Atomic::new(0) },
            GFP_KERNEL,
        )?;
        // SAFETY: needs nothing.
        if shared && !unsafe { shim::module_get() } {
            return Err(ENODEV);
        }
        let fence: *mut bindings::dma_fence = KBox::into_raw(block).cast();
        // SAFETY: the memory is ours, stays where it is, and is that of a `dma_fence`, from `kmalloc`,
        // as the kernel frees it. The operations live until they are taken off by the signal, since
        // the module is held till then, or since the fence does not leave it. Without a lock of ours
        // the fence has one of its own.
        unsafe {
            let context = bindings::dma_fence_context_alloc(1);
            bindings::dma_fence_init64(fence, &OPS, core::ptr::null_mut(), context, number);
        }
        // SAFETY: a box is not null, and the first reference is ours.
        let fence = unsafe { Fence::from_raw(NonNull::new_unchecked(fence)) };
        Ok(Self { fence, shared, outcome: Err(FenceError::Canceled) })
    }

    /// The fence, to wait for.
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// The fence as tools show it until it has signalled.
    pub(crate) fn name(&self) -> FenceName {
        let fence = self.fence.as_ptr();
        // SAFETY: the reference held keeps the fence valid; it is one of a `Block`, since `new` made it. These fields do not
        // change.
        let (block, fence) = unsafe { (&*fence.cast::<Block>(), &raw const *fence) };
        // SAFETY: as above.
        let (context, number) = unsafe { ((*fence).context, (*fence).seqno) };
        FenceName { driver: block.driver, timeline: block.timeline, context, number }
    }

    /// Says what job the fence is of. Called once, by the commit.
    pub(crate) fn set_origin(&self, origin: Origin) {
        // SAFETY: the fence is one of a `Block`: `new` made it.
        let block = unsafe { &*self.fence.as_ptr().cast::<Block>() };
        block.job.store(origin.job.to_bits(), Relaxed);
        block.scheduler.store(origin.scheduler, Release);
    }

    /// Signals. Does not block. Runs the callbacks of those that wait, so it must not be called by
    /// such a callback, nor with a lock that they may take.
    pub fn signal(mut self, outcome: Result<(), FenceError>) {
        self.outcome = outcome;
    }
}

impl Drop for Unsignalled {
    fn drop(&mut self) {
        let fence = self.fence.as_ptr();
        // Whoever unloads the module after it was put waits for the end of this section.
        let _section = rcu::read_lock();
        // SAFETY: the reference held keeps the fence valid. The error is written before the signal,
        // and by nobody else: there is one signaller, and it signals once.
        unsafe {
            if let Err(error) = self.outcome {
                (*fence).error = -Errno::from(error).code();
            }
            bindings::dma_fence_signal(fence);
            if self.shared {
                shim::module_put();
            }
        }
    }
}
