//! `lifeboat run`: filters a picture on the GPU while faults happen to it, and proves that nothing was lost.
//!
//! In the order in which data goes through: [`picture`] and [`tiles`] make the `workload`; each `client` takes tiles from
//! it into a `session` on a device; the `machine` has the device, and the `conductor` lets faults happen to it; `present`
//! shows the result; [`reference`](mod@reference) judges it, `baseline` is what the benchmark measures its speed by, and the [`report`] says it all.

pub mod baseline;
mod budget;
mod client;
mod conductor;
pub mod destination;
mod dumps;
pub mod error;
pub mod fault_spec;
pub mod filter;
mod ledger;
mod machine;
pub mod memory;
pub mod picture;
mod present;
pub mod progress;
pub mod reference;
pub mod report;
mod session;
mod tally;
pub mod tiles;
pub mod timeline;
mod workload;

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use lifeboat_gpu::Config;

use crate::args::RunArgs;
use crate::interrupt::Interrupt;
use crate::uevents;
use budget::Budget;
use client::{Client, Surroundings};
use conductor::{Conductor, Cue};
use destination::{Destination, TimelineFormat};
use dumps::DumpDirectory;
use filter::Convolution;
use ledger::Ledger;
use machine::{Listeners, Machine, Remains};
use picture::{Picture, Source};
use present::Shown;
use progress::Progress;
use report::{Jobs, PictureSummary, Tiles};
use tally::Tally;
use tiles::TileGrid;
use timeline::Timeline;
use workload::{Rest, Workload};

pub use error::RunError;
pub use report::RunReport;

/// Rings of the GPU: as many threads as it computes with, and as the yardstick gets.
const RINGS: u8 = 2;
/// How long clients wait for a device beyond the time for which it was said to stay away. Coming back takes
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Carries out `lifeboat run`.
///
/// # Errors
/// Whatever keeps the run from having a result to report.
pub fn run(args: &RunArgs, interrupt: &Interrupt) -> Result<RunReport, RunError> {
    let out = args.out.as_deref().map(Destination::for_picture).transpose()?;
    let drawing = args.timeline.as_deref().map(Destination::for_timeline).transpose()?;
    let dumps = args.dump_dir.as_deref().map(DumpDirectory::claim).transpose()?;
    let uevents = args.events.as_deref().map(uevents::connect).transpose()?;
    let source = Source::new(args.image.as_deref());
    let picture = source.load()?;
    let convolution = args.filter.convolution();
    let side = NonZeroU16::new(args.tiles).unwrap_or(NonZeroU16::MIN);
    let halo = convolution.kernel.radius();
    let budget = Budget::new(&picture, side, halo, args.clients, args.vram)?;
    let grid = TileGrid::new(picture.width(), picture.height(), side, halo);

    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let timeline = Arc::new(if drawing.is_some() { Timeline::start() } else { Timeline::off() });
    let ledger = Ledger::new(args.faults());
    let job = Job {
        args,
        picture: &picture,
        convolution: &convolution,
        budget,
        grid,
        seed,
        timeline: &timeline,
        ledger: &ledger,
    };
    let Outcome { rest, tally, shown, on_screen, took, outage, remains } =
        job.perform(Listeners { dumps, uevents }, interrupt)?;
    let dumps = remains.dumps?;

    let threads = NonZeroUsize::new(RINGS.into()).unwrap_or(NonZeroUsize::MIN);
    let interrupted = interrupt.is_requested() && !rest.complete;
    let compared = rest.complete.then(|| reference::compare(&picture, &convolution, &rest.output, threads));
    let working = took.saturating_sub(outage).as_secs_f64();
    let tile_share = f64_of(rest.tiles_done) / f64_of(u64::from(grid.len()));
    let rate = tile_share * f64::from(picture.width()) * f64::from(picture.height()) / 1e6;
    // If there never was a device to work with, nothing was fast.
    let rate = if working > 0.0 { rate / working } else { 0.0 };
    let output_matches_reference = compared == Some(Ok(())) && rest.unequal == 0;
    // Whoever finds a picture there must be able to trust it.
    let out = out.filter(|_| output_matches_reference);
    let report = RunReport {
        picture: PictureSummary {
            width: picture.width(),
            height: picture.height(),
            source: source.to_string(),
            notes: picture.notes().to_vec(),
        },
        filter: args.filter,
        clients: args.clients,
        tile: args.tiles,
        repeat: args.rounds(),
        seed,
        faults: ledger.conclude(remains.most),
        allow_unfired: args.allow_unfired,
        jobs: Jobs { lost: rest.lost_jobs, ..tally.jobs },
        longest_wait_us: tally.longest_wait_us(),
        fences: tally.fences,
        unplugs: remains.unplugs,
        replugs: remains.replugs,
        incidents: remains.incidents,
        unplug_us: remains.unplug_us,
        events_lost: remains.events_lost,
        dumps: dumps.iter().map(|file| file.display().to_string()).collect(),
        handles_open_at_end: remains.handles_open,
        leaks: remains.leaks,
        witness_violations: remains.violations,
        tiles: Tiles { all: rest.tiles_all, done: rest.tiles_done, unequal: rest.unequal },
        output_matches_reference,
        saved: out.as_ref().map(|out| out.path().display().to_string()),
        not_saved: args.out.as_ref().filter(|_| !output_matches_reference).map(|path| path.display().to_string()),
        mismatch: compared.and_then(Result::err),
        flips: shown.flips,
        scanout_matches: on_screen,
        interrupted,
        seconds: took.as_secs_f64(),
        outage_seconds: outage.as_secs_f64(),
        mpixel_per_s: rate,
        peak_memory_bytes: memory::peak_bytes(),
    };
    drop(picture);
    if let Some(out) = out {
        out.commit(|file| rest.output.write_png(file))?;
    }
    if let Some((file, format)) = drawing {
        let recording = timeline.finish();
        file.commit(|file| match format {
            TimelineFormat::Drawing => timeline::drawing::write(&recording, &title(args, &source), file),
            TimelineFormat::Trace => timeline::trace::write(&recording, file),
        })?;
    }
    Ok(report)
}

