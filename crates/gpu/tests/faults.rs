//! Each injected fault does what it says, once.

mod rig;

use std::time::{Duration, Instant};

use lifeboat_gpu::{Fault, Trigger};
use lifeboat_lb1::command::{Command, Work};
use lifeboat_lb1::regs::{self, device_ctrl, fault, irq, ring_status};
use rig::{Rig, wait_for};

#[test]
fn hang_at_the_nth_job_hits_that_job() {
    let rig = Rig::new();
    rig.card.schedule(Trigger::Job(3), Fault::Hang);
    let second = [rig.submit(0, 0, &[]), rig.submit(0, 0, &[])][1];
    rig.wait(0, second);
    rig.submit(0, 0, &[Command::Work(Work::Nop)]);
    rig.wait_busy(0);
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!(rig.ring(0, regs::RING_SEQNO), second);
    assert_eq!(rig.card.counters().jobs, 3);
    rig.reset_ring(0);
    rig.enable_ring(0);
    let after = rig.submit(0, 0, &[]);
    rig.wait(0, after);
}

#[test]
fn an_armed_hang_hits_the_next_descriptor() {
    let rig = Rig::new();
    rig.card.inject(Fault::Hang);
    rig.submit(1, 0, &[]);
    rig.wait_busy(1);
    let seqno = rig.submit(0, 0, &[]);
    rig.wait(0, seqno);
    assert_ne!(rig.ring(1, regs::RING_STATUS) & ring_status::BUSY, 0);
}

#[test]
fn a_job_fault_names_the_context() {
    let rig = Rig::new();
    rig.card.schedule(Trigger::Job(2), Fault::JobFault);
    let first = rig.submit(0, 1, &[]);
    rig.wait(0, first);
    rig.submit(0, 33, &[Command::Work(Work::Nop)]);
    assert_eq!(rig.wait_fault(0), (fault::INJECTED, 33, 0));
    rig.assert_no_violation();
}

#[test]
fn a_lost_interrupt_leaves_no_trace_but_the_sequence_number() {
    let rig = Rig::new();
    rig.write(regs::IRQ_MASK, irq::ALL);
    rig.card.inject(Fault::LostInterrupt);
    let seqno = rig.submit(0, 0, &[]);
    rig.wait(0, seqno);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!((rig.read(regs::IRQ_STATUS), rig.interrupts.count(0)), (0, 0));
    rig.submit(0, 0, &[]);
    wait_for("the next interrupt", || rig.interrupts.count(0) == 1);
    assert_eq!(rig.read(regs::IRQ_STATUS), irq::ring_done(0));
}

#[test]
fn a_spurious_interrupt_has_no_status() {
    let rig = Rig::new();
    rig.card.inject(Fault::SpuriousInterrupt);
    wait_for("the interrupt", || rig.interrupts.count(0) == 1);
    assert_eq!(rig.read(regs::IRQ_STATUS), 0);
}

#[test]
fn slow_lasts_until_a_device_reset() {
    let rig = Rig::new();
    let slow = Duration::from_millis(30);
    let time = || {
        let begin = Instant::now();
        let seqno = rig.submit(0, 0, &[]);
        rig.wait(0, seqno);
        begin.elapsed()
    };
    rig.card.inject(Fault::Slow(slow));
    assert!(time() >= slow);
    assert!(time() >= slow);
    rig.reset_device();
    rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
    rig.enable_ring(0);
    let fastest = (0..5).map(|_| time()).min().unwrap();
    assert!(fastest < slow, "{fastest:?}");
}

#[test]
fn a_stuck_heartbeat_beats_again_after_a_device_reset() {
    let rig = Rig::new();
    wait_for("a beat", || rig.read(regs::HEARTBEAT) > 0);
    rig.card.inject(Fault::StuckHeartbeat);
    let stuck = rig.read(regs::HEARTBEAT);
    std::thread::sleep(Duration::from_millis(5));
    rig.write(regs::DEVICE_CTRL, 0);
    rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
    assert_eq!(rig.read(regs::HEARTBEAT), stuck);
    rig.reset_device();
    assert_eq!(rig.read(regs::HEARTBEAT), 0);
    rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
    wait_for("a beat", || rig.read(regs::HEARTBEAT) > 0);
}

#[test]
fn a_removal_can_wait_for_a_job_or_a_reset() {
    let rig = Rig::new();
    rig.card.schedule(Trigger::Job(2), Fault::Remove);
    let seqno = rig.submit(0, 0, &[]);
    rig.wait(0, seqno);
    assert!(rig.card.is_present());
    rig.submit(0, 0, &[]);
    wait_for("the removal", || !rig.card.is_present());

    let rig = Rig::new();
    rig.card.schedule(Trigger::Reset(1), Fault::Remove);
    rig.write(regs::DEVICE_CTRL, device_ctrl::RESET);
    wait_for("the removal", || !rig.card.is_present());
    rig.shut_down();
    rig.assert_no_violation();
}
