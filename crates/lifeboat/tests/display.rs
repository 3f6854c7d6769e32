//! The display and its events: on a live device, at the moment of loss, and after it.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lifeboat::command::Work;
use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{
    Buffer, CallError, Change, Commit, CommitKind, ConnectorStatus, Device, DisplayEvent, Event, Fence, Handle, Module,
    Placement, ProbeError, ProbeOptions, WaitError,
};
use lifeboat_gpu::{Card, Fault, Trigger};
use lifeboat_lb1::regs;
use machine::bound::{Bound, no_hook, options};
use machine::interposer::Access;
use machine::{BYTES, Client, JOB_TIMEOUT, LONG, Machine};

/// A buffer in VRAM full of one byte, as large as a picture of 64 by 64 pixels four times over.
fn painted(client: &Client, shade: u8) -> Buffer {
    let buffer = client.handle.create_buffer(Placement::Vram, BYTES.into()).unwrap();
    buffer.write(0, &vec![shade; BYTES as usize]).unwrap();
    buffer
}

fn shade(card: &Card) -> Option<u8> {
    let shown = card.picture()?;
    assert!(shown.pixels.iter().all(|byte| *byte == shown.pixels[0]));
    Some(shown.pixels[0])
}

fn errno<T>(result: Result<T, CallError>) -> Option<Errno> {
    result.err().map(CallError::errno)
}

/// A commit of this picture that does not wait.
fn of(picture: &Buffer) -> Commit<'_> {
    Commit { plane: Change::To(picture), kind: CommitKind::NonBlocking, ..Commit::default() }
}

fn is_flip(event: Option<DisplayEvent>, wanted: u64) -> bool {
    matches!(event, Some(DisplayEvent::Flip { token, .. }) if token == wanted)
}

/// How often each token was answered.
type Answers = BTreeMap<u64, usize>;

/// Reads all events; how many hotplugs there were.
fn read(handle: &Handle, answers: &mut Answers) -> usize {
    let mut hotplugs = 0;
    while let Some(event) = handle.events().try_next() {
        match event {
            DisplayEvent::Flip { token, .. } | DisplayEvent::Vblank { token, .. } => {
                *answers.entry(token).or_insert(0) += 1;
            }
            DisplayEvent::Hotplug { connected } => {
                assert!(!connected);
                hotplugs += 1;
            }
        }
    }
    hotplugs
}

/// How often each token was answered, and how many hotplugs there were.
fn tally(handle: &Handle) -> (Answers, usize) {
    let mut answers = Answers::new();
    let hotplugs = read(handle, &mut answers);
    (answers, hotplugs)
}

#[test]
fn kms_1_at_loss_the_connector_is_disconnected_and_every_open_handle_told_once() {
    let machine = Machine::new();
    let device = machine.added();
    let handles = [device.open().unwrap(), device.open().unwrap()];
    let closed = device.open().unwrap();
    let descriptor = handles[0].events().eventfd().unwrap();
    drop(closed);
    let before = (handles[0].connector().unwrap(), handles[0].resources().unwrap());
    assert_eq!(before.0.status, ConnectorStatus::Connected);
    assert!(before.0.modes.iter().all(|mode| *mode == before.1.mode(mode.width, mode.height)));
    let client = Client::new(&device);
    for mode in &before.0.modes {
        // What it proposes can be set.
        let picture = client.handle.create_buffer(Placement::Vram, mode.picture_bytes()).unwrap();
        client.handle.set_mode(Some((&picture, *mode))).unwrap();
        let shown = machine.card().scanout().unwrap();
        assert_eq!((shown.width, shown.height), (mode.width, mode.height));
        client.handle.set_mode(None).unwrap();
    }
    assert!(!before.0.modes.is_empty());
    let waiter = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| client.handle.events().wait(LONG));
        machine.slot.remove();
        machine.removed();
        waiter.join().unwrap()
    });
    assert_eq!(waiter, Some(DisplayEvent::Hotplug { connected: false }));
    for handle in &handles {
        assert_eq!(tally(handle), (Answers::new(), 1));
        assert_eq!(handle.connector().unwrap().status, ConnectorStatus::Disconnected);
        assert_eq!(handle.connector().unwrap().modes, []);
        assert_eq!(handle.resources(), Ok(before.1));
    }
    drop((handles, client, device, descriptor));
    machine.finish();
}