/// The part of a run that needs a GPU.
struct Job<'a> {
    args: &'a RunArgs,
    picture: &'a Picture,
    convolution: &'a Convolution,
    budget: Budget,
    grid: TileGrid,
    seed: u64,
    timeline: &'a Arc<Timeline>,
    ledger: &'a Ledger,
}

/// What came of it.
struct Outcome {
    rest: Rest,
    tally: Tally,
    shown: Shown,
    on_screen: Option<bool>,
    took: Duration,
    outage: Duration,
    remains: Remains,
}

impl Job<'_> {
    fn perform(&self, listeners: Listeners, interrupt: &Interrupt) -> Result<Outcome, RunError> {
        let (cues, cue_receiver) = mpsc::channel();
        let told = |cues: &Sender<Cue>, cue| {
            // The conductor leaves last; what comes after is of no interest.
            let _ = cues.send(cue);
        };
        let (to_conductor, from_user) = (cues.clone(), cues.clone());
        let on_milestone = Box::new(move |done| told(&to_conductor, Cue::Progress(done)));
        let milestones = |total| conductor::milestones(self.ledger.faults(), total);
        let workload = Workload::new(self.picture, self.grid, self.args.rounds(), milestones, on_milestone);
        interrupt.on_request(move || told(&from_user, Cue::Interrupted));
        let progress = Progress::new(workload.total(), self.args.quiet);
        let config = Config { vram_bytes: u64::from(self.args.vram) << 20, rings: RINGS, seed: self.seed };
        let machine = Machine::new(config, self.args, self.timeline.clone(), progress.clone(), listeners)?;

        let began = Instant::now();
        let (tally, shown) = self.all_parts(&machine, &workload, &progress, &cues, cue_receiver)?;
        let took = began.elapsed();
        let outage = machine.watch().conclude();
        let on_screen = shown.is_on_screen(&machine.slot);
        progress.finish();
        let remains = machine.switch_off();
        Ok(Outcome { rest: workload.into_rest(), tally, shown, on_screen, took, outage, remains })
    }

    /// Clients, compositor and conductor, each on a thread of its own, until the work is over.
    fn all_parts(
        &self,
        machine: &Machine,
        workload: &Workload,
        progress: &Progress,
        cues: &Sender<Cue>,
        cue_receiver: Receiver<Cue>,
    ) -> Result<(Tally, Shown), RunError> {
        let longest_absence = self.ledger.faults().iter().filter_map(|fault| fault.replug).max().unwrap_or_default();
        let around = Surroundings {
            watch: machine.watch(),
            workload,
            source: self.picture,
            convolution: self.convolution,
            budget: &self.budget,
            timeline: self.timeline,
            progress,
            patience: PATIENCE + longest_absence,
        };
        let mut conductor = Conductor::begin(machine, self.timeline, workload, self.ledger.clone(), cues.clone())?;
        std::thread::scope(|scope| {
            let thread = |name: String| std::thread::Builder::new().name(name);
            let conductor = thread("conductor".into())
                .spawn_scoped(scope, move || conductor.conduct(&cue_receiver).inspect_err(|_| workload.close()))?;
            let compositor = thread("compositor".into()).spawn_scoped(scope, move || {
                let mut tally = Tally::default();
                present::present(machine.watch(), workload, &mut tally).map(|shown| (tally, shown))
            });
            let client = |number| {
                thread(format!("client {number}")).spawn_scoped(scope, move || {
                    let mut client = Client::new(number, around);
                    client.work().map(|()| client.tally)
                })
            };
            let clients: Vec<_> = (1..=self.args.clients).map(client).collect();
            if clients.iter().any(Result::is_err) || compositor.is_err() {
                // Those that were started must not wait for the others.
                workload.close();
            }
            let clients: Result<Vec<_>, RunError> = clients.into_iter().map(|client| Ok(joined(client?)?)).collect();
            let compositor = compositor.map(joined);
            let _ = cues.send(Cue::End);
            joined(conductor)?;
            let (tally, shown) = compositor??;
            Ok((clients?.into_iter().fold(tally, Tally::plus), shown))
        })
    }
}

/// What a thread returned; a panic of it goes on here.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn title(args: &RunArgs, source: &Source) -> String {
    format!("lifeboat run: {source}, {}, {} clients", args.filter, args.clients)
}

/// Exact up to 2^53, which no count here reaches.
#[allow(clippy::cast_precision_loss)]
fn f64_of(count: u64) -> f64 {
    count as f64
}
