//! The driver stopped at its worst moments, and devices that misbehave as no plan of the model says.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{CallError, Listeners, Policy, ProbeError, WaitError};
use lifeboat_gpu::Fault;
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::Placement;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_pci::{Bar, command, offset};
use machine::bound::{Bound, no_hook, options, plugged};
use machine::interposer::{Access, Interposer};
use machine::{BYTES, DRAIN_LIMIT, JOB_TIMEOUT, LONG};

const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));
const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

#[test]
fn fence_4_a_done_interrupt_in_the_middle_of_a_reset_completes_nothing() {
    let armed = Arc::new(AtomicBool::new(false));
    let hit = armed.clone();
    let bound = Bound::new(Box::new(move |_, bar, at, access| {
        let enabled = at == regs::ring(0, regs::RING_CTRL) && access == Access::Written(regs::ring_ctrl::ENABLE);
        if enabled && armed.load(SeqCst) {
            // The ring has its new number, and the scheduler has not been told.
            bar.write32(regs::IRQ_FORCE, regs::irq::ring_done(0)).unwrap();
            std::thread::sleep(Duration::from_millis(30));
        }
        None
    }));
    let client = bound.client();
    hit.store(true, SeqCst);
    let hung = client.submit(0, &[Work::Hang], &[]);
    let behind = client.submit(0, &[client.fill(5), client.download()], &[]);
    assert_eq!(hung.wait(LONG), GUILTY);
    behind.wait(LONG).unwrap();
    assert_eq!(client.host_word(), 5);
    drop(client);
    bound.finish();
}

#[test]
fn sched_6_a_fault_that_is_no_longer_true_blames_nobody() {
    let bound = Bound::new(no_hook());
    let client = bound.client();
    let bar = bound.slot.function().unwrap().bar(0).unwrap();
    // Slow enough that the job is still on the ring when the interrupt says so.
    bound.card.inject(Fault::Slow(Duration::from_millis(5)));
    for round in 0..5 {
        let job = client.submit(0, &[client.fill(round), client.download()], &[]);
        bar.write32(regs::IRQ_FORCE, regs::irq::ring_fault(0)).unwrap();
        job.wait(LONG).unwrap();
        assert_eq!(client.host_word(), round);
    }
    drop((client, bar));
    bound.finish();
}

#[test]
fn sched_6_a_job_that_completed_just_before_a_fault_is_not_blamed() {
    let bound = Bound::with(Policy { guilty_limit: u32::MAX, ..options() }, no_hook());
    let client = bound.client();
    let nowhere = Work::Fill(lifeboat_lb1_hosted::command::Fill {
        dst: lifeboat_lb1_hosted::command::GpuVa(0xf000_0000),
        bytes: 4,
        pattern: 0,
    });
    for _ in 0..50 {
        let good = client.submit(0, &[Work::Nop], &[]);
        let bad = client.submit(0, &[nowhere], &[]);
        let after = client.submit(0, &[Work::Nop], &[]);
        assert_eq!((good.wait(LONG), bad.wait(LONG), after.wait(LONG)), (Ok(()), GUILTY, Ok(())));
    }
    drop(client);
    bound.finish();
}

#[test]
fn sched_2_memory_unmapped_under_a_job_is_nobody_elses_until_the_job_has_ended() {
    // The job must still hang when all is done that has to be done meanwhile, clearing the buffer included.
    let bound = Bound::with(Policy { job_timeout: Duration::from_secs(5), ..options() }, no_hook());
    let client = bound.client();
    let hung = client.submit(0, &[Work::Hang], &[]);
    // Mapped after the job was submitted: a command of it may begin now and use it all the same.
    let most = client.handle.info().vram_bytes - 2 * u64::from(BYTES);
    let buffer = client.handle.create_buffer(Placement::Vram, most).unwrap();
    let va = client.handle.map(&client.context, &buffer).unwrap();
    client.handle.unmap(&client.context, va).unwrap();
    drop(buffer);
    let taken = client.handle.create_buffer(Placement::Vram, most).map(drop).map_err(CallError::errno);
    assert_eq!(taken, Err(Errno::ENOMEM));
    assert_eq!(hung.wait(LONG), GUILTY);
    // The job is released right after its fence signals.
    let free = || client.handle.create_buffer(Placement::Vram, most).is_ok();
    assert!((0..1000).any(|_| free() || {
        std::thread::sleep(Duration::from_millis(1));
        false
    }));
    drop(client);
    bound.finish();
}

