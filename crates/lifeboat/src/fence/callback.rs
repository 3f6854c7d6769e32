//! Callbacks, which can be withdrawn.

use std::fmt;

use super::waiters::{Key, Node, Work};
use super::{Fence, Outcome, calls};

/// A callback of a fence: see [`Fence::on_signal`]. Dropped, it leaves the callback in place.
pub struct Callback {
    fence: Fence,
    /// `None` if the fence had signalled.
    key: Option<Key>,
}

struct Call<F> {
    callback: Option<F>,
    /// Keeps a combined fence, which nobody else may have.
    _keeps: Option<Fence>,
}

impl<F: FnOnce(Outcome) + Send> Work for Call<F> {
    fn run(&mut self, outcome: Outcome) {
        if let Some(callback) = self.callback.take() {
            callback(outcome);
        }
    }
}

impl Fence {
    /// Calls `callback` once, when the fence signals, on the signalling thread and with no lock
    /// held; at once if the fence has signalled. Callbacks do not nest: inside another callback, of
    /// whatever fence, it is called when that has returned. It must not block. A panic of it is
    /// reported and contained.
    ///
    /// The result may be dropped: it is for [withdrawing](Callback::withdraw) the callback.
    ///
    /// # Examples
    /// ```
    /// # let timeline = lifeboat::Module::new().timeline("driver", "ring 0");
    /// let (fence, promise) = timeline.fence();
    /// fence.on_signal(|outcome| assert_eq!(outcome, Ok(())));
    /// let unwanted = fence.on_signal(|_| unreachable!());
    /// assert!(unwanted.withdraw());
    /// promise.signal();
    /// ```
    pub fn on_signal(&self, callback: impl FnOnce(Outcome) + Send + 'static) -> Callback {
        // Other fences are kept by their promise until they signal.
        let keeps = self.0.timeline.is_none().then(|| self.clone());
        let waiter = Node::boxed(Call { callback: Some(callback), _keeps: keeps });
        let key = self.0.add(waiter).map_err(|due| calls::owe([due])).ok();
        Callback { fence: self.clone(), key }
    }
}

impl Callback {
    /// Takes the callback back. `true`: it will never run. What it captured is dropped on this
    /// thread, with no lock held; inside another callback, when that has returned. `false`: it has
    /// run, is running or is due.
    pub fn withdraw(self) -> bool {
        let waiter = self.key.and_then(|key| self.fence.0.withdraw(key));
        let withdrawn = waiter.is_some();
        calls::owe(waiter);
        withdrawn
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Callback").field(&self.fence).finish()
    }
}
