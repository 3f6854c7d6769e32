//! What users of a device see when it is lost, and what is left afterwards: nothing.

mod machine;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat::command::Work;
use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{Module, Placement, Priority, ProbeOptions, Submission, WaitError};
use lifeboat_gpu::{Card, Config, Fault, Slot, Trigger};
use machine::{BYTES, Client, LONG, Machine, counts};

const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

#[test]
fn fence_2_pending_fences_signal_enodev_and_waiters_wake() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let hung = client.submit(0, &[Work::Hang], &[]);
    let queued: Vec<_> = (0..100).map(|_| client.submit(0, &[Work::Nop], &[])).collect();
    let dependent = client.submit(1, &[Work::Nop], std::slice::from_ref(&hung));
    let waiter = std::thread::spawn({
        let hung = hung.clone();
        move || hung.wait(LONG)
    });
    let began = Instant::now();
    machine.slot.remove();
    assert_eq!(waiter.join().unwrap(), LOST);
    // SCHED-5: nobody waits for a job timeout on a lost device.
    assert!(began.elapsed() < machine::JOB_TIMEOUT, "{:?}", began.elapsed());
    for fence in queued {
        assert_eq!(fence.wait(LONG), LOST);
    }
    let ended = dependent.wait(LONG);
    assert!(ended == LOST || ended == Err(WaitError::Failed(FenceError::Canceled)), "{ended:?}");
    let report = machine.removed();
    assert_eq!(report.loss, Loss::Unplugged);
    assert!(report.fences_retired >= 101 && report.holdouts.is_none());
    assert!(!report.device_alive);
    drop(client);
    machine.finish();
}

#[test]
fn call_1_and_2_calls_answer_by_their_class_after_loss() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    client.show(&client.vram).unwrap();
    let signalled = client.submit(0, &[client.fill(5), client.download()], &[]);
    signalled.wait(LONG).unwrap();
    machine.slot.remove();
    machine.removed();

    // Open.
    assert_eq!(device.open().unwrap_err().errno(), Errno::ENXIO, "CALL-3");
    // Always.
    assert_eq!(client.handle.info().rings, 2);
    assert_eq!(signalled.wait(Duration::ZERO), Ok(()));
    assert_eq!(client.host_word(), 5, "host memory keeps its contents");
    client.host.write(0, &[1]).unwrap();
    client.handle.unmap(&client.context, client.host_va).unwrap();
    // Device.
    let errno = |result: Result<(), lifeboat::CallError>| result.unwrap_err().errno();
    assert_eq!(errno(client.handle.create_context().map(drop)), Errno::ENODEV);
    assert_eq!(errno(client.handle.create_buffer(Placement::Host, 1).map(drop)), Errno::ENODEV);
    assert_eq!(errno(client.handle.map(&client.context, &client.host).map(drop)), Errno::ENODEV);
    assert_eq!(errno(client.vram.read(0, &mut [0])), Errno::ENODEV);
    assert_eq!(errno(client.show(&client.vram)), Errno::ENODEV);
    // Complete.
    assert_eq!(client.handle.flip(&client.vram, None).unwrap().wait(Duration::ZERO), Ok(()), "KMS-2");
    // Driver.
    let submission = Submission { restartable: true, ..Submission::new(&client.queues[0], &[Work::Nop]) };
    let queue = client.handle.create_queue(&client.context, 0, Priority::Normal);
    assert_eq!(errno(queue.map(drop)), Errno::ENODEV);
    assert_eq!(errno(client.handle.submit(&submission).map(drop)), Errno::ENODEV);
    drop((client, device));
    machine.finish();
}

#[test]
fn life_3_and_4_the_device_that_returns_is_a_new_one_and_the_old_one_is_freed_by_its_last_user() {
    let mut machine = Machine::new();
    let old = Client::new(&machine.added());
    machine.slot.remove();
    machine.removed();
    machine.plug();
    let device = machine.added();
    assert_ne!(device.info().minor, old.handle.info().minor);
    let new = Client::new(&device);
    // Objects of the old device do not reach the new one.
    let mixed = Submission { restartable: true, ..Submission::new(&old.queues[0], &[Work::Nop]) };
    assert_eq!(new.handle.submit(&mixed).unwrap_err().errno(), Errno::EINVAL);
    assert_eq!(new.handle.map(&new.context, &old.host).unwrap_err().errno(), Errno::EINVAL);
    new.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    drop((old, new, device));
    machine.finish();
}

#[test]
fn life_2_unload_is_refused_and_names_the_holders() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let holders = machine.into_bus().shutdown().unwrap_err();
    assert_eq!(
        counts(&holders.counts),
        [("device", 1), ("handle", 1), ("context", 1), ("queue", 2), ("buffer", 2)]
            .map(|(kind, count)| (kind.to_owned(), count))
    );
    assert!(holders.to_string().contains("1 handle(s)"));
    drop(client);
    holders.module.unload().unwrap();
}

