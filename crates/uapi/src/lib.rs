//! The user interface of `lifeboat.ko`, the DRM driver of a GPU that can vanish: what
//! `kernel/uapi/lifeboat_drm.h` says in C. docs/uapi.md explains it.
//!
//! One structure for each ioctl ([`Request`]), with the constants that its fields take. Nothing here
//! calls the kernel: a client's crate does. The test `header` compares every size, offset, number and
//! constant with the header, as a C compiler reads it.
//!
//! # Layout
//!
//! Structures have no padding of the compiler's own and the same layout on 32 and 64 bit. Reserved
//! fields (`pad`, unused bits of `flags`) must be 0. A structure may grow at its end: [`Default`] is
//! all zeroes, so that a program writes the fields that it knows and `..Default::default()`.
//!
//! # Examples
//!
//! ```
//! use lifeboat_uapi::{ContextCreate, Request};
//!
//! let mut request = ContextCreate::default();
//! assert_eq!(ContextCreate::NUMBER, 0xc008_6441);
//! // ioctl(node, ContextCreate::NUMBER, &mut request)
//! # request.context = 1;
//! assert_ne!(request.context, 0);
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod buffer;
mod context;
mod info;
mod job;
mod map;
mod request;

pub use buffer::{
    BufferAdvise, BufferCreate, BufferMmap, BufferWait, BUFFER_READ_ONLY, BUFFER_USER, BUFFER_VRAM, DONT_NEED,
    WAIT_WRITERS, WILL_NEED,
};
pub use context::{
    ContextCreate, ContextDestroy, ContextStatus, CONTEXT_BANNED, CONTEXT_HUNG, CONTEXT_LOST, CONTEXT_NONSENSE,
    CONTEXT_RESET_FAILED, RESET_GUILTY, RESET_INNOCENT, RESET_NONE, RESET_UNKNOWN,
};
pub use info::Info;
pub use job::{
    Submit, Sync, Wait, PRIORITY_HIGH, PRIORITY_LOW, PRIORITY_NORMAL, SUBMIT_IGNORE_ERRORS, SUBMIT_RESTARTABLE,
    SYNC_FILE,
};
pub use map::{Map, Unmap, MAP_WRITE};
pub use request::{ioctl_number, Direction, Request, COMMAND_BASE};
