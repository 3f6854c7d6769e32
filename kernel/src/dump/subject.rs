// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A device, as its dump asks things of it.

use kernel::sync::Mutex;
use lifeboat_jobqueue::{Hardware, Scheduler};

use crate::gate::Gate;
use crate::job::Job;
use crate::link::Link;
use crate::ring::Rings;

/// See the module documentation.
pub(crate) trait Subject {
    /// The device, as its scheduler has it.
    type Hardware: Hardware<Job = Job>;

    fn gate(&self) -> &Gate;

    fn link(&self) -> &Link;

    fn engine(&self) -> &Scheduler<Self::Hardware>;

    fn rings(&self) -> &Mutex<Rings>;

    /// Jobs that it has completed.
    fn completed(&self) -> u64;
}
