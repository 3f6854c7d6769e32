//! Evidence for what Lifeboat promises, for its developers.
//!
//! [`conformance`] runs the tests of each promise and says which are kept. [`exhaust`] disturbs a device at every hardware
//! access of every call, one run each. [`torture`] lets everything happen at once. They are run by
//! `cargo xtask conformance`, `exhaust` and `torture`; the exit codes and the wish to stop are those of the user's command.
//!
//! What it is not: part of the `lifeboat` command, which only hands over to it in a checkout.
#![forbid(unsafe_code)]

pub mod args;
pub mod conformance;
pub mod drivers;
pub mod exhaust;
mod interposer;
pub mod mistake;
pub mod subject;
pub mod torture;
pub mod untidy;
