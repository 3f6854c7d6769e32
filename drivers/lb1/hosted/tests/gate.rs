//! What goes on in the background, or turns round on hardware, gives up with the device.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{Listeners, Policy, WaitError};
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_pci::ALL_ONES;
use machine::bound::{self, Bound, options};
use machine::interposer::Access;
use machine::{JOB_TIMEOUT, LONG};

const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

/// Looks at a reset that is under way, by a driver that asks every 100 µs for at most twice the time that a device states.
const PATIENCE: usize = 1000;

#[test]
fn gate_8_worker_and_interrupt_handler_give_up_after_unplug() {
    let (bound, accesses) = bound::counted();
    let client = bound.client();
    client.show(&client.vram).unwrap();
    // Work for the worker's clock (a job that will be overdue, a flip to be asked about) and for the interrupt handler.
    let hung = client.submit(0, &[Work::Hang], &[]);
    let flip = client.handle.flip(&client.vram, None).unwrap();
    let report = bound.binding.unplug(Loss::Unbound).unwrap();
    assert!(report.device_alive && report.holdouts.is_none() && report.registers_held.is_none());
    let before = accesses.load(SeqCst);
    assert_eq!(hung.wait(LONG), LOST);
    flip.wait(LONG).unwrap();
    // A card that goes on by itself: its interrupts reach nobody.
    let bar = bound.slot.function().unwrap().bar(0).unwrap();
    let _ = bar.write32(regs::IRQ_FORCE, regs::irq::ring_done(0));
    std::thread::sleep(2 * JOB_TIMEOUT);
    assert_eq!(accesses.load(SeqCst), before, "something has accessed the device after its unplug");
    drop((client, bar));
    bound.finish();
}

#[test]
fn gate_9_waiting_for_a_reset_ends_with_the_device() {
    let (gone, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_gone, looked, resets) = (gone.clone(), looks.clone(), AtomicBool::new(false));
    let (lost, told) = std::sync::mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| lost.send(loss).unwrap());
    let bound = Bound::heard(
        options(),
        listeners,
        Box::new(move |_, _, at, access| match access {
            // The hardware resets, and is gone from the second look on.
            Access::Written(control) if at == regs::ring(0, regs::RING_CTRL) => {
                resets.fetch_or(control & regs::ring_ctrl::RESET != 0, SeqCst);
                None
            }
            Access::Read(_) if is_gone.load(SeqCst) => {
                looked.fetch_add(usize::from(at == regs::ring(0, regs::RING_STATUS)), SeqCst);
                Some(ALL_ONES)
            }
            Access::Read(status) if at == regs::ring(0, regs::RING_STATUS) && resets.load(SeqCst) => {
                is_gone.store(true, SeqCst);
                Some(status | regs::ring_status::RESETTING)
            }
            _ => None,
        }),
    );
    let client = bound.client();
    let hung = client.submit(0, &[Work::Hang], &[]);
    assert_eq!(told.recv_timeout(LONG).unwrap(), Loss::FellOff);
    assert!(gone.load(SeqCst));
    bound.binding.unplug(Loss::FellOff).unwrap();
    assert_eq!(hung.wait(LONG), LOST);
    assert!(looks.load(SeqCst) < 10, "{} looks at a device that is gone", looks.load(SeqCst));
    drop(client);
    drop(bound.binding);
    bound.module.unload().unwrap();
}

#[test]
fn gate_9_waiting_for_resets_that_never_end_has_a_limit() {
    let looks = Arc::new(AtomicUsize::new(0));
    let looked = looks.clone();
    let (lost, told) = std::sync::mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| lost.send(loss).unwrap());
    let options = Policy { job_timeout: Duration::from_millis(50), ..options() };
    let bound = Bound::heard(
        options,
        listeners,
        Box::new(move |_, _, at, access| match access {
            Access::Read(status) if at == regs::ring(0, regs::RING_STATUS) && looked.fetch_add(1, SeqCst) > 0 => {
                Some(status | regs::ring_status::RESETTING)
            }
            // Nor does that of the device, which comes next.
            Access::Read(_) if at == regs::DEVICE_STATUS && looked.load(SeqCst) > 1 => {
                looked.fetch_add(1, SeqCst);
                Some(regs::device_status::RESETTING)
            }
            _ => None,
        }),
    );
    let client = bound.client();
    let hung = client.submit(0, &[Work::Hang], &[]);
    assert_eq!(told.recv_timeout(LONG).unwrap(), Loss::Crashed);
    assert!((2..=2 * 2 * PATIENCE * 2).contains(&looks.load(SeqCst)), "{} looks", looks.load(SeqCst));
    bound.binding.unplug(Loss::Crashed).unwrap();
    assert_eq!(hung.wait(LONG), LOST);
    // Not held to a clean rest: on a starved machine the reset at the end is late as well.
    drop(client);
    drop(bound.binding);
    bound.module.unload().unwrap();
}
