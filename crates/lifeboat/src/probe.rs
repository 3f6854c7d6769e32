//! Probe: from a function on the bus to a device that users can open.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::recovery::{Budget, Patience, Spacing, Unready};
use lifeboat_core::sched::Limits;
use lifeboat_core::share::Share;
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::Watch;
use lifeboat_driver::{Driver, DriverError, Duty, RingShape};
use lifeboat_lb1::{Info, Lb1Driver};
use lifeboat_pci::{Function, HostMemory, offset, set_bus_master, set_memory_decode};

use crate::ProbeError;
use crate::binding::Binding;
use crate::contexts::Contexts;
use crate::device::{self, Device, DeviceInfo};
use crate::display::Display;
use crate::drive::drive;
use crate::dump::{Recorder, ReportDump, RingMemory};
use crate::gpu::Gpu;
use crate::hardware::{Hardware, Mapped};
use crate::health::HealthCheck;
use crate::irq::Interrupts;
use crate::ledger::Kind;
use crate::link::{BoundLink, Link, ReportLoss, Sections};
use crate::maps::Maps;
use crate::module::Shared as Module;
use crate::rest::{Rest, quiesce};
use crate::rings::{DeviceRings, Ring};
use crate::sched::{OpenError, Options, OptionsError, Scheduler};
use crate::submit::Job;
use crate::teardown::Shell;

/// Entries that a ring is to have: of an LB1, 128 KiB of host memory.
const RING_ENTRIES: u32 = 1024;

/// How a device is to be driven.
pub struct ProbeOptions {
    /// How long a job may take once it is its ring's oldest. Default 2 s.
    pub job_timeout: Duration,
    /// How many times as long again it may take if it is seen to move from command to command. Default 4.
    pub extensions: u32,
    /// How many resets the jobs of one context may cause: at so many, the context is refused. Default 10.
    pub guilty_limit: u32,
    /// Jobs that one context may have at a time; beyond it EDQUOT. Default: a quarter of those that the device may have,
    /// as [`Options::job_share`](crate::sched::Options::job_share).
    pub job_share: Option<u32>,
    /// The same for queues.
    pub queue_share: Option<u32>,
    /// How many contexts one client, an open [`Handle`](crate::Handle), may hold: beyond that it is
    /// refused with EDQUOT, so that others find some (SCHED-9). At least 1; more than the device
    /// has is no limit. Default: a quarter of the device's.
    pub context_share: Option<u16>,
    /// How long an unplug waits for whoever is still in the driver: calls, interrupt handlers, the worker. It waits so long
    /// at most after the announcement, and as long again when it cuts the hardware off, plus half a second. Default 5 s.
    pub drain_limit: Duration,
    /// How long the hardware may take to report a flip or a vertical blank. After it the display is turned off and on, and
    /// waiters get the real outcome (KMS-5). Default 1 s. Values below ten frames count as ten frames.
    pub display_limit: Duration,
    /// How closely the device is watched. Default: every 2 s, and a heartbeat that stands still for three looks is a hang.
    pub watch: Watch,
    /// How often a [`Bus`](crate::Bus) binds a device again that the driver gave up. By default three times, unless it has
    /// worked for a minute in between.
    pub recovery: Budget,
    /// How far apart these recoveries are. By default the first comes at once, and the pauses before the next are 100 ms, doubled up
    /// to 30 s.
    pub spacing: Spacing,
    /// How long a [`Bus`](crate::Bus) waits for a device that is not ready, or whose link is down. By default a second for a silent
    /// device, a minute for one that asks to be asked again, and a minute for a link.
    pub patience: Patience,
    /// Whether calls ask first if there still is a device. Default true. Without it they run on a lost device as far as
    /// they get, for tests of every such moment (CALL-4); nothing unsafe comes of it.
    pub check_entry: bool,
    /// The most bytes of a dump, as a file. What has no room is left out, the least important first, and counted. Default
    /// 64 KiB; fewer than 4 KiB are taken as 4 KiB, more than 16 MiB as 16 MiB. Memory for two dumps is set aside when the device is bound.
    pub dump_limit: usize,
    /// Called when a dump was captured while the device is bound: [`Binding::take_dumps`] gives it. Not of one that is captured
    /// because the binding ends or is wedged; who does that takes it afterwards. Must not block.
    pub report_dump: Box<dyn Fn() + Send + Sync>,
    /// Called once if the driver finds the device lost. Must not block; the unplug is the callee's duty.
    pub report_loss: Box<dyn Fn(Loss) + Send + Sync>,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        let report_loss: ReportLoss = Box::new(|loss| tracing::error!(%loss, "nobody listens for device loss"));
        Self {
            job_timeout: Duration::from_secs(2),
            extensions: 4,
            guilty_limit: 10,
            job_share: None,
            queue_share: None,
            context_share: None,
            drain_limit: Duration::from_secs(5),
            display_limit: Duration::from_secs(1),
            watch: Watch::DEFAULT,
            recovery: Budget::default(),
            spacing: Spacing::DEFAULT,
            patience: Patience::DEFAULT,
            check_entry: true,
            dump_limit: 64 << 10,
            report_dump: Box::new(|| {}),
            report_loss,
        }
    }
}

