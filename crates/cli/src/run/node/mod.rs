//! A run on the device of a kernel, through the node of its driver.
//!
//! The run does what docs/uapi.md asks of a program that wants to survive. [`place`] is where the device is, whatever its node is called;
//! the [`watch`] knows whether it is there; `opened` is the device as clients use it, until it is lost.

mod error;
mod opened;
mod place;
mod watch;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::thread;
use std::time::Instant;

pub use error::NodeError;

use super::budget::TooLittle;
use super::client::{Surroundings, joined, work_all};
use super::error::RunError;
use super::progress::Progress;
use super::report::Incidents;
use super::workload::Workload;
use super::{Outcome, Task};
use place::Place;
use watch::Watch;

/// Ends the watch when it is dropped.
struct EndOfWatch<'a>(&'a Watch<'a>);

impl Drop for EndOfWatch<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Does the work of a run on a device that the user calls `name`.
///
/// # Errors
/// Whatever keeps the run from having a result to report.
pub(super) fn perform(task: &Task<'_>, name: &OsStr) -> Result<Outcome, RunError> {
    let args = task.args;
    let place = Place::named(name)?;
    let found = place.find()?;
    // A quarter is left to others, the driver among them.
    let have = found.info.vram_bytes / 4 * 3;
    let too_small =
        |TooLittle { have, need }| NodeError::MemoryTooSmall { have: have >> 20, need: need.div_ceil(1 << 20) };
    let budget = task.budget(have, 0).map_err(too_small)?;
    let workload = Workload::new(task.picture, task.grid, args.rounds(), |_| Vec::new(), Box::new(|_| {}));
    let progress = Progress::new(workload.total(), args.shown_progress());
    // A minute at most.
    let job_limit_ms = args.timeout.map_or(0, |limit| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX));
    let watch = Watch::new(&place, found, job_limit_ms, args.wait, &progress, task.timeline);
    let around = Surroundings {
        devices: &watch,
        workload: &workload,
        source: task.picture,
        convolution: task.convolution,
        budget: &budget,
        timeline: task.timeline,
        progress: &progress,
        patience: args.wait,
    };

    let began = Instant::now();
    let close_if_asked = || {
        if task.interrupt.is_requested() {
            workload.close();
        }
    };
    let (tally, took, outages) = thread::scope(|scope| -> Result<_, RunError> {
        let watcher = thread::Builder::new().name("watch".into()).spawn_scoped(scope, || watch.run(close_if_asked))?;
        // A client that panics ends the watch as well: nothing waits for the watcher for ever.
        let end = EndOfWatch(&watch);
        let tally = work_all(args.clients, &around);
        let took = began.elapsed();
        let outages = watch.conclude();
        drop(end);
        joined(watcher);
        Ok((tally?, took, outages))
    })?;
    progress.finish();
    let losses =
        if outages.losses > 0 { BTreeMap::from([("lost".to_owned(), outages.losses)]) } else { BTreeMap::new() };
    Ok(Outcome {
        rest: workload.into_rest(),
        tally,
        took,
        outage: outages.lasted,
        unplugs: outages.losses,
        replugs: outages.returns,
        incidents: Incidents { losses, ..Incidents::default() },
        faults: Vec::new(),
        dumps: Vec::new(),
        events_lost: None,
        device: Some(place.address().to_owned()),
        built_in: None,
    })
}
