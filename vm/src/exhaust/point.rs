//! One point: something that happens to the device at one access of one call.

use std::fmt;

use lifeboat_core::class::Class;
use lifeboat_guest::wire::{Request, Step};

use super::call::{self, CALLS, Call};
use super::mode::Mode;
use super::rig::{Broken, Rig};
use super::verdict::{Expect, Trouble, When, wrong};
use super::world::{CONTEXT, FILE, Planned};
use crate::card::hotplug::SLOT;
use crate::driver::SYSFS;

/// What is under way meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    /// A call.
    Call(&'static Call),
    /// The driver's probe.
    Bind,
    /// The driver's removal, with a job in flight.
    Unbind,
}

impl Deed {
    /// All there are.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        CALLS.iter().map(Self::Call).chain([Self::Bind, Self::Unbind])
    }

    /// By its name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "bind" => Some(Self::Bind),
            "unbind" => Some(Self::Unbind),
            call => Call::named(call).map(Self::Call),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Call(call) => call.name,
            Self::Bind => "bind",
            Self::Unbind => "unbind",
        }
    }

    /// The class of a call.
    pub(super) fn class(self) -> Option<Class> {
        match self {
            Self::Call(call) => Some(call.class),
            Self::Bind | Self::Unbind => None,
        }
    }

    /// Whether it is run so. Only calls have an entry check, and an unbind begins no job that could hang.
    pub(super) fn is_run(self, mode: Mode, race: bool) -> bool {
        match self {
            Self::Call(_) => true,
            Self::Bind => !race,
            Self::Unbind => !race && mode.costs_the_device(),
        }
    }
}

/// One point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) deed: Deed,
    pub(super) mode: Mode,
    /// Whether calls run past the entry check.
    pub(super) race: bool,
    /// At which access, from 1. `None` to let nothing happen, and count the accesses.
    pub(super) at: Option<u64>,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deed, mode, race, at } = self;
        let race = if *race { "on" } else { "off" };
        write!(f, "--call {} --mode {} --race {race} --at {}", deed.name(), mode.name(), at.unwrap_or(0))
    }
}

