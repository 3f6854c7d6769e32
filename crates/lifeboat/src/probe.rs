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
use crate::aside::GoingOff;
use crate::attempt::{Failed, attempt};
use crate::base::{self, Base};
use crate::binding::Binding;
use crate::drive::drive;
use crate::dump::{Recorder, RingMemory};
use crate::hardware::{Hardware, Mapped};
use crate::health::HealthCheck;
use crate::irq::Interrupts;
use crate::ledger::{Entry, Kind};
use crate::link::{BoundLink, Link, ReportLoss, Sections};
use crate::loaded::{Loaded, Minor};
use crate::panics::caught;
use crate::rest::{Rest, cut_dma_off, quiesce};
use crate::rings::{DeviceRings, Ring};
use crate::sched::{OpenError, Options, OptionsError, Scheduler};
use crate::subsystem::{Site, Subsystem};
use crate::teardown::Shell;

/// Entries that a ring is to have: at 128 bytes each, 128 KiB of host memory.
const RING_ENTRIES: u32 = 1024;
/// The shortest [`ProbeOptions::driver_limit`]: a thread may be kept from running for some milliseconds.
const SHORTEST_DRIVER_LIMIT: Duration = Duration::from_millis(10);
/// Interrupt handlers of a device that was not bound are waited for so long at least before others see to the release.
const HANDLERS_LIMIT: Duration = Duration::from_millis(100);

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
    /// How long one function of the driver, or one section of register access, may last (DRV-3). After it the device is lost
    /// ([`Loss::Crashed`]), the driver is asked nothing more, and [`UnplugReport::overstay`](crate::UnplugReport::overstay)
    /// names the place; or the probe fails. Found after at most a quarter more. At least 10 ms; default 10 s, which is longer than
    /// any access to a register that still comes to an end.
    pub driver_limit: Duration,
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
            driver_limit: Duration::from_secs(10),
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
            run_by_submitter: false,
            ..defaults
        }
    }
}

/// What a probe has of a device that nothing was asked yet.
struct Prepared {
    minor: Minor,
    scheduler: Options,
    entry: Arc<Entry>,
    hardware: Hardware,
}

/// Brings the device up. On an error it is quiet again, and the function is released.
pub(crate) fn probe<S: Subsystem>(
    module: &Arc<Loaded>,
    function: &Arc<dyn Function>,
    mut options: ProbeOptions,
    subsystem: &Arc<S::Options>,
) -> Result<Binding, ProbeError> {
    let prepared = prepare::<S>(module, function, &options, subsystem).inspect_err(|_| function.release())?;
    let Prepared { minor, scheduler, entry, hardware } = prepared;
    let (drain_limit, driver_limit) = (options.drain_limit, options.driver_limit);
    let report_loss = std::mem::replace(&mut options.report_loss, Box::new(|_| {}));
    let link = Arc::new(Link::new(hardware, options.check_entry, report_loss));
    let brought_up = module.watchdog.watch(&link, driver_limit).map_err(|_| ProbeError::NoMemory.into());
    let brought_up = brought_up.and_then(|watching| {
        let callback = {
            let (module, link, function, entry) = (module.clone(), link.clone(), function.clone(), entry.clone());
            let (number, subsystem) = (minor.number, subsystem.clone());
            move || bring_up_or_stop::<S>(&module, &link, &function, (number, entry), scheduler, options, &subsystem)
        };
        Ok((attempt(&link, driver_limit, callback)?, watching))
    });
    let (running, watching) = match brought_up {
        Ok(running) => running,
        Err(Failed { error, abandoned }) => {
            bring_to_rest(&link, function, if abandoned { Duration::ZERO } else { drain_limit });
            return Err(error);
        }
    };
    tracing::info!(minor = minor.number, location = function.location(), "bound");
    let Running { info, credits, scheduler, subsystem, dumps, interrupts, rest } = running;
    let base = Base::new(module, minor, function.location(), (info, credits), scheduler, subsystem);
    let base = Arc::new(base);
    let device = S::device(base.clone(), link.clone());
    let shell = Shell::new(base, link, function.clone(), (interrupts, rest), drain_limit, (watching, entry));
    Ok(Binding::new(shell, device, dumps))
}

/// All that runs none of the driver's code. What is wrong with the options is said before the hardware is touched.
fn prepare<S: Subsystem>(
    module: &Arc<Loaded>,
    function: &Arc<dyn Function>,
    options: &ProbeOptions,
    subsystem: &S::Options,
) -> Result<Prepared, ProbeError> {
    S::check(subsystem).map_err(ProbeError::Invalid)?;
    let minor = module.allocate_minor()?;
    let scheduler = options.scheduler(minor.number);
    scheduler.check()?;
    let at_least = |what, value: Duration, least| {
        if value < least { Err(OptionsError::TooShort { what, least }) } else { Ok(()) }
    };
    at_least("watch.period", options.watch.period, Watch::SHORTEST)?;
    at_least("driver_limit", options.driver_limit, SHORTEST_DRIVER_LIMIT)?;
    let entry = Arc::new(module.ledger.enlist(Kind::BINDING));
    set_memory_decode(&*function.config(), true)?;
    let hardware = Hardware::new(function, S::Driver::FACTS.bars)?;
    Ok(Prepared { minor, scheduler, entry, hardware })
}

