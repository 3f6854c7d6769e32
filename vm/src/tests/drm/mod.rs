//! Programs use the device through its node, and lose it.

pub mod at_work;
pub mod buffers;
pub mod clients;
pub mod desk;
pub mod fences;
pub mod losing;
pub mod main_job;
pub mod nodes;
pub mod rules;
pub mod sharing;
pub mod starts;
