//! What the user may say to `lifeboat gpu`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use lifeboat_gpu_server::control;

use crate::run::fault_spec::{FaultSpec, FaultSpecError, Trigger};

/// The subcommands of `lifeboat gpu`.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum GpuCommand {
    /// Serve a GPU over vfio-user, for QEMU to put on a guest's PCI bus
    Serve(ServeArgs),
    /// Ask a running server, or make its GPU misbehave
    Ctl(CtlArgs),
}

const SERVE_FAULT_HELP: &str = "\
A fault to inject, as WHAT@WHEN; may be given several times

As for `lifeboat run`, but for N%, which needs the run's work: access, job and reset count from 1, from the start of the \
server. With `,replug:DURATION` a fresh GPU replaces the one there is, that long after the fault. \
Examples: unplug@access:1234,replug:200ms   hang@job:17";

const SERVE_AFTER_HELP: &str = "\
One machine is served at a time; the next waits until it has left, and finds a GPU after power-on. The machine's \
memory must be shared with this process:

  qemu-system-x86_64 -M q35,memory-backend=mem -object memory-backend-memfd,id=mem,size=1G,share=on \\
    -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"PATH\"}}' ...

One line on standard output says that the sockets are there. What happens is logged on standard error; LIFEBOAT_LOG=debug shows more.

Exit codes: 0 ended by SIGTERM, Ctrl-C or `lifeboat gpu ctl stop`; 1 the card could not be made; 2 a socket or an \
argument is not usable.";

/// Arguments of `lifeboat gpu serve`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = SERVE_AFTER_HELP)]
pub struct ServeArgs {
    /// Socket to serve on; one that a dead server left is replaced
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,

    /// Socket for `lifeboat gpu ctl` [default: the other one's path with .ctl appended]
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,

    /// Memory of the GPU in MiB, 1 to 1024
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = RangedU64ValueParser::<u16>::new().range(1..=1024))]
    pub vram: u16,

    /// Rings of the GPU, 1 to 8
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = RangedU64ValueParser::<u8>::new().range(1..=8))]
    pub rings: u8,

    /// Seed of what the GPU leaves to chance
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    #[arg(long, value_name = "SPEC", value_parser = served_fault, help = SERVE_FAULT_HELP.split('\n').next(), long_help = SERVE_FAULT_HELP)]
    #[allow(missing_docs)] // its help text says it all
    pub fault: Vec<FaultSpec>,

    /// Say that the sockets are there as a JSON object: {"event":"ready",...}
    #[arg(long)]
    pub json: bool,
}

impl ServeArgs {
    /// The control socket's path.
    pub fn control(&self) -> PathBuf {
        self.control.clone().unwrap_or_else(|| {
            let mut path = self.socket.clone().into_os_string();
            path.push(".ctl");
            path.into()
        })
    }
}

const CTL_AFTER_HELP: &str = "\
Exit codes: 0 done; 1 the server cannot be reached or refused, or `witness --check` found something; 2 an argument is \
not usable.";

/// Arguments of `lifeboat gpu ctl`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = CTL_AFTER_HELP)]
pub struct CtlArgs {
    /// The server's control socket
    #[arg(long, value_name = "PATH")]
    pub control: PathBuf,

    /// Print the answer as one JSON object
    #[arg(long, global = true)]
    pub json: bool,

    /// How long the server may take to answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = timeout)]
    pub timeout: Duration,

    /// What to ask
    #[command(subcommand)]
    pub command: CtlCommand,
}

/// When something happens to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct At {
    /// Not now, but at access:N, job:N or reset:N, counted from 1 from now on
    #[arg(long, value_name = "WHEN", value_parser = card_trigger)]
    pub at: Option<control::Trigger>,
}

/// When a fault happens that befalls a job, as for `lifeboat run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct AtJob {
    /// Not now, but at job:N, counted from 1 from now on
    #[arg(long, value_name = "WHEN", value_parser = job_trigger)]
    pub at: Option<control::Trigger>,
}

