//! A client: whoever opened a handle, and what is held through it.
//!
//! The counts outlive the handle: a context that is kept when its handle is closed still counts for
//! the client that created it, until it is really gone. Nothing here touches hardware.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use lifeboat_core::share::Share;

/// What the client of one handle holds.
#[derive(Debug, Default)]
pub(crate) struct Client {
    contexts: Arc<AtomicU32>,
}

/// One context that a client holds. Counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicU32>);

impl Client {
    /// Counts another context, if the client has not had its share. O(1).
    pub(crate) fn hold_context(&self, share: Share) -> Option<Held> {
        // Relaxed: the count stands for itself. Threads of one client never get past its share
        // together, since the rule is asked again whenever the count has changed meanwhile.
        let more = |held| share.admits(held).then(|| held + 1);
        self.contexts.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Held(self.contexts.clone()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sched_9_threads_of_one_client_do_not_get_past_its_share_together() {
        const LIMIT: usize = 3;
        let (client, share) = (Client::default(), Share::new(3).unwrap());
        for _ in 0..100 {
            let take = || (0..2).filter_map(|_| client.hold_context(share)).collect::<Vec<_>>();
            let held = std::thread::scope(|scope| {
                let threads = [(); 4].map(|()| scope.spawn(take));
                threads.map(|thread| thread.join().unwrap())
            });
            assert_eq!(held.iter().flatten().count(), LIMIT);
        }
        assert!(client.hold_context(share).is_some(), "all were given back");
    }
}
