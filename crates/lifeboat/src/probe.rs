//! Probe: from a function on the bus to a device that users can open.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::minor::Minor;
use lifeboat_core::recovery::Unready;
use lifeboat_core::sched::Limits;
use lifeboat_core::vitals::Watch;
use lifeboat_driver::{ChosenInterrupts, Driver, DriverError, Duty, InterruptUse, RingShape};
use lifeboat_pci::{BusError, Function, HostMemory, VectorHandler, offset, set_bus_master, set_memory_decode};

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
use crate::link::{BoundLink, Link, Sections};
use crate::listeners::{Listeners, ReportDump};
use crate::loaded::{HeldMinor, Loaded};
use crate::panics::caught;
use crate::policy::Policy;
use crate::rest::{Rest, cut_dma_off, quiesce};
use crate::rings::{DeviceRings, Ring};
use crate::sched::{OpenError, Options, Scheduler};
use crate::subsystem::{Site, Subsystem};
use crate::teardown::Shell;

/// Entries that a ring is to have: at 128 bytes each, 128 KiB of host memory.
const RING_ENTRIES: u32 = 1024;
/// Interrupt handlers of a device that was not bound are waited for so long at least before others see to the release.
const HANDLERS_LIMIT: Duration = Duration::from_millis(100);

/// What a probe has of a device that nothing was asked yet.
struct Prepared {
    minor: HeldMinor,
    scheduler: Options,
    entry: Arc<Entry>,
    hardware: Hardware,
    chosen: Option<ChosenInterrupts>,
}

/// How the shell hears of the device: looks, dumps and interrupts.
struct Looks {
    watch: Watch,
    dump_limit: usize,
    report_dump: ReportDump,
    /// The interrupts to turn on.
    chosen: Option<ChosenInterrupts>,
}

/// Brings the device up. On an error it is quiet again, and the function is released.
pub(crate) fn probe<S: Subsystem>(
    module: &Arc<Loaded>,
    function: &Arc<dyn Function>,
    policy: &Policy,
    listeners: Listeners,
    subsystem: &Arc<S::Options>,
) -> Result<Binding, ProbeError> {
    let prepared = prepare::<S>(module, function, policy, subsystem).inspect_err(|_| function.release())?;
    let Prepared { minor, scheduler, entry, hardware, chosen } = prepared;
    let &Policy { drain_limit, driver_limit, watch, dump_limit, check_entry, .. } = policy;
    let Listeners { loss, dump } = listeners;
    let link = Arc::new(Link::new(hardware, check_entry, loss));
    let brought_up = module.watchdog.watch(&link, driver_limit).map_err(|_| ProbeError::NoMemory.into());
    let brought_up = brought_up.and_then(|watching| {
        let callback = {
            let (module, link, function, entry) = (module.clone(), link.clone(), function.clone(), entry.clone());
            let (number, subsystem) = (minor.number, subsystem.clone());
            let looks = Looks { watch, dump_limit, report_dump: dump, chosen };
            move || bring_up_or_stop::<S>(&module, &link, &function, (number, entry), scheduler, looks, &subsystem)
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
    tracing::info!(minor = minor.number.0, location = function.location(), "bound");
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
    policy: &Policy,
    subsystem: &S::Options,
) -> Result<Prepared, ProbeError> {
    S::check(subsystem).map_err(ProbeError::Invalid)?;
    let minor = module.allocate_minor()?;
    let scheduler = policy.scheduler(base::name(minor.number));
    scheduler.check()?;
    policy.check()?;
    let entry = Arc::new(module.ledger.enlist(Kind::BINDING));
    set_memory_decode(&*function.config(), true)?;
    let hardware = Hardware::new(function, S::Driver::FACTS.bars)?;
    let chosen = choose_interrupts(&**function, &S::Driver::FACTS.interrupts)?;
    Ok(Prepared { minor, scheduler, entry, hardware, chosen })
}

/// The best interrupts that the function offers, and no more vectors than the driver needs: one handler asks for all that
/// is pending.
fn choose_interrupts(function: &dyn Function, uses: &InterruptUse) -> Result<Option<ChosenInterrupts>, ProbeError> {
    let most = uses.least.max(1).next_power_of_two().min(uses.most);
    let offered = |kind| match function.irq_vectors(kind) {
        Ok(vectors) => Ok(vectors),
        Err(BusError::Unsupported) => Ok(0),
        Err(error) => Err(error.into()),
    };
    let chosen = InterruptUse { most, ..*uses }.choose(offered);
    if chosen == Err(DriverError::NoInterrupts) {
        // A function that is gone offers nothing, either.
        let id = function.config().read32(offset::ID)?;
        if Unready::of(id).is_some() {
            return Err(ProbeError::NotReady(id));
        }
    }
    Ok(chosen?)
}

/// All that runs the driver's code. A device that does not come up may run by now; it is stopped.
fn bring_up_or_stop<S: Subsystem>(
    module: &Loaded,
    link: &Arc<Link>,
    function: &Arc<dyn Function>,
    whose: (Minor, Arc<Entry>),
    scheduler: Options,
    looks: Looks,
    subsystem: &S::Options,
) -> Result<Running<S>, ProbeError> {
    let bring_up = || bring_up::<S>(module, link, function, whose, scheduler, looks, subsystem);
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
    (minor, entry): (Minor, Arc<Entry>),
    scheduler: Options,
    looks: Looks,
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
    let Looks { watch, dump_limit, report_dump, chosen } = looks;
    let (mut recorder, mut end) = (None, None);
    let rest = Arc::new(Rest::default());
    let config = function.config();
    let scheduler = Scheduler::open_counted(&scheduler, &module.ledger, |events| {
        let interrupts = Arc::new(Interrupts::new(link.clone(), events.clone(), subsystem.clone()));
        let sequence = bound.code(|| S::Driver::bring_up(info, &mut rings)).map_err(ProbeError::from)?;
        drive(&bound, sequence, |duty| match duty {
            Duty::BusMaster => Ok(set_bus_master(&*config, true)?),
            Duty::Interrupts => {
                let Some(ChosenInterrupts { kind, vectors }) = chosen else { return Ok(()) };
                let handler: VectorHandler = {
                    let interrupts = interrupts.clone();
                    Arc::new(move || interrupts.arrived())
                };
                Ok(function.irq_enable_each(kind, vec![handler; vectors.into()])?)
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
