//! The open handles: who is told when the screen goes.
//!
//! Under a lock of their own, which no interrupt handler takes: however many handles there are,
//! opening one keeps no interrupt waiting. Opening and closing one costs O(log n).

use std::fmt;
use std::sync::Arc;

use lifeboat::roster::{Number, Roster};
use lifeboat_sync::lint::Mutex;

use super::events::{DisplayEvent, EventQueue};
use crate::locks;

/// The event queues of all open handles, until the screen goes.
pub(super) struct Listeners(Mutex<Listening>);

struct Listening {
    queues: Roster<Arc<EventQueue>>,
    unplugged: bool,
}

/// A handle's place among the listeners: dropped, the handle is told nothing any more.
pub(super) struct Place {
    listeners: Arc<Listeners>,
    number: Number,
}

impl Listeners {
    pub(super) fn new() -> Self {
        Self(Mutex::new(&locks::LISTENERS, Listening { queues: Roster::new(), unplugged: false }))
    }

    /// Adds a handle. After the screen has gone, the handle is told so here and now, and there is
    /// nothing more to wait for.
    pub(super) fn add(self: &Arc<Self>, queue: &Arc<EventQueue>) -> Option<Place> {
        let mut state = self.0.lock();
        if !state.unplugged {
            let number = state.queues.add(queue.clone());
            return Some(Place { listeners: self.clone(), number });
        }
        drop(state);
        queue.post(DisplayEvent::Hotplug { connected: false });
        None
    }

    /// Tells every open handle that nothing is connected any more (KMS-1): once. Allocates nothing.
    pub(super) fn disconnect(&self) {
        let mut state = self.0.lock();
        state.unplugged = true;
        let queues = state.queues.take_all();
        // A handle that is opened from here on is told by `add`.
        drop(state);
        queues.for_each(|queue| queue.post(DisplayEvent::Hotplug { connected: false }));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let queue = self.listeners.0.lock().queues.remove(self.number);
        // Freed after the lock.
        drop(queue);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.number).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifeboat_driver::gpu::{NoScanout, Screen};

    use crate::display::{Display, Mailbox};
    use lifeboat::Ledger;
    use lifeboat::key;

    const SCREEN: Screen = Screen { refresh_millihertz: 60_000, max_side: 1 };

    /// Comparisons for each handle that is opened and closed, of so many.
    fn steps(count: usize, close: impl Fn(&mut Vec<Mailbox>) -> Mailbox) -> u64 {
        let display = Display::<NoScanout>::new(&Ledger::default(), "test", SCREEN, Duration::ZERO);
        let before = key::comparisons();
        let mut open: Vec<_> = (0..count).map(|_| display.listen()).collect();
        while !open.is_empty() {
            drop(close(&mut open));
        }
        (key::comparisons() - before) / count as u64
    }

    #[test]
    fn sched_13_a_handle_is_opened_and_closed_in_logarithmic_steps() {
        type Close = fn(&mut Vec<Mailbox>) -> Mailbox;
        let orders: [(&str, Close); 3] = [
            ("the last one first", |open| open.remove(open.len() - 1)),
            ("the first one first", |open| open.remove(0)),
            ("one in the middle", |open| open.swap_remove(open.len() / 2)),
        ];
        for (order, close) in orders {
            let (few, many) = (steps(1000, close), steps(8000, close));
            assert!(few > 0, "{order}: nothing was counted");
            // Three more doublings.
            assert!(many <= 2 * few + 22, "{order}: {few} comparisons among 1000 handles, {many} among 8000");
        }
    }
}
