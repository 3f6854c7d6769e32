// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A device is a [`Subject`].

use kernel::sync::Mutex;
use lifeboat_jobqueue::Scheduler;

use super::subject::Subject;
use crate::device::Device;
use crate::gate::Gate;
use crate::link::Link;
use crate::ring::Rings;

impl Subject for Device {
    type Hardware = Self;

    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn link(&self) -> &Link {
        &self.link
    }

    fn engine(&self) -> &Scheduler<Self> {
        &self.engine
    }

    fn rings(&self) -> &Mutex<Rings> {
        &self.rings
    }

    fn completed(&self) -> u64 {
        self.counters.jobs_completed.get()
    }
}
