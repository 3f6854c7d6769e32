// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The driver's lines of a file's fdinfo, in the format of the kernel's drm-usage-stats document. The core prints driver, client and
//! device. Nothing here touches the device, so it is the same after a loss.

use core::fmt::{Result, Write};

use lifeboat_core::class::Presence;

use super::File;
use crate::glue::Printer;

/// Prints the lines of a file.
pub(super) fn show(file: &File, printer: &mut Printer) -> Result {
    let presence = match file.device.gate.presence() {
        Presence::Live => "live",
        Presence::Gone => "gone",
        Presence::Wedged(_) => "wedged",
    };
    writeln!(printer, "lifeboat-presence:\t{presence}")?;
    for (ring, used) in file.client.usage().all().enumerate() {
        writeln!(printer, "drm-engine-ring{ring}:\t{used} ns")?;
    }
    Ok(())
}
