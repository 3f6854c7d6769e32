// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Reasons why a device was not bound, and their meaning for the lifecycle.

use kernel::prelude::*;
use lifeboat_core::lifecycle::LifecycleEvent;
use lifeboat_core::recovery::Unready;
use lifeboat_driver::DriverError;

use crate::drive::Stopped;

/// See the module documentation.
pub(super) enum Refusal {
    /// The bus says that the function is not there any more.
    Vanished,
    /// The function does not answer as one that is ready.
    NotReady(Unready),
    /// Another driver's function answers.
    NotOurs,
    /// By the driver, its device, or the kernel.
    Stopped(Stopped),
}

impl Refusal {
    /// The completion for the machine. A device that reads all-ones is not ready: while the bus does not say that it is gone, nothing
    /// else is known of it.
    pub(super) fn completion(&self) -> LifecycleEvent {
        match self {
            Self::Vanished => LifecycleEvent::Vanished,
            Self::NotReady(unready) => LifecycleEvent::NotReady(*unready),
            Self::NotOurs => LifecycleEvent::Foreign,
            Self::Stopped(Stopped::Driver(DriverError::Gone)) => LifecycleEvent::NotReady(Unready::Silent),
            Self::Stopped(_) => LifecycleEvent::Refused,
        }
    }

    /// The error that probe returns.
    pub(super) fn errno(&self) -> Error {
        match self {
            Self::Vanished | Self::NotReady(_) | Self::NotOurs => ENODEV,
            Self::Stopped(stopped) => stopped.errno(),
        }
    }
}
