//! Probe: from a function on the bus to a device that users can open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::sched::Limits;
use lifeboat_core::unplug::Loss;
use lifeboat_lb1::{DriverError, Info, Lb1, Progress, RingWriter, regs, set_bus_master, set_memory_decode};
use lifeboat_pci::{Bar, ConfigSpace, Function, HostMemory, offset};

use crate::binding::Binding;
use crate::device::{Device, DeviceInfo};
use crate::display::Display;
use crate::engine::{Engine, Ring};
use crate::hardware::Hardware;
use crate::irq;
use crate::ledger::Kind;
use crate::link::{Link, ReportLoss};
use crate::module::Shared as Module;
use crate::teardown::Shell;
use crate::{ProbeError, error};

/// Descriptors of a ring, as a power of two: 1024, or 128 KiB of host memory.
const RING_ORDER: u8 = 10;
/// How long to wait between two looks at a reset. A reset takes well under a millisecond on a healthy device.
const RESET_POLL: Duration = Duration::from_micros(100);
/// The liveness pattern: neither it nor its complement is all-ones or zero.
const LIVENESS_PATTERN: u32 = 0x0f1e_2d3c;

/// How a device is to be driven.
pub struct ProbeOptions {
    /// How long a job may take once it is its ring's oldest. Default 2 s.
    pub job_timeout: Duration,
    /// How long an unplug waits for open sections. Default 5 s.
    pub drain_limit: Duration,
    /// Called once if the driver finds the device lost. Must not block; the unplug is the callee's duty.
    pub report_loss: Box<dyn Fn(Loss) + Send + Sync>,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        let report_loss: ReportLoss = Box::new(|loss| tracing::error!(%loss, "nobody listens for device loss"));
        Self { job_timeout: Duration::from_secs(2), drain_limit: Duration::from_secs(5), report_loss }
    }
}

/// Brings the device up. On an error it is quiet again, and the caller releases the function.
pub(crate) fn probe(
    module: &Arc<Module>,
    function: &Arc<dyn Function>,
    options: ProbeOptions,
) -> Result<Binding, ProbeError> {
    let minor = module.allocate_minor()?;
    let binding_entry = module.ledger.enlist(Kind::Binding);
    let config = function.config();
    let id = config.read32(offset::ID)?;
    if id != u32::from(regs::VENDOR_ID) | u32::from(regs::DEVICE_ID) << 16 {
        return Err(ProbeError::NotOurs(id));
    }
    set_memory_decode(&*config, true)?;
    let hardware = Hardware::new(function.clone(), function.bar(regs::REGISTER_BAR)?, function.bar(regs::VRAM_BAR)?);
    // From here on the device may run, so an error must stop it before the mappings go.
    let (info, rings) = start(&hardware, &*config).inspect_err(|_| quiesce(&hardware.lb1(), &*config))?;

    let credits = rings.first().map_or(1, |ring| ring.writer.credits());
    let limits = Limits { ring_credits: credits, job_timeout: options.job_timeout };
    let engine = Arc::new(Engine::new(info.rings, limits));
    let display = Arc::new(Display::default());
    let link = Arc::new(Link::new(hardware, options.report_loss));
    let stop = |error: ProbeError| {
        link.announce();
        link.hardware.try_access_with(|hardware| quiesce(&hardware.lb1(), &*config));
        function.irq_disable();
        let _ = link.hardware.revoke(options.drain_limit);
        error
    };
    let handler = {
        let (link, engine, display) = (link.clone(), engine.clone(), display.clone());
        Arc::new(move |_vector| irq::handle(&link, &engine, &display))
    };
    function.irq_enable(1, handler).map_err(|error| stop(error.into()))?;
    let enabled = link.registers(|lb1, _| {
        lb1.enable_device()?;
        lb1.liveness(LIVENESS_PATTERN)
    });
    match enabled {
        Ok(lifeboat_core::health::Verdict::Alive) => {}
        Ok(_) => return Err(stop(DriverError::Gone.into())),
        Err(error) => return Err(stop(error.into())),
    }
    let worker = {
        let (link, engine) = (link.clone(), engine.clone());
        let name = format!("lifeboat{}", minor.number);
        std::thread::Builder::new().name(name).spawn(move || engine.work(&link, rings))
    };
    worker.map_err(|_| stop(ProbeError::NoMemory))?;

    let device_info = DeviceInfo {
        minor: minor.number,
        location: function.location().to_owned(),
        rings: info.rings,
        vram_bytes: info.vram_bytes,
        // A job's cost is its commands and its sequence number.
        max_commands: credits as usize - 1,
    };
    tracing::info!(minor = minor.number, location = function.location(), "bound");
    let device = Device::new(module, minor, device_info, &info, link, engine, display);
    Ok(Binding::new(Shell::new(device, function.clone(), options.drain_limit, binding_entry)))
}

/// Resets the device and sets up its rings. They are enabled, but there is nothing in them.
fn start(hardware: &Hardware, config: &(impl ConfigSpace + ?Sized)) -> Result<(Info, Vec<Ring>), ProbeError> {
    let lb1 = hardware.lb1();
    let info = lb1.info()?;
    lb1.begin_device_reset()?;
    if !wait_for_reset(Duration::from_millis(2 * regs::RESET_MAX_MS), || lb1.device_reset())? {
        return Err(ProbeError::ResetTimedOut);
    }
    set_bus_master(config, true)?;
    let mut rings = Vec::new();
    for number in 0..info.rings {
        let mut writer = RingWriter::new(RING_ORDER).ok_or(ProbeError::NoMemory)?;
        let memory = HostMemory::new(writer.bytes()).map_err(|_| ProbeError::NoMemory)?;
        let memory = hardware.map(Arc::new(memory))?;
        lb1.enable_ring(number, &mut writer, memory.iova, lifeboat_core::fence::Seqno::ZERO)?;
        rings.push(Ring { number, writer, memory });
    }
    Ok((info, rings))
}

/// Brings a device to rest, in order if it is alive; on a dead one nothing waits. After it the device transfers nothing.
pub(crate) fn quiesce(lb1: &Lb1<'_, dyn Bar + Send + Sync>, config: &(impl ConfigSpace + ?Sized)) {
    let rest = || -> Result<bool, error::ProbeError> {
        if lb1.identity()? != lifeboat_core::health::Verdict::Alive {
            return Ok(false);
        }
        lb1.mask_interrupts()?;
        lb1.begin_device_reset()?;
        let done = wait_for_reset(Duration::from_millis(2 * regs::RESET_MAX_MS), || lb1.device_reset())?;
        set_bus_master(config, false)?;
        set_memory_decode(config, false)?;
        Ok(done)
    };
    match rest() {
        Ok(true) => {}
        Ok(false) => tracing::debug!("the device is dead or will not reset; cut off without waiting"),
        Err(error) => tracing::debug!(%error, "the device could not be brought to rest"),
    }
}

/// Asks until a reset is no longer under way; `true` if it has succeeded. Ends early if the device is gone (GATE-9).
pub(crate) fn wait_for_reset(
    limit: Duration,
    mut ask: impl FnMut() -> Result<Progress, DriverError>,
) -> Result<bool, DriverError> {
    let deadline = Instant::now() + limit;
    loop {
        match ask()? {
            Progress::Done => return Ok(true),
            Progress::Failed => return Ok(false),
            Progress::UnderWay if Instant::now() >= deadline => return Ok(false),
            Progress::UnderWay => std::thread::sleep(RESET_POLL),
        }
    }
}
