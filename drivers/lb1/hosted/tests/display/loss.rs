//! What becomes of the display, and of what was asked of it, at the loss of its device and after it.

use super::*;

#[test]
fn kms_1_at_loss_the_connector_is_disconnected_and_every_open_handle_told_once() {
    let machine = Machine::new();
    let device = machine.added();
    let handles = [device.open().unwrap(), device.open().unwrap()];
    let closed = device.open().unwrap();
    let descriptor = handles[0].events().eventfd().unwrap();
    drop(closed);
    let before = (handles[0].connector().unwrap(), handles[0].resources());
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
        assert_eq!(handle.resources(), before.1);
    }
    drop((handles, client, device, descriptor));
    machine.finish();
}

#[test]
fn kms_2_after_loss_each_call_does_as_its_class_says_and_events_come_at_once() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let never = Module::new().timeline("test", "never").fence();
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
fn kms_3_commits_caught_by_the_loss_wherever_they_are_are_answered_once_and_in_time() {
    let mut machine = Machine::new();
    let module = lifeboat_lb1_hosted::module();
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
            let mode = Change::To(handle.resources().mode(64, height));
            handle.atomic(&Commit { event: Some(token), mode, allow_modeset: true, ..of(second) })
        }
        _ => handle.queue_vblank(token),
    }
}

#[test]
fn kms_3_whatever_is_asked_for_while_the_card_is_pulled_is_answered_exactly_once() {
    let mut machine = Machine::new();
    let (never, _promise) = Module::new().timeline("test", "never").fence();
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
fn kms_3_what_a_closed_handle_has_asked_for_goes_on_without_it() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    let other = device.open().unwrap();
    let (paints, promise) = Module::new().timeline("test", "paints").fence();
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
    let (bound, accesses) = bound::counted();
    let client = bound.client();
    client.show(&client.vram).unwrap();
    let (paints, promise) = Module::new().timeline("test", "paints").fence();
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
fn kms_1_kms_2_and_call_4_calls_that_run_past_the_entry_check_find_a_display_that_is_lost() {
    let bound = Bound::with(Policy { check_entry: false, ..options() }, no_hook());
    let client = bound.client();
    let device = bound.device();
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
    let commit = Commit { mode: Change::To(late.resources().mode(64, 64)), allow_modeset: true, ..of(&client.vram) };
    assert_eq!(late.atomic(&Commit { event: Some(2), ..commit }).unwrap().status(), Some(Ok(())));
    assert_eq!(late.flip(&client.vram, Some(3)).unwrap().status(), Some(Ok(())));
    assert_eq!(late.queue_vblank(4).unwrap().status(), Some(Ok(())));
    assert_eq!(tally(&late), (Answers::from([(1, 1), (2, 1), (3, 1), (4, 1)]), 0));
    drop((late, client, device));
    bound.finish();
}
