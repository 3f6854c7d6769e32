//! Survey: everything a decision about one device and one step needs to know, read right before the decision.
//!
//! | module | concept |
//! |---|---|
//! | [`question`] | question that a survey answers |
//! | [`take`] | the whole survey |
//! | [`apart`] | the survey in a process of its own |
//! | [`membership`] | unit, container and user of a process, by its control group |
//! | [`targets`] | the function that a device number, a path or a descriptor belongs to |
//! | [`scan`] | processes that use functions: descriptors of every thread, and maps |
//! | [`holders`] | processes and kernel modules that hold a function |
//! | [`spared`] | processes that must not be ended |
//! | [`modules`] | kernel modules that hold a driver |
//! | [`mounts`] | file systems and swap, in every mount namespace |
//! | [`routes`] | default routes |
//! | [`console`] | functions that show a console |
//! | [`sessions`] | users of active sessions of a seat |
//! | [`duties`] | protections of a function, and its use by others |
//! | [`domain`] | other functions that a step affects |
//! | [`available`] | whether a step can be carried out at all |
//! | [`health`] | first look at the health of a function |
//!
//! State that cannot be read is never taken for state that is empty: it is named in the survey.

pub mod apart;
pub mod available;
pub mod console;
pub mod domain;
pub mod duties;
pub mod health;
pub mod holders;
pub mod membership;
pub mod modules;
pub mod mounts;
pub mod question;
pub mod routes;
pub mod scan;
pub mod sessions;
pub mod spared;
pub mod take;
pub mod targets;

#[cfg(test)]
mod tests;
