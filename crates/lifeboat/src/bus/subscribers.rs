//! Those who are told what happens on a bus.

use std::fmt;
use std::ops::Deref;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Weak};

use lifeboat_sync::lint::Mutex;

use super::Event;
use crate::locks;
use crate::roster::{Number, Roster};

/// All of them. To tell an event costs O(subscribers), to come or go O(log n).
pub(super) struct Subscribers(Mutex<Roster<Sender<Event>>>);

/// What happens on a bus from [`Bus::subscribe`](super::Bus::subscribe) on, to be received; it ends
/// with the bus. What is not received is kept until it is. Dropped, nothing of it is left.
#[derive(Debug)]
pub struct Subscription {
    // First: what comes while this is dropped goes nowhere.
    events: Receiver<Event>,
    _place: Place,
}

/// A subscriber's place among the others. It does not keep them: when the bus is gone, nothing
/// comes any more.
struct Place {
    subscribers: Weak<Subscribers>,
    number: Number,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self(Mutex::new(&locks::SUBSCRIBERS, Roster::new()))
    }
}

impl Subscribers {
    pub(super) fn add(self: &Arc<Self>) -> Subscription {
        let (sender, events) = mpsc::channel();
        let number = self.0.lock().add(sender);
        Subscription { events, _place: Place { subscribers: Arc::downgrade(self), number } }
    }

    pub(super) fn tell(&self, event: &Event) {
        for subscriber in self.0.lock().iter() {
            // A subscriber that has hung up needs no events.
            let _ = subscriber.send(event.clone());
        }
    }
}

impl Deref for Subscription {
    type Target = Receiver<Event>;

    fn deref(&self) -> &Receiver<Event> {
        &self.events
    }
}

impl Iterator for Subscription {
    type Item = Event;

    /// Waits for the next event; `None` when the bus is gone.
    fn next(&mut self) -> Option<Event> {
        self.events.recv().ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let sender = self.subscribers.upgrade().and_then(|subscribers| subscribers.0.lock().remove(self.number));
        // Freed after the lock, with what nobody has received.
        drop(sender);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.number).finish()
    }
}
