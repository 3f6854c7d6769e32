//! One point: something that happens to the device at one access of one call.

use std::fmt;
use std::time::{Duration, Instant};

use lifeboat::core::class::Class;
use lifeboat::core::errno::Errno;
use lifeboat::{CallError, Event, Fence, WaitError};

use super::dirty;
use super::mode::{Fate, Mode};
use super::rig::Rig;
use super::verdict::{Verdict, Wrongs};
use crate::subject::{Card as _, Slot as _, Subject, World};
use crate::untidy;

/// What no wait in here is to reach: something hangs.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// How long a call may take that waits for nothing. With the machine busy in all its threads, but no hang.
const CALL_LIMIT: Duration = Duration::from_secs(3);

/// What is under way meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deed {
    /// One call.
    Call(&'static str),
    /// Every call in turn, several times.
    Session,
    /// The driver's probe.
    Probe,
    /// A forced unbind.
    Unbind,
}

impl Deed {
    /// All there are, for a mode.
    pub fn all<S: Subject>(mode: Mode) -> impl Iterator<Item = Self> {
        let bus_side = [Self::Probe, Self::Unbind].into_iter().filter(move |_| mode == Mode::Unplug || mode.is_dirty());
        S::CALLS.iter().map(|call| Self::Call(call.name)).chain([Self::Session]).chain(bus_side)
    }

    /// By its name.
    pub fn named<S: Subject>(name: &str) -> Option<Self> {
        Self::all::<S>(Mode::Unplug).find(|deed| deed.name() == name)
    }

    /// Its name: the call's, or its own.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call(name) => name,
            Self::Session => "session",
            Self::Probe => "probe",
            Self::Unbind => "unbind",
        }
    }
}

/// One point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// What is under way.
    pub deed: Deed,
    /// What happens.
    pub mode: Mode,
    /// At which access of it, from 1. `None` to let nothing happen, and count the accesses.
    pub at: Option<u64>,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = untidy::name(&self.mode);
        write!(f, "--call {} --mode {mode} --at {}", self.deed.name(), self.at.unwrap_or(0))
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    /// Accesses of the driver from the beginning of the deed to its end.
    pub accesses: u64,
    /// Whether there was such an access. If not, the device was lost after all of them, or did not hang.
    pub reached: bool,
    /// Everything that was not as it must be.
    pub wrongs: Vec<String>,
}

/// Runs a point.
pub fn run<S: Subject>(point: &Point, peer: &S::Peer) -> Ran {
    let mut wrongs = Wrongs::default();
    let (accesses, reached) = try_run::<S>(point, peer, &mut wrongs).unwrap_or_else(|why| {
        wrongs.add(why);
        (0, false)
    });
    Ran { accesses, reached, wrongs: wrongs.into_list() }
}

fn try_run<S: Subject>(point: &Point, peer: &S::Peer, wrongs: &mut Wrongs) -> Result<(u64, bool), String> {
    let rig = Rig::<S>::new(point.mode)?;
    let accesses = match point.deed {
        Deed::Call(name) => {
            with_world(point, &rig, peer, wrongs, |world, wrongs| call::<S>(world, name, point, wrongs))?
        }
        Deed::Session => with_world(point, &rig, peer, wrongs, |world, wrongs| {
            for _ in 0..S::ROUNDS {
                for info in S::CALLS {
                    call::<S>(world, info.name, point, wrongs)?;
                }
                // So that the next round finds room in the ring, and the accesses are about the same each time.
                wait_for_job(world, wrongs);
            }
            Ok(())
        })?,
        Deed::Probe if point.mode.is_dirty() => dirty::probe(&rig, point, wrongs)?,
        Deed::Unbind if point.mode.is_dirty() => dirty::unbind(&rig, point, peer, wrongs)?,
        Deed::Probe => {
            let armed = rig.arm(point);
            rig.plug()?;
            let event = rig.event()?;
            rig.check_reached(point, armed, wrongs);
            match (event, point.at) {
                // Whether it comes to be is left to when it goes. Then it must go.
                (Event::Added { .. }, Some(_)) => {
                    rig.slot.remove();
                    rig.removed()?;
                }
                (Event::Added { .. }, None) | (_, Some(_)) => {}
                (_, None) => return Err("the device could not be bound".to_owned()),
            }
            rig.card.accesses()
        }
        Deed::Unbind => {
            rig.plug()?;
            let world = rig.world(peer)?;
            let before = rig.card.accesses();
            let armed = rig.arm(point);
            rig.bus.unbind_all();
            rig.removed()?;
            rig.check_reached(point, armed, wrongs);
            let accesses = rig.card.accesses() - before;
            after_loss::<S>(&world, point, wrongs)?;
            accesses
        }
    };
    Ok((accesses, rig.end(wrongs)))
}

