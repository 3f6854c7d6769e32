//! A card that can be plugged in once, and its slot.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};

use lifeboat::Bus;
use lifeboat_edu_model::Educational;
use lifeboat_pci::{Function, SlotWatcher};
use lifeboat_pci_model::Card as Model;
use parking_lot::Mutex;

use crate::interposer::{Disturbance, Watch};
use crate::subject::{Card, Slot};

/// A card, with the interposer before it.
pub struct EduCard(Arc<Watch<Plugged>>);

/// What happens to the device itself.
#[derive(Default)]
pub struct Plugged {
    /// Where it is plugged in, once it is.
    slot: OnceLock<Weak<lifeboat_pci_model::Slot>>,
    card: OnceLock<Arc<Model<Educational>>>,
    is_in: AtomicBool,
}

/// A slot that lets nobody past the interposer.
pub struct EduSlot {
    inner: Arc<lifeboat_pci_model::Slot>,
    card: Mutex<Option<Arc<Watch<Plugged>>>>,
}

impl Plugged {
    pub(super) fn pull(&self) {
        if let Some(slot) = self.slot.get().and_then(Weak::upgrade) {
            self.is_in.store(false, SeqCst);
            slot.remove();
        }
    }

    fn is_present(&self) -> bool {
        self.is_in.load(SeqCst)
    }

    /// The next factorial is never done.
    pub(super) fn hang(&self) {
        if let Some(card) = self.card.get() {
            card.model().hangs_once.store(true, SeqCst);
        }
    }
}

impl EduCard {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Arc::new(Watch::new(Plugged::default()))))
    }
}

impl Card for EduCard {
    type Fault = Disturbance<Plugged>;
    type Strike = (u64, Disturbance<Plugged>);

    /// At the next access.
    fn inject(&self, fault: Disturbance<Plugged>) {
        self.0.arm(1, fault, Box::new(|| ()));
    }

    fn is_present(&self) -> bool {
        self.0.device().is_present()
    }

    fn strike(&self, (at, what): Self::Strike, tell: Box<dyn Fn() + Send + Sync>) {
        self.0.arm(at, what, tell);
    }

    fn accesses(&self) -> u64 {
        self.0.accesses()
    }

    fn mistakes(&self) -> Vec<String> {
        let card = self.0.device().card.get();
        card.map(|card| card.mistakes().iter().map(|mistake| format!("{mistake:?}")).collect()).unwrap_or_default()
    }
}

impl EduSlot {
    pub(super) fn new(location: &str) -> Arc<Self> {
        Arc::new(Self { inner: lifeboat_pci_model::Slot::new(location), card: Mutex::default() })
    }
}

impl Slot for EduSlot {
    type Card = EduCard;

    fn insert(&self, card: &Arc<EduCard>) -> Result<(), String> {
        let plugged = card.0.device();
        if plugged.slot.set(Arc::downgrade(&self.inner)).is_err() {
            return Err("a card is plugged in once".to_owned());
        }
        self.remove();
        plugged.is_in.store(true, SeqCst);
        *self.card.lock() = Some(card.0.clone());
        let model = self.inner.insert(lifeboat_edu_model::card(0x100));
        plugged.card.get_or_init(|| model);
        Ok(())
    }

    fn remove(&self) {
        if let Some(card) = &*self.card.lock() {
            card.device().is_in.store(false, SeqCst);
        }
        self.inner.remove();
    }

    fn attach(self: &Arc<Self>, bus: &mut Bus) -> io::Result<()> {
        bus.attach(self)
    }
}

impl lifeboat_pci::Slot for EduSlot {
    fn location(&self) -> &str {
        lifeboat_pci::Slot::location(&*self.inner)
    }

    fn function(&self) -> Option<Arc<dyn Function>> {
        let function = self.inner.function()?;
        let card = self.card.lock().clone()?;
        Some(card.interpose(function))
    }

    fn watch(&self, watcher: SlotWatcher) {
        self.inner.watch(watcher);
    }
}