/// When a fault happens that befalls a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct AtReset {
    /// Not the next, but at reset:N, counted from 1 from now on
    #[arg(long, value_name = "WHEN", value_parser = reset_trigger)]
    pub at: Option<control::Trigger>,
}

/// How long a fault of the device lasts, and when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Lasting {
    /// For how long, up to 1m [default: until a reset of the device]
    #[arg(value_name = "DURATION", value_parser = slowness)]
    pub time: Option<Duration>,
    #[command(flatten)]
    #[allow(missing_docs)] // see there
    pub at: At,
}

/// How long something takes, and when that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Timed {
    /// How long, up to 1m
    #[arg(value_name = "DURATION", value_parser = slowness)]
    pub time: Duration,
    #[command(flatten)]
    #[allow(missing_docs)] // see there
    pub at: At,
}

/// What to ask a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum CtlCommand {
    /// Show how the GPU is, and what it has done
    Status,
    /// List what the guest's driver did wrong
    Witness {
        /// Exit with 1 if there is anything
        #[arg(long)]
        check: bool,
    },
    /// Pull the GPU off the bus: it reads all-ones, and nothing of it reaches the guest any more
    Gone(At),
    /// Put a fresh GPU in the place of the one there is
    Replace,
    /// The next job never ends
    Hang(AtJob),
    /// The next job faults
    JobFault(AtJob),
    /// The next job's interrupt does not arrive
    LoseInterrupt(AtJob),
    /// An interrupt arrives without a reason
    SpuriousInterrupt(AtJob),
    /// The heartbeat stands still, until a reset
    StickHeartbeat(AtJob),
    /// Every command takes longer, until a reset
    Slow {
        /// How much longer, up to 1m
        #[arg(value_name = "DURATION", value_parser = slowness)]
        by: Duration,
        #[command(flatten)]
        #[allow(missing_docs)] // see there
        at: AtJob,
    },
    /// The next reset fails
    FailReset(AtReset),
    /// The next reset says that it is done, and was none: rings are dead until a reset of the device that is one
    LyingReset(AtReset),
    /// The link to the GPU is down for a while: all-ones, and nothing of it reaches the guest
    LinkDown(Timed),
    /// Every register reads 0xbadf1235
    Garbage(Lasting),
    /// The BARs read all-ones, and configuration space answers
    SilentBars(Lasting),
    /// Configuration space reads all-ones, and the BARs answer
    SilentConfig(Lasting),
    /// The display stands still: no flip takes effect, no vertical blank begins
    StuckScanout(Lasting),
    /// Every register read takes longer, until a reset
    SlowReads(Timed),
    /// The next register read takes DURATION longer
    StalledRead(Timed),
    /// No interrupt arrives
    NoInterrupts(Lasting),
    /// Interrupts arrive without a reason, one right after the other
    InterruptStorm(Lasting),
    /// Doorbells ring nobody
    DeadDoorbell(Lasting),
    /// A card of another model is in the place of the GPU, after power-on
    SwapModel(At),
    /// A card with half the memory is in the place of the GPU, after power-on
    SwapSize(At),
    /// End the server
    Stop,
}

