//! Where the served card sits: what stays while cards and clients come and go.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lifeboat_gpu::{Card, Config, Endpoint, Fault, Iommu, OnFault, Trigger, Violation};
use parking_lot::{Mutex, RwLock};
use tracing::{error, info};

use crate::vectors::Vectors;
use crate::vram::Vram;

/// Violations of cards that were replaced, kept for the report; more are only counted.
const KEPT: usize = 4096;

/// A slot with a card, and with what a machine keeps for it: VRAM that can be mapped, an IOMMU, interrupts.
pub struct Bay {
    config: Config,
    vram: Vram,
    iommu: Arc<Iommu>,
    vectors: Arc<Vectors>,
    seat: RwLock<Seat>,
    /// Held while a card is being replaced.
    replacing: Mutex<()>,
    past: Mutex<Past>,
    attached: AtomicBool,
    clients: AtomicU64,
}

#[derive(Clone)]
struct Seat {
    card: Arc<Card>,
    endpoint: Arc<Endpoint>,
    /// Counts from 1.
    number: u64,
}

/// The record of cards that were replaced.
#[derive(Default)]
struct Past {
    kept: Vec<Violation>,
    count: usize,
}

impl Bay {
    /// A bay with a card in it. The limits of `config` are those of [`Card::new`].
    ///
    /// # Errors
    /// As [`Card::new`].
    pub fn new(config: Config) -> io::Result<Arc<Self>> {
        let vram = Vram::new(config.vram_bytes)?;
        let iommu = Arc::new(Iommu::new(config.seed));
        let vectors = Arc::new(Vectors::default());
        let seat = Seat::new(config, &vram, &iommu, &vectors, 1)?;
        Ok(Arc::new(Self {
            config,
            vram,
            iommu,
            vectors,
            seat: RwLock::new(seat),
            replacing: Mutex::default(),
            past: Mutex::default(),
            attached: AtomicBool::new(false),
            clients: AtomicU64::new(0),
        }))
    }

    /// The card that was plugged in last, removed or not.
    pub fn card(&self) -> Arc<Card> {
        Arc::clone(&self.seat.read().card)
    }

    /// How many cards there were, this one included.
    pub fn card_number(&self) -> u64 {
        self.seat.read().number
    }

    /// Whether a client is being served.
    pub fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Acquire)
    }

    /// How many clients there were.
    pub fn clients(&self) -> u64 {
        self.clients.load(Ordering::Relaxed)
    }

    /// How many DMA mappings the client has.
    pub fn mappings(&self) -> usize {
        self.iommu.len()
    }

    /// How many interrupt vectors the client listens to.
    pub fn connected_vectors(&self) -> usize {
        self.vectors.connected()
    }

    /// The drivers' mistakes on all cards so far, oldest first, and how many there were; not all of very many are kept.
    pub fn violations(&self) -> (Vec<Violation>, usize) {
        // Under this lock no card becomes a past one.
        let past = self.past.lock();
        let card = self.card();
        let mut violations = past.kept.clone();
        violations.extend(card.witness().violations());
        (violations, past.count + card.witness().len())
    }

    /// Makes something go wrong, at once or later.
    pub fn inject(&self, fault: Fault, at: Option<Trigger>) {
        match at {
            None => self.card().inject(fault),
            Some(at) => self.card().schedule(at, fault),
        }
    }

    /// Makes something go wrong later, and has `tell` called when it does.
    pub fn schedule_and_tell(&self, at: Trigger, fault: Fault, tell: OnFault) {
        self.card().schedule_and_tell(at, fault, tell);
    }

    /// Puts a fresh card in the place of the one there is, which is removed if it is still present. Mappings and
    /// interrupts stay; what was planned to go wrong does not.
    ///
    /// # Errors
    /// What the system said about memory or threads; then the bay holds a card that is gone.
    pub fn replace(&self) -> io::Result<()> {
        let _replacing = self.replacing.lock();
        let before = self.seat.read().clone();
        before.card.remove();
        // Nothing writes it any more but the client; what the old card left reads zero, as on a fresh card.
        self.vram.clear()?;
        let seat = Seat::new(self.config, &self.vram, &self.iommu, &self.vectors, before.number + 1)?;
        let mut past = self.past.lock();
        *self.seat.write() = seat;
        let witness = before.card.witness();
        past.count = past.count.saturating_add(witness.len());
        let room = KEPT.saturating_sub(past.kept.len());
        past.kept.extend(witness.violations().into_iter().take(room));
        drop(past);
        info!(card = before.number + 1, "card replaced");
        Ok(())
    }

    /// A client came: the machine is switched on.
    pub(crate) fn attach(&self) {
        self.attached.store(true, Ordering::Release);
        self.clients.fetch_add(1, Ordering::Relaxed);
        self.power_on();
    }

    /// The client left, maybe in the middle of anything.
    pub(crate) fn detach(&self) {
        // The rings stop before the memory goes: this is not the driver's mistake.
        self.power_on();
        self.vectors.disconnect(0, crate::vectors::COUNT);
        self.iommu.clear();
        self.attached.store(false, Ordering::Release);
    }

    fn power_on(&self) {
        let _replacing = self.replacing.lock();
        let card = self.card();
        if !card.is_present() {
            return;
        }
        if let Err(error) = self.endpoint().bus_reset() {
            error!(%error, "bus reset");
        }
        let mut cleared = self.vram.clear();
        if !card.is_present() {
            // It was pulled out in between, and this may have undone what it left behind.
            cleared = cleared.and_then(|()| self.vram.fill_with_ones());
        }
        if let Err(error) = cleared {
            error!(%error, "VRAM could not be cleared");
        }
    }

    pub(crate) fn endpoint(&self) -> Arc<Endpoint> {
        Arc::clone(&self.seat.read().endpoint)
    }

    pub(crate) fn vram(&self) -> &Vram {
        &self.vram
    }

    pub(crate) fn iommu(&self) -> &Iommu {
        &self.iommu
    }

    pub(crate) fn vectors(&self) -> &Vectors {
        &self.vectors
    }
}

impl Seat {
    fn new(config: Config, vram: &Vram, iommu: &Arc<Iommu>, vectors: &Arc<Vectors>, number: u64) -> io::Result<Self> {
        let card = Card::with_shared(config, vram.map()?, Arc::clone(iommu))?;
        let endpoint = Arc::new(card.endpoint());
        let vectors = Arc::clone(vectors);
        endpoint.connect(Arc::new(move |vector| vectors.signal(vector)));
        Ok(Self { card, endpoint, number })
    }
}
