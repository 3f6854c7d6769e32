//! The machine of these tests: a card, a hand on its rings, and jobs that leave their numbers in a log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat::{Fence, Outcome, Priority};
use lifeboat_gpu::Config;
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{Context, Device, Handle, Queue, Submission};

use crate::hold::Hold;
use crate::log::Log;
use crate::machine::{LONG, Machine};

/// Commands of a job that only writes its number, and the sequence number at its end.
pub(crate) const SMALL: u32 = 4;

/// What a test needs.
pub(crate) struct Options {
    pub(crate) rings: u8,
    /// Jobs of one log.
    pub(crate) entries: u32,
    pub(crate) timeout: Duration,
}

impl Default for Options {
    /// Nothing is late.
    fn default() -> Self {
        Self { rings: 2, entries: 256, timeout: LONG * 3 }
    }
}

/// A context, and the log of its jobs.
pub(crate) struct Space {
    pub(crate) context: Context,
    pub(crate) log: Log,
}

/// A queue whose jobs write into a log.
pub(crate) struct Lane {
    pub(crate) queue: Queue,
    space: Arc<Space>,
}

/// What a job is and waits for.
#[derive(Default)]
pub(crate) struct Spec<'a> {
    /// Credits, if more than [`SMALL`].
    pub(crate) credits: u32,
    pub(crate) after: Option<&'a Job>,
    /// What it does besides, at the end.
    pub(crate) then: &'a [Work],
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) number: u32,
    pub(crate) fence: Fence,
}

pub(crate) struct Rig {
    // First, so that it opens before anything waits for a ring, also after a panic.
    pub(crate) hold: Hold,
    pub(crate) space: Arc<Space>,
    pub(crate) handle: Handle,
    pub(crate) device: Device,
    settler: Queue,
    next: Mutex<u32>,
    ends: Arc<Mutex<Vec<(u32, Outcome)>>>,
    entries: u32,
    pub(crate) machine: Machine,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(Options { rings, entries, timeout }: Options) -> Self {
        let machine = Machine::with(Config { rings, ..Config::default() }, timeout);
        let hold = Hold::new();
        machine.card().set_recorder(Some(hold.recorder()));
        let device = machine.added();
        let handle = device.open().unwrap();
        let space = Self::space_of(&handle, entries);
        let settler = handle.create_queue(&space.context, rings - 1, Priority::Low).unwrap();
        Self { hold, space, handle, device, settler, next: Mutex::default(), ends: Arc::default(), entries, machine }
    }

    fn space_of(handle: &Handle, entries: u32) -> Arc<Space> {
        let context = handle.create_context().unwrap();
        let log = Log::new(handle, &context, entries);
        Arc::new(Space { context, log })
    }

    /// Another context with a log of its own.
    pub(crate) fn space(&self) -> Arc<Space> {
        Self::space_of(&self.handle, self.entries)
    }

    pub(crate) fn lane(&self, ring: u8, priority: Priority) -> Lane {
        self.lane_in(&self.space, ring, priority)
    }

    pub(crate) fn lane_in(&self, space: &Arc<Space>, ring: u8, priority: Priority) -> Lane {
        let queue = self.handle.create_queue(&space.context, ring, priority).unwrap();
        Lane { queue, space: space.clone() }
    }

    pub(crate) fn lanes(&self, count: usize) -> Vec<Lane> {
        (0..count).map(|_| self.lane(0, Priority::Normal)).collect()
    }

    /// All credits of a ring.
    pub(crate) fn all_credits(&self) -> u32 {
        u32::try_from(self.device.info().max_commands).unwrap() + 1
    }

    /// The credits of jobs of which `count` fit on a ring, and one more does not.
    pub(crate) fn credits_of(&self, count: u32) -> u32 {
        self.all_credits() / (count + 1) + 1
    }

