//! What the user may say.
//!
//! The types here hold only values that make sense on their own; what depends on files is checked when those are opened.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use lifeboat::core::recovery::Budget;
use lifeboat::core::vitals::Watch;

use crate::dump::DumpCommand;
use crate::forward::ForwardArgs;
use crate::gpu::args::GpuCommand;
use crate::run::fault_spec::{FaultKind, FaultSpec, Percent, Trigger};
use crate::run::filter::Filter;

/// Runs GPU work that survives the loss of its GPU.
#[derive(Debug, Parser)]
#[command(
    name = "lifeboat",
    version,
    after_help = "Without a subcommand: `lifeboat run`, a demonstration of some seconds."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The subcommands.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Filter a picture on the GPU while faults happen to it, and prove that nothing was lost
    Run(RunArgs),
    /// What each call does before, during and after the loss of its device
    Calls(CallsArgs),
    /// The state of a device when something went wrong with it
    #[command(subcommand, arg_required_else_help = true)]
    Dump(DumpCommand),
    /// The GPU model as a device for virtual machines
    #[command(subcommand, arg_required_else_help = true)]
    Gpu(GpuCommand),
    /// For developers, in a checkout: pull the device out at every single hardware access of every call
    #[command(disable_help_flag = true)]
    Exhaust(ForwardArgs),
    /// For developers, in a checkout: let everything happen to many devices at once, and see that nothing breaks
    #[command(disable_help_flag = true)]
    Torture(ForwardArgs),
    /// For developers, in a checkout: run the tests behind each promise that the project makes
    #[command(disable_help_flag = true)]
    Conformance(ForwardArgs),
}

/// Arguments of `lifeboat calls`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CallsArgs {
    /// Print one JSON object: {"rows":[{"number","name","class","before","during","after"}]}
    #[arg(long)]
    pub json: bool,
}

/// How to print the closing report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

pub(crate) const FAULT_HELP: &str = "\
A fault to inject, as WHAT@WHEN; may be given several times

WHAT                        WHEN
unplug                      N%, access:N, job:N, reset:N
hang, fault, lost-irq       N%, job:N
spurious-irq                N%, job:N
stuck-heartbeat             N%, job:N
slow:DURATION               N%, job:N
failed-reset, lying-reset   reset:N
The following come N%, access:N, job:N, reset:N:
link-down:DURATION          the link to the device is down
garbage[:DURATION]          registers read 0xbadf1235
silent-bars[:DURATION]      BARs read all-ones, configuration space answers
silent-config[:DURATION]    configuration space reads all-ones, BARs answer
stuck-scanout[:DURATION]    no flip takes effect, no vertical blank begins
no-irqs[:DURATION]          no interrupt arrives
irq-storm[:DURATION]        interrupts without a reason, one after the other
dead-doorbell[:DURATION]    doorbells ring nobody
slow-reads:DURATION         each register read takes DURATION longer, until a reset
stalled-read:DURATION       one register read takes DURATION
swap-model, swap-size       another card is in the slot, which has not reported it

[:DURATION] is how long it lasts; without it, until a reset of the device. failed-reset: the reset reports failure; lying-reset: it reports success, but \
the ring executes nothing until the whole device is reset. \
N% is the share of all tiles done so far; access, job and reset count from 1: the device's N-th register access, job \
or reset. With `,replug:DURATION` a fresh device is plugged in that long after the fault, in place of the one that may \
still be there. Without it an unplugged device stays away, and the run fails if it is still needed. \
The report says of each fault where it fired, or that it never came. \
Examples: unplug@40%   unplug@access:1234,replug:200ms   slow:5ms@job:17   garbage:50ms@40%";

const RUN_AFTER_HELP: &str = "\
Without --image, --device, --fault and --no-faults this is a demonstration: the bundled picture is filtered many times over, the GPU is pulled \
out at 40% and put back 200 ms later.

Exit codes: 0 nothing was lost, leaked or violated; 1 something was, or the run failed; 2 the request cannot be carried \
out as given; 3 nothing was lost, leaked or violated, but a fault never came; 130 interrupted.";

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressForm {
    /// A bar that moves; nothing if standard error is not a terminal
    Bar,
    /// A line for every 5 % of the tiles, and whenever the device is lost or comes back
    Lines,
}

