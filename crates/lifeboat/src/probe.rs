//! Probe: from a function on the bus to a device that users can open.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::recovery::{Budget, Patience, Spacing};
use lifeboat_core::sched::Limits;
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::Watch;
use lifeboat_driver::{Driver, DriverError, Duty, RingShape};
use lifeboat_pci::{Function, HostMemory, set_bus_master, set_memory_decode};

use crate::ProbeError;
use crate::base::{self, Base};
use crate::binding::Binding;
use crate::drive::drive;
use crate::dump::{Recorder, RingMemory};
use crate::hardware::{Hardware, Mapped};
use crate::health::HealthCheck;
use crate::irq::Interrupts;
use crate::ledger::Kind;
use crate::link::{BoundLink, Link, ReportLoss, Sections};
use crate::module::Shared as Module;
use crate::panics::caught;
use crate::rest::{Rest, quiesce};
use crate::rings::{DeviceRings, Ring};
use crate::sched::{OpenError, Options, OptionsError, Scheduler};
use crate::subsystem::{Site, Subsystem};
use crate::teardown::Shell;

/// Entries that a ring is to have: at 128 bytes each, 128 KiB of host memory.
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
    /// How long an unplug waits for whoever is still in the driver: calls, interrupt handlers, the worker. It waits so long
    /// at most after the announcement, and as long again when it cuts the hardware off, plus half a second. Default 5 s.
    pub drain_limit: Duration,
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
            drain_limit: Duration::from_secs(5),
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
            name: base::name(minor),
            limits: Limits { job_timeout, extensions, ..defaults.limits },
            guilty_limit: self.guilty_limit,
            job_share: self.job_share,
            queue_share: self.queue_share,
            ..defaults
        }
    }
}

/// Brings the device up. On an error it is quiet again, and the caller releases the function.
pub(crate) fn probe<S: Subsystem>(
    module: &Arc<Module>,
    function: &Arc<dyn Function>,
    options: ProbeOptions,
    subsystem: &S::Options,
) -> Result<Binding, ProbeError> {
    // What is wrong with the options is said before the hardware is touched.
    S::check(subsystem).map_err(ProbeError::Invalid)?;
    let minor = module.allocate_minor()?;
    let scheduler = options.scheduler(minor.number);
    scheduler.check()?;
    if options.watch.period < Watch::SHORTEST {
        return Err(OptionsError::TooShort { what: "watch.period", least: Watch::SHORTEST }.into());
    }
    let binding_entry = module.ledger.enlist(Kind::BINDING);
    set_memory_decode(&*function.config(), true)?;
    let hardware = Hardware::new(function, S::Driver::FACTS.bars)?;
    let drain_limit = options.drain_limit;
    let (link, brought_up) = {
        let mut options = options;
        let report_loss = std::mem::replace(&mut options.report_loss, Box::new(|_| {}));
        let link = Arc::new(Link::new(hardware, options.check_entry, report_loss));
        let bring_up = || bring_up::<S>(module, &link, function, minor.number, scheduler, options, subsystem);
        let brought_up = caught("the driver", bring_up).unwrap_or(Err(DriverError::Panicked.into()));
        (link, brought_up)
    };
    let running = match brought_up {
        Ok(running) => running,
        Err(error) => {
            // The device may run by now. It comes to rest before its mappings go.
            bring_to_rest::<S>(&link, &**function, drain_limit);
            return Err(error);
        }
    };
    tracing::info!(minor = minor.number, location = function.location(), "bound");
    let Running { info, credits, scheduler, subsystem, dumps, interrupts, rest } = running;
    let base = Base::new(module, minor, function.location(), (info, credits), scheduler, subsystem);
    let base = Arc::new(base);
    let device = S::device(base.clone(), link.clone());
    let shell = Shell::new(base, link, function.clone(), (interrupts, rest), drain_limit, binding_entry);
    Ok(Binding::new(shell, device, dumps))
}

/// What a device that works consists of, besides its link.
struct Running<S: Subsystem> {
    info: <S::Driver as Driver>::Info,
    /// Of each ring.
    credits: u32,
    scheduler: Scheduler<S::Job>,
    subsystem: Arc<S>,
    dumps: Arc<Recorder<S>>,
    interrupts: Arc<Interrupts<S>>,
    rest: Arc<Rest>,
}

