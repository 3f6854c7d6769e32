//! Runs tests of the driver in a Debian guest whose GPU can really be unplugged.
#![forbid(unsafe_code)]

pub mod args;
pub mod card;
pub mod driver;
pub mod exhaust;
pub mod faults;
pub mod fuzz;
pub mod guest;
pub mod host;
pub mod pace;
pub mod program;
pub mod setup;
pub mod shell;
pub mod speed;
pub mod suite;
pub mod tests;
pub mod torture;
