//! What users of a device see when it is lost, and what is left afterwards: nothing.

mod machine;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{CallError, Fence, Listeners, Policy, Priority, WaitError};
use lifeboat_gpu::{Card, Config, Fault, Slot, Trigger};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{Device, Placement, Submission};
use lifeboat_pci::{ALL_ONES, Bar};
use machine::interposer::Access;
use machine::{BYTES, Client, LONG, Machine, bound, counts};

const STEPS: [&str; 6] = ["announce", "retire", "drain", "sweep", "cut", "release"];
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
    let errno = |result: Result<(), CallError>| result.unwrap_err().errno();
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
        [("buffer", 2), ("context", 1), ("device", 1), ("handle", 1), ("queue", 2)]
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
    let module = lifeboat_lb1_hosted::module();
    let binding = module.probe(&slot.function().unwrap(), &Policy::default(), Listeners::none()).unwrap();
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
    assert_eq!(reports[0].steps.iter().map(|step| step.name).collect::<Vec<_>>(), STEPS);
    assert_eq!(hung.status(), Some(Err(FenceError::Lost)));
    drop((client, binding));
    module.unload().unwrap();
    assert!(card.witness().violations().is_empty(), "{:?}", card.witness().violations());
}

#[test]
fn life_2_a_live_device_is_unbound_and_bound_again_and_then_its_module_unloaded() {
    let slot = Slot::new("0000:01:00.0");
    let card = Card::new(Config::default()).unwrap();
    slot.insert(card.clone()).unwrap();
    let module = lifeboat_lb1_hosted::module();
    for round in 0..20 {
        let binding = module.probe(&slot.function().unwrap(), &Policy::default(), Listeners::none()).unwrap();
        let client = Client::new(&binding.device().unwrap());
        assert_eq!(client.handle.info().minor.0, round);
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
            let second = client.handle.flip(&client.vram, None).map_err(CallError::errno);
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
fn life_3_removal_at_any_access_leaves_nothing_behind() {
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
            other => panic!("{other:?}"),
        }
        assert!(!card.is_present());
    }
    machine.finish();
}

#[test]
fn life_5_every_loss_takes_the_same_path_and_tells_users_the_same() {
    for loss in [Loss::Unplugged, Loss::Unbound, Loss::FellOff, Loss::Crashed] {
        let (dead, (lost, told)) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
        let listeners = Listeners::none().on_loss(move |loss| lost.send(loss).unwrap());
        let is_dead = dead.clone();
        let dies = Box::new(move |_, _: &dyn Bar, _, access| match access {
            Access::Read(_) if is_dead.load(SeqCst) => Some(ALL_ONES),
            _ => None,
        });
        let bound = bound::Bound::heard(bound::options(), listeners, dies);
        let device = bound.device();
        let client = Client::new(&device);
        if loss == Loss::Crashed {
            // The ring's, and the device's.
            bound.card.schedule(Trigger::Reset(1), Fault::FailedReset);
            bound.card.schedule(Trigger::Reset(2), Fault::FailedReset);
        }
        let hung = client.submit(0, &[Work::Hang], &[]);
        match loss {
            Loss::Unplugged => bound.slot.remove(),
            Loss::FellOff => dead.store(true, SeqCst),
            Loss::Unbound
            | Loss::Crashed
            | Loss::Hung
            | Loss::Nonsense
            | Loss::LinkDown
            | Loss::Replaced
            | Loss::Wedged(_) => {}
        }
        if matches!(loss, Loss::FellOff | Loss::Crashed) {
            assert_eq!(told.recv_timeout(LONG), Ok(loss), "the driver finds it");
        }
        let report = bound.binding.unplug(loss).unwrap();
        assert_eq!(report.steps.iter().map(|step| step.name).collect::<Vec<_>>(), STEPS, "{loss}");
        assert_eq!((report.loss, report.fences_retired, report.holdouts.is_none()), (loss, 1, true));
        assert_eq!(hung.wait(Duration::ZERO), LOST, "{loss}");
        assert_eq!(client.handle.create_context().unwrap_err().errno(), Errno::ENODEV, "{loss}");
        assert_eq!(device.open().unwrap_err().errno(), Errno::ENXIO, "{loss}");
        drop((client, device, bound.binding));
        bound.module.unload().unwrap();
    }
    machine::assert_lint_is_silent();
}

#[test]
fn sched_5_after_an_unplug_no_timeout_is_waited_for() {
    let an_hour = Duration::from_hours(1);
    let machine = Machine::with(Config::default(), an_hour);
    let client = Client::new(&machine.added());
    let mut fences: Vec<_> = (0..2).map(|ring| client.submit(ring, &[Work::Hang], &[])).collect();
    fences.extend((0..2).map(|ring| client.submit(ring, &[Work::Nop], &[])));
    let waiters: Vec<_> = fences.iter().cloned().map(|fence| std::thread::spawn(move || fence.wait(an_hour))).collect();
    let began = Instant::now();
    machine.slot.remove();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), LOST);
    }
    drop(client);
    // Waits for the worker, whose next look at the jobs was to be in an hour.
    machine.finish();
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
}

