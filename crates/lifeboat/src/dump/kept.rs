//! Where captures are until somebody wants them, and the last dump.

use std::sync::Arc;

use lifeboat_sync::lint::Mutex;

use super::Dump;
use super::capture::{Capture, Source};
use crate::locks;
use crate::subsystem::Subsystem;

/// Captures that can be made before somebody wants them. More than one, so that who wants them may be busy.
const CAPTURES: usize = 2;

/// A binding's dumps. The lock is held for a look: captures are filled, and made into dumps, without it.
pub(super) struct Kept(Mutex<KeptDumps>);

struct KeptDumps {
    free: Vec<Capture>,
    /// Oldest first. Has room for all.
    full: Vec<Capture>,
    last: Option<Arc<Dump>>,
}

impl Kept {
    pub(super) fn new<S: Subsystem>(source: &Source<S>) -> Self {
        let free = (0..CAPTURES).map(|_| Capture::new(source)).collect();
        Self(Mutex::new(&locks::DUMPS, KeptDumps { free, full: Vec::with_capacity(CAPTURES), last: None }))
    }

    /// One to fill, or `None` if nobody has wanted those that are full.
    pub(super) fn free(&self) -> Option<Capture> {
        self.0.lock().free.pop()
    }

    pub(super) fn filled(&self, capture: Capture) {
        self.0.lock().full.push(capture);
    }

    /// What was captured since this was asked last, oldest first.
    pub(super) fn take<S: Subsystem>(&self, source: &Source<S>) -> Vec<Arc<Dump>> {
        let mut taken = Vec::new();
        while let Some(capture) = self.oldest() {
            let dump = Arc::new(capture.dump(source));
            self.keep(&dump);
            self.0.lock().free.push(capture);
            taken.push(dump);
        }
        taken
    }

    fn oldest(&self) -> Option<Capture> {
        let full = &mut self.0.lock().full;
        if full.is_empty() { None } else { Some(full.remove(0)) }
    }

    /// From now on this is the last one.
    pub(super) fn keep(&self, dump: &Arc<Dump>) {
        let before = self.0.lock().last.replace(dump.clone());
        drop(before);
    }

    pub(super) fn last(&self) -> Option<Arc<Dump>> {
        self.0.lock().last.clone()
    }
}
