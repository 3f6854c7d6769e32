// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Makes an identified device work: the driver's bring-up, then the self-test.

use kernel::{device::Bound, pci, prelude::*, sync::Arc};
use lifeboat_driver::{gpu::Gpu, Driver, Duty};

use crate::device::{Device, DeviceState};
use crate::drive::Stopped;
use crate::glue::Interrupts;
use crate::interrupt::Handler;
use crate::registration::Driven;
use crate::ring::Rings;
use crate::workspace::Workspace;
use crate::{health, module_parameters, selftest};

/// A device that was brought up and has passed its self-test.
pub(crate) struct Working(Arc<Device>);

impl Working {
    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.0
    }
}

/// Brings the device up. After an error the caller ends the binding, which brings it to rest.
pub(crate) fn start(function: &pci::Device<Bound>, device: &Arc<Device>) -> Result<Working, Stopped> {
    let info = &device.info;
    let (rings, vram) = (Driven::rings(info), Driven::vram(info).map_or(0, |vram| vram.bytes));
    let segments = Workspace::segments_needed(info);
    if Driven::contexts(info) < rings || Driven::segments(info) < segments || vram < Workspace::vram_needed(info) {
        dev_err!(function, "too few contexts or segments, or too little VRAM, for {rings} rings\n");
        return Err(ENODEV.into());
    }
    device.engine.attach(device.clone());
    start_device(function, device)?;
    device.load.open(&device.engine, |ring| device.rings.lock().workspace(ring).ok())?;
    selftest::run(device)?;
    // The device may have been lost meanwhile.
    if !device.change(DeviceState::Probing, DeviceState::Ready) {
        return Err(ENODEV.into());
    }
    dev_info!(
        function,
        "ready: {rings} rings, {} MiB VRAM, self-test of {} bytes passed\n",
        vram >> 20,
        device.counters.verified_bytes.get()
    );
    health::start(device);
    device.set_load(*module_parameters::load.value_ref());
    Ok(Working(device.clone()))
}

fn start_device(function: &pci::Device<Bound>, device: &Arc<Device>) -> Result<(), Stopped> {
    let mut rings = Rings::new(function.as_ref(), &device.info)?;
    // Not locked meanwhile, since memory is allocated: fences may depend on what holds the lock.
    let result = rings.bring_up(&device.link, &device.info, |duty| match duty {
        Duty::BusMaster => {
            device.enabled.lock().as_ref().ok_or(ENODEV)?.set_master();
            Ok(())
        }
        Duty::Interrupts => {
            let interrupts = Interrupts::request(function, &Driven::FACTS.interrupts, || Handler(device.clone()))?;
            *device.interrupts.lock() = Some(interrupts);
            Ok(())
        }
        _ => Ok(()),
    });
    // Also after an error: the device may still reach their memory.
    *device.rings.lock() = rings;
    result
}