#[test]
fn kms_2_on_a_live_device_pictures_are_shown_as_they_were_committed() {
    let bound = Bound::new(no_hook());
    let client = bound.client();
    let handle = &client.handle;
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    let mode = handle.resources().unwrap().mode(64, 64);
    assert_eq!(errno(handle.flip(&first, None)), Some(Errno::EINVAL), "it is off");
    assert_eq!(errno(handle.queue_vblank(1)), Some(Errno::EINVAL), "it is off");
    handle.set_mode(Some((&first, mode))).unwrap();
    assert_eq!(shade(&bound.card), Some(3));
    handle.flip(&second, Some(1)).unwrap().wait(LONG).unwrap();
    assert_eq!(shade(&bound.card), Some(9));
    assert!(is_flip(handle.events().try_next(), 1), "the event is there when the fence has signalled");
    // A blocking commit is shown when it returns.
    let blocking = Commit { kind: CommitKind::Blocking, event: Some(2), ..of(&first) };
    assert_eq!(handle.atomic(&blocking).unwrap().status(), Some(Ok(())));
    assert_eq!(shade(&bound.card), Some(3));
    assert!(is_flip(handle.events().try_next(), 2));
    // Another mode, of the same buffer; then off, and on again.
    let wide = Commit {
        mode: Change::To(handle.resources().unwrap().mode(128, 32)),
        allow_modeset: true,
        ..Commit::default()
    };
    handle.atomic(&wide).unwrap();
    assert_eq!(bound.card.scanout().map(|shown| (shown.width, shown.height)), Some((128, 32)));
    let off =
        Commit { mode: Change::Off, plane: Change::Off, allow_modeset: true, event: Some(3), ..Commit::default() };
    handle.queue_vblank(7).unwrap();
    handle.atomic(&off).unwrap();
    assert_eq!(bound.card.scanout(), None);
    assert_eq!(tally(handle).0, Answers::from([(3, 1), (7, 1)]), "no blank comes any more: who waits is told");
    handle.atomic(&Commit { plane: Change::To(&second), ..wide }).unwrap();
    assert_eq!(shade(&bound.card), Some(9));
    // What was shown and is not any more is freed: by the worker, or by the next call.
    drop((first, second));
    handle.set_mode(None).unwrap();
    handle.set_mode(None).unwrap();
    drop(client);
    bound.finish();
}

