//! The arithmetic of the compute commands, pure: no card, no addresses, no locks.
//!
//! The card's engines run it between their transfers, a row at a time. It can be called directly as well, for what the
//! same arithmetic costs without a GPU around it. What the commands mean is defined with them, in
//! [`lifeboat_lb1::command`].

mod convolve;
mod lanes;
mod matmul;
mod window;

pub use convolve::{convolve_image, convolve_rows, source_columns};
pub use matmul::{matmul, matmul_rows};
