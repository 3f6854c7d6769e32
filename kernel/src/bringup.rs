// SPDX-License-Identifier: GPL-2.0 OR MIT

//! From an identified device to one that works: the driver's bring-up, then the self-test.

use kernel::{device::Core, pci, prelude::*, sync::Arc};
use lifeboat_driver::{Driver, Duty};

use crate::device::{Device, State};
use crate::drive::Stopped;
use crate::driver::Driven;
use crate::glue::Interrupts;
use crate::interrupt::Handler;
use crate::ring::Rings;
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
    start_device(function, device).map_err(|stopped| {
        if let Stopped::Driver(error) = stopped {
            dev_err!(function, "bring-up failed: {}\n", Shown(error));
        }
        stopped.errno()
    })?;
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

fn start_device(function: &pci::Device<Core<'_>>, device: &Arc<Device>) -> Result<(), Stopped> {
    let mut rings = device.rings.lock();
    *rings = Rings::new(function.as_ref(), &device.info).map_err(Stopped::Kernel)?;
    rings.bring_up(&device.link, &device.info, |duty| match duty {
        Duty::BusMaster => {
            device.enabled.lock().as_ref().ok_or(ENODEV)?.set_master();
            Ok(())
        }
        Duty::Interrupts => {
            let interrupts = Interrupts::request(function, Driven::FACTS.vectors, || Handler(device.clone()))?;
            *device.interrupts.lock() = Some(interrupts);
            Ok(())
        }
        _ => Ok(()),
    })
}
