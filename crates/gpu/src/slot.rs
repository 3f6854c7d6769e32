//! A hot-plug slot: where cards come and go, and how a bus learns of it.

use std::fmt;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Weak};

use lifeboat_pci::{Function, SlotEvent, SlotWatcher};
use parking_lot::Mutex;

use crate::Card;
use crate::function::LocalFunction;

/// There is a card in the slot that has not been removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotOccupied;

impl fmt::Display for SlotOccupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is a card in the slot; remove it first")
    }
}

impl std::error::Error for SlotOccupied {}

/// A slot of a bus.
pub struct Slot {
    location: Box<str>,
    card: Mutex<Option<Arc<Card>>>,
    events: Arc<Events>,
}

impl Slot {
    /// An empty slot. `location` is what its function calls itself in messages: `0000:01:00.0`.
    pub fn new(location: &str) -> Arc<Self> {
        Arc::new(Self { location: location.into(), card: Mutex::default(), events: Arc::default() })
    }

    /// Plugs a card in, in place of one that has been removed. A card that is itself removed already tells nobody.
    ///
    /// # Errors
    /// [`SlotOccupied`].
    pub fn insert(&self, card: Arc<Card>) -> Result<(), SlotOccupied> {
        let mut slot = self.card.lock();
        if slot.as_ref().is_some_and(|card| card.is_present()) {
            return Err(SlotOccupied);
        }
        let board = Arc::clone(card.board());
        let before = slot.replace(card);
        if board.presence.is_present() {
            let number = self.events.present();
            let events: Weak<Events> = Arc::downgrade(&self.events);
            board.when_gone(Box::new(move || {
                if let Some(events) = events.upgrade() {
                    events.absent(number);
                }
            }));
            let events: Weak<Events> = Arc::downgrade(&self.events);
            board.when_link_changes(Box::new(move |up| {
                if let Some(events) = events.upgrade() {
                    events.link(number, up);
                }
            }));
            if !board.presence.is_present() {
                self.events.absent(number); // It went before it could be asked to tell.
            }
        }
        drop(slot);
        drop(before); // Possibly the last reference, which waits for threads: so not under the lock.
        Ok(())
    }

    /// The card that was plugged in last, removed or not.
    pub fn card(&self) -> Option<Arc<Card>> {
        self.card.lock().clone()
    }

    /// Pulls out the card, if there is one; see [`Card::remove`].
    pub fn remove(&self) {
        if let Some(card) = self.card() {
            card.remove();
        }
    }

    /// Takes the link to the card down, if there is a card; see [`Card::link_down`].
    pub fn link_down(&self) {
        if let Some(card) = self.card() {
            card.link_down();
        }
    }

    /// Takes the link to the card up again; see [`Card::link_up`].
    pub fn link_up(&self) {
        if let Some(card) = self.card() {
            card.link_up();
        }
    }

    /// The function of the present card, for one driver: each call begins a new binding.
    pub fn function(&self) -> Option<Arc<dyn Function>> {
        let card = self.card().filter(|card| card.is_present())?;
        Some(Arc::new(LocalFunction::new(Arc::clone(card.board()), self.location.clone())))
    }

    /// Subscribes to what happens from now on. If there is a card, the first event says so; if its link is down, the next.
    pub fn events(&self) -> Receiver<SlotEvent> {
        let (sender, receiver) = mpsc::channel();
        // Who has dropped the receiver needs no events.
        self.events.watch(Box::new(move |event| {
            let _ = sender.send(event);
        }));
        receiver
    }
}

impl lifeboat_pci::Slot for Slot {
    fn location(&self) -> &str {
        &self.location
    }

    fn function(&self) -> Option<Arc<dyn Function>> {
        self.function()
    }

    fn watch(&self, watcher: SlotWatcher) {
        self.events.watch(watcher);
    }
}

/// The watchers, and what they have been told. Locked while they are told, so that they learn of events in order.
#[derive(Default)]
struct Events(Mutex<EventState>);

#[derive(Default)]
struct EventState {
    watchers: Vec<SlotWatcher>,
    /// The number of the card that is present as far as the watchers know.
    present: Option<u64>,
    /// Whether the link to it is down as far as the watchers know.
    link_is_down: bool,
    inserted: u64,
}

impl Events {
    /// A card was plugged in. Returns its number.
    fn present(&self) -> u64 {
        let mut state = self.0.lock();
        if state.present.take().is_some() {
            // The card before is gone, but the thread that removed it has not come here yet.
            state.tell(SlotEvent::Absent);
        }
        state.inserted += 1;
        let number = state.inserted;
        state.present = Some(number);
        state.link_is_down = false;
        state.tell(SlotEvent::Present);
        number
    }

    /// The card with this number is gone. Later calls for the same one do nothing.
    fn absent(&self, number: u64) {
        let mut state = self.0.lock();
        if state.present.take_if(|present| *present == number).is_some() {
            state.tell(SlotEvent::Absent);
        }
    }

    /// The link to the card with this number is up or down now.
    fn link(&self, number: u64, up: bool) {
        let mut state = self.0.lock();
        if state.present == Some(number) && state.link_is_down == up {
            state.link_is_down = !up;
            state.tell(if up { SlotEvent::LinkUp } else { SlotEvent::LinkDown });
        }
    }

    fn watch(&self, watcher: SlotWatcher) {
        let mut state = self.0.lock();
        if state.present.is_some() {
            watcher(SlotEvent::Present);
            if state.link_is_down {
                watcher(SlotEvent::LinkDown);
            }
        }
        state.watchers.push(watcher);
    }
}

impl EventState {
    fn tell(&self, event: SlotEvent) {
        for watcher in &self.watchers {
            watcher(event);
        }
    }
}
