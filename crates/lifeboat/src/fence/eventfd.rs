//! Fences for poll loops: a descriptor that becomes readable.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

use super::Fence;

impl Fence {
    /// A descriptor that becomes readable when the fence signals, and stays so: for `poll`, `epoll` and event loops.
    /// How the fence ended is asked of the fence. Closing it is the caller's. The fence has a copy of its own, which it
    /// closes when it signals: ask once for each fence.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn eventfd(&self) -> io::Result<OwnedFd> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let signalled = Arc::new(descriptor.try_clone()?);
        self.on_signal(move |_| {
            // It cannot be full: this is the only write there ever is.
            if let Err(error) = rustix::io::write(&*signalled, &1_u64.to_ne_bytes()) {
                tracing::error!(%error, "an eventfd could not be told of its fence");
            }
        });
        Ok(descriptor)
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
}
