//! The guest of all points: the driver in it, its device, and a program that takes the steps.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_gpu_server::control::{Fault, Trigger};
use lifeboat_guest::wire::{NodeRequest, Outcome, Request, Step};
use lifeboat_uapi::Info;

use super::mode::Mode;
use super::point::{Point, write};
use super::world::World;
use crate::card::hotplug::SLOT;
use crate::driver::DEBUGFS;
use crate::guest::agent::AgentError;
use crate::pace;
use crate::program::{Program, milliseconds};
use crate::suite::bench::Bench;
use crate::suite::failure::Failure;
use crate::suite::judge;

/// The peer: a driver of the kernel's own, whose buffers are imported.
pub(super) const PEER: &str = "vgem";

/// By how much each command is held up where a job is to be in flight for a while, in microseconds.
const SLOW: u64 = 4_000;
/// By how much where no job is to end.
const FOR_EVER: u64 = 3_600_000_000;

/// How long an operation may take that waits for nothing. The machine may be busy; a hang has no end.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks whether the device is in use.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// So many looks in a row without an access say that it is not.
const QUIET_LOOKS: u32 = 3;
/// States of a slot in which nothing is done with the device.
const AT_REST: [&str; 2] = ["wedged", "idle"];
/// How long to wait for one of them.
const REST: Duration = Duration::from_secs(2);
/// How often binding a sound device is tried: on a busy host a job of the self-test may seem to hang.
const BINDS: usize = 5;

/// No further point can be run.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Broken(#[from] pub(super) Failure);

impl From<AgentError> for Broken {
    fn from(error: AgentError) -> Self {
        Self(error.into())
    }
}

/// Bytes of requests that are not worth to be kept by the program.
const SHORT: usize = 150;

/// The steps behind the answer to one request: those of a kept group, or the one.
fn steps_of(answer: Step) -> Vec<Step> {
    match answer.outcome {
        Outcome::Each(steps) => steps,
        _ => vec![answer],
    }
}

/// See the module documentation.
pub(super) struct Rig<'a> {
    bench: &'a Bench<'a>,
    program: Program<'a>,
    world: World,
    is_bound: bool,
    /// Numbers of requests that the program keeps.
    kept: HashMap<String, u32>,
    /// The module's parameters.
    loaded: Option<String>,
    /// Lines of the log that were judged.
    judged: usize,
    /// Mistakes that the device has witnessed.
    violations: u64,
}

