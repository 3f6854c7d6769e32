//! Threads and atomics: those of the standard library, or a model checker's.

#[cfg(shuttle)]
pub(crate) use shuttle::{sync::atomic, thread, thread_local};

#[cfg(not(shuttle))]
pub(crate) use std::{sync::atomic, thread, thread_local};

/// Whether a model checker runs this. It has no time, and a thread that looks again and again for what another one is
/// to do gives it schedules without an end.
pub(crate) const MODEL: bool = cfg!(shuttle);