/// From a device that answers to one that takes jobs. On an error it may be anywhere between.
fn bring_up<S: Subsystem>(
    module: &Module,
    link: &Arc<Link>,
    function: &Arc<dyn Function>,
    minor: u32,
    scheduler: Options,
    options: ProbeOptions,
    subsystem: &S::Options,
) -> Result<Running<S>, ProbeError> {
    let bound = link.bound().ok_or(DriverError::Gone)?;
    let info = bound.io(S::Driver::info)?;
    let (memories, mut rings) = make_rings::<S>(&bound, info)?;
    // The scheduler gives all rings the same.
    let credits = memories.iter().map(|ring| ring.credits).min().unwrap_or(1);
    let limits = Limits { ring_credits: credits, ..scheduler.limits };
    let contexts = S::contexts(&info);
    let scheduler = Options { rings: S::Driver::rings(&info), limits, contexts, ..scheduler };
    let name = base::name(minor);
    let subsystem = Arc::new(S::new(&Site { ledger: &module.ledger, name: &name, link, info }, subsystem));
    let ProbeOptions { watch, dump_limit, report_dump, .. } = options;
    let (mut recorder, mut end) = (None, None);
    let rest = Arc::new(Rest::default());
    let config = function.config();
    let scheduler = Scheduler::open_counted(&scheduler, &module.ledger, |events| {
        let interrupts = Arc::new(Interrupts::new(link.clone(), events.clone(), subsystem.clone()));
        drive(&bound, S::Driver::bring_up(info, &mut rings), |duty| match duty {
            Duty::BusMaster => Ok(set_bus_master(&*config, true)?),
            Duty::Interrupts => {
                let handler = interrupts.clone();
                Ok(function.irq_enable(1, Arc::new(move |_vector| handler.arrived()))?)
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
            subsystem: subsystem.clone(),
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
    Ok(Running { info, credits, scheduler, subsystem, dumps, interrupts, rest })
}

fn bring_to_rest<S: Subsystem>(link: &Link, function: &dyn Function, drain_limit: Duration) {
    link.announce(None);
    if let Some(bound) = link.bound() {
        quiesce::<S::Driver>(&bound, &*function.config());
    }
    function.irq_disable();
    if let Err(held) = link.hardware.revoke(drain_limit) {
        tracing::error!(%held, "the hardware's mappings stay until they end");
    }
}

/// The rings of a device, in memory that it reaches once it may start transfers; and that memory,
/// for dumps.
fn make_rings<S: Subsystem>(
    bound: &BoundLink<'_>,
    info: <S::Driver as Driver>::Info,
) -> Result<(Vec<RingMemory>, Vec<Ring<S>>), ProbeError> {
    let make = |number| {
        let shape = S::Driver::ring_shape(&info, number, RING_ENTRIES);
        let RingShape { entries, bytes, credits } = shape;
        let entry_bytes = S::Driver::FACTS.dump.entry_bytes as u64;
        if entries == 0 || credits == 0 || bytes < u64::from(entries) * entry_bytes {
            return Err(DriverError::Impossible("a ring without room for its entries").into());
        }
        let memory = Arc::new(HostMemory::new(bytes).map_err(|_| ProbeError::NoMemory)?);
        let memory: Mapped = bound.hardware(|hardware| hardware.map(memory))?;
        let ring = S::Driver::ring(&info, number, shape, memory.clone());
        let ring = ring.ok_or(DriverError::Impossible("a ring that its driver does not make"))?;
        Ok((RingMemory { number, entries, credits, memory }, ring))
    };
    (0..S::Driver::rings(&info)).map(make).collect()
}

/// What users are told of a device that could not be brought up.
fn not_brought_up(error: ProbeError) -> ProbeError {
    match error {
        ProbeError::Driver(DriverError::ResetFailed) => ProbeError::ResetTimedOut,
        ProbeError::Driver(DriverError::NotAlive) => ProbeError::NotAlive,
        error => error,
    }
}
