//! Asymmetric barrier: nearly free for the frequent readers, expensive for the rare revoker.
//!
//! A reader stores "I am inside" and then loads "is it shut?". A revoker stores "shut" and then
//! scans the readers. At least one of the two must see the store of the other. In the memory model
//! of the language this takes a sequentially consistent fence on both sides, between the store and
//! the load (the pattern is called store buffering, or Dekker's pattern). A fence costs some twenty
//! times as much as everything else that a reader does.
//!
//! `membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)` moves the whole cost to the revoker. The kernel
//! promises the following (manual page membarrier(2), and the ordering table in
//! `kernel/sched/membarrier.c`): when the call returns, each thread of the process has passed a
//! full memory barrier since the call began. A thread that runs on another processor passes it
//! there; a thread that does not run passes it in the scheduler. So each reader has a point with a
//! barrier, and one of two cases holds:
//!
//! - The reader's load of "shut" comes after this point. Then the load sees the revoker's store,
//!   which came before the call.
//! - The reader's load comes before this point. Then the reader's own store comes before it as
//!   well, by program order, and the revoker's scan after the call sees that store.
//!
//! This is the same guarantee as that of two fences, if the compiler keeps the reader's store and
//! load in program order. `light_by_compiler` makes sure of this order.
//!
//! Both sides use plain fences where the call does not exist: under loom, before Linux 4.14, on
//! other systems, and behind a seccomp filter that forbids the call. So the models prove the
//! protocol with fences, and the paragraphs above argue that `membarrier` with a compiler fence can
//! replace the fences. `LIFEBOAT_SYNC_FENCES=1` in the environment chooses fences, too.

#[cfg(not(any(loom, shuttle)))]
use std::sync::OnceLock;
use std::sync::atomic::Ordering::SeqCst;

use crate::primitive::fence;

/// Kind of barrier between readers and revokers. The whole process uses one kind, because a revoker
/// must execute the barrier that the readers rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Readers execute only a compiler fence; revokers call the kernel.
    Membarrier,
    /// Readers and revokers execute fences.
    Fences,
}

impl Mode {
    /// Returns the mode of this process, which is chosen at the first call.
    #[cfg(not(any(loom, shuttle)))]
    pub fn current() -> Self {
        static MODE: OnceLock<Mode> = OnceLock::new();
        *MODE.get_or_init(|| {
            let forced = std::env::var_os("LIFEBOAT_SYNC_FENCES").is_some_and(|value| value != "0");
            if !forced && kernel::register() { Self::Membarrier } else { Self::Fences }
        })
    }

    /// Returns the mode under a model checker, which knows only fences.
    #[cfg(any(loom, shuttle))]
    pub fn current() -> Self {
        Self::Fences
    }

    /// Executes the revoker's barrier, between its store and its scan.
    pub(crate) fn heavy(self) {
        match self {
            #[cfg(not(any(loom, shuttle)))]
            Self::Membarrier => kernel::barrier(),
            _ => fence(SeqCst),
        }
    }
}

/// Executes a reader's barrier where revokers use `membarrier`: a compiler fence between the
/// reader's store and its load. Under a model checker this does nothing.
#[inline]
pub(crate) fn light_by_compiler() {
    #[cfg(not(any(loom, shuttle)))]
    std::sync::atomic::compiler_fence(SeqCst);
}

/// Executes a reader's barrier that is right in both modes.
#[inline]
pub(crate) fn light() {
    fence(SeqCst);
}

#[cfg(all(target_os = "linux", not(any(loom, shuttle))))]
mod kernel {
    use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};

    /// Registers the process for [`barrier`]. Returns whether the kernel offers the call.
    pub(super) fn register() -> bool {
        membarrier_query().contains(MembarrierQuery::PRIVATE_EXPEDITED)
            && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
            && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }

    /// Makes every thread of the process pass a full memory barrier.
    pub(super) fn barrier() {
        let passed = membarrier(MembarrierCommand::PrivateExpedited).is_ok()
            // The process may have lost its registration, or a seccomp filter was installed
            // meanwhile.
            || (register() && membarrier(MembarrierCommand::PrivateExpedited).is_ok())
            || membarrier(MembarrierCommand::Global).is_ok();
        if !passed {
            // Readers rely on the barrier and do not fence. Going on would free objects that they
            // use, and unwinding would leave them inside.
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

#[cfg(all(test, target_os = "linux", not(any(loom, shuttle))))]
mod tests {
    use rustix::thread::{MembarrierQuery, membarrier_query};

    use super::*;

    #[test]
    fn readers_execute_no_fence_where_the_kernel_has_membarrier() {
        let forced = std::env::var_os("LIFEBOAT_SYNC_FENCES").is_some_and(|value| value != "0");
        let offered = membarrier_query().contains(MembarrierQuery::PRIVATE_EXPEDITED);
        assert_eq!(Mode::current() == Mode::Membarrier, offered && !forced);
    }
}
