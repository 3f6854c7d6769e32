//! A card with an eavesdropper between it and the driver, bound without a bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use lifeboat::{Binding, Listeners, Module, Policy};
use lifeboat_gpu::{Card, Config, Slot};
use lifeboat_lb1_hosted::Device;
use lifeboat_pci::Bar;

use super::interposer::{Access, Interposer};
use super::{Client, DRAIN_LIMIT, JOB_TIMEOUT, assert_lint_is_silent};

/// A card with an eavesdropper, bound.
pub(crate) struct Bound {
    pub(crate) card: Arc<Card>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) module: Module,
    pub(crate) binding: Binding,
}

pub(crate) type Hook = Box<dyn Fn(u8, &dyn Bar, u64, Access) -> Option<u32> + Send + Sync>;

pub(crate) fn options() -> Policy {
    Policy { job_timeout: JOB_TIMEOUT, drain_limit: DRAIN_LIMIT, ..Policy::default() }
}

pub(crate) fn plugged() -> (Arc<Card>, Arc<Slot>) {
    let slot = Slot::new("0000:01:00.0");
    let card = Card::new(Config::default()).unwrap();
    slot.insert(card.clone()).unwrap();
    (card, slot)
}

impl Bound {
    pub(crate) fn new(hook: Hook) -> Self {
        Self::with(options(), hook)
    }

    pub(crate) fn with(policy: Policy, hook: Hook) -> Self {
        Self::heard(policy, Listeners::none(), hook)
    }

    pub(crate) fn heard(policy: Policy, listeners: Listeners, hook: Hook) -> Self {
        Self::probed(lifeboat_lb1_hosted::module(), policy, listeners, hook)
    }

    pub(crate) fn of(module: Module, policy: Policy, hook: Hook) -> Self {
        Self::probed(module, policy, Listeners::none(), hook)
    }

    #[allow(clippy::needless_pass_by_value)] // callers write it in place
    fn probed(module: Module, policy: Policy, listeners: Listeners, hook: Hook) -> Self {
        let (card, slot) = plugged();
        let function = Interposer::on(slot.function().unwrap(), hook);
        let binding = module.probe(&function, &policy, listeners).unwrap();
        Self { card, slot, module, binding }
    }

    pub(crate) fn device(&self) -> Device {
        self.binding.device().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.device())
    }

    /// Ends it; the driver must have made no mistake and left nothing.
    pub(crate) fn finish(self) {
        drop(self.binding);
        self.module.unload().unwrap();
        assert!(self.card.witness().is_empty(), "{:?}", self.card.witness().violations());
        assert_lint_is_silent();
    }
}

pub(crate) fn no_hook() -> Hook {
    Box::new(|_, _, _, _| None)
}

/// A bound card, and how many accesses to its BARs there have been.
pub(crate) fn counted() -> (Bound, Arc<AtomicUsize>) {
    let accesses = Arc::new(AtomicUsize::new(0));
    let counted = accesses.clone();
    let bound = Bound::new(Box::new(move |_, _, _, _| {
        counted.fetch_add(1, SeqCst);
        None
    }));
    (bound, accesses)
}
