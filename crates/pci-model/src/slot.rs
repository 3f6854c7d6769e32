//! A slot that a card is plugged into and pulled out of.

use std::fmt;
use std::sync::Arc;

use lifeboat_pci::{Function, SlotEvent, SlotWatcher};
use parking_lot::{Mutex, MutexGuard};

use crate::card::{Board, Card, Model};
use crate::function::Binding;

/// A slot for cards of any model.
pub struct Slot {
    location: String,
    state: Mutex<SlotContents>,
}

#[derive(Default)]
struct SlotContents {
    card: Option<Plugged>,
    watchers: Vec<Arc<SlotWatcher>>,
}

struct Plugged {
    board: Arc<dyn Board>,
    pull: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Slot {
    /// An empty slot. `location` is what its function is called in messages: `0000:02:00.0`.
    pub fn new(location: &str) -> Arc<Self> {
        Arc::new(Self { location: location.to_owned(), state: Mutex::default() })
    }

    /// Plugs a card in, and pulls out the card that was there. A driver that watches learns of both.
    pub fn insert<M: Model>(&self, card: Card<M>) -> Arc<Card<M>> {
        self.remove();
        let card = Arc::new(card);
        let pulled = card.clone();
        let pull = Box::new(move || pulled.pull());
        self.lock().card = Some(Plugged { board: card.clone(), pull });
        self.tell(SlotEvent::Present);
        card
    }

    /// Pulls the card out, if there is one: from now on it answers nothing.
    pub fn remove(&self) {
        let card = self.lock().card.take();
        if card.is_some_and(|card| (card.pull)()) {
            self.tell(SlotEvent::Absent);
        }
    }

    fn tell(&self, event: SlotEvent) {
        let watchers = self.lock().watchers.clone();
        for watcher in &watchers {
            watcher(event);
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotContents> {
        self.state.lock()
    }
}

impl lifeboat_pci::Slot for Slot {
    fn location(&self) -> &str {
        &self.location
    }

    fn function(&self) -> Option<Arc<dyn Function>> {
        let board = self.lock().card.as_ref()?.board.clone();
        Some(Arc::new(Binding::new(&self.location, board)))
    }

    fn watch(&self, watcher: SlotWatcher) {
        let watcher = Arc::new(watcher);
        let mut state = self.lock();
        state.watchers.push(watcher.clone());
        let is_there = state.card.is_some();
        drop(state);
        if is_there {
            watcher(SlotEvent::Present);
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("location", &self.location).finish_non_exhaustive()
    }
}
