//! Steps on fake machines: plans, their execution by a fake kernel, and the processes that carry them out.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod children;
mod fifos;
mod kernel;
mod restores;
mod steps;
mod tree;