/// Does something to a device to which it happens, and sees how both are afterwards.
fn with_world<S: Subject>(
    point: &Point,
    rig: &Rig<S>,
    peer: &S::Peer,
    wrongs: &mut Wrongs,
    deed: impl FnOnce(&S::World, &mut Wrongs) -> Result<(), String>,
) -> Result<u64, String> {
    rig.plug()?;
    let world = rig.world(peer)?;
    let before = rig.card.accesses();
    let armed = rig.arm(point);
    deed(&world, wrongs)?;
    if point.mode.is_dirty() && point.at.is_some() {
        return dirty::aftermath(rig, &world, point, (before, armed), wrongs);
    }
    if point.mode == Mode::Hang {
        settle(&world, false, wrongs);
        rig.check_reached(point, armed, wrongs);
        let accesses = rig.card.accesses() - before;
        still_works::<S>(&world, wrongs)?;
        return Ok(accesses);
    }
    if point.at.is_none() {
        settle(&world, false, wrongs);
        return Ok(rig.card.accesses() - before);
    }
    // The worker's accesses and those of interrupts come when they come, after the call; the point may be one of them.
    world.owed().iter().for_each(|fence| expect_signal(fence, wrongs));
    rig.reach();
    rig.check_reached(point, armed, wrongs);
    rig.slot.remove();
    rig.removed()?;
    settle(&world, true, wrongs);
    after_loss::<S>(&world, point, wrongs)?;
    Ok(rig.card.accesses() - before)
}

/// Makes a call, and holds it to its class.
fn call<S: Subject>(world: &S::World, name: &'static str, point: &Point, wrongs: &mut Wrongs) -> Result<(), String> {
    let class = class::<S>(name)?;
    let began = Instant::now();
    let answer = world.call(name).map_err(|wrong| wrong.to_string())?.map_err(CallError::errno);
    let took = began.elapsed();
    if took > CALL_LIMIT {
        wrongs.add(format!("{name} took {took:?}"));
    }
    let allowed = match (point.at, point.mode) {
        (None, _) => Verdict::while_it_is_there(class),
        (Some(_), Mode::Unchecked) => Verdict::past_the_entry(class),
        (Some(_), mode) => match mode.fate() {
            Fate::WorksOn => Verdict::while_it_is_there(class),
            Fate::Lost => Verdict::while_it_goes(class),
            Fate::UsedAgain | Fate::GivenUp => Verdict::in_trouble(class),
        },
    };
    if !allowed.fits(answer) {
        wrongs.add(format!("{name}, of class {class:?}, answered {}", text(answer)));
    }
    Ok(())
}

fn class<S: Subject>(name: &str) -> Result<Class, String> {
    let found = S::CALLS.iter().find(|call| call.name == name);
    found.map(|call| call.class).ok_or_else(|| format!("{name} is not in the table"))
}

/// Every fence that is owed signals, and every event comes, once.
pub(super) fn settle(world: &impl World, lost: bool, wrongs: &mut Wrongs) {
    world.take_owed().iter().for_each(|fence| expect_signal(fence, wrongs));
    if let Some(why) = world.miscounted(lost) {
        wrongs.add(why);
    }
}

/// The job submitted last ends.
fn wait_for_job(world: &impl World, wrongs: &mut Wrongs) {
    if let Some(job) = world.last_job() {
        expect_signal(&job, wrongs);
    }
}

pub(super) fn expect_signal(fence: &Fence, wrongs: &mut Wrongs) {
    if fence.wait(LIMIT) == Err(WaitError::TimedOut) {
        wrongs.add(format!("the fence {} never signals", fence.name()));
    }
}

/// Every call once more: now its class leaves one answer.
pub(super) fn after_loss<S: Subject>(world: &S::World, point: &Point, wrongs: &mut Wrongs) -> Result<(), String> {
    for info in S::CALLS {
        let answer = world.call(info.name).map_err(|wrong| wrong.to_string())?.map_err(CallError::errno);
        let allowed = match point.mode {
            Mode::Unchecked => Verdict::past_the_entry(info.class),
            _ => Verdict::after_loss(info),
        };
        if !allowed.fits(answer) {
            wrongs.add(format!("{}, of class {:?}, answered {} after the loss", info.name, info.class, text(answer)));
        }
    }
    settle(world, true, wrongs);
    Ok(())
}

/// After all that the device works: perhaps not for the first job, which may be the one that hangs.
pub(super) fn still_works<S: Subject>(world: &S::World, wrongs: &mut Wrongs) -> Result<(), String> {
    for attempt in 0.. {
        world
            .call(S::WORK)
            .map_err(|wrong| wrong.to_string())?
            .map_err(|error| format!("a job is refused: {error}"))?;
        let ends: Vec<_> = world.take_owed().iter().map(|job| job.wait(LIMIT)).collect();
        if ends.iter().all(Result::is_ok) {
            break;
        }
        // More than one only if the machine is so busy that a sound job seems to hang.
        if attempt == 10 {
            wrongs.add("the device does not work any more");
            break;
        }
    }
    Ok(())
}

fn text(answer: Result<(), Errno>) -> &'static str {
    answer.map_or_else(Errno::name, |()| "success")
}