/// Arguments of `lifeboat run`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = RUN_AFTER_HELP)]
pub struct RunArgs {
    /// Use this device instead of the built-in GPU: a node of lifeboat.ko (/dev/dri/renderD128, a link in /dev/dri/by-path), or the
    /// device's place on the PCI bus (0000:01:00.0). If it is lost, the work goes on with the device that comes to the same place
    #[arg(long, value_name = "NODE")]
    pub device: Option<OsString>,

    /// How long to wait for the device that was lost, up to 1 day
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = wait, requires = "device")]
    pub wait: Duration,

    /// The picture: PNG or JPEG, at most 8192 x 8192 pixels, filtered with 8 bits a channel; of several in one file the first
    /// [default: a bundled picture]
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,

    /// What the GPU computes
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub filter: Filter,

    /// How many clients share the work, 1 to 64; each opens the device for itself
    #[arg(long, value_name = "N", default_value_t = Self::CLIENTS, value_parser = RangedU64ValueParser::<u8>::new().range(1..=64))]
    pub clients: u8,

    /// Side of the square tiles that the picture is cut into, in pixels, 16 to 2048
    #[arg(long, value_name = "PX", default_value_t = Self::TILES, value_parser = RangedU64ValueParser::<u16>::new().range(16..=2048))]
    pub tiles: u16,

    /// How many times to do the whole picture [default: 1; more in the demonstration]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(1..=1_000_000))]
    pub repeat: Option<u32>,

    #[arg(long, value_name = "SPEC", help = FAULT_HELP.split('\n').next(), long_help = FAULT_HELP, conflicts_with = "device")]
    #[allow(missing_docs)] // its help text says it all
    pub fault: Vec<FaultSpec>,

    /// Exit with 0, not 3, if a fault never comes and all else is well
    #[arg(long, conflicts_with = "device")]
    pub allow_unfired: bool,

    /// Let nothing happen to the GPU; otherwise the bundled picture comes with the demonstration's loss
    #[arg(long, conflicts_with_all = ["fault", "device"])]
    pub no_faults: bool,

    /// Seed of everything that is left to chance [default: a new one, shown in the report]
    #[arg(long, value_name = "N", conflicts_with = "device")]
    pub seed: Option<u64>,

    /// Save the filtered picture if it is whole and right, else leave what is there; PNG only, because JPEG would not keep it bit
    /// for bit
    #[arg(long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,

    /// Form of the closing report on standard output
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub report: ReportFormat,

    /// Save what happened when: a drawing (.svg), or a trace for Perfetto and Chrome (.json)
    #[arg(long, value_name = "FILE")]
    pub timeline: Option<PathBuf>,

    /// Save the state of the device in a file of this directory whenever something goes wrong with it, before it is reset, up to
    /// 100 times; see `lifeboat dump show`
    #[arg(long, value_name = "DIR", conflicts_with = "device")]
    pub dump_dir: Option<PathBuf>,

    /// Tell a program that listens at this Unix datagram socket when the device comes, goes or is wedged, in the form of the
    /// kernel's uevents
    #[arg(long, value_name = "SOCKET", conflicts_with = "device")]
    pub events: Option<PathBuf>,

    /// Memory of the GPU in MiB, 16 to 1024
    #[arg(long, value_name = "MIB", conflicts_with = "device", default_value_t = Self::VRAM_MIB, value_parser = RangedU64ValueParser::<u16>::new().range(16..=1024))]
    pub vram: u16,

    /// How long a job may take before it counts as hung, 1ms to 1m [default: 500ms; with --device what its driver allows, which is
    /// also the most]
    #[arg(long, value_name = "DURATION", value_parser = job_timeout)]
    pub timeout: Option<Duration>,

    /// How often to look whether the device lives, 10ms to 1m; its heartbeat must have moved at one of three looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = watch, conflicts_with = "device")]
    pub watch: Duration,

    /// How often in a row a device that fails is bound again before it is declared wedged
    #[arg(long, value_name = "N", default_value_t = Budget::DEFAULT.attempts, conflicts_with = "device")]
    pub recoveries: u32,

    /// How to show progress on standard error
    #[arg(long, value_name = "FORM", value_enum, default_value_t = ProgressForm::Bar)]
    pub progress: ProgressForm,

    /// Show no progress
    #[arg(long, short, conflicts_with = "progress")]
    pub quiet: bool,
}

