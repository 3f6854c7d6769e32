//! Maps of buffers, and a thread that touches one all the time.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use lifeboat_client::Mapping;

/// Words from one that is touched to the next: every page is met.
const STRIDE: usize = 1021;

/// A map, and the thread that touches it.
#[derive(Debug)]
pub(super) struct Memory {
    shared: Arc<Shared>,
    toucher: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    mapping: Mapping,
    touches: AtomicU64,
    over: AtomicBool,
}

impl Memory {
    pub(super) fn new(mapping: Mapping) -> Self {
        let shared = Shared { mapping, touches: AtomicU64::new(0), over: AtomicBool::new(false) };
        Self { shared: Arc::new(shared), toucher: Mutex::new(None) }
    }

    pub(super) fn mapping(&self) -> &Mapping {
        &self.shared.mapping
    }

    /// Writes a word, and reads another. `None` past the end.
    pub(super) fn poke(&self, at: usize, word: u32, read: usize) -> Option<u32> {
        let words = self.shared.mapping.words();
        words.get(at)?.store(word, Ordering::Relaxed);
        Some(words.get(read)?.load(Ordering::Relaxed))
    }

    pub(super) fn fill(&self, word: u32) {
        self.shared.mapping.words().iter().for_each(|at| at.store(word, Ordering::Relaxed));
    }

    pub(super) fn differing(&self, word: u32) -> usize {
        self.shared.mapping.words().iter().filter(|at| at.load(Ordering::Relaxed) != word).count()
    }

    /// Begins to read and write the whole map, again and again. It would kill the process with SIGBUS if the map broke.
    pub(super) fn touch_all_the_time(&self) {
        let shared = Arc::clone(&self.shared);
        let toucher = thread::spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                for at in shared.mapping.words().iter().step_by(STRIDE) {
                    at.store(at.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
                }
                shared.touches.fetch_add(1, Ordering::Relaxed);
                // The guest has two processors, and other work.
                thread::yield_now();
            }
        });
        if let Ok(mut running) = self.toucher.lock() {
            *running = Some(toucher);
        }
    }

    pub(super) fn touches(&self) -> u64 {
        self.shared.touches.load(Ordering::Relaxed)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Ok(Some(toucher)) = self.toucher.get_mut().map(Option::take) {
            // A panic of it has been said on standard error.
            let _ = toucher.join();
        }
    }
}
