//! Those who use the devices meanwhile, each in a way of its own.
//!
//! A client is a thread that lasts as long as its lane. In each cycle it opens a device, works until the cycle is over, through
//! whatever happens, and then sees to it that everything it is owed has come and lets go of everything.

mod desk;
pub(crate) mod waiter;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use desk::Desk;
pub(crate) use desk::Work;

use super::activity::Activity;
use super::plan::generator;
use super::round::{Round, Stage};
use super::tally::Tally;
use super::tortured::{Role, Tortured};

/// The life of a client: number `who` of its lane.
pub(super) fn run<S: Tortured>(client: &Role<S>, who: usize, stage: &Stage<S>, activity: &Activity, tally: &Tally) {
    let mut seen = 0;
    loop {
        activity.rests();
        let Some((number, round)) = stage.next(seen) else { return };
        seen = number;
        activity.does("begins");
        attend(client, who, stage, activity, tally, &round);
        // Nothing of it is held by who has done with it.
        drop(round);
        stage.done();
    }
}

fn attend<S: Tortured>(
    client: &Role<S>,
    who: usize,
    stage: &Stage<S>,
    activity: &Activity,
    tally: &Tally,
    round: &Round<S>,
) {
    let mut random = generator(round.seed, round.cycle, 1 + who as u64);
    // By turns at one device and the other, and never two of a kind at the same.
    let seat = (who + usize::from(random.bool())) % round.devices.len();
    let seat = if client.keeps_seat { who % round.devices.len() } else { seat };
    let worked = catch_unwind(AssertUnwindSafe(|| {
        let desk = Desk::new(round, seat, stage, activity);
        (client.work)(&desk, &mut random);
        tally.worked(client.name, desk.steps());
    }));
    if worked.is_err() {
        stage.wrong(format!("a {} panicked; standard error says where", client.name));
    }
}
