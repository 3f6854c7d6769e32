// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Makes a mistake that a kernel with lockdep must report at once, to prove that it does (GATE-2, GATE-5). By a file in debugfs.

use kernel::{prelude::*, sync::Arc, task::might_sleep};

use crate::device::Device;
use crate::glue::lint::{self, Mistake};

/// Makes a mistake by its name. EINVAL if there is none, EOPNOTSUPP if this kernel would not report it.
pub(crate) fn make(device: &Arc<Device>, name: &[u8]) -> Result {
    if !lint::ON {
        return Err(EOPNOTSUPP);
    }
    match name {
        b"fence" => in_section(device, Mistake::Fence),
        b"reservation" => in_section(device, Mistake::Reservation),
        b"modeset" => in_section(device, Mistake::Modeset),
        b"user_memory" => in_section(device, Mistake::UserMemory),
        b"registers" => outside(device),
        b"sleep" => sleeps(device),
        _ => Err(EINVAL),
    }
}

fn in_section(device: &Device, mistake: Mistake) -> Result {
    let _section = device.gate.enter().map_err(|_| ENODEV)?;
    lint::make(mistake);
    Ok(())
}

/// Reaches for registers without a section of the gate.
fn outside(device: &Arc<Device>) -> Result {
    device.link.io(|_| Ok(())).map_err(|_| ENODEV)
}

/// Calls what may sleep in a register section.
fn sleeps(device: &Arc<Device>) -> Result {
    let _section = device.gate.enter().map_err(|_| ENODEV)?;
    let called = device.link.io(|_| {
        might_sleep();
        Ok(())
    });
    called.map_err(|_| ENODEV)
}
