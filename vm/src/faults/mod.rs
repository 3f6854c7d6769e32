//! What happens to a device while programs use it, and how it returns.

pub mod kind;

pub use kind::Kind;
