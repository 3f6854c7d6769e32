//! `lifeboat run`: filters a picture on the GPU while faults happen to it, and proves that nothing was lost.
//!
//! In the order in which data goes through: [`picture`] and [`tiles`] make the `workload`; each `client` takes tiles from
//! it into a `session` on one of the `devices`, which are `hosted`, the built-in GPU with its faults, or come from a `node`,
//! the device of a kernel; [`reference`](mod@reference) judges the result, `baseline` is what the benchmark measures its speed by,
//! and the [`report`] says it all.

pub mod baseline;
mod budget;
mod client;
pub mod destination;
mod devices;
pub mod error;
pub mod fault_spec;
pub mod filter;
mod hosted;
pub mod memory;
mod node;
pub mod picture;
pub mod progress;
pub mod reference;
pub mod report;
mod session;
mod tally;
pub mod tiles;
pub mod timeline;
mod workload;

use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::args::RunArgs;
use crate::interrupt::Interrupt;
use budget::{Budget, TooLittle};
use destination::{Destination, TimelineFormat};
use filter::Convolution;
use picture::{Picture, Source};
use report::{BuiltIn, Fate, Incidents, Jobs, PictureSummary, Tiles};
use tally::Tally;
use tiles::TileGrid;
use timeline::Timeline;
use workload::Rest;

pub use error::RunError;
pub use node::NodeError;
pub use report::RunReport;

/// Carries out `lifeboat run`.
///
/// # Errors
/// Whatever keeps the run from having a result to report.
pub fn run(args: &RunArgs, interrupt: &Interrupt) -> Result<RunReport, RunError> {
    let out = args.out.as_deref().map(Destination::for_picture).transpose()?;
    let drawing = args.timeline.as_deref().map(Destination::for_timeline).transpose()?;
    let source = Source::new(args.image.as_deref());
    let picture = source.load()?;
    let convolution = args.filter.convolution();
    let side = NonZeroU16::new(args.tiles).unwrap_or(NonZeroU16::MIN);
    let halo = convolution.kernel.radius();
    let grid = TileGrid::new(picture.width(), picture.height(), side, halo);

    let timeline = Arc::new(if drawing.is_some() { Timeline::start() } else { Timeline::off() });
    let task = Task { args, picture: &picture, convolution: &convolution, side, grid, timeline: &timeline, interrupt };
    let outcome = match &args.device {
        None => hosted::perform(&task),
        Some(device) => node::perform(&task, device),
    }?;
    let Outcome { rest, tally, took, outage, .. } = outcome;

    let threads = NonZeroUsize::new(hosted::RINGS.into()).unwrap_or(NonZeroUsize::MIN);
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
        device: outcome.device,
        faults: outcome.faults,
        allow_unfired: args.allow_unfired,
        jobs: Jobs { lost: rest.lost_jobs, ..tally.jobs },
        longest_wait_us: tally.longest_wait_us(),
        fences: tally.fences,
        unplugs: outcome.unplugs,
        replugs: outcome.replugs,
        incidents: outcome.incidents,
        events_lost: outcome.events_lost,
        dumps: outcome.dumps.iter().map(|file| file.display().to_string()).collect(),
        built_in: outcome.built_in,
        tiles: Tiles { all: rest.tiles_all, done: rest.tiles_done, unequal: rest.unequal },
        output_matches_reference,
        saved: out.as_ref().map(|out| out.path().display().to_string()),
        not_saved: args.out.as_ref().filter(|_| !output_matches_reference).map(|path| path.display().to_string()),
        mismatch: compared.and_then(Result::err),
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

/// The part of a run that needs a GPU, whichever.
struct Task<'a> {
    args: &'a RunArgs,
    picture: &'a Picture,
    convolution: &'a Convolution,
    side: NonZeroU16,
    grid: TileGrid,
    timeline: &'a Arc<Timeline>,
    interrupt: &'a Interrupt,
}

/// What came of it.
struct Outcome {
    rest: Rest,
    tally: Tally,
    took: Duration,
    outage: Duration,
    unplugs: u64,
    replugs: u64,
    incidents: Incidents,
    faults: Vec<Fate>,
    dumps: Vec<PathBuf>,
    events_lost: Option<u64>,
    device: Option<String>,
    built_in: Option<BuiltIn>,
}

impl Task<'_> {
    /// Shares out `have` bytes of a device's memory among the clients; `shown` bytes of it are in use otherwise.
    fn budget(&self, have: u64, shown: u64) -> Result<Budget, TooLittle> {
        Budget::new(self.picture, self.side, self.convolution.kernel.radius(), self.args.clients, have, shown)
    }
}

fn title(args: &RunArgs, source: &Source) -> String {
    format!("lifeboat run: {source}, {}, {} clients", args.filter, args.clients)
}

/// Exact up to 2^53, which no count here reaches.
#[allow(clippy::cast_precision_loss)]
fn f64_of(count: u64) -> f64 {
    count as f64
}
