// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Makes a mistake that a kernel with lockdep must report at once, to prove that it does (GATE-2, GATE-5). By a file in debugfs.

use kernel::{
    prelude::*,
    sync::Arc,
    time::{delay::fsleep, Delta},
};

use crate::device::Device;
use crate::glue::lint::{self, Mistake};

/// Long enough that the kernel does not spin instead of sleeping.
const SLEEP: Delta = Delta::from_millis(1);

/// Makes a mistake by its name. EINVAL if there is none, EOPNOTSUPP if this kernel would not report it.
pub(crate) fn make(device: &Arc<Device>, name: &[u8]) -> Result {
    match name {
        b"fence" => in_section(device, Mistake::Fence),
        b"reservation" => in_section(device, Mistake::Reservation),
        b"modeset" => in_section(device, Mistake::Modeset),
        b"registers" => outside(device),
        b"sleep" => asleep(device),
        _ => Err(EINVAL),
    }
}

fn in_section(device: &Device, mistake: Mistake) -> Result {
    let _section = device.gate.enter().map_err(|_| ENODEV)?;
    lint::make(mistake)
}

/// Reaches for registers without a section of the gate.
fn outside(device: &Arc<Device>) -> Result {
    device.link.io(|_| Ok(())).map_err(|_| ENODEV)
}

/// Sleeps in a register section.
fn asleep(device: &Arc<Device>) -> Result {
    let _section = device.gate.enter().map_err(|_| ENODEV)?;
    let slept = device.link.io(|_| {
        fsleep(SLEEP);
        Ok(())
    });
    slept.map_err(|_| ENODEV)
}
