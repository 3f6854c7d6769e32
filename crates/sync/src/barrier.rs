//! The asymmetric barrier: nearly free for those who come often, dear for the one who comes once.
//!
//! A reader stores "I am inside" and then loads "is it shut?"; a revoker stores "shut" and then looks for readers. At
//! least one of the two must see the other's store. By the language's memory model that takes a sequentially consistent
//! fence on both sides between the store and the load (store buffering, or Dekker's pattern). A fence is some twenty
//! times as dear as all else that a reader does.
//!
//! `membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)` moves the whole cost to the revoker. The kernel's promise (its manual
//! page, membarrier(2), and the ordering table in `kernel/sched/membarrier.c`): when the call returns, each thread of
//! the process that runs on another processor has passed a full memory barrier since the call began, and one that does
//! not run has passed one in the scheduler. So in each reader there is a point with a barrier, and either
//!
//! - the reader's load of "shut" comes after that point: then it sees the revoker's store, which was before the call;
//!   or
//! - it comes before that point: then so does the reader's own store, by program order, and the revoker's look after
//!   the call sees it.
//!
//! That is what the pair of fences gives, provided that the compiler keeps the reader's store and load in program
//! order: `light_by_compiler` does.
//!
//! Loom knows no such call. Under it, and where the kernel has none (before 4.14, not Linux, forbidden by a seccomp
//! filter), both sides are plain fences. The models therefore prove the protocol with fences, and the paragraph above
//! is the argument that `membarrier` with a compiler fence can replace them. `LIFEBOAT_SYNC_FENCES=1` in the
//! environment chooses fences too.

#[cfg(not(any(loom, shuttle)))]
use std::sync::OnceLock;
use std::sync::atomic::Ordering::SeqCst;

use crate::primitive::fence;

/// Kind of barrier between the two sides. The whole process has one: a revoker must use what the readers count on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Readers fence the compiler only; revokers call the kernel.
    Membarrier,
    /// Both execute fences.
    Fences,
}

impl Mode {
    /// The mode of this process, chosen at the first call.
    #[cfg(not(any(loom, shuttle)))]
    pub fn current() -> Self {
        static MODE: OnceLock<Mode> = OnceLock::new();
        *MODE.get_or_init(|| {
            let forced = std::env::var_os("LIFEBOAT_SYNC_FENCES").is_some_and(|value| value != "0");
            if !forced && kernel::register() { Self::Membarrier } else { Self::Fences }
        })
    }

    /// Models know fences only.
    #[cfg(any(loom, shuttle))]
    pub fn current() -> Self {
        Self::Fences
    }

    /// The revoker's side, between its store and its load.
    pub(crate) fn heavy(self) {
        match self {
            #[cfg(not(any(loom, shuttle)))]
            Self::Membarrier => kernel::barrier(),
            _ => fence(SeqCst),
        }
    }
}

/// A reader's side, between its store and its load, where revokers use `membarrier`. Otherwise nothing.
#[inline]
pub(crate) fn light_by_compiler() {
    #[cfg(not(any(loom, shuttle)))]
    std::sync::atomic::compiler_fence(SeqCst);
}

/// A reader's side, whatever revokers use.
#[inline]
pub(crate) fn light() {
    fence(SeqCst);
}

#[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
mod kernel {
    use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};

    /// Whether this process may call [`barrier`] from now on.
    pub(super) fn register() -> bool {
        membarrier_query().contains(MembarrierQuery::PRIVATE_EXPEDITED)
            && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
            && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }

    /// Every thread of the process passes a full barrier.
    pub(super) fn barrier() {
        let passed = membarrier(MembarrierCommand::PrivateExpedited).is_ok()
            // A process that a seccomp filter was put on meanwhile, or that lost its registration.
            || (register() && membarrier(MembarrierCommand::PrivateExpedited).is_ok())
            || membarrier(MembarrierCommand::Global).is_ok();
        if !passed {
            // Readers count on it and do not fence. To go on would free what they use; to unwind, leave them inside.
            eprintln!("lifeboat: membarrier(2) worked at first and is refused now; set LIFEBOAT_SYNC_FENCES=1");
            std::process::abort();
        }
    }
}

#[cfg(not(any(target_os = "linux", loom, shuttle)))]
mod kernel {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn barrier() {
        super::light();
    }
}
