// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Tells that a device is left alone, and what may help: in the log, and as an event of the function, since such a device has no
//! nodes any more. The first variables are those of the kernel for a device whose error recovery has failed
//! (`pci_uevent_ers`); `LEFT_ALONE` lists what may help, as `WEDGED` does.

use kernel::{pci, prelude::*, str::CString};
use lifeboat_core::recovery::GivenUp;

use crate::glue::tell_of_change;
use crate::shown::Shown;

/// Tells it.
pub(super) fn tell(function: &pci::Device, why: GivenUp) {
    dev_err!(function, "the device is left alone, since {}; what may help: {}\n", Shown(why), Shown(Remedies(why)));
    if let Err(error) = send(function, why) {
        dev_err!(function, "nobody was told that the device is left alone: {error:?}\n");
    }
}

fn send(function: &pci::Device, why: GivenUp) -> Result {
    let helps = CString::try_from_fmt(kernel::prelude::fmt!("LEFT_ALONE={}", Shown(Remedies(why))))?;
    let reason = CString::try_from_fmt(kernel::prelude::fmt!("REASON={}", why.name()))?;
    tell_of_change(function, &[c"ERROR_EVENT=FAILED_RECOVERY", c"DEVICE_ONLINE=0", &helps, &reason])
}

/// The remedies that may help, from the least to the most side effects.
struct Remedies(GivenUp);

impl core::fmt::Display for Remedies {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.remedies().iter().enumerate().try_for_each(|(index, remedy)| {
            f.write_str(if index == 0 { "" } else { "," })?;
            write!(f, "{remedy}")
        })
    }
}
