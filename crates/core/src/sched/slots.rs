//! What the caller's storage holds: one slot per job, queue and ring.

use core::time::Duration;

use super::list::{Linked, Links, List, NONE};
use super::loans::Loans;
use super::turns::RingTurns;
use super::{EventSlot, IfDependencyFails, RingIndex};
use crate::fence::{FenceError, Seqno};
use crate::Timestamp;

/// Marks a handle to a job.
#[derive(Debug)]
pub enum Job {}

/// Marks a handle to a queue.
#[derive(Debug)]
pub enum Queue {}

/// Which queues of a ring go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Before all others.
    High,
    /// The usual.
    #[default]
    Normal,
    /// After all others, but for a turn now and then, so that it is not starved for ever.
    Low,
}

/// Number of priorities.
pub const PRIORITIES: usize = 3;

/// Where a job stands; see the life of a job in the [module documentation](super).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum JobState {
    Free,
    Reserved,
    Queued,
    Running,
    Finished,
    Orphan,
    Done,
}

/// Storage for one job.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct JobSlot<F, P> {
    pub(super) generation: u32,
    pub(super) state: JobState,
    pub(super) links: Links,
    pub(super) queue: u32,
    /// The ring it was given to.
    pub(super) ring: RingIndex,
    pub(super) seqno: Seqno,
    pub(super) cost: u32,
    /// How long it may take; see [`JobSpec::time_limit`](super::JobSpec::time_limit).
    pub(super) time_limit: Option<Duration>,
    /// When that has passed, once its time has begun.
    pub(super) deadline: Option<Timestamp>,
    /// How often the driver has said that it is still running.
    pub(super) extensions: u32,
    /// Its ring was asked to give it up.
    pub(super) aborted: bool,
    /// Dependencies that have not signalled.
    pub(super) waits: u32,
    /// Jobs of this scheduler among them, for loans of priority.
    pub(super) waits_for: List,
    /// The best priority that it was lent; the lowest is none.
    pub(super) lent: Priority,
    /// What its context was charged for its turn, in nanoseconds.
    pub(super) charged: u64,
    /// At which priority.
    pub(super) charged_at: Priority,
    pub(super) restartable: bool,
    pub(super) if_dependency_fails: IfDependencyFails,
    /// How the job ends, or must end when it comes to the front.
    pub(super) result: Result<(), FenceError>,
    /// The hardware may still read the payload although the job has ended.
    pub(super) on_hardware: bool,
    pub(super) fence: Option<F>,
    pub(super) payload: Option<P>,
}

impl<F, P> Default for JobSlot<F, P> {
    fn default() -> Self {
        Self {
            generation: 0,
            state: JobState::Free,
            links: Links::NONE,
            queue: NONE,
            ring: RingIndex(0),
            seqno: Seqno::ZERO,
            cost: 0,
            time_limit: None,
            deadline: None,
            extensions: 0,
            aborted: false,
            waits: 0,
            waits_for: List::EMPTY,
            lent: Priority::Low,
            charged: 0,
            charged_at: Priority::Normal,
            restartable: false,
            if_dependency_fails: IfDependencyFails::Cancel,
            result: Ok(()),
            on_hardware: false,
            fence: None,
            payload: None,
        }
    }
}

impl<F, P> Linked for JobSlot<F, P> {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// In which list a queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum Stands {
    /// In none: its oldest job waits, or there is none.
    #[default]
    Nowhere,
    /// Among the ready ones of its ring.
    Ready,
    /// Among those that could run if they had an event slot.
    Starved,
}

/// What a firmware holds of a queue, and how far it is with letting go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum Hold {
    /// Nothing.
    #[default]
    Nothing,
    /// Something, and nobody has asked for it: the queue is open, or one of its jobs is on
    /// hardware.
    Held,
    /// The firmware is to be asked. The queue stands in [`LettingGo::owed`], as does one that is
    /// [overdue](Self::Overdue).
    Owed,
    /// The shell asks it. In [`LettingGo::in_hand`].
    Asking,
    /// It was asked, and has until then to answer. In [`LettingGo::asked`].
    Asked(Timestamp),
    /// That has passed, and a last look is owed.
    Overdue,
    /// The shell takes the last look. In [`LettingGo::in_hand`].
    Looking,
    /// It has not let go, and is to be reset for that. In [`LettingGo::in_hand`].
    Kept,
    /// It has let go, and the payload is to be released.
    LetGo,
}