#[test]
fn kms_2_a_commit_that_only_tests_says_the_same_as_one_that_commits_and_changes_nothing() {
    let writes = Arc::new(AtomicUsize::new(0));
    let count = writes.clone();
    let bound = Bound::new(Box::new(move |bar, _, _, access| {
        let write = bar == regs::REGISTER_BAR && matches!(access, Access::Written(_));
        count.fetch_add(usize::from(write), SeqCst);
        None
    }));
    let client = bound.client();
    let handle = &client.handle;
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    let (shown, before) = (bound.card.picture(), writes.load(SeqCst));
    let small = handle.create_buffer(Placement::Vram, 4096).unwrap();
    let mode = |width, height| Change::To(handle.resources().unwrap().mode(width, height));
    let test = |commit: Commit<'_>| errno(handle.atomic(&Commit { kind: CommitKind::TestOnly, ..commit }));
    let wrong_rate = lifeboat::Mode { refresh_millihertz: 50_000, ..handle.resources().unwrap().mode(64, 64) };
    let modeset = Commit { allow_modeset: true, ..of(&second) };
    let verdicts = [
        (of(&second), None),
        (modeset, None),
        (Commit { mode: mode(128, 128), ..modeset }, None),
        (Commit { mode: mode(128, 128), ..of(&second) }, Some(Errno::EINVAL)),
        (Commit { mode: mode(256, 256), ..modeset }, Some(Errno::EINVAL)),
        (Commit { mode: mode(0, 64), ..modeset }, Some(Errno::EINVAL)),
        (Commit { mode: Change::To(wrong_rate), ..modeset }, Some(Errno::EINVAL)),
        (Commit { mode: Change::Off, ..modeset }, Some(Errno::EINVAL)),
        (Commit { mode: Change::Off, plane: Change::Off, ..modeset }, None),
        (Commit { mode: Change::Off, plane: Change::Off, ..of(&second) }, Some(Errno::EINVAL)),
        (of(&small), Some(Errno::EINVAL)),
        (of(&client.host), Some(Errno::EINVAL)),
        (Commit { event: Some(1), ..of(&second) }, Some(Errno::EINVAL)),
    ];
    let check = |when| {
        for (commit, verdict) in &verdicts {
            assert_eq!(test(*commit), *verdict, "{when}: {commit:?}");
        }
    };
    check("alive");
    assert_eq!(writes.load(SeqCst), before, "a register was written");
    assert_eq!(bound.card.picture(), shown);
    assert_eq!(handle.events().try_next(), None);
    bound.binding.unplug(Loss::Unbound).unwrap();
    // A test of what can be shown goes on saying so; what cannot is as wrong as before.
    check("gone");
    for (commit, verdict) in verdicts.iter().filter(|(commit, _)| commit.event.is_none()) {
        assert_eq!(errno(handle.atomic(commit)), *verdict, "{commit:?}");
        // Whatever it has changed.
        let back = Commit { mode: mode(64, 64), ..modeset };
        handle.atomic(&back).unwrap();
    }
    drop((first, second, small, client));
    bound.finish();
}

#[test]
fn kms_2_after_loss_each_call_does_as_its_class_says_and_events_come_at_once() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let never = Module::load().timeline("test", "never").fence();
    client.show(&client.vram).unwrap();
    machine.slot.remove();
    machine.removed();
    let handle = &client.handle;
    assert_eq!(handle.events().try_next(), Some(DisplayEvent::Hotplug { connected: false }));
    assert_eq!(errno(client.show(&client.vram)), Some(Errno::ENODEV));
    assert_eq!(errno(handle.set_mode(None)), Some(Errno::ENODEV));
    for kind in [CommitKind::NonBlocking, CommitKind::Blocking] {
        // Nothing is waited for, not even the fence.
        let commit = Commit { in_fence: Some(&never.0), event: Some(1), kind, ..of(&client.vram) };
        assert_eq!(handle.atomic(&commit).unwrap().status(), Some(Ok(())));
        assert!(is_flip(handle.events().try_next(), 1));
    }
    assert_eq!(handle.flip(&client.vram, Some(2)).unwrap().status(), Some(Ok(())));
    assert!(is_flip(handle.events().try_next(), 2));
    assert_eq!(handle.queue_vblank(3).unwrap().status(), Some(Ok(())));
    assert!(matches!(handle.events().try_next(), Some(DisplayEvent::Vblank { token: 3, .. })));
    assert_eq!(handle.events().wait(Duration::from_millis(1)), None);
    // Wrong arguments stay wrong, and so does too much.
    assert_eq!(errno(handle.flip(&client.host, None)), Some(Errno::EINVAL));
    for token in 0..128 {
        handle.queue_vblank(token).unwrap();
    }
    assert_eq!(errno(handle.queue_vblank(128)), Some(Errno::ENOMEM));
    assert_eq!(tally(handle).0.len(), 128);
    drop((client, device));
    machine.finish();
}

