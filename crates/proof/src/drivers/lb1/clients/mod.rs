//! Users of LB1s, each in a way of its own.

mod caller;
mod flipper;
mod mapper;
mod opener;
mod sharer;
mod submitter;

use lifeboat_lb1_hosted::{Context, Handle};

use super::Lb1;
use crate::torture::Role;
use crate::torture::{self, waiter};

type Desk<'a> = torture::Desk<'a, Lb1>;
type Work<'a> = torture::Work<'a, Context>;

/// Who works in a lane.
pub(super) const CAST: &[Role<Lb1>] = &[
    SUBMITTER,
    SUBMITTER,
    role("mapper", mapper::work),
    role("flipper", flipper::work),
    role("opener", opener::work),
    role("waiter", waiter::work),
    role("sharer", sharer::work),
    role("caller", caller::work),
];

/// Submits jobs, and looks whether their results are right.
const SUBMITTER: Role<Lb1> = Role { name: "submitter", work: submitter::work, keeps_seat: true };

const fn role(name: &'static str, work: fn(&Desk<'_>, &mut fastrand::Rng)) -> Role<Lb1> {
    Role { name, work, keeps_seat: false }
}

impl Desk<'_> {
    fn open(&self) -> Option<Handle> {
        self.call("open", || self.device().open())
    }
}
