//! Runs tests of the driver in a Debian guest whose GPU can really be unplugged.
#![forbid(unsafe_code)]

pub mod agent;
pub mod args;
pub mod bench;
pub mod console;
pub mod driver;
pub mod environment;
pub mod gpu;
pub mod hotplug;
pub mod initramfs;
pub mod judge;
pub mod machine;
pub mod modules;
pub mod pace;
pub mod port;
pub mod process;
pub mod qemu;
pub mod qmp;
pub mod registry;
pub mod removal;
pub mod report;
pub mod runner;
pub mod setup;
pub mod shell;
pub mod tests;
pub mod trace;