#[test]
fn kms_3_a_commit_waits_for_its_fence_and_others_for_the_commit() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let handle = &client.handle;
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    let module = Module::load();
    for outcome in [Ok(()), Err(FenceError::Innocent)] {
        let (paints, promise) = module.timeline("test", "paints").fence();
        let began = Instant::now();
        let commit = Commit { in_fence: Some(&paints), event: Some(1), ..of(&second) };
        let committed = handle.atomic(&commit).unwrap();
        assert!(began.elapsed() < LONG, "it has waited");
        // One at a time.
        assert_eq!(errno(handle.atomic(&commit)), Some(Errno::EBUSY));
        assert_eq!(errno(handle.flip(&second, Some(2))), Some(Errno::EBUSY));
        assert_eq!(errno(client.show(&second)), Some(Errno::EBUSY));
        // Tests have no turn to wait for.
        assert_eq!(errno(handle.atomic(&Commit { kind: CommitKind::TestOnly, ..of(&first) })), None);
        // Some blanks later nothing has happened.
        handle.queue_vblank(3).unwrap().wait(LONG).unwrap();
        handle.queue_vblank(4).unwrap().wait(LONG).unwrap();
        assert_eq!((committed.status(), shade(machine.card())), (None, Some(3)));
        let blocking = std::thread::scope(|scope| {
            let commit = Commit { kind: CommitKind::Blocking, event: Some(5), ..of(&first) };
            let blocking = scope.spawn(move || handle.atomic(&commit));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!blocking.is_finished(), "its turn has not come");
            promise.end(outcome);
            committed.wait(LONG).unwrap();
            blocking.join().unwrap()
        });
        assert_eq!(blocking.unwrap().status(), Some(Ok(())));
        assert_eq!(shade(machine.card()), Some(3), "the one after the other");
        assert_eq!(tally(handle).0, Answers::from([(1, 1), (3, 1), (4, 1), (5, 1)]));
    }
    // A fence of the device's own that fails is shown all the same.
    let hung = client.submit(0, &[Work::Hang], &[]);
    let commit = Commit { in_fence: Some(&hung), event: Some(6), kind: CommitKind::Blocking, ..of(&second) };
    handle.atomic(&commit).unwrap();
    assert_eq!(hung.status(), Some(Err(FenceError::Guilty)));
    assert_eq!((shade(machine.card()), is_flip(handle.events().try_next(), 6)), (Some(9), true));
    drop((first, second, client, device));
    machine.finish();
}

#[test]
fn kms_3_commits_caught_by_the_loss_wherever_they_are_are_answered_once_and_in_time() {
    let mut machine = Machine::new();
    let module = Module::load();
    for round in 0..8 {
        let device = machine.added();
        let client = Client::new(&device);
        client.show(&client.vram).unwrap();
        // Of a job that hangs, or of somebody who never signals.
        let (never, promise) = module.timeline("test", "never").fence();
        let hung = client.submit(0, &[Work::Hang], &[]);
        let in_fence = match round % 4 {
            0 => Some(&hung),
            1 => Some(&never),
            _ => None,
        };
        let kind = if round < 4 { CommitKind::NonBlocking } else { CommitKind::Blocking };
        let commit = Commit { in_fence, kind, event: Some(1), ..of(&client.vram) };
        let blank = client.handle.queue_vblank(2).unwrap();
        let (began, fence) = std::thread::scope(|scope| {
            let committed = scope.spawn(|| client.handle.atomic(&commit).unwrap());
            if kind == CommitKind::Blocking {
                std::thread::sleep(Duration::from_millis(5));
            } else {
                while !committed.is_finished() {
                    std::thread::yield_now();
                }
            }
            let began = Instant::now();
            machine.slot.remove();
            (began, committed.join().unwrap())
        });
        fence.wait(LONG).unwrap();
        blank.wait(LONG).unwrap();
        assert!(began.elapsed() < JOB_TIMEOUT, "nothing is waited for on a lost device: {:?}", began.elapsed());
        machine.removed();
        drop(promise);
        assert_eq!(tally(&client.handle), (Answers::from([(1, 1), (2, 1)]), 1));
        drop((client, device));
        machine.plug();
    }
    machine.added();
    machine.finish();
}

/// The device of the card that was plugged in last. So many are that on a starved machine a reset of one may be late.
fn plugged(machine: &mut Machine) -> Device {
    loop {
        match machine.next_event() {
            Event::Added { minor, .. } => return machine.bus().device(minor).unwrap(),
            Event::ProbeFailed { error: ProbeError::ResetTimedOut, .. } => {
                machine.slot.remove();
                machine.plug();
            }
            other => panic!("expected a device, got {other:?}"),
        }
    }
}