impl Hold {
    /// Whether the firmware has been asked, and has not answered.
    pub(super) const fn was_asked_about(self) -> bool {
        matches!(self, Self::Asking | Self::Asked(_) | Self::Overdue | Self::Looking | Self::Kept)
    }
}

/// The closed queues that the firmware of a ring holds something of.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct LettingGo {
    /// The shell is to ask about them.
    pub(super) owed: List,
    /// The firmware was asked about them, the first of all first.
    pub(super) asked: List,
    /// The shell asks or looks, or the firmware has not let go in time.
    pub(super) in_hand: List,
    /// How many it has not let go of in time.
    pub(super) kept: u32,
}

/// Storage for one queue.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct QueueSlot<P> {
    pub(super) generation: u32,
    pub(super) links: Links,
    pub(super) in_use: bool,
    /// The user is gone: the slot is freed when the last job is.
    pub(super) killed: bool,
    /// Where its next job goes.
    pub(super) ring: RingIndex,
    pub(super) priority: Priority,
    /// Jobs that have not been given to the ring, oldest first.
    pub(super) jobs: List,
    /// Jobs of this queue in any state.
    pub(super) held: u32,
    /// The largest cost among the jobs of this queue since `held` was last 0.
    pub(super) largest: u32,
    /// Jobs of this queue on a ring.
    pub(super) running: u32,
    /// The ring that `running` are on: the queue may have been given another since.
    pub(super) runs_on: RingIndex,
    pub(super) stands: Stands,
    /// At which priority, while it stands somewhere.
    pub(super) listed: Priority,
    /// What its waiting jobs were lent.
    pub(super) loans: Loans,
    /// The queue is in the list of queues whose priority rose; `next_raised` follows it there.
    pub(super) is_raised: bool,
    pub(super) next_raised: u32,
    /// What its oldest job has lent already to what it waits for; the lowest is nothing.
    pub(super) lent_on: Priority,
    /// What the firmware reports its completions through, while it is busy.
    pub(super) event: Option<EventSlot>,
    /// The slot of its context, or [`NONE`].
    pub(super) context: u32,
    /// What a firmware holds of it; see [`super::let_go`].
    pub(super) hold: Hold,
    /// The ring whose firmware that is.
    pub(super) holder: RingIndex,
    /// What it keeps alive for that firmware.
    pub(super) payload: Option<P>,
}

impl<P> Default for QueueSlot<P> {
    fn default() -> Self {
        Self {
            generation: 0,
            links: Links::NONE,
            in_use: false,
            killed: false,
            ring: RingIndex(0),
            priority: Priority::Normal,
            jobs: List::EMPTY,
            held: 0,
            largest: 0,
            running: 0,
            runs_on: RingIndex(0),
            stands: Stands::Nowhere,
            listed: Priority::Normal,
            loans: Loans::default(),
            is_raised: false,
            next_raised: NONE,
            lent_on: Priority::Low,
            event: None,
            context: NONE,
            hold: Hold::Nothing,
            holder: RingIndex(0),
            payload: None,
        }
    }
}

impl<P> QueueSlot<P> {
    pub(super) fn open(&mut self, ring: RingIndex, priority: Priority) {
        let generation = self.generation;
        *self = Self { generation, in_use: true, ring, priority, ..Self::default() };
    }
}

impl<P> Linked for QueueSlot<P> {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// Which job of a ring is guilty if the ring is reset now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum Blame {
    /// None.
    #[default]
    Nobody,
    /// This one, which is on the ring, has had its time: it is guilty unless it completes before
    /// the reset takes hold.
    Overdue(u32),
    /// The ring stopped with a fault, and so at its oldest job, whichever that is when all that it
    /// completed before has been reported.
    Oldest,
}

