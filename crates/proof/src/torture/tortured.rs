//! What torture needs of a driver, besides what every proof does.

use fastrand::Rng;
use lifeboat::{Fence, Module, ResetStats};

use super::clients::Desk;
use super::kind::Kind;
use super::plan::{Gust, Plan};
use crate::subject::{Card, Subject};

/// What a driver provides for [`torture`](crate::torture), besides.
pub trait Tortured: Subject {
    /// Those who use the devices of a lane meanwhile. Two of a kind are never at the same device.
    const CAST: &'static [Role<Self>];

    /// What is held responsible for jobs that end badly.
    type Context: Blamed;
    /// A user who asks whether a device works.
    type User;

    /// What may happen to the device.
    fn kinds() -> Vec<Kind>;

    /// A module with the driver, as its users have it.
    fn users_module() -> Module;

    /// What is armed on a card for a cycle.
    fn armed(plan: &Plan) -> Vec<<Self::Card as Card>::Strike>;

    /// What happens in a cycle whose kind is a storm, one right after the other; else nothing.
    fn storm(plan: &Plan) -> Vec<Gust<Self>>;

    /// Where a device is, or was, plugged in.
    fn location(device: &Self::Device) -> &str;

    /// Whether a fence of no context may say that the hardware was not in time.
    fn may_time_out(kind: Kind) -> bool;

    /// Lets go of what a device keeps though its users have ended.
    fn let_go(device: &Self::Device) {
        let _ = device;
    }

    /// A user; `None` if the device refuses that.
    fn user(device: &Self::Device) -> Option<Self::User>;

    /// Has the device do one thing of each kind that it can. Fewer than [`Tortured::JOBS`] if some are refused.
    fn jobs(user: &Self::User) -> Vec<Fence>;

    /// How many things that are.
    const JOBS: usize;
}

/// One who uses devices.
pub struct Role<S: Tortured> {
    /// What it is called.
    pub name: &'static str,
    /// Its work of one cycle.
    pub work: fn(&Desk<'_, S>, &mut Rng),
    /// Whether the number of its place in the cast alone says at which device it is: there are others of its kind.
    pub keeps_seat: bool,
}

/// What is held responsible for jobs.
pub trait Blamed {
    /// The resets that it has caused and suffered.
    fn reset_stats(&self) -> ResetStats;
}

/// Of a device that holds nobody responsible.
#[derive(Debug)]
pub enum Nobody {}

impl Blamed for Nobody {
    fn reset_stats(&self) -> ResetStats {
        match *self {}
    }
}