#[test]
fn sched_13_a_long_chain_of_leases_ends_without_deep_recursion() {
    let bound = Bound::new(no_hook());
    let client = bound.client();
    // Holds the chain, however long it takes to make it.
    let (gate, promise) = bound.module.timeline("test", "gate").fence();
    let waits = client.submit(0, &[Work::Nop], &[gate]);
    for _ in 0..100_000 {
        let va = client.handle.map(&client.context, &client.host).unwrap();
        client.handle.unmap(&client.context, va).unwrap();
    }
    promise.signal();
    assert_eq!(waits.wait(LONG), Ok(()));
    drop(client);
    bound.finish();
}

#[test]
fn dma_is_cut_off_even_from_a_device_that_does_not_answer() {
    let bound = Bound::new(no_hook());
    let config = bound.slot.function().unwrap().config();
    let before = config.read16(offset::COMMAND).unwrap();
    assert_ne!(before & command::BUS_MASTER, 0);
    // Registers read all-ones now, configuration space does not.
    config.write16(offset::COMMAND, before & !command::MEMORY).unwrap();
    let report = bound.binding.unplug(Loss::Unbound).unwrap();
    assert!(!report.device_alive);
    assert_eq!(config.read16(offset::COMMAND).unwrap() & command::BUS_MASTER, 0);
}

#[test]
fn gate_4_unplug_waits_for_open_sections_and_gate_7_names_those_that_do_not_end() {
    for (stay, ends_in_time) in [(DRAIN_LIMIT / 4, true), (DRAIN_LIMIT * 3, false)] {
        let (armed, inside) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (hit, watch) = (armed.clone(), inside.clone());
        let bound = Bound::new(Box::new(move |index, _, _, access| {
            if index == regs::VRAM_BAR && access == Access::CopyIn && armed.swap(false, SeqCst) {
                inside.store(true, SeqCst);
                std::thread::sleep(stay);
                inside.store(false, SeqCst);
            }
            None
        }));
        let client = bound.client();
        hit.store(true, SeqCst);
        std::thread::scope(|scope| {
            scope.spawn(|| client.vram.write(0, &[1]));
            while !watch.load(SeqCst) {
                std::thread::yield_now();
            }
            let report = bound.binding.unplug(Loss::Unbound).unwrap();
            if ends_in_time {
                assert!(!watch.load(SeqCst), "unplug returned with a section open");
                assert!(report.holdouts.is_none());
            } else {
                let holdouts = report.holdouts.as_ref().unwrap().to_string();
                assert!(holdouts.contains("buffer.rs"), "{holdouts}");
                assert_eq!(report.registers_held.as_ref().unwrap().iter().count(), 1);
            }
        });
        drop((client, bound.binding));
        bound.module.unload().unwrap();
    }
}

#[test]
fn kms_3_a_flip_without_its_interrupt_completes_all_the_same() {
    let bound = Bound::new(Box::new(|_, _, at, access| match access {
        Access::Write(mask) if at == regs::IRQ_MASK => Some(mask & !regs::irq::FLIP),
        _ => None,
    }));
    let client = bound.client();
    client.show(&client.vram).unwrap();
    for _ in 0..3 {
        client.handle.flip(&client.vram, None).unwrap().wait(LONG).unwrap();
    }
    drop(client);
    bound.finish();
}

