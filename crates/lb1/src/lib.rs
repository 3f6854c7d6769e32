//! The driver of LB1, the GPU that docs/lb1.md describes: registers, ring format, bring-up, reset, health probes.
//!
//! `no_std`, no allocator, no `unsafe`, no locks and no clock: it is compiled unchanged into a process, under the model
//! checkers and into a kernel module, and the shell around it brings memory, time and exclusion. Hardware is reached
//! only through the [`lifeboat_pci`] traits that the caller passes in, so a caller can only ever run this code inside
//! a section that lends it those (GATE-1).
//!
//! What it is not: policy. Which job runs next, what a timeout means and when a device is given up is decided in
//! `lifeboat-core`.
#![no_std]
#![forbid(unsafe_code)]

pub mod command;
pub mod regs;
