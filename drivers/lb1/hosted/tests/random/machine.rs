//! A machine of the random world: a slot, a bus, and cards that come and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat::{Bus, Policy};
use lifeboat_gpu::{Card, Config, Slot};
use lifeboat_lb1_hosted::{Device, Options, module_with};

use super::LIMIT;

/// How long a job may take. Short, because many hang; if a sound one is taken for one that hangs, that is allowed too.
const JOB_TIMEOUT: Duration = Duration::from_millis(30);
/// Most cards of one machine, each of which has threads.
const CARDS: usize = 6;

pub(crate) struct Machine {
    slot: Arc<Slot>,
    bus: Bus,
    cards: Vec<Arc<Card>>,
}

impl Machine {
    /// With a card in its slot.
    pub(crate) fn new() -> Self {
        // Few enough that clients come to have their share.
        let module = module_with(Options { context_share: Some(3), ..Options::default() });
        let mut bus = Bus::new(
            module,
            Policy {
                job_timeout: JOB_TIMEOUT,
                extensions: 1,
                guilty_limit: 3,
                drain_limit: LIMIT,
                ..Policy::default()
            },
        );
        let slot = Slot::new("0000:01:00.0");
        bus.attach(&slot).expect("a thread");
        let mut machine = Self { slot, bus, cards: Vec::new() };
        machine.plug();
        machine.wait_until(|devices| !devices.is_empty());
        machine
    }

    /// Plugs in a new card, in place of one that nobody drives.
    pub(crate) fn plug(&mut self) {
        if self.cards.len() == CARDS {
            return;
        }
        if self.devices().is_empty() {
            self.slot.remove();
        }
        let card = Card::new(Config { vram_bytes: 1 << 20, ..Config::default() }).expect("a card");
        if self.slot.insert(card.clone()).is_ok() {
            self.cards.push(card);
        }
    }

    pub(crate) fn pull(&self) {
        self.slot.remove();
    }

    pub(crate) fn unbind(&self) {
        self.bus.unbind_all();
    }

    /// The card that was plugged in last.
    pub(crate) fn card(&self) -> Option<&Card> {
        self.cards.last().map(|card| &**card)
    }

    pub(crate) fn devices(&self) -> Vec<Device> {
        self.bus.devices()
    }

    /// Gives the bus a moment for what has happened to the slot. What it makes of it depends on what else happens.
    pub(crate) fn wait_until(&self, holds: impl Fn(&[Device]) -> bool) {
        let deadline = Instant::now() + Duration::from_millis(500);
        while !holds(&self.devices()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Ends both. Nothing of them is left, and no driver has made a mistake.
    pub(crate) fn finish(machines: [Self; 2]) {
        let ended = machines.map(|Self { bus, cards, .. }| (bus.shutdown(), cards));
        for (shutdown, cards) in ended {
            // What the other machine's jobs had imported from this one was let go when that was unplugged.
            let unloaded = shutdown.or_else(|holders| holders.module.unload());
            assert!(unloaded.is_ok(), "{}", unloaded.unwrap_err());
            for card in cards {
                assert!(card.witness().is_empty(), "{:#?}", card.witness().violations());
            }
        }
    }
}