#[test]
fn fence_4_each_error_says_what_became_of_the_work() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let why = |fence: &Fence| fence.wait(LONG).map_err(Errno::from);

    let hung = client.submit(0, &[Work::Hang], &[]);
    // On the hardware behind it, and not to be run twice.
    let behind = client.handle.submit(&Submission::new(&client.queues[0], &[client.fill(1)])).unwrap();
    let killed = client.handle.create_queue(&client.context, 1, Priority::Normal).unwrap();
    let waits = std::slice::from_ref(&hung);
    let canceled = client.handle.submit(&Submission { after: waits, ..Submission::new(&killed, &[Work::Nop]) });
    drop(killed);
    assert_eq!(why(&canceled.unwrap()), Err(Errno::ECANCELED), "its queue was killed");
    assert_eq!(hung.status(), None);
    assert_eq!(why(&hung), Err(Errno::ETIME), "it is guilty");
    assert_eq!(behind.wait(LONG), Err(WaitError::Failed(FenceError::Innocent)));
    assert_eq!(why(&behind), Err(Errno::ECANCELED), "it is an innocent victim");

    let lost = client.submit(0, &[Work::Hang], &[]);
    machine.slot.remove();
    assert_eq!(why(&lost), Err(Errno::ENODEV), "its device is lost");
    machine.removed();
    drop(client);
    machine.finish();
}

#[test]
fn call_7_users_learn_of_the_loss_by_an_event_by_calls_by_open_and_by_every_fence() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let mut fences = vec![client.submit(0, &[Work::Hang], &[]), client.submit(1, &[Work::Hang], &[])];
    fences.extend((0..20).map(|ring| client.submit(ring % 2, &[Work::Nop], &[])));
    machine.slot.remove();
    let report = machine.removed();
    assert_eq!((report.minor, report.loss), (device.info().minor, Loss::Unplugged));
    assert!(fences.iter().all(|fence| fence.wait(Duration::ZERO) == LOST), "{fences:?}");
    assert_eq!(client.handle.create_context().unwrap_err().errno(), Errno::ENODEV);
    assert_eq!(client.try_submit(0, &[Work::Nop], &[]).unwrap_err().errno(), Errno::ENODEV);
    assert_eq!(device.open().unwrap_err().errno(), Errno::ENXIO);
    assert!(!client.handle.is_live() && machine.bus().devices::<Device>().is_empty());
    drop((client, device));
    assert!(machine.finish().is_empty(), "one event is enough");
}

#[test]
fn call_6_calls_and_waits_that_meet_a_loss_say_so_and_never_eio() {
    let mut machine = Machine::new();
    let mut errors = 0;
    for point in (1..400).step_by(13) {
        let device = machine.added();
        machine.card().schedule(Trigger::Access(point), Fault::Remove);
        // Once while the device goes, and then as often as it takes until it has gone.
        let mut said = Vec::new();
        let began = Instant::now();
        while device.is_live() && began.elapsed() < LONG {
            said.extend(use_everything(&device));
        }
        machine.removed();
        said.extend(use_everything(&device));
        errors += said.len();
        for errno in said {
            assert!(matches!(errno, Errno::ENODEV | Errno::ENXIO), "{errno} at access {point}");
        }
        drop(device);
        machine.plug();
    }
    assert!(errors > 0, "nobody has met a loss");
    machine.added();
    machine.finish();
}

/// Calls all there is and waits for what comes of it; what is refused keeps nothing else from being tried.
fn use_everything(device: &lifeboat_lb1_hosted::Device) -> Vec<Errno> {
    let mut said = Vec::new();
    let Some(handle) = noted(device.open(), &mut said) else { return said };
    let buffers = [Placement::Host, Placement::Vram].map(|at| noted(handle.create_buffer(at, BYTES.into()), &mut said));
    for buffer in buffers.iter().flatten() {
        noted(buffer.write(0, &[1; 64]), &mut said);
        noted(buffer.read(0, &mut [0; 64]), &mut said);
        noted(handle.mmap(buffer), &mut said);
    }
    let Some(context) = noted(handle.create_context(), &mut said) else { return said };
    for buffer in buffers.iter().flatten() {
        if let Some(va) = noted(handle.map(&context, buffer), &mut said) {
            noted(handle.unmap(&context, va), &mut said);
        }
    }
    let Some(queue) = noted(handle.create_queue(&context, 0, Priority::Normal), &mut said) else { return said };
    if let Some(fence) = noted(handle.submit(&Submission::new(&queue, &[Work::Nop])), &mut said) {
        said.extend(fence.wait(LONG).map_err(Errno::from).err());
    }
    said
}

fn noted<T>(result: Result<T, CallError>, said: &mut Vec<Errno>) -> Option<T> {
    result.map_err(|error| said.push(error.errno())).ok()
}

/// A client that does all it can until the device is lost; every fence must end.
fn work_until_lost(device: &lifeboat_lb1_hosted::Device) {
    let began = Instant::now();
    while began.elapsed() < LONG {
        let Ok(handle) = device.open() else { return };
        let Ok(context) = handle.create_context() else { return };
        let Ok(host) = handle.create_buffer(Placement::Host, BYTES.into()) else { return };
        let Ok(queue) = handle.create_queue(&context, 0, Priority::Normal) else { return };
        let Ok(va) = handle.map(&context, &host) else { return };
        let fill = Work::Fill(lifeboat_lb1_hosted::command::Fill { dst: va, bytes: BYTES.into(), pattern: 1 });
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
