//! Uses the crates that a kernel module shares, on a machine with nothing: arrays for storage, no allocator, no std.
#![no_std]
#![forbid(unsafe_code)]

use core::time::Duration;

use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{
    Action, ContextSlot, JobSlot, JobSpec, Limits, Priority, QueueSlot, RingIndex, RingSlot, Scheduler, Storage, Stores,
    TurnSlot, WaitSlot,
};
use lifeboat_core::Timestamp;
use lifeboat_lb1::command::{ContextId, Work};
use lifeboat_lb1::{DriverError, Lb1, RingWriter};
use lifeboat_pci::{Bar, ConfigSpace, DmaMemory};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Storage of a fixed size.
enum Arrays {}

impl Storage for Arrays {
    type Fence = u8;
    type Payload = u8;
    type Jobs = [JobSlot<u8, u8>; 8];
    type Queues = [QueueSlot; 2];
    type Rings = [RingSlot; 1];
    type Contexts = [ContextSlot; 1];
    type Turns = [TurnSlot; 1];
    type Waits = [WaitSlot; 8];
}

fn slots<T: Default, const N: usize>() -> [T; N] {
    core::array::from_fn(|_| T::default())
}

/// One job from submission to release.
pub fn schedule(ring_done: fn() -> Seqno) -> Result<(), FenceError> {
    let stores: Stores<Arrays> = Stores {
        jobs: slots(),
        queues: slots(),
        rings: slots(),
        contexts: slots(),
        turns: slots(),
        waits: slots(),
    };
    let mut scheduler = Scheduler::new(stores, Limits::new(4, Duration::from_secs(1)));
    let Ok(queue) = scheduler.open_queue(RingIndex(0), Priority::Normal) else { return Ok(()) };
    let spec = JobSpec { cost: 1, restartable: true, ..JobSpec::default() };
    if let Ok(reservation) = scheduler.reserve(queue, spec) {
        scheduler.commit(reservation, 1, 2);
    }
    let now = Timestamp::default();
    while let Some(action) = scheduler.poll_action() {
        match action {
            Action::Run { ring, seqno, .. } => {
                scheduler.started(ring, seqno, now);
                scheduler.hw_done(ring, ring_done(), now);
            }
            Action::Signal { result, .. } => result?,
            Action::ResetRing { ring, .. } => {
                if scheduler.begin_reset(ring).is_some() {
                    scheduler.reset_done(ring, true);
                }
            }
            Action::ResetDevice => {
                let begins = scheduler.begin_device_reset();
                scheduler.device_reset_done(begins);
            }
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