impl CtlCommand {
    /// What the server is asked.
    pub fn request(self) -> control::Request {
        use control::{Fault, Request};

        let inject = |fault, at| Request::Inject { fault, at };
        let lasting = |fault: fn(control::Lasts) -> Fault, Lasting { time, at: At { at } }: Lasting| {
            inject(fault(control::Lasts { micros: time.map(microseconds) }), at)
        };
        match self {
            Self::Status => Request::Status,
            Self::Witness { .. } => Request::Witness,
            Self::Replace => Request::Replace,
            Self::Stop => Request::Stop,
            Self::Gone(At { at }) => inject(Fault::Gone, at),
            Self::Hang(AtJob { at }) => inject(Fault::Hang, at),
            Self::JobFault(AtJob { at }) => inject(Fault::JobFault, at),
            Self::LoseInterrupt(AtJob { at }) => inject(Fault::LoseInterrupt, at),
            Self::SpuriousInterrupt(AtJob { at }) => inject(Fault::SpuriousInterrupt, at),
            Self::StickHeartbeat(AtJob { at }) => inject(Fault::StickHeartbeat, at),
            Self::Slow { by, at: AtJob { at } } => inject(Fault::Slow { micros: microseconds(by) }, at),
            Self::FailReset(AtReset { at }) => inject(Fault::FailReset, at),
            Self::LyingReset(AtReset { at }) => inject(Fault::LyingReset, at),
            Self::LinkDown(Timed { time, at: At { at } }) => inject(Fault::LinkDown { micros: microseconds(time) }, at),
            Self::SlowReads(Timed { time, at: At { at } }) => {
                inject(Fault::SlowReads { micros: microseconds(time) }, at)
            }
            Self::StalledRead(Timed { time, at: At { at } }) => {
                inject(Fault::StalledRead { micros: microseconds(time) }, at)
            }
            Self::Garbage(args) => lasting(Fault::Garbage, args),
            Self::SilentBars(args) => lasting(Fault::SilentBars, args),
            Self::SilentConfig(args) => lasting(Fault::SilentConfig, args),
            Self::StuckScanout(args) => lasting(Fault::StuckScanout, args),
            Self::NoInterrupts(args) => lasting(Fault::NoInterrupts, args),
            Self::InterruptStorm(args) => lasting(Fault::InterruptStorm, args),
            Self::DeadDoorbell(args) => lasting(Fault::DeadDoorbell, args),
            Self::SwapModel(At { at }) => inject(Fault::SwapModel, at),
            Self::SwapSize(At { at }) => inject(Fault::SwapSize, at),
        }
    }
}

/// Of at most a minute.
fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn served_fault(text: &str) -> Result<FaultSpec, String> {
    let spec: FaultSpec = text.parse().map_err(|error: FaultSpecError| error.to_string())?;
    match spec.at {
        Trigger::Progress(_) => Err("a server knows no N%: give access:N, job:N or reset:N".to_owned()),
        _ => Ok(spec),
    }
}

fn card_trigger(text: &str) -> Result<control::Trigger, String> {
    match Trigger::from_str(text) {
        Ok(Trigger::Access(n)) => Ok(control::Trigger::Access(n.get())),
        Ok(Trigger::Job(n)) => Ok(control::Trigger::Job(n.get())),
        Ok(Trigger::Reset(n)) => Ok(control::Trigger::Reset(n.get())),
        Ok(Trigger::Progress(_)) => Err("a server knows no N%: give access:N, job:N or reset:N".to_owned()),
        Err(_) => Err(format!("unknown time {text:?}: give access:N, job:N or reset:N, where N counts from 1")),
    }
}

fn job_trigger(text: &str) -> Result<control::Trigger, String> {
    match card_trigger(text)? {
        job @ control::Trigger::Job(_) => Ok(job),
        _ => Err("this befalls a job: give job:N".to_owned()),
    }
}

fn reset_trigger(text: &str) -> Result<control::Trigger, String> {
    match card_trigger(text)? {
        reset @ control::Trigger::Reset(_) => Ok(reset),
        _ => Err("only a reset can do so: give reset:N".to_owned()),
    }
}

fn duration(text: &str, allowed: std::ops::RangeInclusive<Duration>, advice: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|error| format!("{error}; {advice}"))?;
    if allowed.contains(&parsed) { Ok(parsed) } else { Err(advice.to_owned()) }
}

fn timeout(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_millis(1)..=Duration::from_mins(10), "give a time from 1ms to 10m, such as 10s")
}

