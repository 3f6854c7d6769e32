//! Uses a GPU through its DRM node: the ioctls of `lifeboat.ko` ([`lifeboat_uapi`]) behind a safe interface.
//!
//! It is thin: one method for each call, the kernel's errno as the error, and no policy. A program that wants to survive the
//! loss of its device follows docs/uapi.md. [`Node`] is an open file; contexts, buffers and syncobjs are numbers in it, as the
//! kernel has them, and end with it.
//!
//! # Safety
//!
//! `unsafe` is in three modules: `call`, which hands a structure to the kernel; `mapping`, memory that the device shares; `arena`,
//! memory that a fuzzer's calls may have the kernel write.
//! Calls whose structures hold addresses ([`Node::submit`], [`Node::version`], waits for syncobjs) take the memory itself.

pub mod arena;
mod call;
mod drm;
mod job;
mod mapping;
mod node;
mod raw;
mod sync_file;
mod syncobj;

pub use drm::Capability;
pub use job::Job;
pub use lifeboat_uapi as uapi;
pub use mapping::{Mapping, Sharing, map_file};
pub use node::{Node, Plain, Version, Woken};
pub use raw::RawError;
pub use rustix::io::Errno;
pub use sync_file::{merge, poll_sync_file, sync_file_status, writers_of_buffer};
pub use syncobj::WaitFor;
