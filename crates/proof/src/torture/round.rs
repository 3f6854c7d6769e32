//! What the conductor of a lane and its clients share: the cycle under way, and what was wrong in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use lifeboat::core::class::Presence;
use lifeboat::{Fence, Minor};
use parking_lot::{Condvar, Mutex};

use super::kind::Kind;
use crate::subject::Subject;

/// Devices of a bus.
pub(super) const SEATS: usize = 2;
/// Wrongs that are kept of one cycle.
const KEPT: usize = 8;
/// Fences that are kept for those who only wait.
const SHARED_FENCES: usize = 64;

/// One cycle, as clients see it.
pub(crate) struct Round<S: Subject> {
    pub(super) seed: u64,
    pub(super) cycle: u64,
    /// What happens in it.
    pub(crate) kind: Kind,
    /// Those that were there when it began. What comes back is another one.
    pub(super) devices: [S::Device; SEATS],
    /// The bus has said that it is through with the device: all steps up to the cut are done.
    cut: [AtomicBool; SEATS],
    over: AtomicBool,
    /// Steps that clients have made: how far they are.
    steps: AtomicU64,
    fences: Mutex<Vec<Fence>>,
    arrived: Condvar,
}

/// How it stands with a device, as far as can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may be lost, and nobody has said so.
    Live,
    /// Its loss is announced, or that it is wedged.
    Announced(Presence),
    /// And it is cut off.
    Cut(Presence),
}

impl<S: Subject> Round<S> {
    pub(super) fn new(seed: u64, cycle: u64, kind: Kind, devices: [S::Device; SEATS]) -> Self {
        Self {
            seed,
            cycle,
            kind,
            devices,
            cut: Default::default(),
            over: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            fences: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    pub(super) fn standing(&self, seat: usize) -> Standing {
        // In this order: a device that is cut off has been announced before.
        let cut = self.cut[seat].load(SeqCst);
        match S::presence(&self.devices[seat]) {
            Presence::Live => Standing::Live,
            presence if cut => Standing::Cut(presence),
            presence => Standing::Announced(presence),
        }
    }

    /// The bus is through with a device.
    pub(super) fn cut(&self, minor: Minor) {
        for (device, cut) in self.devices.iter().zip(&self.cut) {
            if S::minor(device) == minor {
                cut.store(true, SeqCst);
            }
        }
    }

    /// What happens has happened, and what comes back is back.
    pub(super) fn end(&self) {
        self.over.store(true, SeqCst);
        self.fences.lock().clear();
        self.arrived.notify_all();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// A client goes on.
    pub(super) fn step(&self) {
        self.steps.fetch_add(1, SeqCst);
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps.load(SeqCst)
    }

    /// For others to wait for.
    pub(crate) fn share(&self, fence: &Fence) {
        let mut fences = self.fences.lock();
        if !self.is_over() && fences.len() < SHARED_FENCES {
            fences.push(fence.clone());
            drop(fences);
            self.arrived.notify_one();
        }
    }

    /// Fences that were shared; none if nobody has shared one for `limit`.
    pub(crate) fn shared(&self, limit: Duration) -> Vec<Fence> {
        let mut fences = self.fences.lock();
        if fences.is_empty() && !self.is_over() {
            self.arrived.wait_for(&mut fences, limit);
        }
        std::mem::take(&mut *fences)
    }
}

/// Where clients wait for the next cycle, and the conductor for them.
pub(super) struct Stage<S: Subject> {
    state: Mutex<RoundState<S>>,
    changed: Condvar,
    wrongs: Mutex<Vec<String>>,
}

struct RoundState<S: Subject> {
    round: Option<Arc<Round<S>>>,
    /// Counts rounds.
    number: u64,
    clients: usize,
    /// Clients that have not done with this one.
    busy: usize,
    closed: bool,
}

impl<S: Subject> Default for Stage<S> {
    fn default() -> Self {
        let state = RoundState { round: None, number: 0, clients: 0, busy: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), wrongs: Mutex::default() }
    }
}

impl<S: Subject> Stage<S> {
    /// One more client.
    pub(super) fn join(&self) {
        self.state.lock().clients += 1;
    }

    /// Begins a round.
    pub(super) fn open(&self, round: Arc<Round<S>>) {
        let mut state = self.state.lock();
        state.round = Some(round);
        state.number += 1;
        state.busy = state.clients;
        self.changed.notify_all();
    }

    /// There will be no more.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// The round after number `seen`, with its number; `None` if there is none any more.
    pub(super) fn next(&self, seen: u64) -> Option<(u64, Arc<Round<S>>)> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            match &state.round {
                Some(round) if state.number > seen => return Some((state.number, round.clone())),
                _ => self.changed.wait(&mut state),
            }
        }
    }

    /// A client has done with the round, and holds nothing of it.
    pub(super) fn done(&self) {
        let mut state = self.state.lock();
        state.busy -= 1;
        if state.busy == 0 {
            self.changed.notify_all();
        }
    }

    /// Waits until all clients have done with the round, and takes it away.
    pub(super) fn empty(&self) {
        let mut state = self.state.lock();
        while state.busy > 0 {
            self.changed.wait(&mut state);
        }
        let round = state.round.take();
        drop(state);
        drop(round);
    }

    /// Something was not as it must be.
    pub(super) fn wrong(&self, what: impl Into<String>) {
        let mut wrongs = self.wrongs.lock();
        if wrongs.len() < KEPT {
            wrongs.push(what.into());
        }
    }

    /// What was wrong since the last time.
    pub(super) fn take_wrongs(&self) -> Vec<String> {
        std::mem::take(&mut self.wrongs.lock())
    }
}