fn slowness(text: &str) -> Result<Duration, String> {
    duration(text, Duration::from_micros(1)..=Duration::from_mins(1), "give a time from 1us to 1m, such as 5ms")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn parse(args: &[&str]) -> Result<GpuCommand, clap::Error> {
        match Cli::try_parse_from([&["lifeboat", "gpu"], args].concat())?.command {
            Some(Command::Gpu(command)) => Ok(command),
            other => panic!("{other:?}"),
        }
    }

    fn request(args: &[&str]) -> control::Request {
        match parse(&[&["ctl", "--control", "c"], args].concat()).unwrap() {
            GpuCommand::Ctl(args) => args.command.request(),
            other @ GpuCommand::Serve(_) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_control_socket_is_beside_the_other() {
        let GpuCommand::Serve(args) = parse(&["serve", "--socket", "/run/gpu"]).unwrap() else { panic!() };
        assert_eq!(args.control(), PathBuf::from("/run/gpu.ctl"));
        let GpuCommand::Serve(args) = parse(&["serve", "--socket", "s", "--control", "c"]).unwrap() else { panic!() };
        assert_eq!(args.control(), PathBuf::from("c"));
    }

    #[test]
    fn faults_of_a_server_need_no_run() {
        assert!(
            parse(&["serve", "--socket", "s", "--fault", "unplug@access:9,replug:1s", "--fault", "hang@job:2"]).is_ok()
        );
        let error = parse(&["serve", "--socket", "s", "--fault", "unplug@40%"]).unwrap_err();
        assert!(error.to_string().contains("access:N"), "{error}");
    }

    #[test]
    fn commands_become_requests() {
        use control::{Fault, Request, Trigger};

        let inject = |fault, at| Request::Inject { fault, at };
        assert_eq!(request(&["gone"]), inject(Fault::Gone, None));
        assert_eq!(request(&["gone", "--at", "access:3"]), inject(Fault::Gone, Some(Trigger::Access(3))));
        assert_eq!(request(&["fail-reset", "--at", "reset:1"]), inject(Fault::FailReset, Some(Trigger::Reset(1))));
        assert_eq!(
            request(&["slow", "5ms", "--at", "job:2", "--json"]),
            inject(Fault::Slow { micros: 5000 }, Some(Trigger::Job(2)))
        );
        assert_eq!(request(&["witness", "--check"]), Request::Witness);
        let lasts = |micros| control::Lasts { micros };
        let third = Some(Trigger::Access(3));
        assert_eq!(request(&["garbage"]), inject(Fault::Garbage(lasts(None)), None));
        assert_eq!(request(&["garbage", "5ms", "--at", "access:3"]), inject(Fault::Garbage(lasts(Some(5000))), third));
        assert_eq!(request(&["link-down", "1s"]), inject(Fault::LinkDown { micros: 1_000_000 }, None));
        assert_eq!(request(&["stalled-read", "1ms"]), inject(Fault::StalledRead { micros: 1000 }, None));
        assert_eq!(request(&["swap-model", "--at", "access:3"]), inject(Fault::SwapModel, third));
        for (name, fault) in [
            ("silent-bars", Fault::SilentBars(lasts(None))),
            ("silent-config", Fault::SilentConfig(lasts(None))),
            ("stuck-scanout", Fault::StuckScanout(lasts(None))),
            ("no-interrupts", Fault::NoInterrupts(lasts(None))),
            ("interrupt-storm", Fault::InterruptStorm(lasts(None))),
            ("dead-doorbell", Fault::DeadDoorbell(lasts(None))),
            ("swap-size", Fault::SwapSize),
            ("lying-reset", Fault::LyingReset),
        ] {
            assert_eq!(request(&[name]), inject(fault, None));
        }
        assert!(parse(&["ctl", "--control", "c", "link-down"]).is_err(), "for how long");
        assert!(parse(&["ctl", "--control", "c", "lying-reset", "--at", "job:1"]).is_err());
        assert!(parse(&["ctl", "--control", "c", "slow", "1h"]).is_err());
        assert!(parse(&["ctl", "--control", "c", "hang", "--at", "job:0"]).is_err());
        for at in ["access:0", "access:5", "reset:1", "job:0", "50%"] {
            assert!(parse(&["ctl", "--control", "c", "hang", "--at", at]).is_err(), "{at}");
        }
        assert!(parse(&["ctl", "--control", "c", "fail-reset", "--at", "job:1"]).is_err());
        assert!(parse(&["ctl", "--control", "c", "gone", "--at", "access:0"]).is_err());
        assert!(parse(&["ctl", "--control", "c"]).is_err());
    }
}