/// All that runs the driver's code. A device that does not come up may run by now; it is stopped.
fn bring_up_or_stop<S: Subsystem>(
    module: &Loaded,
    link: &Arc<Link>,
    function: &Arc<dyn Function>,
    whose: (u32, Arc<Entry>),
    scheduler: Options,
    options: ProbeOptions,
    subsystem: &S::Options,
) -> Result<Running<S>, ProbeError> {
    let bring_up = || bring_up::<S>(module, link, function, whose, scheduler, options, subsystem);
    let brought_up = caught("the driver", bring_up).unwrap_or(Err(DriverError::Panicked.into()));
    if brought_up.is_err() {
        link.announce(None);
        if let Some(bound) = link.bound() {
            quiesce::<S::Driver>(&bound);
        }
    }
    brought_up
}

/// What a device that works consists of, besides its link.
struct Running<S: Subsystem> {
    info: <S::Driver as Driver>::Info,
    /// Of the smallest ring.
    credits: u32,
    scheduler: Scheduler<S::Job>,
    subsystem: Arc<S>,
    dumps: Arc<Recorder<S>>,
    interrupts: Arc<Interrupts<S>>,
    rest: Arc<Rest>,
}

/// From a device that answers to one that takes jobs. On an error it may be anywhere between.
fn bring_up<S: Subsystem>(
    module: &Loaded,
    link: &Arc<Link>,
    function: &Arc<dyn Function>,
    (minor, entry): (u32, Arc<Entry>),
    scheduler: Options,
    options: ProbeOptions,
    subsystem: &S::Options,
) -> Result<Running<S>, ProbeError> {
    let bound = link.bound().ok_or(DriverError::Gone)?;
    let info = bound.io(S::Driver::info)?;
    let (memories, mut rings) = make_rings::<S>(&bound, info)?;
    // What a job may have on whichever ring it comes to.
    let credits = memories.iter().map(|ring| ring.credits).min().unwrap_or(1);
    let ring_credits = memories.iter().map(|ring| ring.credits).collect();
    let unordered = |ring: &RingMemory| bound.code(|| !S::Driver::in_order(&info, ring.number));
    let unordered = memories.iter().map(unordered).collect::<Result<Vec<_>, _>>()?;
    let contexts = S::contexts(&info);
    let rings_of_device = bound.code(|| S::Driver::rings(&info))?;
    let limits = Limits { firmware: bound.code(|| S::Driver::firmware(&info))?, ..scheduler.limits };
    let unordered_rings = unordered.clone();
    let scheduler =
        Options { rings: rings_of_device, limits, ring_credits, unordered: unordered_rings, contexts, ..scheduler };
    let name = base::name(minor);
    let subsystem = Arc::new(S::new(&Site { ledger: &module.ledger, name: &name, link, info, credits }, subsystem));
    let ProbeOptions { watch, dump_limit, report_dump, .. } = options;
    let (mut recorder, mut end) = (None, None);
    let rest = Arc::new(Rest::default());
    let config = function.config();
    let scheduler = Scheduler::open_counted(&scheduler, &module.ledger, |events| {
        let interrupts = Arc::new(Interrupts::new(link.clone(), events.clone(), subsystem.clone()));
        let sequence = bound.code(|| S::Driver::bring_up(info, &mut rings)).map_err(ProbeError::from)?;
        drive(&bound, sequence, |duty| match duty {
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
            unordered,
            health: HealthCheck::new(watch, minor, info, config.clone()),
            dumps,
            interrupts,
            rest,
            _entry: entry,
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

/// Takes a device that was not bound from whoever may still use it, and releases its function.
fn bring_to_rest(link: &Link, function: &Arc<dyn Function>, limit: Duration) {
    link.announce(None);
    cut_dma_off(&*function.config());
    let off = GoingOff::begin(function.clone());
    if let Err(held) = link.hardware.revoke(limit) {
        tracing::error!(%held, "the hardware's mappings stay until they end");
    }
    link.blow_fuse();
    off.release_within(limit.max(HANDLERS_LIMIT));
}

/// The rings of a device, in memory that it reaches once it may start transfers; and that memory,
/// for dumps.
fn make_rings<S: Subsystem>(
    bound: &BoundLink<'_>,
    info: <S::Driver as Driver>::Info,
) -> Result<(Vec<RingMemory>, Vec<Ring<S>>), ProbeError> {
    let make = |number| {
        let shape = bound.code(|| S::Driver::ring_shape(&info, number, RING_ENTRIES))?;
        let RingShape { entries, bytes, credits } = shape;
        let entry_bytes = S::Driver::FACTS.dump.entry_bytes as u64;
        if entries == 0 || credits == 0 || bytes < u64::from(entries) * entry_bytes {
            return Err(DriverError::Impossible("a ring without room for its entries").into());
        }
        let memory = Arc::new(HostMemory::new(bytes).map_err(|_| ProbeError::NoMemory)?);
        let memory: Mapped = bound.hardware(|hardware| hardware.map(memory))?;
        let ring = bound.code(|| S::Driver::ring(&info, number, shape, memory.clone()))?;
        let ring = ring.ok_or(DriverError::Impossible("a ring that its driver does not make"))?;
        Ok((RingMemory { number, entries, credits, memory }, ring))
    };
    (0..bound.code(|| S::Driver::rings(&info))?).map(make).collect()
}

/// What users are told of a device that could not be brought up.
fn not_brought_up(error: ProbeError) -> ProbeError {
    match error {
        ProbeError::Driver(DriverError::ResetFailed) => ProbeError::ResetTimedOut,
        ProbeError::Driver(DriverError::NotAlive) => ProbeError::NotAlive,
        error => error,
    }
}
