//! Probe: from a function on the bus to a device that users can open.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::fence::Seqno;
use lifeboat_core::health::Verdict;
use lifeboat_core::sched::Limits;
use lifeboat_core::unplug::Loss;
use lifeboat_lb1::{DriverError, Info, RingWriter, regs, set_bus_master, set_memory_decode};
use lifeboat_pci::{ConfigSpace, Function, HostMemory, offset};

use crate::ProbeError;
use crate::binding::Binding;
use crate::device::{Device, DeviceInfo};
use crate::display::Display;
use crate::engine::{Engine, Ring};
use crate::hardware::Hardware;
use crate::irq;
use crate::ledger::Kind;
use crate::link::{Link, ReportLoss};
use crate::module::Shared as Module;
use crate::reset::{RESET_LIMIT, quiesce, wait_for_reset};
use crate::teardown::Shell;

/// Descriptors of a ring, as a power of two: 1024, or 128 KiB of host memory.
const RING_ORDER: u8 = 10;
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
    let link = Arc::new(Link::new(hardware, options.report_loss));
    // From here on the device may run. An error must bring it to rest before its mappings go.
    let stop = |error: ProbeError| {
        link.announce();
        quiesce(&link, &*config);
        function.irq_disable();
        if let Err(held) = link.hardware.revoke(options.drain_limit) {
            tracing::error!(%held, "the hardware's mappings stay until they end");
        }
        error
    };
    let (info, rings) = start(&link, &*config).map_err(stop)?;

    let credits = rings.first().map_or(1, |ring| ring.writer.credits());
    let limits = Limits { ring_credits: credits, job_timeout: options.job_timeout };
    let engine = Arc::new(Engine::new(info.rings, limits));
    let display = Arc::new(Display::default());
    let handler = {
        let (link, engine, display) = (link.clone(), engine.clone(), display.clone());
        Arc::new(move |_vector| irq::handle(&link, &engine, &display))
    };
    function.irq_enable(1, handler).map_err(|error| stop(error.into()))?;
    link.registers(|lb1, _| lb1.enable_device()).map_err(|error| stop(error.into()))?;
    match link.registers(|lb1, _| lb1.liveness(LIVENESS_PATTERN)) {
        Ok(Verdict::Alive) => {}
        Ok(Verdict::Dead) => return Err(stop(DriverError::Gone.into())),
        Ok(Verdict::Unsure) => return Err(stop(ProbeError::NotAlive)),
        Err(error) => return Err(stop(error.into())),
    }
    let worker = {
        let (link, engine, display) = (link.clone(), engine.clone(), display.clone());
        let name = format!("lifeboat{}", minor.number);
        std::thread::Builder::new().name(name).spawn(move || engine.work(&link, &display, rings))
    };
    let worker = worker.map_err(|_| stop(ProbeError::NoMemory))?;

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
    Ok(Binding::new(Shell::new(device, function.clone(), worker, options.drain_limit, binding_entry)))
}

/// Resets the device and sets up its rings. They are enabled, but there is nothing in them.
fn start(link: &Link, config: &(impl ConfigSpace + ?Sized)) -> Result<(Info, Vec<Ring>), ProbeError> {
    let info = link.registers(|lb1, _| lb1.info())?;
    link.registers(|lb1, _| lb1.begin_device_reset())?;
    if !wait_for_reset(RESET_LIMIT, || link.registers(|lb1, _| lb1.device_reset()))? {
        return Err(ProbeError::ResetTimedOut);
    }
    set_bus_master(config, true)?;
    let mut rings = Vec::new();
    for number in 0..info.rings {
        let mut writer = RingWriter::new(RING_ORDER).ok_or(ProbeError::NoMemory)?;
        let memory = Arc::new(HostMemory::new(writer.bytes()).map_err(|_| ProbeError::NoMemory)?);
        let memory = link.registers(|_, hardware| hardware.map(memory))?;
        link.registers(|lb1, _| lb1.enable_ring(number, &mut writer, memory.iova, Seqno::ZERO))?;
        rings.push(Ring { number, writer, memory });
    }
    Ok((info, rings))
}