/// What one thread has asked for.
fn ask(handle: &Handle, pictures: [&Buffer; 2], token: u64, paints: &Fence) -> Result<Fence, CallError> {
    let [first, second] = pictures;
    match token % 5 {
        0 => handle.flip(first, Some(token)),
        1 => handle.atomic(&Commit { event: Some(token), in_fence: Some(paints), ..of(second) }),
        2 => handle.atomic(&Commit { event: Some(token), kind: CommitKind::Blocking, ..of(first) }),
        3 => {
            // Modes change too.
            let height = if token.is_multiple_of(2) { 64 } else { 32 };
            let mode = Change::To(handle.resources().unwrap().mode(64, height));
            handle.atomic(&Commit { event: Some(token), mode, allow_modeset: true, ..of(second) })
        }
        _ => handle.queue_vblank(token),
    }
}

#[test]
fn kms_3_whatever_is_asked_for_while_the_card_is_pulled_is_answered_exactly_once() {
    let mut machine = Machine::new();
    let (never, _promise) = Module::load().timeline("test", "never").fence();
    for round in 0_u64..60 {
        let device = plugged(&mut machine);
        let clients = [Client::new(&device), Client::new(&device)];
        clients[0].show(&clients[0].vram).unwrap();
        let stop = AtomicBool::new(false);
        let asked: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = clients
                .iter()
                .map(|client| {
                    let (stop, never) = (&stop, &never);
                    scope.spawn(move || {
                        let (mut asked, mut answered, mut fences) = (Answers::new(), Answers::new(), vec![]);
                        let mut hotplugs = 0;
                        for token in 0.. {
                            // After the loss: one that nobody signals any more.
                            let paints = client.try_submit(0, &[Work::Nop], &[]).unwrap_or_else(|_| never.clone());
                            match ask(&client.handle, [&client.vram, &client.vram], token, &paints) {
                                Ok(fence) => {
                                    fences.push(fence);
                                    asked.insert(token, 1);
                                }
                                Err(error) => {
                                    let errno = error.errno();
                                    assert!(matches!(errno, Errno::EBUSY | Errno::ENOMEM), "{error}");
                                    std::thread::yield_now();
                                }
                            }
                            if stop.load(SeqCst) {
                                break;
                            }
                            hotplugs += read(&client.handle, &mut answered);
                        }
                        for fence in fences {
                            fence.wait(LONG).unwrap();
                        }
                        (asked, answered, hotplugs)
                    })
                })
                .collect();
            // Somewhere in the first blanks; from round 30 on at the n-th access of the driver.
            if round < 30 {
                std::thread::sleep(Duration::from_micros(1500 * round));
                machine.slot.remove();
            } else {
                machine.card().schedule(Trigger::Access(round - 20), Fault::Remove);
                let until = Instant::now() + LONG;
                while device.is_live() && Instant::now() < until {
                    std::thread::yield_now();
                }
                machine.slot.remove();
            }
            machine.removed();
            // Some more on what is gone by now.
            std::thread::sleep(Duration::from_millis(1));
            stop.store(true, SeqCst);
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (client, (asked, mut answered, hotplugs)) in clients.iter().zip(asked) {
            let hotplugs = hotplugs + read(&client.handle, &mut answered);
            assert_eq!((&answered, hotplugs), (&asked, 1), "round {round}");
        }
        drop((clients, device));
        machine.plug();
    }
    plugged(&mut machine);
    machine.finish();
}

