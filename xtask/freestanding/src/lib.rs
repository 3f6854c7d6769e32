//! Uses the crates that a kernel module shares, on a machine with nothing: arrays for storage, no allocator, no std.
#![no_std]
#![forbid(unsafe_code)]

use core::time::Duration;

use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{
    Action, JobSlot, JobSpec, Limits, Priority, QueueSlot, RingIndex, RingSlot, Scheduler,
};
use lifeboat_core::Timestamp;
use lifeboat_lb1::command::{ContextId, Work};
use lifeboat_lb1::{DriverError, Lb1, RingWriter};
use lifeboat_pci::{Bar, ConfigSpace, DmaMemory};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// One job from submission to release.
pub fn schedule(ring_done: fn() -> Seqno) -> Result<(), FenceError> {
    let jobs: [JobSlot<u8, u8>; 8] = core::array::from_fn(|_| JobSlot::default());
    let queues: [QueueSlot; 2] = core::array::from_fn(|_| QueueSlot::default());
    let rings: [RingSlot; 1] = core::array::from_fn(|_| RingSlot::default());
    let limits = Limits::new(4, Duration::from_secs(1));
    let mut scheduler = Scheduler::new(jobs, queues, rings, limits);
    let Some(queue) = scheduler.open_queue(RingIndex(0), Priority::Normal) else { return Ok(()) };
    let spec = JobSpec { cost: 1, restartable: true, ..JobSpec::default() };
    if let Ok(reservation) = scheduler.reserve(queue, spec) {
        scheduler.commit(reservation, 1, 2);
    }
    let now = Timestamp::default();
    while let Some(action) = scheduler.poll_action(now) {
        match action {
            Action::Run { ring, .. } => scheduler.hw_done(ring, ring_done(), now),
            Action::Signal { result, .. } => result?,
            Action::ResetRing { ring, .. } => scheduler.reset_done(ring, true),
            Action::ResetDevice => scheduler.device_reset_done(true),
            Action::Release { .. } | Action::GiveUp => {}
        }
    }
    Ok(())
}

/// One job to a device.
pub fn submit(
    config: &dyn ConfigSpace,
    bar: &dyn Bar,
    memory: &dyn DmaMemory,
) -> Result<Option<Seqno>, DriverError> {
    lifeboat_lb1::set_bus_master(config, true)?;
    let lb1 = Lb1::new(bar);
    lb1.info()?;
    let Some(mut writer) = RingWriter::new(4) else { return Ok(None) };
    lb1.enable_ring(0, &mut writer, memory.iova(), Seqno::ZERO)?;
    let tail = writer.write_job(memory, ContextId(0), &[Work::Nop], Seqno::ZERO.next())?;
    lb1.doorbell(0, tail)?;
    lb1.take_interrupts()?;
    lb1.seqno(0).map(Some)
}