impl<'a> Rig<'a> {
    /// The driver is not loaded yet.
    pub(super) fn new(bench: &'a Bench<'a>) -> Result<Self, Broken> {
        let agent = &bench.machine.agent;
        let names = agent.list(&format!("/sys/devices/faux/{PEER}/drm"))?;
        let peer = names.iter().find(|name| name.starts_with("card"));
        let peer = peer.ok_or_else(|| Failure::Unexpected(format!("{PEER} has no card node: {names:?}")))?;
        let world = World {
            nodes: crate::driver::Nodes { card: String::new(), render: String::new() },
            peer: format!("/dev/dri/{peer}"),
            first_address: 0,
            job_limit: 0,
            wait_limit: milliseconds(agent.limit(pace::DRIVER)),
        };
        let program = Program::start(agent)?;
        Ok(Self {
            bench,
            program,
            world,
            is_bound: false,
            kept: HashMap::new(),
            loaded: None,
            judged: 0,
            violations: 0,
        })
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Loads the driver as a mode wants it, unless it is loaded so.
    pub(super) fn load(&mut self, mode: Mode, race: bool) -> Result<(), Broken> {
        self.world.job_limit = mode.job_limit();
        let parameters = mode.parameters(race);
        if self.loaded.as_ref() == Some(&parameters) {
            return Ok(());
        }
        self.unload()?;
        self.bench.driver().load(&parameters)?;
        self.loaded = Some(parameters);
        self.is_bound = self.bench.driver().is_bound()?;
        if self.is_bound { self.meet() } else { Ok(()) }
    }

    /// Unloads the driver, with the program that may have files of it. Nobody else must hold it.
    pub(super) fn unload(&mut self) -> Result<(), Broken> {
        if self.loaded.take().is_some() {
            self.start_program()?;
            if let Err(error) = self.bench.driver().unload() {
                let holders = self.bench.machine.agent.read(&format!("{DEBUGFS}/holders"))?;
                return Err(Broken(Failure::Unexpected(format!("{error}; it is held by {holders}"))));
            }
            self.is_bound = false;
        }
        Ok(())
    }

    /// Takes groups of steps, in one message. `Ok(Err)`: the program died of them.
    pub(super) fn each(&mut self, groups: Vec<Vec<Request>>) -> Result<Result<Vec<Step>, String>, Broken> {
        let limit = self.bench.limit(pace::WORK);
        let requests = groups.into_iter().map(|group| self.as_asked(group)).collect::<Vec<_>>().concat();
        match self.program.each(requests, limit) {
            Ok(answers) => Ok(Ok(answers.into_iter().flat_map(steps_of).collect())),
            Err(AgentError::Failed(failure)) if failure.errno.is_none() => {
                let died = format!("the program died: {failure}");
                self.start_program()?;
                Ok(Err(died))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// A group of requests as the program is asked for it: it keeps those that are long.
    fn as_asked(&mut self, requests: Vec<Request>) -> Vec<Request> {
        let text = serde_json::to_string(&requests).unwrap_or_default();
        if text.len() < SHORT {
            return requests;
        }
        if let Some(number) = self.kept.get(&text) {
            return vec![Request::Kept { number: *number }];
        }
        let number = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        self.kept.insert(text, number);
        vec![Request::Keep { number, requests }]
    }

    fn start_program(&mut self) -> Result<(), Broken> {
        self.kept.clear();
        let agent = &self.bench.machine.agent;
        let former = std::mem::replace(&mut self.program, Program::start(agent)?);
        Ok(former.kill()?)
    }

    /// Binds the device, unless it is bound.
    pub(super) fn be_bound(&mut self) -> Result<(), Broken> {
        if self.is_bound {
            return Ok(());
        }
        let mut last = Ok(());
        for _ in 0..BINDS {
            last = self.bench.driver().bind().map_err(Broken::from).and_then(|_| {
                self.is_bound = true;
                self.meet()
            });
            if last.is_ok() {
                break;
            }
            self.be_unbound()?;
        }
        last
    }

    /// Unbinds the device, unless it is unbound.
    pub(super) fn be_unbound(&mut self) -> Result<(), Broken> {
        if self.is_bound {
            self.bench.driver().unbind()?;
            self.is_bound = false;
        }
        Ok(())
    }

    /// Notes that a step has unbound the device, if it has.
    pub(super) fn was_unbound(&mut self, was: bool) {
        self.is_bound &= !was;
    }

    pub(super) fn was_bound(&mut self, was: bool) {
        self.is_bound = was;
        // The nodes of the new device are not known yet.
        if was && self.meet().is_err() {
            self.is_bound = false;
        }
    }

    /// Learns where the device's nodes are.
    fn meet(&mut self) -> Result<(), Broken> {
        self.world.nodes = self.bench.driver().nodes()?;
        if self.world.first_address == 0 {
            let file = self.program.open(&self.world.nodes.render)?;
            self.world.first_address = file.info(Info::default())?.first_address;
            file.close()?;
        }
        Ok(())
    }

    /// Waits until the driver, which has lost the device, is through with it. `false` if it is not: it may look at it again.
    pub(super) fn is_given_up(&self) -> Result<bool, Broken> {
        let began = Instant::now();
        while began.elapsed() < REST {
            let state = self.bench.machine.agent.read(&format!("{DEBUGFS}/{SLOT}/slot"))?;
            if AT_REST.contains(&state.trim()) {
                return Ok(true);
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(false)
    }

    /// Puts a sound card in the place of the one that was lost. The driver must not have it.
    pub(super) fn replace(&mut self) -> Result<(), Broken> {
        self.be_unbound()?;
        Ok(self.bench.gpu().and_then(|gpu| Ok(gpu.replace()?))?)
    }

    /// After a point that went wrong nothing of it is kept: neither the program, nor the card.
    pub(super) fn start_afresh(&mut self) -> Result<(), Broken> {
        self.start_program()?;
        self.is_bound = self.bench.driver().is_bound()?;
        self.replace()
    }

    /// Holds up commands a little, or not at all.
    pub(super) fn slow(&self, slow: bool) -> Result<(), Broken> {
        self.inject(Fault::Slow { micros: if slow { SLOW } else { 0 } }, None)
    }

    /// Holds up commands so that no job ends.
    pub(super) fn hold_up_jobs(&self) -> Result<(), Broken> {
        self.inject(Fault::Slow { micros: FOR_EVER }, None)
    }

    fn inject(&self, fault: Fault, at: Option<Trigger>) -> Result<(), Broken> {
        Ok(self.bench.gpu().and_then(|gpu| Ok(gpu.inject(fault, at)?))?)
    }

    /// Waits until nobody uses the device, and has it happen. Gives the accesses so far.
    pub(super) fn arm(&self, point: &Point) -> Result<u64, Broken> {
        let before = self.settle()?;
        if let Some(at) = point.at {
            self.inject(point.mode.fault(), Some(Trigger::Access(at)))?;
        }
        Ok(before)
    }

    /// Waits until nobody uses the device: the worker's accesses and those of interrupts come after the call that they are for.
    /// Gives the accesses so far.
    pub(super) fn settle(&self) -> Result<u64, Broken> {
        let began = Instant::now();
        let (mut before, mut quiet) = (self.accesses()?, 0);
        while quiet < QUIET_LOOKS {
            if began.elapsed() > self.bench.limit(pace::DRIVER) {
                return Err(Broken(Failure::Unexpected("the driver never leaves the device alone".to_owned())));
            }
            thread::sleep(LOOK_EVERY);
            let now = self.accesses()?;
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
        }
        Ok(before)
    }

    fn accesses(&self) -> Result<u64, Broken> {
        Ok(self.bench.gpu().and_then(|gpu| Ok(gpu.status()?.counters.accesses))?)
    }

    /// What the kernel and the device complain of since the last time.
    pub(super) fn complaints(&mut self) -> Result<Vec<String>, Broken> {
        let console = &self.bench.machine.console;
        let (before, until) = (self.judged, console.len());
        self.judged = until;
        let log = console.since(before).into_iter().take(until - before).collect();
        let mut complaints: Vec<_> =
            judge::of_this_kernel(self.bench.flavour(), log, &[]).err().iter().map(ToString::to_string).collect();
        let violations = self.bench.gpu().and_then(|gpu| Ok(gpu.status()?.violations))?;
        if violations > self.violations {
            complaints.push(format!("the device witnessed {} mistakes of its driver", violations - self.violations));
        }
        self.violations = violations;
        Ok(complaints)
    }

    /// In how many microseconds the guest must have carried out a request. `None` for those that have a limit of their own.
    pub(super) fn limit_of(&self, request: &Request) -> Option<u64> {
        let waits = matches!(
            request,
            Request::Node {
                request: NodeRequest::WaitForJob { .. }
                    | NodeRequest::WaitForBuffer { .. }
                    | NodeRequest::WaitForSyncobj { .. }
                    | NodeRequest::PollDescriptor { .. }
            }
        );
        // A probe waits for jobs of its self-test.
        let probes = *request == write("bind");
        let limit = if waits || probes { pace::DRIVER } else { CALL_LIMIT };
        u64::try_from(self.bench.limit(limit).as_micros()).ok()
    }
}
