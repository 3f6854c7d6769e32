//! What of a state is written into so many bytes.
//!
//! The most important comes first: the device's registers, those of the rings, jobs, entries; of these those of the ring
//! that the dump is about. Everything that is written is measured first, by writing it to nowhere.

use core::cmp::Ordering;

use super::document::{body, job, registers, ring_registers, tail, LeftOut};
use super::portion::{by_rank, entry_cost, Place, Portions};
use super::text::length_of;
use super::{Ring, State};

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// Whether the device's registers are.
    pub(super) device: bool,
    /// The number of rings whose registers are, in the order of their [ranks](rank).
    pub(super) rings: usize,
    /// The number of jobs that are.
    pub(super) jobs: usize,
    /// The most entries of all rings.
    pub(super) entries: usize,
}

impl Plan {
    const NOTHING: Self = Self { device: false, rings: 0, jobs: 0, entries: 0 };

    /// The plan for so many bytes. `None` if these do not hold what is there once.
    pub(super) fn of(state: &impl State, bytes: usize) -> Option<Self> {
        let skeleton =
            length_of(|out| body(out, state, &Self::NOTHING).map(drop)) + length_of(|out| tail(out, LeftOut::MOST));
        let mut room = bytes.checked_sub(skeleton)?;
        let device = state
            .registers()
            .is_none_or(|read| take(&mut room, length_of(|out| registers(out, 0, state.layout().device, read))));
        let mut rings = 0;
        for ring in rings_by_rank(state) {
            if !take(&mut room, length_of(|out| ring_registers(out, state, &ring))) {
                break;
            }
            rings += 1;
        }
        // At most half of the room, so that there is some for what the rings hold; more if that needs less.
        let wanted = entry_cost(state.layout()).saturating_mul(Portions::wanted(places(state)));
        let mut for_jobs = room.div_ceil(2).max(room.saturating_sub(wanted));
        let mut jobs = 0;
        for each in state.jobs() {
            let cost = length_of(|out| job(out, &each)) + 1;
            if !take(&mut for_jobs, cost) {
                break;
            }
            room -= cost;
            jobs += 1;
        }
        Some(Self { device, rings, jobs, entries: room / entry_cost(state.layout()) })
    }
}

/// Takes room away if there is so much.
fn take(room: &mut usize, cost: usize) -> bool {
    let left = room.checked_sub(cost);
    *room = left.unwrap_or(*room);
    left.is_some()
}

/// Where the rings stand.
pub(super) fn places<S: State>(state: &S) -> impl Iterator<Item = Option<Place>> + Clone + '_ {
    (0..state.rings().count()).map(|index| Place::of(&state.rings().nth(index)?, state.layout()))
}

/// The index of the ring that the dump is about; the first one's if it is about none.
pub(super) fn first(state: &impl State) -> usize {
    let about = state.about().reason.ring();
    state.rings().position(|ring| Some(ring.number) == about).unwrap_or(0)
}

/// The place of the ring with this index in the order of importance.
pub(super) fn rank(index: usize, first: usize) -> usize {
    match index.cmp(&first) {
        Ordering::Less => index + 1,
        Ordering::Equal => 0,
        Ordering::Greater => index,
    }
}

/// The rings, the most important first.
fn rings_by_rank<S: State>(state: &S) -> impl Iterator<Item = Ring<'_>> {
    by_rank(first(state), state.rings().count()).filter_map(|index| state.rings().nth(index))
}
