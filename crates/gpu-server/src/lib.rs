//! Serves the LB1 GPU model over vfio-user, so that a virtual machine has it on its PCI bus.
//!
//! The model is [`lifeboat_gpu`]'s; here are only the ways to it: what a virtual machine monitor asks over one socket
//! becomes accesses of the card ([`ServedCard`]), and what a test asks over another ([`control`]) becomes its faults,
//! its removal and its replacement.
//!
//! # What is kept when what leaves
//!
//! A [`Bay`] is where the card sits. A *client* that leaves takes its DMA mappings and its interrupts with it; the next
//! one finds the machine switched on afresh: a card after a bus reset, zero VRAM. A *card* that is removed leaves
//! mappings and interrupts behind: they are the machine's, and a card that replaces it finds them. One client is served
//! at a time; the next waits until it has left.
//!
//! # A hostile client
//!
//! gets an error and nothing else: it decides neither how much memory is held for it nor how long another thread waits.
//! - A message is at most 1 MiB of data and its header; a longer one ends the session.
//! - Guest memory is never mapped into this process, but read and written through its descriptor. So a client that
//!   truncates its memory faults its own job, instead of ending this process by SIGBUS. VRAM, which this process does map, is sealed
//!   against truncation before a client gets it.
//! - An interrupt is a write to a descriptor that is checked to be an eventfd, and that does not block.
//! - A panic in the serving thread ends the session; the card is reset and the next client served.
//!
//! # Why there is a protocol loop here
//!
//! The types are those of the crate `vfio_user`, and a [`ServedCard`] can be served by its `Server`. But that one, as of 0.1.7,
//! allocates what a header asks for, up to 4 GiB, which aborts the process where there is less; panics on a short version
//! message; answers errors without an error number; and offers no way to end a session or the wait for one. `wire` and
//! `session` do the same within bounds.
#![forbid(unsafe_code)]

pub mod control;

mod bay;
mod guest_memory;
mod layout;
mod listen;
mod served_card;
mod server;
mod session;
mod shutdown;
mod stream;
mod vectors;
mod vram;
mod wire;

pub use bay::Bay;
pub use listen::ListenError;
pub use served_card::ServedCard;
pub use server::{Options, Server, ServerError};
pub use shutdown::Stopper;