#[test]
fn a_probe_that_fails_leaves_the_device_at_rest() {
    let (card, slot) = plugged();
    let module = lifeboat_lb1_hosted::module();
    let lies = |_: u8, _: &dyn Bar, at: u64, access: Access| match access {
        Access::Read(_) if at == regs::LIVENESS => Some(0x1234),
        _ => None,
    };
    let failed = module.probe(&Interposer::on(slot.function().unwrap(), lies), &options(), Listeners::none());
    assert_eq!(failed.unwrap_err(), ProbeError::NotAlive);
    assert!(card.witness().is_empty(), "{:?}", card.witness().violations());
    assert_eq!(slot.function().unwrap().config().read16(offset::COMMAND).unwrap() & command::BUS_MASTER, 0);
    module.unload().unwrap();
}

#[test]
fn a_loss_is_reported_once() {
    let reports = Arc::new(AtomicUsize::new(0));
    let count = reports.clone();
    let listeners = Listeners::none().on_loss(move |_| {
        count.fetch_add(1, SeqCst);
    });
    let bound = Bound::heard(options(), listeners, no_hook());
    let client = bound.client();
    let fences: Vec<_> = (0..2).map(|ring| client.submit(ring, &[Work::Hang], &[])).collect();
    bound.card.remove();
    // The worker notices on its own, when the jobs are overdue; it asks both rings, and each would report it.
    std::thread::sleep(JOB_TIMEOUT * 2);
    assert_eq!(reports.load(SeqCst), 1);
    bound.binding.unplug(Loss::FellOff).unwrap();
    assert!(fences.iter().all(|fence| fence.wait(LONG) == LOST));
    drop(client);
    bound.finish();
}

#[test]
fn panicking_callbacks_neither_stop_the_device_nor_its_unplug() {
    let bound = Bound::new(no_hook());
    let client = bound.client();
    let first = client.submit(0, &[Work::Nop], &[]);
    first.on_signal(|_| panic!("on purpose"));
    first.wait(LONG).unwrap();
    client.submit(0, &[Work::Nop], &[first]).wait(LONG).unwrap();
    let hung = client.submit(0, &[Work::Hang], &[]);
    hung.on_signal(|_| panic!("on purpose"));
    bound.binding.unplug(Loss::Unbound).unwrap();
    assert_eq!(hung.wait(LONG), LOST);
    drop(client);
    bound.finish();
}

#[test]
fn limits_may_be_any_duration() {
    let forever = Policy { job_timeout: Duration::MAX, drain_limit: Duration::MAX, ..Policy::default() };
    let bound = Bound::with(forever, no_hook());
    let client = bound.client();
    client.submit(0, &[client.fill(1), client.download()], &[]).wait(Duration::MAX).unwrap();
    let hung = client.submit(0, &[Work::Hang], &[]);
    assert_eq!(hung.wait(Duration::from_millis(20)), Err(WaitError::TimedOut));
    drop(client);
    bound.finish();
    assert_eq!(hung.wait(Duration::MAX), LOST);
}

#[test]
fn sched_7_a_context_that_keeps_faulting_is_refused_and_others_are_not() {
    let bound = Bound::with(Policy { guilty_limit: 3, ..options() }, no_hook());
    let (guilty, other) = (bound.client(), bound.client());
    let nowhere = Work::Fill(lifeboat_lb1_hosted::command::Fill {
        dst: lifeboat_lb1_hosted::command::GpuVa(0xf000_0000),
        bytes: 4,
        pattern: 0,
    });
    for faults in 1..=3 {
        assert!(!guilty.context.reset_stats().banned);
        assert_eq!(guilty.submit(0, &[nowhere], &[]).wait(LONG), GUILTY);
        assert_eq!(guilty.context.reset_stats().guilty, faults);
    }
    let stats = guilty.context.reset_stats();
    assert!(stats.banned);
    let refused = guilty.try_submit(1, &[Work::Nop], &[]).unwrap_err();
    assert_eq!(refused.errno(), Errno::ECANCELED);
    other.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    assert_eq!(other.context.reset_stats(), lifeboat::ResetStats::default());
    // The same user, in another context.
    drop(guilty);
    let again = bound.client();
    again.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    // What it was told stays true after the device is gone (CALL-2).
    bound.binding.unplug(Loss::Unbound).unwrap();
    assert!(!again.context.reset_stats().banned);
    drop((other, again));
    bound.finish();
}