impl ProbeOptions {
    /// How a device's scheduler is to be opened, as far as that is known before the device is.
    fn scheduler(&self, minor: u32) -> Options {
        let defaults = Options::default();
        let (job_timeout, extensions) = (self.job_timeout, self.extensions);
        Options {
            name: device::name(minor),
            limits: Limits { job_timeout, extensions, ..defaults.limits },
            guilty_limit: self.guilty_limit,
            job_share: self.job_share,
            queue_share: self.queue_share,
            ..defaults
        }
    }
}

/// What a device, its jobs and its clients are allowed.
struct Allowance {
    scheduler: Options,
    /// `None` for a part of what the device has.
    context_share: Option<Share>,
    display_limit: Duration,
    watch: Watch,
}

/// Brings the device up. On an error it is quiet again, and the caller releases the function.
pub(crate) fn probe(
    module: &Arc<Module>,
    function: &Arc<dyn Function>,
    options: ProbeOptions,
) -> Result<Binding, ProbeError> {
    // What is wrong with the options is said before the hardware is touched.
    let context_share = options.context_share.map(|limit| Share::new(limit.into()).ok_or(ProbeError::NoContextShare));
    let context_share = context_share.transpose()?;
    let minor = module.allocate_minor()?;
    let scheduler = options.scheduler(minor.number);
    scheduler.check()?;
    if options.watch.period < Watch::SHORTEST {
        return Err(OptionsError::TooShort { what: "watch.period", least: Watch::SHORTEST }.into());
    }
    let binding_entry = module.ledger.enlist(Kind::Binding);
    let config = function.config();
    let id = config.read32(offset::ID)?;
    if Unready::of(id).is_some() {
        return Err(ProbeError::NotReady(id));
    }
    if !Lb1Driver::FACTS.binds_to(id) {
        return Err(ProbeError::NotOurs(id));
    }
    set_memory_decode(&*config, true)?;
    let hardware = Hardware::new(function, Lb1Driver::FACTS.bars)?;
    let ProbeOptions { drain_limit, display_limit, watch, .. } = options;
    let allowance = Allowance { scheduler, context_share, display_limit, watch };
    let dumps = (options.dump_limit, options.report_dump);
    let link = Arc::new(Link::new(hardware, options.check_entry, options.report_loss));
    let running = match bring_up(module, &link, function, minor.number, allowance, dumps) {
        Ok(running) => running,
        Err(error) => {
            // The device may run by now. It comes to rest before its mappings go.
            bring_to_rest(&link, &**function, drain_limit);
            return Err(error);
        }
    };
    let device_info = DeviceInfo {
        minor: minor.number,
        location: function.location().to_owned(),
        rings: running.info.rings,
        vram_bytes: running.info.vram_bytes,
        serial: running.info.serial,
        // A job's cost is its commands and its sequence number.
        max_commands: running.credits as usize - 1,
    };
    tracing::info!(minor = minor.number, location = function.location(), "bound");
    let (dumps, info) = (running.dumps.clone(), running.info);
    let (interrupts, rest) = (running.interrupts.clone(), running.rest.clone());
    let device = Device::new(module, minor, device_info, link.clone(), running);
    let shell = Shell::new(device, link, function.clone(), (interrupts, rest), drain_limit, binding_entry);
    Ok(Binding::new(shell, info, dumps))
}

/// What a device that works consists of, besides its link.
pub(crate) struct Running {
    pub(crate) info: Info,
    /// Of each ring.
    credits: u32,
    pub(crate) scheduler: Scheduler<Job>,
    pub(crate) gpu: Arc<Gpu>,
    pub(crate) context_share: Share,
    pub(crate) dumps: Arc<Recorder<Gpu>>,
    pub(crate) interrupts: Arc<Interrupts<Gpu>>,
    pub(crate) rest: Arc<Rest>,
}