#[test]
fn life_7_concurrent_and_repeated_unplugs_give_one_report() {
    let slot = Slot::new("0000:01:00.0");
    let card = Card::new(Config::default()).unwrap();
    slot.insert(card.clone()).unwrap();
    let module = Module::load();
    let binding = module.probe(&slot.function().unwrap(), ProbeOptions::default()).unwrap();
    let client = Client::new(&binding.device().unwrap());
    let hung = client.submit(0, &[Work::Hang], &[]);
    let binding = Arc::new(binding);
    let threads: Vec<_> = [Loss::Unplugged, Loss::Unbound, Loss::FellOff, Loss::Crashed]
        .into_iter()
        .map(|loss| {
            let binding = binding.clone();
            std::thread::spawn(move || binding.unplug(loss).unwrap())
        })
        .collect();
    let reports: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(reports.iter().all(|report| Arc::ptr_eq(report, &reports[0])));
    assert!(Arc::ptr_eq(&binding.unplug(Loss::Unplugged).unwrap(), &reports[0]));
    assert!(reports[0].device_alive, "it was unbound, not pulled out");
    assert_eq!(
        reports[0].steps.iter().map(|step| step.name).collect::<Vec<_>>(),
        ["announce", "retire", "drain", "sweep", "cut", "release"]
    );
    assert_eq!(hung.status(), Some(Err(FenceError::Lost)));
    drop((client, binding));
    module.unload().unwrap();
    assert!(card.witness().violations().is_empty(), "{:?}", card.witness().violations());
}

#[test]
fn a_live_device_that_was_unbound_can_be_bound_again() {
    let slot = Slot::new("0000:01:00.0");
    let card = Card::new(Config::default()).unwrap();
    slot.insert(card.clone()).unwrap();
    let module = Module::load();
    for round in 0..20 {
        let binding = module.probe(&slot.function().unwrap(), ProbeOptions::default()).unwrap();
        let client = Client::new(&binding.device().unwrap());
        assert_eq!(client.handle.info().minor, round);
        let busy = client.submit(0, &[client.fill(1), client.download()], &[]);
        // Dropping a binding is an unbind too.
        drop(binding);
        assert!(busy.status().is_some());
    }
    module.unload().unwrap();
    assert!(card.witness().violations().is_empty(), "{:?}", card.witness().violations());
}

#[test]
fn kms_3_a_flip_caught_by_the_unplug_completes_once() {
    let mut machine = Machine::new();
    for _ in 0..10 {
        let device = machine.added();
        let client = Client::new(&device);
        client.show(&client.vram).unwrap();
        client.handle.flip(&client.vram, None).unwrap().wait(LONG).unwrap();
        let pending = client.handle.flip(&client.vram, None).unwrap();
        if pending.status().is_none() {
            // One at a time; the vertical blank may have been quicker than us.
            let second = client.handle.flip(&client.vram, None).map_err(lifeboat::CallError::errno);
            assert!(matches!(second, Err(Errno::EBUSY)) || pending.status().is_some());
        }
        machine.slot.remove();
        pending.wait(LONG).unwrap();
        machine.removed();
        drop((client, device));
        machine.plug();
    }
    machine.added();
    machine.finish();
}

#[test]
fn seeded_removal_at_any_access_leaves_nothing_behind() {
    // Every access of bring-up and of the first jobs, then ever wider apart.
    let points = (1..60).chain((60..2000).step_by(97));
    let mut machine = Machine::new();
    let device = machine.added();
    machine.slot.remove();
    machine.removed();
    drop(device);
    for point in points {
        let card = Card::new(Config::default()).unwrap();
        card.schedule(Trigger::Access(point), Fault::Remove);
        machine.insert(card.clone());
        match machine.next_event() {
            lifeboat::Event::ProbeFailed { .. } => continue,
            lifeboat::Event::Added { minor, .. } => {
                if let Some(device) = machine.bus().device(minor) {
                    work_until_lost(&device);
                }
                machine.removed();
            }
            other @ lifeboat::Event::Removed { .. } => panic!("{other:?}"),
        }
        assert!(!card.is_present());
    }
    machine.finish();
}

/// A client that does all it can until the device is lost; every fence must end.
fn work_until_lost(device: &lifeboat::Device) {
    let began = Instant::now();
    while began.elapsed() < LONG {
        let Ok(handle) = device.open() else { return };
        let Ok(context) = handle.create_context() else { return };
        let Ok(host) = handle.create_buffer(Placement::Host, BYTES.into()) else { return };
        let Ok(queue) = handle.create_queue(&context, 0, Priority::Normal) else { return };
        let Ok(va) = handle.map(&context, &host) else { return };
        let fill = Work::Fill(lifeboat::command::Fill { dst: va, bytes: BYTES.into(), pattern: 1 });
        let work = [fill];
        let submission = Submission { restartable: true, ..Submission::new(&queue, &work) };
        let Ok(fence) = handle.submit(&submission) else { return };
        match fence.wait(LONG) {
            Ok(()) => {}
            Err(WaitError::Failed(FenceError::Lost)) => return,
            other => panic!("{other:?}"),
        }
    }
    panic!("the device was never lost");
}
