//! `lifeboat gpu`: the GPU model as a device for virtual machines, and its control.
//!
//! [`args`] is what the user may say; [`serve`] serves a card, [`ctl`] asks a running server.

pub mod args;
pub mod ctl;
pub mod serve;
