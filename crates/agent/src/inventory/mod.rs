//! Inventory: the functions on the PCI bus, and what the kernel says of each.
//!
//! | module | concept |
//! |---|---|
//! | [`bus`] | all functions |
//! | [`function`] | one function and its attributes |
//! | [`topology`] | place in the tree of bridges |
//! | [`node`] | device nodes below a function |
//! | [`block`] | block devices that are built on others |
//! | [`network`] | network interfaces, and those that are built on others |
//! | [`config`] | configuration space and its capabilities |
//! | [`identity`] | identity that outlives a new driver and new minors, and no exchange of the card |
//!
//! Nothing here opens a node or touches a device, except [`config`], which says how.

pub mod block;
pub mod bus;
pub mod config;
pub mod function;
pub mod identity;
pub mod network;
pub mod node;
pub mod topology;

#[cfg(test)]
mod tests;