    pub(crate) fn submit(&self, lane: &Lane, spec: &Spec<'_>) -> Job {
        let number = {
            let mut next = self.next.lock().unwrap();
            *next += 1;
            *next - 1
        };
        let mut commands = lane.space.log.write(number).to_vec();
        commands.extend(spec.then);
        let padding = (spec.credits as usize).saturating_sub(commands.len() + 1);
        commands.extend(std::iter::repeat_n(Work::Nop, padding));
        let after: Vec<Fence> = spec.after.map(|job| job.fence.clone()).into_iter().collect();
        let submission = Submission { after: &after, ..Submission::new(&lane.queue, &commands) };
        let fence = self.handle.submit(&submission).unwrap();
        let ends = self.ends.clone();
        fence.on_signal(move |outcome| ends.lock().unwrap().push((number, outcome)));
        Job { number, fence }
    }

    /// A small job that waits for nothing.
    pub(crate) fn small(&self, lane: &Lane) -> Job {
        self.submit(lane, &Spec::default())
    }

    /// A job that takes the whole ring and stays on it, until the hold opens: whatever is submitted then has to wait,
    /// and its order is the scheduler's.
    pub(crate) fn block(&self, lane: &Lane) -> Job {
        let begun = self.hold.begun();
        let job = self.submit(lane, &Spec { credits: self.all_credits(), ..Spec::default() });
        self.hold.wait_begun(begun + 1);
        job
    }

    /// When this returns, all that was due before the call has been done: signals, releases, and jobs for other rings.
    /// The last ring must be idle.
    ///
    /// The core serves the rings in turn, beginning behind the one that it served last. A job of the last ring is
    /// therefore served behind one of every other ring that was due, except of one that has just been served. So two jobs
    /// in a row, while no ring is given anything, show that nothing is due.
    pub(crate) fn settle(&self) {
        let given = || (0..self.device.info().rings - 1).map(|ring| self.given(ring)).collect::<Vec<_>>();
        let (mut before, mut quiet) = (given(), 0);
        while quiet < 2 {
            let submission = Submission::new(&self.settler, &[Work::Nop]);
            self.handle.submit(&submission).unwrap().wait(LONG).unwrap();
            let now = given();
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
        }
    }

    /// The ring's doorbell: how many descriptors it was given since the start, modulo those it has.
    pub(crate) fn given(&self, ring: u8) -> u32 {
        let registers = self.machine.slot.function().unwrap().bar(regs::REGISTER_BAR).unwrap();
        registers.read32(regs::ring(ring, regs::RING_TAIL)).unwrap()
    }

    /// The jobs that have run in the first context, in order.
    pub(crate) fn log(&self) -> Vec<u32> {
        self.space.log.read()
    }

    /// The jobs that have ended, in order, and how.
    pub(crate) fn ends(&self) -> Vec<(u32, Outcome)> {
        self.ends.lock().unwrap().clone()
    }

    /// Waits until all of these have done their work.
    pub(crate) fn all_done<'a>(&self, jobs: impl IntoIterator<Item = &'a Job>) {
        self.hold.open();
        for job in jobs {
            assert_eq!(job.fence.wait(LONG), Ok(()), "job {}", job.number);
        }
    }

    /// The same for a test on one ring, whose jobs must have run in this order, and have ended in it.
    pub(crate) fn all_done_in_order(&self, jobs: &[Job]) {
        self.all_done(jobs);
        assert_eq!(self.log(), numbers(jobs));
        // The last one's waiter may have been quicker than its callback, which the worker had in hand.
        self.settle();
        assert_eq!(self.ends(), numbers(jobs).into_iter().map(|number| (number, Ok(()))).collect::<Vec<_>>());
    }

    /// Everybody leaves. Nothing may be left, and nothing may have been done wrong.
    pub(crate) fn finish(self) {
        let Self { hold, space, handle, device, settler, machine, .. } = self;
        hold.open();
        drop((space, handle, device, settler));
        machine.finish();
    }
}

pub(crate) fn numbers(jobs: &[Job]) -> Vec<u32> {
    jobs.iter().map(|job| job.number).collect()
}