#[test]
fn kms_3_vertical_blanks_are_counted_and_raise_interrupts_only_while_somebody_waits() {
    let (masks, log) = mpsc::channel();
    let bound = Bound::new(Box::new(move |_, _, at, access| {
        if let (regs::IRQ_MASK, Access::Written(mask)) = (at, access) {
            let _ = masks.send(mask & regs::irq::VBLANK != 0);
        }
        None
    }));
    let client = bound.client();
    client.show(&client.vram).unwrap();
    let watched = || log.recv_timeout(LONG).unwrap();
    assert!(!watched(), "the probe's");
    let mut last = None;
    for token in 0..4 {
        client.handle.queue_vblank(token).unwrap().wait(LONG).unwrap();
        let Some(DisplayEvent::Vblank { token: answered, sequence }) = client.handle.events().try_next() else {
            panic!("no event")
        };
        assert_eq!(answered, token);
        assert!(last.is_none_or(|last| sequence > last), "{last:?}, {sequence}");
        last = Some(sequence);
        // On while it was waited for, and off by the interrupt handler after it has answered.
        assert_eq!((watched(), watched()), (true, false));
        if token == 1 {
            // The hardware counts from zero again.
            client.show(&client.vram).unwrap();
        }
    }
    let flip = client.handle.flip(&client.vram, Some(9)).unwrap();
    flip.wait(LONG).unwrap();
    let event = client.handle.events().try_next();
    assert!(matches!(event, Some(DisplayEvent::Flip { sequence, .. }) if Some(sequence) > last), "{event:?}");
    assert!(log.try_recv().is_err());
    drop(client);
    bound.finish();
}

#[test]
fn kms_3_vertical_blanks_and_commits_whose_interrupts_are_lost_are_late_and_not_lost() {
    let bound = Bound::new(Box::new(|_, _, at, access| match access {
        Access::Write(mask) if at == regs::IRQ_MASK => Some(mask & !(regs::irq::FLIP | regs::irq::VBLANK)),
        _ => None,
    }));
    let client = bound.client();
    client.show(&client.vram).unwrap();
    let blank = client.handle.queue_vblank(1).unwrap();
    let commit = client.handle.atomic(&Commit { event: Some(2), ..of(&client.vram) }).unwrap();
    let began = Instant::now();
    blank.wait(LONG).unwrap();
    commit.wait(LONG).unwrap();
    assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
    assert_eq!(tally(&client.handle).0, Answers::from([(1, 1), (2, 1)]));
    drop(client);
    bound.finish();
}

#[test]
fn kms_3_a_reset_of_the_device_loses_neither_vertical_blanks_nor_commits() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    // A commit waits for the job whose ring's reset fails; others wait for blanks all the while.
    machine.card().schedule(Trigger::Reset(1), Fault::FailedReset);
    let hung = client.submit(0, &[Work::Hang], &[]);
    let commit = client.handle.atomic(&Commit { event: Some(0), in_fence: Some(&hung), ..of(&second) }).unwrap();
    let (mut asked, mut last) = (1, 0);
    let mut answered = Answers::new();
    while commit.status().is_none() {
        let fence = client.handle.queue_vblank(asked).unwrap();
        fence.wait(LONG).unwrap();
        while let Some(event) = client.handle.events().try_next() {
            let (DisplayEvent::Flip { token, sequence } | DisplayEvent::Vblank { token, sequence }) = event else {
                panic!("{event:?}")
            };
            assert!(sequence >= last, "{sequence} after {last}");
            last = sequence;
            *answered.entry(token).or_insert(0) += 1;
        }
        asked += 1;
    }
    assert_eq!(hung.wait(LONG), Err(WaitError::Failed(FenceError::Guilty)));
    assert_eq!(read(&client.handle, &mut answered), 0);
    assert_eq!(answered, (0..asked).map(|token| (token, 1)).collect());
    assert!(asked > 3 && device.is_live());
    assert_eq!(shade(machine.card()), Some(9));
    drop((first, second, client, device));
    machine.finish();
}

#[test]
fn kms_3_what_a_closed_handle_has_asked_for_goes_on_without_it() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    let other = device.open().unwrap();
    let (paints, promise) = Module::load().timeline("test", "paints").fence();
    let fence = other.atomic(&Commit { event: Some(1), in_fence: Some(&paints), ..of(&second) }).unwrap();
    let blank = other.queue_vblank(2).unwrap();
    drop(other);
    promise.signal();
    fence.wait(LONG).unwrap();
    blank.wait(LONG).unwrap();
    assert_eq!((shade(machine.card()), client.handle.events().try_next()), (Some(9), None));
    drop((first, second, client, device));
    machine.finish();
}

