//! Events of the kernel about its devices ("uevents").
//!
//! | module | concept |
//! |---|---|
//! | [`message`] | the form: an action, a path, variables |
//! | [`meaning`] | the observation that a message is |
//! | [`socket`] | the netlink socket, and the proof that a message is the kernel's |

pub mod meaning;
pub mod message;
pub mod socket;

pub use message::Message;
pub use socket::UeventSocket;

/// Largest message that is read, in bytes. The kernel's are at most 2 KiB of variables (`UEVENT_BUFFER_SIZE`) and a path.
pub const LARGEST: usize = 16 * 1024;
