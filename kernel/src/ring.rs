// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The rings of a device as the worker holds them, and the workspaces of their jobs.

use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::Arc,
};
use lifeboat_core::{
    fence::Seqno,
    sched::{Abort, Began, LetGo, QueueId},
};
use lifeboat_driver::{gpu::Gpu, Driver, DriverError, Duty, Progress};
use lifeboat_pci::DmaMemory;

use crate::drive::{drive, Stopped};
use crate::glue::Memory;
use crate::job::Job;
use crate::link::Link;
use crate::memory::Tables;
use crate::registration::Driven;
use crate::workspace::Workspace;

/// Entries that a ring is to have, as far as its driver can: more than all exercises of its
/// workspace take at once.
const ENTRIES: u32 = 128;

type Ring = <Driven as Driver>::Ring<Memory>;

/// All rings of one device; none until bring-up, and after the release.
#[derive(Default)]
pub(crate) struct Rings {
    rings: KVec<Ring>,
    /// The entries of each ring.
    entries: KVec<Memory>,
    /// The workspace of each ring.
    workspaces: KVec<Arc<Workspace>>,
}

/// The credits of a ring, for its scheduler.
pub(crate) fn credits(info: &<Driven as Driver>::Info, number: u8) -> u32 {
    Driven::ring_shape(info, number, ENTRIES).credits
}

/// Entries of a ring.
pub(crate) fn entries(info: &<Driven as Driver>::Info, number: u8) -> u32 {
    Driven::ring_shape(info, number, ENTRIES).entries
}

/// The most commands that a job may have on any ring.
pub(crate) fn most_commands(info: &<Driven as Driver>::Info) -> u32 {
    let rings = 0..Driven::rings(info);
    let each = rings.map(|number| Driven::most_commands(Driven::ring_shape(info, number, ENTRIES).credits));
    each.min().unwrap_or(0)
}

impl Rings {
    /// Memory for all rings, and for their jobs.
    pub(crate) fn new(device: &Device<Bound>, info: &<Driven as Driver>::Info) -> Result<Self> {
        let mut this = Self::default();
        for number in 0..Driven::rings(info) {
            let shape = Driven::ring_shape(info, number, ENTRIES);
            let memory = Memory::new(device, usize::try_from(shape.bytes)?)?;
            this.entries.push(memory.clone(), GFP_KERNEL)?;
            this.rings.push(Driven::ring(info, number, shape, memory).ok_or(EINVAL)?, GFP_KERNEL)?;
            this.workspaces.push(Workspace::new(device, info, number)?, GFP_KERNEL)?;
        }
        Ok(this)
    }

    /// The workspace of a ring. ENODEV before bring-up and after the release.
    pub(crate) fn workspace(&self, number: u8) -> Result<Arc<Workspace>> {
        self.workspaces.get(usize::from(number)).cloned().ok_or(ENODEV)
    }

    /// Copies an entry of a ring, of as many bytes as the memory has. `false` if it cannot be read.
    pub(crate) fn entry(&self, number: u8, index: u32, bytes: &mut [u8]) -> bool {
        let at = u64::from(index) * bytes.len() as u64;
        self.entries.get(usize::from(number)).is_some_and(|entries| entries.read(at, bytes).is_ok())
    }

    /// Brings the device up; `duty` does what only probe can.
    pub(crate) fn bring_up(
        &mut self,
        link: &Link,
        info: &<Driven as Driver>::Info,
        mut duty: impl FnMut(Duty) -> Result,
    ) -> Result<(), Stopped> {
        let Self { rings, workspaces, .. } = self;
        drive(link, Driven::bring_up(*info, rings), |asked| match asked {
            Duty::Restore => Ok(restore(link, workspaces)?),
            asked => duty(asked).map_err(Stopped::Kernel),
        })
    }

    /// Writes the job and rings the doorbell.
    pub(crate) fn run(&mut self, link: &Link, number: u8, job: &Job, seqno: Seqno) -> Result<(), DriverError> {
        let ring = self.rings.get_mut(usize::from(number)).ok_or(DriverError::NoSuchThing)?;
        job.begins_at(link.io(|io| Driven::run(io, ring, job.work(), seqno))?);
        Ok(())
    }

    /// Gives `each` what the device has reported in the rings' memory. If it cannot be asked, the
    /// tick asks again.
    pub(crate) fn collect(&mut self, link: &Link, mut each: impl FnMut(u8, Progress)) {
        for number in (0..).take(self.rings.len()) {
            self.collect_one(link, number, |progress| each(number, progress));
        }
    }

    /// The same for one ring.
    pub(crate) fn collect_one(&mut self, link: &Link, number: u8, each: impl FnMut(Progress)) {
        let Some(ring) = self.rings.get_mut(usize::from(number)) else { return };
        let _ = link.io(|io| Driven::collect(io, ring, each));
    }

    /// Whether a ring is in this job.
    pub(crate) fn began(&self, link: &Link, number: u8, job: &Job) -> Began {
        let Some(ring) = self.rings.get(usize::from(number)) else { return Began::No };
        // A device that does not answer blames no job.
        link.io(|io| Driven::began(io, ring, job.work(), job.begins())).unwrap_or(Began::No)
    }

    /// Has a ring give up this job.
    pub(crate) fn abort(&mut self, link: &Link, number: u8, job: &Job, seqno: Seqno) -> Abort {
        let Some(ring) = self.rings.get_mut(usize::from(number)) else { return Abort::Cannot };
        // A device that cannot be asked gives nothing up.
        link.io(|io| Driven::abort(io, ring, job.work(), seqno)).unwrap_or(Abort::Cannot)
    }

    /// Has a ring's firmware let go of a queue.
    pub(crate) fn let_go(&mut self, link: &Link, number: u8, queue: QueueId, kept: &Job, last_look: bool) -> LetGo {
        let Some(ring) = self.rings.get_mut(usize::from(number)) else { return LetGo::Cannot };
        // A device that cannot be asked lets go of nothing.
        let answer = link.io(|io| Driven::let_go(io, ring, queue.to_bits(), kept.work(), last_look));
        answer.unwrap_or(LetGo::Cannot)
    }

    /// Resets one ring.
    pub(crate) fn reset(
        &mut self,
        link: &Link,
        info: &<Driven as Driver>::Info,
        number: u8,
        seqno: Seqno,
    ) -> Result<(), DriverError> {
        let ring = self.rings.get_mut(usize::from(number)).ok_or(DriverError::NoSuchThing)?;
        drive(link, Driven::reset_ring(*info, ring, seqno), |_| Ok(()))
    }

    /// Resets the device. Calls `restored` when it works again, before its rings do.
    pub(crate) fn reset_device(
        &mut self,
        link: &Link,
        info: &<Driven as Driver>::Info,
        numbers: impl FnMut(u8) -> Seqno,
        tables: &Tables,
        mut restored: impl FnMut(),
    ) -> Result<(), DriverError> {
        let Self { rings, workspaces, .. } = self;
        drive(link, Driven::reset_device(*info, rings, numbers), |asked| match asked {
            Duty::Restore => {
                restored();
                restore(link, workspaces)?;
                tables.restore(link)
            }
            _ => Ok(()),
        })
    }
}

/// A reset forgets the address tables.
fn restore(link: &Link, workspaces: &[Arc<Workspace>]) -> Result<(), DriverError> {
    workspaces.iter().try_for_each(|workspace| link.io(|io| workspace.map(io)))
}