#[test]
fn gate_8_a_commit_whose_fence_signals_after_the_unplug_touches_nothing() {
    let accesses = Arc::new(AtomicUsize::new(0));
    let counted = accesses.clone();
    let bound = Bound::new(Box::new(move |_, _, _, _| {
        counted.fetch_add(1, SeqCst);
        None
    }));
    let client = bound.client();
    client.show(&client.vram).unwrap();
    let (paints, promise) = Module::load().timeline("test", "paints").fence();
    let fence = client.handle.atomic(&Commit { event: Some(1), in_fence: Some(&paints), ..of(&client.vram) }).unwrap();
    bound.binding.unplug(Loss::Unbound).unwrap();
    assert_eq!(fence.status(), Some(Ok(())));
    let before = accesses.load(SeqCst);
    promise.signal();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(accesses.load(SeqCst), before);
    assert_eq!(tally(&client.handle), (Answers::from([(1, 1)]), 1));
    drop(client);
    bound.finish();
}

#[test]
fn kms_3_interrupts_answer_and_one_that_is_spurious_answers_nothing_early() {
    let bound = Bound::new(no_hook());
    let client = bound.client();
    let bar = bound.slot.function().unwrap().bar(regs::REGISTER_BAR).unwrap();
    let force = |sources| bar.write32(regs::IRQ_FORCE, sources).unwrap();
    let pictures = [painted(&client, 3), painted(&client, 9)];
    client.show(&pictures[0]).unwrap();
    let (sender, answered_on) = mpsc::channel();
    let (mut last, mut by_interrupt) = (0, [0; 2]);
    for round in 0..20 {
        let picture = &pictures[(round + 1) % 2];
        let flip = client.handle.flip(picture, None).unwrap();
        force(regs::irq::FLIP);
        let blank = client.handle.queue_vblank(1).unwrap();
        force(regs::irq::VBLANK);
        for (kind, fence) in [flip, blank].into_iter().enumerate() {
            let sender = sender.clone();
            fence.on_signal(move |_| drop(sender.send((kind, std::thread::current().name().map(str::to_owned)))));
        }
        for _ in 0..2 {
            let (kind, thread) = answered_on.recv_timeout(LONG).unwrap();
            if kind == 0 {
                assert_eq!(shade(&bound.card), Some([3, 9][(round + 1) % 2]), "answered before it was shown");
            }
            by_interrupt[kind] += usize::from(thread.as_deref() == Some("lb1-irq"));
        }
        let event = client.handle.events().wait(LONG);
        assert!(matches!(event, Some(DisplayEvent::Vblank { sequence, .. }) if sequence > last), "{event:?}");
        if let Some(DisplayEvent::Vblank { sequence, .. }) = event {
            last = sequence;
        }
    }
    // On a machine that is starved some are asked for by the worker.
    assert!(by_interrupt.iter().all(|count| *count > 0), "{by_interrupt:?}");
    drop((pictures, bar, client));
    bound.finish();
}

