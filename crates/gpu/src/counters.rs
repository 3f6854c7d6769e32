//! What a card has done so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of a card's counters since it was made. They are read one by one, so they may be a few events apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Accesses by the driver: register, VRAM and configuration; a copy into or out of VRAM is one. Those after the
    /// removal count too.
    pub accesses: u64,
    /// Jobs begun. A job is the descriptors of a ring up to and including a `WRITE_SEQNO` with the interrupt flag.
    pub jobs: u64,
    /// Descriptors that took effect.
    pub commands: u64,
    /// Bytes moved to and from host memory, descriptors included.
    pub dma_bytes: u64,
    /// Interrupt messages sent.
    pub interrupts_sent: u64,
    /// Ring and device resets begun, function-level resets included.
    pub resets: u64,
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds, and returns the value before.
    pub(crate) fn add(&self, amount: u64) -> u64 {
        // Relaxed: a count orders nothing.
        self.0.fetch_add(amount, Ordering::Relaxed)
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct LiveCounters {
    pub(crate) accesses: Counter,
    pub(crate) jobs: Counter,
    pub(crate) commands: Counter,
    pub(crate) dma_bytes: Counter,
    pub(crate) interrupts_sent: Counter,
    /// Ring and device resets begun.
    pub(crate) resets: Counter,
}

impl LiveCounters {
    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            accesses: self.accesses.get(),
            jobs: self.jobs.get(),
            commands: self.commands.get(),
            dma_bytes: self.dma_bytes.get(),
            interrupts_sent: self.interrupts_sent.get(),
            resets: self.resets.get(),
        }
    }
}
