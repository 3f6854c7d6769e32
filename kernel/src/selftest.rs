// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The self-test of probe: every ring does one job of each kind, by the whole path (scheduler, doorbell, interrupt),
//! and every byte of the results is compared.

use core::time::Duration;

use kernel::{prelude::*, sync::Arc};
use lifeboat_core::health::Verdict;
use lifeboat_core::unplug::Loss;
use lifeboat_driver::Driver as _;
use lifeboat_jobqueue::Fence;

use crate::clock::jiffies;
use crate::device::Device;
use crate::exercise::Exercise;
use crate::health;
use crate::job;
use crate::registration::Driven;

/// Time between two looks at the device while a job is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Most looks for one job, which take 30 seconds. A last resort: the scheduler ends every job by
/// its own limits.
const LOOKS: u32 = 600;

/// A job that has been submitted.
struct Running {
    exercise: Exercise,
    fence: Fence,
}

/// Tests all rings. EIO if a result is wrong or a job failed.
pub(crate) fn run(device: &Arc<Device>) -> Result {
    for ring in 0..Driven::rings(&device.info) {
        // The jobs of a ring are submitted together, so they are queued one behind the other.
        let exercises = exercises(device, ring)?;
        let mut running = KVec::with_capacity(exercises.len(), GFP_KERNEL)?;
        for exercise in exercises {
            running.push(submit(device, ring, exercise)?, GFP_KERNEL)?;
        }
        for job in running {
            check(device, ring, job)?;
        }
    }
    Ok(())
}

fn exercises(device: &Device, ring: u8) -> Result<KVec<Exercise>> {
    let workspace = device.rings.lock().workspace(ring)?;
    Exercise::all(&workspace)
}

fn submit(device: &Arc<Device>, ring: u8, mut exercise: Exercise) -> Result<Running> {
    let queue = device.load.queue(ring).ok_or(ENODEV)?;
    let job = exercise.prepare(ring.into())?;
    let fence = job::submit(&device.engine, queue, job)?;
    device.counters.jobs_submitted.add(1);
    Ok(Running { exercise, fence })
}

/// Waits for a job. A device that vanishes meanwhile is noticed at once instead of by the job's timeout: nobody else looks
/// at it yet. ENODEV if it is lost, or the bus wants it back.
fn wait(device: &Arc<Device>, fence: &Fence) -> Result<Result> {
    for _ in 0..LOOKS {
        if device.link.is_ending() {
            return Err(ENODEV);
        }
        match fence.wait(jiffies(LOOK_EVERY)) {
            Err(error) if error == ETIMEDOUT => {
                if health::verdict(device) == Verdict::Dead {
                    device.report_loss(Loss::FellOff);
                }
            }
            ended => return ended,
        }
    }
    Err(ETIMEDOUT)
}

fn check(device: &Arc<Device>, ring: u8, mut job: Running) -> Result {
    if let Err(error) = wait(device, &job.fence)? {
        dev_err!(device.pci, "self-test: a job of ring {ring} failed: {error:?}\n");
        return Err(if error == ENODEV { ENODEV } else { EIO });
    }
    let verified = job.exercise.verify()?;
    device.counters.verified_bytes.add(verified.bytes);
    device.counters.mismatches.add(verified.mismatches);
    if verified.mismatches > 0 {
        dev_err!(device.pci, "self-test: {} wrong bytes from ring {ring}\n", verified.mismatches);
        return Err(EIO);
    }
    Ok(())
}