impl RunArgs {
    /// Default of `--clients`: enough that several wait at once when the device goes.
    const CLIENTS: u8 = 4;
    /// Default of `--tiles`: 256 KiB a tile, so that the time around a job is small against the job.
    const TILES: u16 = 256;
    /// Default of `--vram`.
    const VRAM_MIB: u16 = 64;
    /// Default of `--timeout` on the built-in GPU: some hundred times the longest job at the largest tile size.
    pub const TIMEOUT: Duration = Duration::from_millis(500);
    /// Default of `--wait`: time to pull a card out of its slot and to plug in another.
    const WAIT: Duration = Duration::from_secs(30);

    /// Rounds of the demonstration: a few seconds of work for two cores.
    const DEMONSTRATION_ROUNDS: u32 = 300;
    /// What the demonstration does to its device.
    const DEMONSTRATION_FAULT: FaultSpec = FaultSpec {
        what: FaultKind::Unplug,
        at: Trigger::Progress(Percent::literal::<40>()),
        replug: Some(Duration::from_millis(200)),
    };

    /// Whether the user left it to us to show something.
    pub fn is_demonstration(&self) -> bool {
        self.device.is_none() && self.image.is_none() && self.fault.is_empty() && !self.no_faults
    }

    /// How many times the picture is to be filtered.
    pub fn rounds(&self) -> u32 {
        self.repeat.unwrap_or(if self.is_demonstration() { Self::DEMONSTRATION_ROUNDS } else { 1 })
    }

    /// How to show progress, if at all.
    pub fn shown_progress(&self) -> Option<ProgressForm> {
        (!self.quiet).then_some(self.progress)
    }

    /// What is to happen to the device, the demonstration's own fault included.
    pub fn faults(&self) -> Vec<FaultSpec> {
        if self.is_demonstration() { vec![Self::DEMONSTRATION_FAULT] } else { self.fault.clone() }
    }
}

impl Default for RunArgs {
    fn default() -> Self {
        Self {
            device: None,
            wait: Self::WAIT,
            image: None,
            filter: Filter::default(),
            clients: Self::CLIENTS,
            tiles: Self::TILES,
            repeat: None,
            fault: Vec::new(),
            allow_unfired: false,
            no_faults: false,
            seed: None,
            out: None,
            report: ReportFormat::Text,
            timeline: None,
            dump_dir: None,
            events: None,
            vram: Self::VRAM_MIB,
            timeout: None,
            watch: Watch::DEFAULT.period,
            recoveries: Budget::DEFAULT.attempts,
            progress: ProgressForm::Bar,
            quiet: false,
        }
    }
}

fn job_timeout(text: &str) -> Result<Duration, String> {
    timeout(text, Duration::from_millis(1)..=Duration::from_mins(1), "give a time from 1ms to 1m, such as 500ms")
}

fn watch(text: &str) -> Result<Duration, String> {
    timeout(text, Duration::from_millis(10)..=Duration::from_mins(1), "give a time from 10ms to 1m, such as 2s")
}

fn wait(text: &str) -> Result<Duration, String> {
    timeout(text, Duration::ZERO..=Duration::from_hours(24), "give a time up to 1day, such as 30s")
}

fn timeout(text: &str, allowed: RangeInclusive<Duration>, advice: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|error| format!("{error}; {advice}"))?;
    if allowed.contains(&timeout) { Ok(timeout) } else { Err(advice.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> RunArgs {
        let Some(Command::Run(args)) = Cli::parse_from([&["lifeboat", "run"], args].concat()).command else { panic!() };
        args
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn default_is_what_an_empty_command_line_gives() {
        assert_eq!(parse(&[]), RunArgs::default());
    }

    #[test]
    fn the_demonstration_ends_where_the_user_says_what_to_do() {
        let demonstration = parse(&["--filter", "emboss", "--seed", "3"]);
        assert!(demonstration.is_demonstration() && demonstration.rounds() > 1);
        assert_eq!(demonstration.faults(), ["unplug@40%,replug:200ms".parse().unwrap()]);

        let own_picture = parse(&["--image", "a.png"]);
        assert!(!own_picture.is_demonstration());
        assert_eq!((own_picture.rounds(), own_picture.faults()), (1, vec![]));

        let own_fault = parse(&["--fault", "hang@job:17", "--fault", "unplug@40%"]);
        assert_eq!((own_fault.rounds(), own_fault.faults().len()), (1, 2));
        assert_eq!(parse(&["--repeat", "5"]).rounds(), 5);

        let calm = parse(&["--no-faults"]);
        assert_eq!((calm.rounds(), calm.faults()), (1, vec![]));
    }
}