#[test]
fn kms_3_what_is_asked_for_in_the_middle_of_a_reset_comes_after_it() {
    let (begun, resets) = mpsc::channel();
    let (asked, go_on) = mpsc::channel::<()>();
    let go_on = std::sync::Mutex::new(go_on);
    let armed = Arc::new(AtomicBool::new(false));
    let (is_armed, watched) = (armed.clone(), Arc::new(AtomicBool::new(false)));
    let is_watched = watched.clone();
    let bound = Bound::new(Box::new(move |_, _, at, access| {
        match (at, access) {
            (regs::DEVICE_CTRL, Access::Written(regs::device_ctrl::RESET)) if is_armed.swap(false, SeqCst) => {
                begun.send(()).unwrap();
                go_on.lock().unwrap().recv_timeout(LONG).unwrap();
                is_watched.store(false, SeqCst);
            }
            (regs::IRQ_MASK, Access::Written(mask)) => {
                is_watched.fetch_or(mask & regs::irq::VBLANK != 0, SeqCst);
            }
            _ => {}
        }
        None
    }));
    let client = bound.client();
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    bound.card.schedule(Trigger::Reset(1), Fault::FailedReset);
    armed.store(true, SeqCst);
    let hung = client.submit(0, &[Work::Hang], &[]);
    resets.recv_timeout(LONG).unwrap();
    // The hardware hears of neither.
    let flip = client.handle.flip(&second, Some(1)).unwrap();
    let blank = client.handle.queue_vblank(2).unwrap();
    asked.send(()).unwrap();
    flip.wait(LONG).unwrap();
    assert_eq!(shade(&bound.card), Some(9));
    blank.wait(LONG).unwrap();
    assert!(watched.load(SeqCst), "nobody would have heard of a vertical blank");
    assert_eq!(hung.wait(LONG), Err(WaitError::Failed(FenceError::Guilty)));
    assert_eq!(tally(&client.handle), (Answers::from([(1, 1), (2, 1)]), 0));
    drop((first, second, client));
    bound.finish();
}

#[test]
fn kms_1_kms_2_and_call_4_calls_that_run_past_the_entry_check_find_a_display_that_is_lost() {
    let bound = Bound::with(ProbeOptions { check_entry: false, ..options() }, no_hook());
    let client = bound.client();
    let device = bound.binding.device().unwrap();
    client.show(&client.vram).unwrap();
    bound.binding.unplug(Loss::Unbound).unwrap();
    // Opened too late to be told with the others.
    let late = device.open().unwrap();
    assert_eq!(late.events().try_next(), Some(DisplayEvent::Hotplug { connected: false }));
    assert_eq!(late.connector().unwrap().status, ConnectorStatus::Disconnected);
    assert_eq!(errno(client.show(&client.vram)), Some(Errno::ENODEV));
    assert_eq!(errno(late.set_mode(None)), Some(Errno::ENODEV));
    // What failed has changed nothing.
    assert_eq!(late.flip(&client.vram, Some(1)).unwrap().status(), Some(Ok(())));
    let commit =
        Commit { mode: Change::To(late.resources().unwrap().mode(64, 64)), allow_modeset: true, ..of(&client.vram) };
    assert_eq!(late.atomic(&Commit { event: Some(2), ..commit }).unwrap().status(), Some(Ok(())));
    assert_eq!(late.flip(&client.vram, Some(3)).unwrap().status(), Some(Ok(())));
    assert_eq!(late.queue_vblank(4).unwrap().status(), Some(Ok(())));
    assert_eq!(tally(&late), (Answers::from([(1, 1), (2, 1), (3, 1), (4, 1)]), 0));
    drop((late, client, device));
    bound.finish();
}

#[test]
fn kms_2_a_mode_set_that_fails_in_the_middle_of_the_loss_changes_nothing_for_later_commits() {
    let mut failed = 0;
    for access in 1..=6 {
        let mut machine = Machine::new();
        let device = plugged(&mut machine);
        let client = Client::new(&device);
        client.show(&client.vram).unwrap();
        let mode = |width, height| client.handle.resources().unwrap().mode(width, height);
        machine.card().schedule(Trigger::Access(access), Fault::Remove);
        let answer = errno(client.handle.set_mode(Some((&client.vram, mode(128, 128)))));
        machine.slot.remove();
        machine.removed();
        // Accepted only if that is the mode: this one may not change it.
        let keeps = |mode| Commit { mode: Change::To(mode), kind: CommitKind::TestOnly, ..Commit::default() };
        let now = [mode(64, 64), mode(128, 128)].map(|mode| client.handle.atomic(&keeps(mode)).is_ok());
        // A device that goes while it is written to is not missed.
        let expected = if answer.is_some() { [true, false] } else { [false, true] };
        assert_eq!(now, expected, "access {access}: {answer:?}");
        failed += usize::from(answer == Some(Errno::ENODEV));
        drop((client, device));
        machine.finish();
    }
    assert!(failed > 0);
}