/// From a device that answers to one that takes jobs. On an error it may be anywhere between.
fn bring_up(
    module: &Module,
    link: &Arc<Link>,
    function: &Arc<dyn Function>,
    minor: u32,
    allowance: Allowance,
    (dump_limit, report_dump): (usize, ReportDump),
) -> Result<Running, ProbeError> {
    let bound = link.bound().ok_or(DriverError::Gone)?;
    let info = bound.io(Lb1Driver::info)?;
    let (memories, mut rings) = make_rings(&bound, info)?;
    let credits = memories.first().map_or(1, |ring| ring.credits);
    let Allowance { scheduler, context_share, display_limit, watch } = allowance;
    let limits = Limits { ring_credits: credits, ..scheduler.limits };
    let context_share = context_share.unwrap_or(Share::quarter_of(info.contexts.into()));
    let options = Options { rings: info.rings, limits, contexts: info.contexts.into(), ..scheduler };
    let gpu = Arc::new(Gpu {
        display: Arc::new(Display::new(&module.ledger, &device::name(minor), display_limit)),
        contexts: Contexts::new(info.contexts),
        maps: Maps::new(link.clone(), info.vram_bytes),
    });
    let (mut recorder, mut end) = (None, None);
    let rest = Arc::new(Rest::default());
    let config = function.config();
    let scheduler = Scheduler::open_counted(&options, &module.ledger, |events| {
        let interrupts = Arc::new(Interrupts::new(link.clone(), events.clone(), gpu.clone()));
        drive(&bound, Lb1Driver::bring_up(info, &mut rings), |duty| match duty {
            Duty::BusMaster => Ok(set_bus_master(&*config, true)?),
            Duty::Interrupts => {
                let handler = interrupts.clone();
                Ok(function.irq_enable(Lb1Driver::FACTS.vectors, Arc::new(move |_vector| handler.arrived()))?)
            }
            // There are no users yet.
            _ => Ok(()),
        })
        .map_err(not_brought_up)?;
        let whose = (minor, function.location());
        let dumps = Recorder::new(link.clone(), events.clone(), memories.into(), whose, dump_limit, report_dump);
        let dumps = recorder.insert(Arc::new(dumps)).clone();
        end = Some((interrupts.clone(), rest.clone()));
        Ok(DeviceRings {
            link: link.clone(),
            subsystem: gpu.clone(),
            info,
            rings,
            health: HealthCheck::new(watch, minor, info, config.clone()),
            dumps,
            interrupts,
            rest,
        })
    });
    let scheduler = scheduler.map_err(|error| match error {
        OpenError::Rings(error) => error,
        OpenError::Options(error) => error.into(),
        OpenError::Memory | OpenError::Thread(_) => ProbeError::NoMemory,
    })?;
    // The worker begins to look how the device is.
    scheduler.events().nudge();
    // The rings were made, and this with them.
    let dumps = recorder.ok_or(ProbeError::NotAlive)?;
    let (interrupts, rest) = end.ok_or(ProbeError::NotAlive)?;
    Ok(Running { info, credits, scheduler, gpu, context_share, dumps, interrupts, rest })
}

fn bring_to_rest(link: &Link, function: &dyn Function, drain_limit: Duration) {
    link.announce(None);
    if let Some(bound) = link.bound() {
        quiesce::<Lb1Driver>(&bound, &*function.config());
    }
    function.irq_disable();
    if let Err(held) = link.hardware.revoke(drain_limit) {
        tracing::error!(%held, "the hardware's mappings stay until they end");
    }
}

/// The rings of a device, in memory that it reaches once it may start transfers; and that memory, for dumps.
fn make_rings(bound: &BoundLink<'_>, info: Info) -> Result<(Vec<RingMemory>, Vec<Ring<Gpu>>), ProbeError> {
    let make = |number| {
        let shape = Lb1Driver::ring_shape(&info, number, RING_ENTRIES);
        let RingShape { entries, bytes, credits } = shape;
        let memory = Arc::new(HostMemory::new(bytes).map_err(|_| ProbeError::NoMemory)?);
        let memory: Mapped = bound.hardware(|hardware| hardware.map(memory))?;
        let ring = Lb1Driver::ring(&info, number, shape, memory.clone());
        Ok((RingMemory { number, entries, credits, memory }, ring))
    };
    (0..Lb1Driver::rings(&info)).map(make).collect()
}

/// What users are told of a device that could not be brought up.
fn not_brought_up(error: ProbeError) -> ProbeError {
    match error {
        ProbeError::Driver(DriverError::ResetFailed) => ProbeError::ResetTimedOut,
        ProbeError::Driver(DriverError::NotAlive) => ProbeError::NotAlive,
        error => error,
    }
}
