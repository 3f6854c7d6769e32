// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Where this crate meets what the `kernel` crate does not offer safely: the only place with
//! `unsafe`.
//!
//! Everything here has a safe face. Each block says what it relies on; nothing relies on how the
//! rest of the crate behaves.

#![allow(unsafe_code)] // see above; denied in the rest of the crate

mod callback;
mod fence;
mod shim;
mod signalling;
mod work;

pub(crate) use callback::{Callback, Notify};
pub(crate) use fence::Origin;
pub use fence::{Fence, FenceName, Timeline, Unsignalled};
pub(crate) use signalling::Signalling;
pub use work::{call_off, disable, disable_delayed, OwnedQueue};