/// The largest thing that was reset for a ring in vain: no job was to blame, and no job has
/// completed on the ring since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum Tried {
    /// Nothing, or it helped.
    #[default]
    Nothing,
    /// The ring.
    Ring,
    /// The whole device.
    Device,
}

/// What a ring is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum RingState {
    /// Taking jobs.
    Running,
    /// A reset is owed. An overdue suspect that completes is forgiven.
    Suspect,
    /// The shell finds out whether it must be reset. An overdue suspect that completes is still
    /// forgiven.
    Asked,
    /// It was told to give up its overdue suspect, and has not reported how that has ended. Nothing
    /// is reset yet.
    Aborting,
    /// The shell is resetting it, and the ring then proves itself.
    Resetting,
    /// Its reset failed, or would be in vain: the device's is next.
    Stuck,
    /// Nothing helped, or the device is gone.
    Dead,
}

/// What the device as a whole is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) enum DeviceState {
    /// Its rings do as they like.
    Running,
    /// A ring's reset failed, or was in vain: the device's is owed, once no ring is being reset.
    Suspect,
    /// The shell asks the rings how far they are, before it resets the device.
    Asked,
    /// The shell is resetting it.
    Resetting,
    /// That failed too, or a loss cut it short: the numbers of its rings mean nothing any more.
    Failed,
    /// It is gone, given up, or given back.
    Gone,
}

/// Storage for one ring.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct RingSlot {
    pub(super) state: RingState,
    pub(super) blame: Blame,
    /// The driver has looked, and the ring is not in the job that is accused.
    pub(super) acquitted: bool,
    pub(super) tried: Tried,
    /// Credits in all; 0 until [`Limits::ring_credits`](super::Limits::ring_credits) is filled in.
    pub(super) most: u32,
    /// Credits that no job on the ring uses.
    pub(super) credits: u32,
    /// It executes jobs in any order, so that it has one of each queue at a time.
    pub(super) unordered: bool,
    pub(super) issued: Seqno,
    /// It has nothing left of the numbers up to this one. Single jobs behind it may have completed
    /// as well.
    pub(super) completed: Seqno,
    /// The last number that the hardware is known to have been given.
    pub(super) given: Seqno,
    /// Jobs on the ring, oldest first.
    pub(super) pending: List,
    /// Jobs that have signalled but that the ring may still read.
    pub(super) orphans: List,
    /// What its firmware has to let go of.
    pub(super) letting_go: LettingGo,
    /// The turns of contexts and priorities.
    pub(super) turns: RingTurns,
    /// Until when the time that jobs have had the ring is charged. `None` while there is none that
    /// the hardware has.
    pub(super) since: Option<Timestamp>,
    /// When the next job is overdue.
    pub(super) deadline: Option<Timestamp>,
}

impl Default for RingSlot {
    fn default() -> Self {
        Self {
            state: RingState::Running,
            blame: Blame::Nobody,
            acquitted: false,
            tried: Tried::Nothing,
            most: 0,
            credits: 0,
            unordered: false,
            issued: Seqno::ZERO,
            completed: Seqno::ZERO,
            given: Seqno::ZERO,
            pending: List::EMPTY,
            orphans: List::EMPTY,
            letting_go: LettingGo::default(),
            turns: RingTurns::default(),
            since: None,
            deadline: None,
        }
    }
}

impl RingSlot {
    /// A ring with its own number of credits, at least 1: 0 is taken as 1. A ring of
    /// [`RingSlot::default`] has [`Limits::ring_credits`](super::Limits::ring_credits).
    pub fn with_credits(credits: u32) -> Self {
        Self { most: credits.max(1), ..Self::default() }
    }

    /// The job that is guilty if the ring is reset now.
    pub(super) fn guilty(&self) -> Option<u32> {
        self.accused().filter(|_| !self.acquitted)
    }

    /// The job that is guilty unless the driver finds that the ring is not in it.
    pub(super) fn accused(&self) -> Option<u32> {
        match self.blame {
            Blame::Nobody => None,
            Blame::Overdue(job) => Some(job),
            Blame::Oldest => self.pending.front(),
        }
    }
}
