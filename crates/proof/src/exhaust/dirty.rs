//! What is asked of a device to which something untidy has happened: that it is used again, or given up with a reason.

use std::time::{Duration, Instant};

use super::mode::Fate;
use super::point::{self, LIMIT, Point};
use super::rig::{Heard, Rig};
use super::verdict::Wrongs;
use crate::subject::{Card as _, Slot as _, Subject, World};

/// Between two looks whether the device works.
const LOOK: Duration = Duration::from_millis(1);

/// After a deed: every fence signals, the device meets its fate, and then it is pulled out. Gives the accesses since `before`;
/// `armed` is when the point was armed.
pub(super) fn aftermath<S: Subject>(
    rig: &Rig<S>,
    world: &S::World,
    point: &Point,
    (before, armed): (u64, u64),
    wrongs: &mut Wrongs,
) -> Result<u64, String> {
    world.owed().iter().for_each(|fence| point::expect_signal(fence, wrongs));
    rig.reach();
    rig.check_reached(point, armed, wrongs);
    let mut heard = Heard { bound: Some(world.minor()), ..Heard::default() };
    // A fault that has not happened has changed nothing.
    let fate = if rig.was_reached() { point.mode.fate() } else { Fate::WorksOn };
    meet(fate, rig, world, &mut heard, wrongs)?;
    let accesses = rig.card.accesses() - before;
    pull(rig, &mut heard, wrongs);
    point::settle(world, true, wrongs);
    point::after_loss::<S>(world, point, wrongs)?;
    Ok(accesses)
}

/// Waits until the device has met its fate.
fn meet<S: Subject>(
    fate: Fate,
    rig: &Rig<S>,
    world: &S::World,
    heard: &mut Heard,
    wrongs: &mut Wrongs,
) -> Result<(), String> {
    if fate == Fate::WorksOn {
        if let Err(why) = point::still_works::<S>(world, wrongs) {
            while rig.hear(LOOK, heard, wrongs) {}
            return Err(format!("{why}; the bus has told: {heard:?}"));
        }
        return Ok(());
    }
    let began = Instant::now();
    loop {
        while rig.hear(Duration::ZERO, heard, wrongs) {}
        let bound = heard.bound.and_then(|minor| rig.bus.device::<S::Device>(minor)).filter(S::is_live);
        let met = match fate {
            Fate::GivenUp => bound.is_none() && heard.given_up.is_some(),
            _ => bound.is_some_and(|device| S::works(&device) && S::is_live(&device)),
        };
        if met {
            return Ok(());
        }
        if began.elapsed() > LIMIT {
            let wanted = if fate == Fate::GivenUp { "given up with a reason" } else { "used again" };
            wrongs.add(format!("the device is not {wanted}; the bus has told: {heard:?}"));
            return Ok(());
        }
        rig.hear(LOOK, heard, wrongs);
    }
}

/// Pulls out what is there, and waits until nothing is bound.
fn pull<S: Subject>(rig: &Rig<S>, heard: &mut Heard, wrongs: &mut Wrongs) {
    rig.slot.remove();
    while heard.bound.is_some() {
        if !rig.hear(LIMIT, heard, wrongs) {
            wrongs.add(format!("the card was pulled out, and the bus has told: {heard:?}"));
            return;
        }
    }
}

/// Whether the device comes to be bound is left to when it happens. Then it must go.
pub(super) fn probe<S: Subject>(rig: &Rig<S>, point: &Point, wrongs: &mut Wrongs) -> Result<u64, String> {
    let armed = rig.arm(point);
    rig.plug()?;
    let mut heard = Heard::default();
    while heard.bound.is_none() && heard.given_up.is_none() {
        if !rig.hear(LIMIT, &mut heard, wrongs) {
            return Err("nothing was heard of the bus".to_owned());
        }
    }
    if point.at.is_none() && heard.bound.is_none() {
        return Err(format!("the device could not be bound: {heard:?}"));
    }
    let accesses = rig.card.accesses();
    rig.check_reached(point, armed, wrongs);
    pull(rig, &mut heard, wrongs);
    Ok(accesses)
}

/// A device is unbound while it happens to it.
pub(super) fn unbind<S: Subject>(
    rig: &Rig<S>,
    point: &Point,
    peer: &S::Peer,
    wrongs: &mut Wrongs,
) -> Result<u64, String> {
    rig.plug()?;
    let world = rig.world(peer)?;
    let mut heard = Heard { bound: Some(world.minor()), ..Heard::default() };
    let before = rig.card.accesses();
    let armed = rig.arm(point);
    rig.bus.unbind_all();
    while heard.bound.is_some() {
        if !rig.hear(LIMIT, &mut heard, wrongs) {
            return Err(format!("the device was unbound, and the bus has told: {heard:?}"));
        }
    }
    let accesses = rig.card.accesses() - before;
    rig.check_reached(point, armed, wrongs);
    pull(rig, &mut heard, wrongs);
    point::after_loss::<S>(&world, point, wrongs)?;
    Ok(accesses)
}