/// What came of a point.
#[derive(Debug, Clone, Default)]
pub(super) struct Ran {
    /// Accesses from the beginning of the deed until its jobs had ended, or until the device was lost.
    pub(super) accesses: u64,
    /// Whether there was such an access.
    pub(super) reached: bool,
    /// Everything that was not as it must be.
    pub(super) wrongs: Vec<String>,
    /// Steps that were taken, and whether they succeeded.
    pub(super) taken: Vec<(&'static str, bool)>,
}

/// Work is repeated so often before a device is said not to work: on a busy host a sound job may seem to hang.
const TRIES: usize = 10;

/// The name of the step that loses the device for good.
const UNBIND: &str = "unbind";
const BIND: &str = "bind";

/// Runs a point. Afterwards nothing of it is left, and a device that was lost is ready to be bound again.
pub(super) fn run(rig: &mut Rig<'_>, point: &Point) -> Result<Ran, Broken> {
    let mut ran = Ran::default();
    match point.deed {
        Deed::Call(call) => of_call(rig, call, point, &mut ran)?,
        Deed::Bind => bind(rig, point, &mut ran)?,
        Deed::Unbind => unbind(rig, point, &mut ran)?,
    }
    if point.mode.costs_the_device() && point.at.is_some() {
        rig.replace()?;
    } else if point.at.is_some() {
        works_on(rig, point, &mut ran)?;
    }
    ran.wrongs.extend(rig.complaints()?);
    if !ran.wrongs.is_empty() {
        rig.start_afresh()?;
    }
    Ok(ran)
}

fn of_call(rig: &mut Rig<'_>, call: &Call, point: &Point, ran: &mut Ran) -> Result<(), Broken> {
    rig.be_bound()?;
    let world = rig.world().clone();
    if !prepare(rig, point, call.prepare(&world), ran)? {
        return Ok(());
    }
    rig.slow(call.slow)?;
    let before = rig.arm(point)?;
    let lost = point.at.is_some() && point.mode.costs_the_device();
    let meanwhile = if point.at.is_some() { When::Meanwhile } else { When::Undisturbed };
    let mut steps = Steps::default();
    steps.add(meanwhile, call.act(&world));
    if lost {
        steps.add(meanwhile, vec![unbinding()]);
    }
    if !lost {
        steps.add(meanwhile, call.ended(&world));
    }
    take(rig, point, steps, ran)?;
    rig.was_unbound(lost);
    // The accesses of the end are not the call's.
    finish(rig, point, before, ran)?;
    if lost {
        return afterwards(rig, point, call.ended(&world), ran);
    }
    take(rig, point, Steps::of(meanwhile, call::close()), ran).map(drop)
}

/// The driver has let go of the device. Its jobs have ended, each call is answered, and nobody reaches for the device any more.
fn afterwards(rig: &mut Rig<'_>, point: &Point, ended: Vec<Planned>, ran: &mut Ran) -> Result<(), Broken> {
    let before = rig.settle()?;
    let world = rig.world().clone();
    let mut steps = Steps::of(When::Meanwhile, ended);
    steps.add(When::Afterwards, call::after_loss(&world));
    steps.add(When::Meanwhile, call::close());
    take(rig, point, steps, ran)?;
    let late = rig.settle()?.saturating_sub(before);
    if late > 0 {
        ran.wrongs.push(format!("the device was accessed {late} times after the driver had let go of it"));
    }
    Ok(())
}

fn unbind(rig: &mut Rig<'_>, point: &Point, ran: &mut Ran) -> Result<(), Broken> {
    rig.be_bound()?;
    let world = rig.world().clone();
    rig.hold_up_jobs()?;
    let job = super::world::node("submit", Expect::Success, world.submit(FILE, CONTEXT, &[]));
    if !prepare(rig, point, vec![job], ran)? {
        return Ok(());
    }
    let before = rig.arm(point)?;
    take(rig, point, Steps::of(When::Meanwhile, vec![unbinding()]), ran)?;
    rig.was_unbound(true);
    finish(rig, point, before, ran)?;
    let job = super::world::node("a job", Expect::Job, world.wait(FILE, 1, world.wait_limit));
    afterwards(rig, point, vec![job], ran)?;
    // What held up its job goes with the card.
    rig.replace()
}

fn bind(rig: &mut Rig<'_>, point: &Point, ran: &mut Ran) -> Result<(), Broken> {
    rig.be_unbound()?;
    let before = rig.arm(point)?;
    let when = if point.at.is_some() { When::Meanwhile } else { When::Undisturbed };
    let steps = Steps::of(when, vec![Planned::new(BIND, Expect::Probe, write(BIND))]);
    let answers = take(rig, point, steps, ran)?;
    finish(rig, point, before, ran)?;
    let is_bound = answers.first().is_some_and(|step| !is_failure(step));
    rig.was_bound(is_bound);
    if is_bound && point.at.is_some() && point.mode.costs_the_device() {
        take(rig, point, Steps::of(When::Meanwhile, vec![unbinding()]), ran)?;
        rig.was_unbound(true);
    }
    Ok(())
}

fn unbinding() -> Planned {
    Planned::new(UNBIND, Expect::Success, write(UNBIND))
}

/// Makes the world, and what else a point needs. `false` if that fails.
fn prepare(rig: &mut Rig<'_>, point: &Point, beside: Vec<Planned>, ran: &mut Ran) -> Result<bool, Broken> {
    let mut steps = Steps::of(When::Undisturbed, rig.world().prepare());
    steps.add(When::Undisturbed, beside);
    let before = ran.wrongs.len();
    take(rig, point, steps, ran)?;
    Ok(ran.wrongs.len() == before)
}

/// Counts the accesses since `before`.
fn finish(rig: &Rig<'_>, point: &Point, before: u64, ran: &mut Ran) -> Result<(), Broken> {
    ran.accesses = rig.settle()?.saturating_sub(before);
    ran.reached = point.at.is_some_and(|at| at <= ran.accesses);
    Ok(())
}

/// A device that was not lost must work on: perhaps not for the first job, which may be the one that hangs.
fn works_on(rig: &mut Rig<'_>, point: &Point, ran: &mut Ran) -> Result<(), Broken> {
    rig.be_bound()?;
    rig.slow(false)?;
    let mut wrongs = Vec::new();
    for _ in 0..TRIES {
        let steps = Steps::of(When::Meanwhile, rig.world().work());
        let mut tried = Ran::default();
        take(rig, point, steps, &mut tried)?;
        wrongs = tried.wrongs;
        if wrongs.is_empty() {
            return Ok(());
        }
    }
    ran.wrongs.extend(wrongs.into_iter().map(|wrong| format!("the device does not work on: {wrong}")));
    Ok(())
}

/// Steps, each with how it stands with the device then.
#[derive(Default)]
struct Steps {
    steps: Vec<(When, Planned)>,
    /// The requests of steps that were added together.
    groups: Vec<Vec<Request>>,
}

impl Steps {
    fn add(&mut self, when: When, steps: Vec<Planned>) {
        self.groups.push(steps.iter().map(|step| step.request.clone()).collect());
        self.steps.extend(steps.into_iter().map(|step| (when, step)));
    }

    fn of(when: When, steps: Vec<Planned>) -> Self {
        let mut this = Self::default();
        this.add(when, steps);
        this
    }
}

/// Takes steps and judges them. A program that dies of them is wrong.
fn take(rig: &mut Rig<'_>, point: &Point, Steps { steps, groups }: Steps, ran: &mut Ran) -> Result<Vec<Step>, Broken> {
    let answers = match rig.each(groups)? {
        Ok(answers) => answers,
        Err(died) => {
            ran.wrongs.push(died);
            return Ok(Vec::new());
        }
    };
    let trouble = Trouble { mode: point.mode, race: point.race };
    for ((when, step), answer) in steps.iter().zip(&answers) {
        let succeeded = |needs| ran.taken.iter().rfind(|(what, _)| *what == needs).is_some_and(|(_, well)| *well);
        let is_moot = step.needs.is_some_and(|needs| !succeeded(needs));
        ran.taken.push((step.what, !is_failure(answer)));
        if is_moot {
            continue;
        }
        if let Some(wrong) = wrong(step.expect, *when, trouble, &answer.outcome) {
            ran.wrongs.push(format!("{}, {}: {wrong}", step.what, describe(*when)));
        }
        if let Some(limit) = rig.limit_of(&step.request)
            && answer.micros > limit
        {
            ran.wrongs.push(format!("{}, {}: took {} ms", step.what, describe(*when), answer.micros / 1000));
        }
    }
    Ok(answers)
}

fn is_failure(step: &Step) -> bool {
    matches!(step.outcome, lifeboat_guest::wire::Outcome::Failed(_))
}

fn describe(when: When) -> &'static str {
    match when {
        When::Undisturbed => "undisturbed",
        When::Meanwhile => "meanwhile",
        When::Afterwards => "after the loss",
    }
}

/// A request to bind or unbind the device.
pub(super) fn write(what: &str) -> Request {
    Request::Write { path: format!("{SYSFS}/{what}"), contents: SLOT.to_owned() }
}
