//! Clients on devices that do as a script says: each device serves for a while, and is lost in a way of its own.

use std::cell::Cell;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use lifeboat_lb1::command::{GpuVa, Work};

use super::*;
use crate::run::NodeError;
use crate::run::devices::Memory;
use crate::run::filter::Filter;
use crate::run::tiles::TileGrid;
use crate::run::workload::Rest;

/// How a device comes to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// Lost before it is opened.
    Unopened,
    /// Lost while memory is asked for.
    Unprepared,
    /// Takes so many jobs, and then bans the client.
    Banned(u32),
    /// Takes so many jobs, and is lost then: no later job completes.
    Lost(u32),
    /// Lost after so many jobs, and before their results are read: these are nonsense.
    Unread(u32),
    /// Refuses a job for a reason that is no loss.
    Broken,
    /// There is none, and none will come.
    None,
    /// None: it serves to the end of the work.
    Never,
}

/// A pixel's bytes of a result, and of nonsense.
const RIGHT: u8 = 7;
const NONSENSE: u8 = 0xee;

/// Devices in turn; the last one for ever.
struct Script {
    ends: &'static [End],
    opened: AtomicUsize,
}

struct Scripted {
    end: End,
    jobs: Cell<u32>,
}

impl Scripted {
    fn refusal(&self) -> Option<Refused> {
        match self.end {
            End::Banned(jobs) if self.jobs.get() >= jobs => Some(Refused::Banned),
            End::Lost(jobs) if self.jobs.get() > jobs => Some(Refused::Lost),
            End::Broken => Some(broken()),
            _ => None,
        }
    }
}

fn broken() -> Refused {
    Refused::Failed(NodeError::Unfit { place: "here".to_owned(), lacks: "everything" }.into())
}

impl Devices for Script {
    type Opened = Scripted;

    fn open(&self, _: Duration, _: &dyn Fn() -> bool) -> Result<Option<Scripted>, Refused> {
        let turn = self.opened.fetch_add(1, SeqCst);
        match self.ends[turn.min(self.ends.len() - 1)] {
            End::Unopened => Err(Refused::Lost),
            End::None => Ok(None),
            end => Ok(Some(Scripted { end, jobs: Cell::new(0) })),
        }
    }
}

impl Opened for Scripted {
    type Buffer = ();
    type Queue = ();
    /// The number of a job.
    type Fence = u32;

    fn rings(&self) -> u8 {
        2
    }

    fn is_live(&self) -> bool {
        match self.end {
            End::Banned(jobs) | End::Lost(jobs) | End::Unread(jobs) => self.jobs.get() < jobs,
            _ => true,
        }
    }

    fn queue(&self, _: u8) -> Result<(), Refused> {
        Ok(())
    }

    fn buffer(&self, _: Memory, _: u64) -> Result<((), GpuVa), Refused> {
        if self.end == End::Unprepared { Err(Refused::Lost) } else { Ok(((), GpuVa(0))) }
    }

    fn write(&self, (): &(), _: u64, _: &[u8]) -> Result<(), RunError> {
        Ok(())
    }

    fn read(&self, (): &(), bytes: &mut [u8]) -> Result<(), Refused> {
        let nonsense = matches!(self.end, End::Unread(jobs) if self.jobs.get() >= jobs);
        bytes.fill(if nonsense { NONSENSE } else { RIGHT });
        if nonsense { Err(Refused::Lost) } else { Ok(()) }
    }

    fn submit(&self, (): &(), _: Work, _: Option<&u32>) -> Result<u32, Refused> {
        if let Some(refused) = self.refusal() {
            return Err(refused);
        }
        self.jobs.set(self.jobs.get() + 1);
        Ok(self.jobs.get())
    }

    fn wait(&self, job: &u32, _: Duration) -> Result<(), WaitError> {
        match self.end {
            End::Lost(jobs) if *job > jobs => Err(FenceError::Lost.into()),
            _ => Ok(()),
        }
    }
}

/// Result of twelve tiles, by one client.
fn work(ends: &'static [End]) -> (Result<Tally, RunError>, Rest) {
    let picture = Picture::from_rgba(4, 3, vec![1; 48]).unwrap();
    let grid = TileGrid::new(4, 3, NonZeroU16::MIN, 0);
    let workload = Workload::new(&picture, grid, 1, |_| Vec::new(), Box::new(|_| {}));
    let around = Surroundings {
        devices: &Script { ends, opened: AtomicUsize::new(0) },
        workload: &workload,
        source: &picture,
        convolution: &Filter::Sobel.convolution(),
        budget: &Budget { depth: 2, source_bytes: 4, output_bytes: 4 },
        timeline: &Timeline::off(),
        progress: &Progress::new(12, None),
        patience: Duration::ZERO,
    };
    let tally = work_all(1, &around);
    (tally, workload.into_rest())
}

/// All is done, nothing is wrong, and each submission is accounted for.
fn all_is_well(ends: &'static [End]) -> Tally {
    let (tally, rest) = work(ends);
    let tally = tally.unwrap();
    assert!(rest.complete && rest.lost_jobs == 0 && rest.tiles_done == 12, "{ends:?}");
    assert!(rest.output.pixels().iter().all(|byte| *byte == RIGHT), "{ends:?}");
    assert_eq!(tally.jobs.submitted, tally.jobs.completed + tally.jobs.resubmitted, "{ends:?}");
    assert_eq!(tally.fences.created, tally.fences.signalled, "{ends:?}");
    tally
}

#[test]
fn without_a_loss_each_tile_takes_three_jobs() {
    let tally = all_is_well(&[End::Never]);
    assert_eq!((tally.jobs.submitted, tally.jobs.resubmitted), (36, 0));
}

#[test]
fn however_a_device_ends_the_work_goes_on_with_the_next() {
    all_is_well(&[End::Unopened, End::Unprepared, End::Never]);
    all_is_well(&[End::Banned(4), End::Banned(0), End::Banned(5), End::Never]);
    for jobs in 0..9 {
        let ends: &[End] = vec![End::Lost(jobs), End::Unopened, End::Lost(jobs), End::Never].leak();
        let tally = all_is_well(ends);
        let lost = tally.fences.by_error.get("ENODEV").copied().unwrap_or(0);
        assert_eq!(lost, tally.jobs.resubmitted, "lost after {jobs} jobs");
    }
}

/// A job that completed is worth nothing if its result was read after the loss: a map of a lost device shows nonsense.
#[test]
fn what_is_read_after_a_loss_is_done_again() {
    for jobs in 1..9 {
        all_is_well(vec![End::Unread(jobs), End::Never].leak());
    }
}

#[test]
fn a_refusal_that_is_no_loss_ends_the_work() {
    let (tally, rest) = work(&[End::Lost(4), End::Broken]);
    assert!(matches!(tally, Err(RunError::Node(NodeError::Unfit { .. }))));
    assert!(!rest.complete);
}

#[test]
fn without_a_device_the_work_ends_and_what_was_lost_is_told() {
    let (tally, rest) = work(&[End::Lost(4), End::None]);
    let tally = tally.unwrap();
    assert!(!rest.complete && rest.lost_jobs > 0);
    assert_eq!(tally.jobs.submitted, tally.jobs.completed + tally.jobs.resubmitted + rest.lost_jobs);
}
