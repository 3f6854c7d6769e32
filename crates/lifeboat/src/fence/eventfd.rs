//! Fences for poll loops: a descriptor that becomes readable.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

use super::{Callback, Fence};

/// A descriptor that becomes readable when its fence signals: see [`Fence::eventfd`]. When it is
/// dropped, the fence closes its copy.
#[derive(Debug)]
pub struct Eventfd {
    descriptor: OwnedFd,
    copy: Copied,
}

/// The callback that has the fence's copy; withdrawn when this is dropped.
#[derive(Debug)]
struct Copied(Option<Callback>);

impl Drop for Copied {
    fn drop(&mut self) {
        self.0.take().map(Callback::withdraw);
    }
}

impl Fence {
    /// A descriptor that becomes readable when the fence signals, and stays so: for `poll`, `epoll`
    /// and event loops. How the fence ended is asked of the fence. The fence has a copy of its own,
    /// which it closes when it signals or when the result is dropped.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn eventfd(&self) -> io::Result<Eventfd> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        if self.status().is_some() {
            // Not by a callback: inside another one, it would come too late for the caller.
            make_readable(&descriptor);
            return Ok(Eventfd { descriptor, copy: Copied(None) });
        }
        let copy = descriptor.try_clone()?;
        let callback = self.on_signal(move |_| make_readable(&copy));
        Ok(Eventfd { descriptor, copy: Copied(Some(callback)) })
    }
}

fn make_readable(descriptor: &OwnedFd) {
    // It cannot be full: this is the only write there ever is.
    if let Err(error) = rustix::io::write(descriptor, &1_u64.to_ne_bytes()) {
        tracing::error!(%error, "an eventfd could not be told of its fence");
    }
}

impl Eventfd {
    /// The descriptor alone, for code that closes it later. The fence keeps its copy until it
    /// signals.
    pub fn into_owned(self) -> OwnedFd {
        let Self { descriptor, mut copy } = self;
        copy.0 = None;
        descriptor
    }
}

impl Deref for Eventfd {
    type Target = OwnedFd;

    fn deref(&self) -> &OwnedFd {
        &self.descriptor
    }
}

impl AsFd for Eventfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::fence::Timeline;
    use crate::ledger::Ledger;

    fn readable(descriptor: &OwnedFd) -> bool {
        let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn a_descriptor_is_readable_once_the_fence_has_signalled_and_stays_so() {
        let (fence, promise) = Timeline::new(&Ledger::default(), "test", "descriptors").fence();
        let early = fence.eventfd().unwrap();
        drop(fence.eventfd().unwrap());
        assert!(!readable(&early));
        promise.signal();
        let late = fence.eventfd().unwrap();
        drop(fence);
        for _ in 0..2 {
            assert!(readable(&early) && readable(&late));
        }
    }

    #[test]
    fn a_descriptor_that_is_taken_out_stays_with_its_fence() {
        let (fence, promise) = Timeline::new(&Ledger::default(), "test", "descriptors").fence();
        // Of one fence nothing but the descriptor is left.
        let owned = [fence.clone(), Fence::any([fence])].map(|fence| fence.eventfd().unwrap().into_owned());
        promise.signal();
        assert!(owned.iter().all(readable));
    }

    #[test]
    fn a_callback_gets_a_readable_descriptor_of_a_fence_that_has_signalled() {
        let fence = Fence::signalled(Ok(()));
        let inner = fence.clone();
        fence.on_signal(move |_| assert!(readable(&inner.eventfd().unwrap())));
    }
}
