//! What is in the slot, and the ways it comes and goes.

pub mod gpu;
pub mod hotplug;
