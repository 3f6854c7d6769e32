//! Uses the crates that a kernel module shares, on a machine with nothing: arrays for storage, no allocator, no std.
#![no_std]
#![forbid(unsafe_code)]

use core::time::Duration;

use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{
    Action, Array, JobSpec, LetGo, Limits, Priority, RingIndex, Scheduler, Sizes, Storage, Stores,
};
use lifeboat_core::Timestamp;
use lifeboat_driver::{Driver, DriverError, Io, Pace, Sequence, Turn, Windows};
use lifeboat_edu::Edu;
use lifeboat_lb1::command::{ContextId, Work};
use lifeboat_lb1::{Commands, Lb1Driver};
use lifeboat_pci::DmaMemory;
use lifeboat_uapi::{Info, Request};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Storage of a fixed size.
enum Arrays {}

impl Storage for Arrays {
    type Fence = u8;
    type Payload = u8;
    type Slots<T> = Array<T, 8>;

    fn slots<T: Default>(count: usize) -> Option<Array<T, 8>> {
        Array::new(count)
    }
}

/// One job from submission to release.
pub fn schedule(ring_done: fn() -> Seqno) -> Result<(), FenceError> {
    let sizes = Sizes { jobs: 8, queues: 2, rings: 1, contexts: 1 };
    let Some(stores) = Stores::<Arrays>::new(sizes) else { return Ok(()) };
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
            Action::LetGo { queue, .. } => scheduler.let_go_answered(queue, LetGo::Done, now),
            Action::Release { .. } | Action::GiveUp => {}
        }
    }
    Ok(())
}

/// One job to a device, after a reset of its ring.
pub fn submit<M: DmaMemory>(windows: &dyn Windows, memory: M, now: fn() -> Timestamp) -> Result<Seqno, DriverError> {
    let io = Io::new(windows);
    let info = Lb1Driver::info(&io)?;
    let shape = Lb1Driver::ring_shape(&info, 0, 16);
    let mut ring = Lb1Driver::ring(&info, 0, shape, memory).ok_or(DriverError::NoSuchThing)?;
    drive(&io, Lb1Driver::reset_ring(info, &mut ring, Seqno::ZERO), now)?;
    let work = Commands { context: ContextId(0), work: &[Work::Nop] };
    Lb1Driver::run(&io, &mut ring, work, Seqno::ZERO.next())?;
    Lb1Driver::pending(&io)?;
    Lb1Driver::progress(&io, 0)
}

/// A factorial by a device without rings, from its bring-up to its shutdown.
pub fn compute<M: DmaMemory>(
    windows: &dyn Windows,
    number: u32,
    now: fn() -> Timestamp,
) -> Result<Option<u32>, DriverError> {
    let io = Io::new(windows);
    let info = Edu::info(&io)?;
    drive(&io, Edu::bring_up::<M>(info, &mut []), now)?;
    Edu::compute(&io, number)?;
    let result = Edu::result(&io)?;
    drive(&io, Edu::shut_down(), now)?;
    Ok(result)
}

/// The number of an ioctl, and its structure.
pub const fn interface() -> (u32, usize) {
    (Info::NUMBER, size_of::<Info>())
}

/// A shell that never sleeps.
fn drive(io: &Io<'_>, mut sequence: impl Sequence<Output = ()>, now: fn() -> Timestamp) -> Result<(), DriverError> {
    let mut pace = Pace::new();
    loop {
        pace.begin(now());
        let step = sequence.step(io)?;
        match pace.end(step, now()) {
            Turn::Step | Turn::Pause(_) | Turn::Do(_) => {}
            Turn::Done(()) => return Ok(()),
            Turn::Overdue => return Err(sequence.overdue()),
        }
    }
}
