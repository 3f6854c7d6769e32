//! A guest, from its files to its end: the processors and the bus QEMU gives it, and three lines to it.
//!
//! The lines are QEMU's monitor, the guest's first process, and its kernel's log.

pub mod agent;
pub mod console;
pub mod initramfs;
pub mod machine;
pub mod modules;
pub mod qemu;
pub mod qmp;
pub mod tools;
