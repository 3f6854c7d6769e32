//! Devices that are away for a moment, and come back: themselves, or another one.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod fickle;
#[path = "../machine/mod.rs"]
mod machine;
mod outages;
mod spaced;
mod swapped;
mod untrue;
