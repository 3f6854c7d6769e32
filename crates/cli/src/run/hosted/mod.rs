//! A run on the built-in GPU: a machine with the GPU in its slot, and faults that happen to it.
//!
//! The `machine` has the device, the `conductor` lets faults happen to it, the `ledger` says what became of them, `present`
//! shows the picture as it stands, `dumps` keeps what was found when something went wrong, and `opened` is the device as
//! clients use it.

mod conductor;
mod dumps;
mod ledger;
mod machine;
mod opened;
mod present;

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_gpu::Config;

use super::budget::TooLittle;
use super::client::{Surroundings, joined, work_all};
use super::error::RunError;
use super::progress::Progress;
use super::report::BuiltIn;
use super::tally::Tally;
use super::workload::Workload;
use super::{Outcome, Task};
use crate::uevents;
use conductor::{Conductor, Cue};
use dumps::DumpDirectory;
use ledger::Ledger;
use machine::{Listeners, Machine};
use present::{Preview, Shown};

/// Rings of the GPU: as many threads as it computes with, and as the yardstick gets.
pub(super) const RINGS: u8 = 2;
/// How long clients wait for a device beyond the time for which it was said to stay away. Coming back takes
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Does the work of a run on the built-in GPU.
///
/// # Errors
/// Whatever keeps the run from having a result to report.
pub(super) fn perform(task: &Task<'_>) -> Result<Outcome, RunError> {
    let args = task.args;
    let dumps = args.dump_dir.as_deref().map(DumpDirectory::claim).transpose()?;
    let uevents = args.events.as_deref().map(uevents::connect).transpose()?;
    let vram_bytes = u64::from(args.vram) << 20;
    let budget =
        task.budget(vram_bytes, Preview::of(task.picture).bytes_of_two()).map_err(|TooLittle { have, need }| {
            RunError::VramTooSmall { have: have >> 20, need: need.div_ceil(1 << 20) }
        })?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let ledger = Ledger::new(args.faults());

    let (cues, cue_receiver) = mpsc::channel();
    let told = |cues: &Sender<Cue>, cue| {
        // The conductor leaves last; what comes after is of no interest.
        let _ = cues.send(cue);
    };
    let (to_conductor, from_user) = (cues.clone(), cues.clone());
    let on_milestone = Box::new(move |done| told(&to_conductor, Cue::Progress(done)));
    let milestones = |total| conductor::milestones(ledger.faults(), total);
    let workload = Workload::new(task.picture, task.grid, args.rounds(), milestones, on_milestone);
    task.interrupt.on_request(move || told(&from_user, Cue::Interrupted));
    let progress = Progress::new(workload.total(), args.shown_progress());
    let config = Config { vram_bytes, rings: RINGS, seed };
    let listeners = Listeners { dumps, uevents };
    let machine = Machine::new(config, args, task.timeline.clone(), progress.clone(), listeners)?;

    let longest_absence = ledger.faults().iter().filter_map(|fault| fault.replug).max().unwrap_or_default();
    let around = Surroundings {
        devices: &**machine.watch(),
        workload: &workload,
        source: task.picture,
        convolution: task.convolution,
        budget: &budget,
        timeline: task.timeline,
        progress: &progress,
        patience: PATIENCE + longest_absence,
    };
    let began = Instant::now();
    let (tally, shown) = all_parts(args.clients, &machine, &around, &ledger, &cues, cue_receiver)?;
    let took = began.elapsed();
    let outage = machine.watch().conclude();
    let scanout_matches = shown.is_on_screen(&machine.slot);
    progress.finish();
    let remains = machine.switch_off();
    Ok(Outcome {
        rest: workload.into_rest(),
        tally,
        took,
        outage,
        unplugs: remains.unplugs,
        replugs: remains.replugs,
        incidents: remains.incidents,
        faults: ledger.conclude(remains.most),
        dumps: remains.dumps?,
        events_lost: remains.events_lost,
        device: None,
        built_in: Some(BuiltIn {
            seed,
            unplug_us: remains.unplug_us,
            handles_open_at_end: remains.handles_open,
            leaks: remains.leaks,
            witness_violations: remains.violations,
            flips: shown.flips,
            scanout_matches,
        }),
    })
}

/// Clients, compositor and conductor, each on a thread of its own, until the work is over.
fn all_parts(
    clients: u8,
    machine: &Machine,
    around: &Surroundings<'_, machine::Watch>,
    ledger: &Ledger,
    cues: &Sender<Cue>,
    cue_receiver: Receiver<Cue>,
) -> Result<(Tally, Shown), RunError> {
    let workload = around.workload;
    let mut conductor = Conductor::begin(machine, around.timeline, workload, ledger.clone(), cues.clone())?;
    thread::scope(|scope| {
        let thread = |name: &str| thread::Builder::new().name(name.into());
        let conductor = thread("conductor")
            .spawn_scoped(scope, move || conductor.conduct(&cue_receiver).inspect_err(|_| workload.close()))?;
        let compositor = thread("compositor").spawn_scoped(scope, move || {
            let mut tally = Tally::default();
            present::present(around.devices, workload, &mut tally).map(|shown| (tally, shown))
        });
        if compositor.is_err() {
            workload.close();
        }
        let clients = work_all(clients, around);
        let compositor = compositor.map(joined);
        let _ = cues.send(Cue::End);
        joined(conductor)?;
        let (tally, shown) = compositor??;
        Ok((clients?.plus(tally), shown))
    })
}
