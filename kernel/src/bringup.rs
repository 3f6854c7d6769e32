// SPDX-License-Identifier: GPL-2.0 OR MIT

//! From an identified device to one that works: the order of docs/lb1.md, then the self-test.

use kernel::{device::Core, pci, prelude::*, sync::Arc};
use lifeboat_core::{fence::Seqno, health::Verdict};
use lifeboat_lb1::{regs, DriverError};

use crate::device::{Device, State};
use crate::errno::errno;
use crate::glue::Interrupts;
use crate::interrupt::Handler;
use crate::ring::{wait_for_reset, Ring};
use crate::shown::Shown;
use crate::workspace::Workspace;
use crate::{health, module_parameters, selftest};

/// Brings the device up. After an error the caller ends the binding, which brings it to rest.
pub(crate) fn start(function: &pci::Device<Core<'_>>, device: &Arc<Device>) -> Result {
    let info = &device.info;
    if info.contexts < info.rings || info.vram_bytes < Workspace::vram_needed(info.rings) {
        dev_err!(function, "too few contexts or too little VRAM for {} rings\n", info.rings);
        return Err(ENODEV);
    }
    reset(device).map_err(errno)?;
    set_master(device)?;
    let interrupts = Interrupts::request(function, regs::VECTORS, || Handler(device.clone()))?;
    *device.interrupts.lock() = Some(interrupts);
    device.link.registers(|lb1| lb1.enable_device()).map_err(errno)?;
    start_rings(function, device)?;
    match health::verdict(device) {
        Verdict::Alive => {}
        Verdict::Dead => return Err(ENODEV),
        Verdict::Unsure => {
            dev_err!(function, "the liveness register does not answer as an LB1's\n");
            return Err(ENODEV);
        }
    }
    device.load.open(device)?;
    selftest::run(device)?;
    // Unless it was lost meanwhile.
    if !device.change(State::Probing, State::Ready) {
        return Err(ENODEV);
    }
    dev_info!(
        function,
        "ready: {} rings, {} MiB VRAM, self-test of {} bytes passed\n",
        info.rings,
        info.vram_bytes >> 20,
        device.counters.verified_bytes.get()
    );
    health::start(device);
    device.load.set(device, *module_parameters::load.value_ref());
    Ok(())
}

/// Resets the device, at probe or when nothing less helps. Ends early if it is gone.
pub(crate) fn reset(device: &Device) -> Result<(), DriverError> {
    device.link.registers(|lb1| lb1.begin_device_reset())?;
    if wait_for_reset(|| device.link.registers(|lb1| lb1.device_reset()))? {
        return Ok(());
    }
    dev_err!(device.pci, "the device does not come out of reset\n");
    Err(DriverError::ResetFailed)
}

fn set_master(device: &Device) -> Result {
    device.enabled.lock().as_ref().ok_or(ENODEV)?.set_master();
    Ok(())
}

fn start_rings(function: &pci::Device<Core<'_>>, device: &Device) -> Result {
    let mut rings = device.rings.lock();
    for number in 0..device.info.rings {
        let mut ring = Ring::new(function.as_ref(), number)?;
        // Its proof makes that the number 0, which the scheduler counts from.
        ring.start(&device.link, Seqno::BEFORE_ZERO).map_err(|error| {
            dev_err!(function, "{}\n", Shown(error));
            errno(error)
        })?;
        rings.push(ring, GFP_KERNEL)?;
    }
    Ok(())
}
