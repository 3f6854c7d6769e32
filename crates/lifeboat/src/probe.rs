//! Probe: from a function on the bus to a device that users can open.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::fence::Seqno;
use lifeboat_core::health::Verdict;
use lifeboat_core::recovery::{Budget, Patience, Spacing, Unready};
use lifeboat_core::sched::Limits;
use lifeboat_core::share::Share;
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::Watch;
use lifeboat_lb1::{DriverError, Info, RingWriter, regs, set_bus_master, set_memory_decode};
use lifeboat_pci::{ConfigSpace, Function, HostMemory, offset};

use crate::ProbeError;
use crate::binding::Binding;
use crate::contexts::Contexts;
use crate::device::{self, Device, DeviceInfo};
use crate::display::Display;
use crate::dump::{Recorder, ReportDump};
use crate::hardware::Hardware;
use crate::health::HealthCheck;
use crate::irq::Interrupts;
use crate::ledger::Kind;
use crate::link::{BoundLink, Link, ReportLoss};
use crate::maps::Maps;
use crate::module::Shared as Module;
use crate::reset::{HEARTBEAT_LIMIT, RESET_LIMIT, quiesce, wait_for_heartbeat, wait_for_reset};
use crate::rest::Rest;
use crate::rings::{Lb1Rings, Ring};
use crate::sched::{OpenError, Options, OptionsError, Scheduler};
use crate::submit::Job;
use crate::teardown::Shell;

/// Descriptors of a ring, as a power of two: 1024, or 128 KiB of host memory.
const RING_ORDER: u8 = 10;
/// Vendor and device, as configuration space has them.
pub(crate) const PCI_ID: u32 = regs::VENDOR_ID as u32 | (regs::DEVICE_ID as u32) << 16;
/// The liveness pattern: neither it nor its complement is all-ones or zero.
pub(crate) const LIVENESS_PATTERN: u32 = 0x0f1e_2d3c;

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
    if id != PCI_ID {
        return Err(ProbeError::NotOurs(id));
    }
    set_memory_decode(&*config, true)?;
    let hardware = Hardware::new(function.clone(), function.bar(regs::REGISTER_BAR)?, function.bar(regs::VRAM_BAR)?);
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
    pub(crate) display: Arc<Display>,
    pub(crate) contexts: Arc<Contexts>,
    pub(crate) context_share: Share,
    pub(crate) maps: Maps,
    pub(crate) dumps: Arc<Recorder>,
    pub(crate) interrupts: Arc<Interrupts>,
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
    let (info, mut rings) = start(&bound, &*function.config())?;
    let credits = rings.first().map_or(1, |ring| ring.writer.credits());
    let Allowance { scheduler, context_share, display_limit, watch } = allowance;
    let limits = Limits { ring_credits: credits, ..scheduler.limits };
    let contexts = Arc::new(Contexts::new(info.contexts));
    let context_share = context_share.unwrap_or(Share::quarter_of(info.contexts.into()));
    let options = Options { rings: info.rings, limits, contexts: info.contexts.into(), ..scheduler };
    let display = Arc::new(Display::new(&module.ledger, &device::name(minor), display_limit));
    let (mut recorder, mut end) = (None, None);
    let rest = Arc::new(Rest::default());
    let scheduler = Scheduler::open_counted(&options, &module.ledger, |events| {
        let interrupts = Arc::new(Interrupts::new(link.clone(), events.clone(), display.clone()));
        let handler = interrupts.clone();
        function.irq_enable(1, Arc::new(move |_vector| handler.arrived()))?;
        bound.registers(|lb1, _| lb1.enable_device())?;
        match bound.registers(|lb1, _| lb1.liveness(LIVENESS_PATTERN))? {
            // It computes. Does it go on?
            Verdict::Alive if !wait_for_heartbeat(HEARTBEAT_LIMIT, || bound.registers(|lb1, _| lb1.heartbeat()))? => {
                Err(ProbeError::NotAlive)
            }
            Verdict::Alive => {
                rings.iter_mut().try_for_each(|ring| ring.prove(&bound, Seqno::BEFORE_ZERO))?;
                let memories = rings.iter().map(Ring::memory).collect();
                let whose = (minor, function.location());
                let dumps = Recorder::new(link.clone(), events.clone(), memories, whose, dump_limit, report_dump);
                let dumps = recorder.insert(Arc::new(dumps)).clone();
                end = Some((interrupts.clone(), rest.clone()));
                Ok(Lb1Rings {
                    link: link.clone(),
                    display: display.clone(),
                    contexts: contexts.clone(),
                    info,
                    rings,
                    health: HealthCheck::new(watch, minor, info, function.config()),
                    dumps,
                    interrupts,
                    rest,
                })
            }
            Verdict::Dead => Err(DriverError::Gone.into()),
            Verdict::Unsure => Err(ProbeError::NotAlive),
        }
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
    let maps = Maps::new(link.clone(), info.vram_bytes);
    Ok(Running { info, credits, scheduler, display, contexts, context_share, maps, dumps, interrupts, rest })
}

fn bring_to_rest(link: &Link, function: &dyn Function, drain_limit: Duration) {
    link.announce(None);
    if let Some(bound) = link.bound() {
        quiesce(&bound, &*function.config());
    }
    function.irq_disable();
    if let Err(held) = link.hardware.revoke(drain_limit) {
        tracing::error!(%held, "the hardware's mappings stay until they end");
    }
}

/// Resets the device and sets up its rings. They are enabled, but there is nothing in them, and
/// they are yet to prove themselves: then they have the number 0.
fn start(bound: &BoundLink<'_>, config: &(impl ConfigSpace + ?Sized)) -> Result<(Info, Vec<Ring>), ProbeError> {
    let info = bound.registers(|lb1, hardware| {
        let info = lb1.info()?;
        info.check(hardware.registers_size(), hardware.vram().size())?;
        Ok(info)
    })?;
    bound.registers(|lb1, _| lb1.begin_device_reset())?;
    if !wait_for_reset(RESET_LIMIT, || bound.registers(|lb1, _| lb1.device_reset()))? {
        return Err(ProbeError::ResetTimedOut);
    }
    set_bus_master(config, true)?;
    let mut rings = Vec::new();
    for number in 0..info.rings {
        let writer = RingWriter::new(RING_ORDER).ok_or(ProbeError::NoMemory)?;
        let memory = Arc::new(HostMemory::new(writer.bytes()).map_err(|_| ProbeError::NoMemory)?);
        let memory = bound.registers(|_, hardware| hardware.map(memory))?;
        let mut ring = Ring { number, writer, memory };
        bound.registers(|lb1, _| ring.enable(lb1, Seqno::BEFORE_ZERO))?;
        rings.push(ring);
    }
    Ok((info, rings))
}
