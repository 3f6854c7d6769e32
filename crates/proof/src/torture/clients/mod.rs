//! Those who use the devices meanwhile, each in a way of its own.
//!
//! A client is a thread that lasts as long as its lane. In each cycle it opens a device, works until the cycle is over, through
//! whatever happens, and then sees to it that everything it is owed has come and lets go of everything.

mod caller;
mod desk;
mod flipper;
mod mapper;
mod opener;
mod sharer;
mod submitter;
mod waiter;

use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::ValueEnum;
use fastrand::Rng;
use serde::Serialize;

pub(super) use desk::Desk;

use super::activity::Activity;
use super::plan::generator;
use super::round::{Round, Stage};
use super::tally::Tally;

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Client {
    /// Submits jobs, and looks whether their results are right.
    Submitter,
    /// Writes and reads mapped memory without a break.
    Mapper,
    /// Shows pictures, and counts the events.
    Flipper,
    /// Opens, creates, drops and closes.
    Opener,
    /// Waits for the fences of others, in every way there is.
    Waiter,
    /// Shares buffers between the two devices of its bus.
    Sharer,
    /// Makes every call of the table.
    Caller,
}

impl Client {
    /// Who works in a lane. Those after the first of a kind are at the other device.
    pub(super) const CAST: [Self; 8] = [
        Self::Submitter,
        Self::Submitter,
        Self::Mapper,
        Self::Flipper,
        Self::Opener,
        Self::Waiter,
        Self::Sharer,
        Self::Caller,
    ];

    /// Its work of one cycle.
    fn part(self) -> fn(&Desk<'_>, &mut Rng) {
        match self {
            Self::Submitter => submitter::work,
            Self::Mapper => mapper::work,
            Self::Flipper => flipper::work,
            Self::Opener => opener::work,
            Self::Waiter => waiter::work,
            Self::Sharer => sharer::work,
            Self::Caller => caller::work,
        }
    }
}

/// The life of a client: number `who` of its lane.
pub(super) fn run(client: Client, who: usize, stage: &Stage, activity: &Activity, tally: &Tally) {
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

fn attend(client: Client, who: usize, stage: &Stage, activity: &Activity, tally: &Tally, round: &Round) {
    let mut random = generator(round.seed, round.cycle, 1 + who as u64);
    // By turns at one device and the other, and never two of a kind at the same.
    let seat = (who + usize::from(random.bool())) % round.devices.len();
    let seat = if client == Client::Submitter { who % round.devices.len() } else { seat };
    let worked = catch_unwind(AssertUnwindSafe(|| {
        let desk = Desk::new(round, seat, stage, activity);
        client.part()(&desk, &mut random);
        tally.worked(client, desk.steps());
    }));
    if worked.is_err() {
        stage.wrong(format!("a {} panicked; standard error says where", name(client)));
    }
}

/// Its name.
pub(super) fn name(client: Client) -> String {
    client.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
