//! What may be asked for while the device is there, and what is shown then.

use super::*;

#[test]
fn kms_2_on_a_live_device_pictures_are_shown_as_they_were_committed() {
    let bound = Bound::new(no_hook());
    let client = bound.client();
    let handle = &client.handle;
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    let mode = handle.resources().mode(64, 64);
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
    let wide = Commit { mode: Change::To(handle.resources().mode(128, 32)), allow_modeset: true, ..Commit::default() };
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
    let mode = |width, height| Change::To(handle.resources().mode(width, height));
    let test = |commit: Commit<'_>| errno(handle.atomic(&Commit { kind: CommitKind::TestOnly, ..commit }));
    let wrong_rate = lifeboat_lb1_hosted::Mode { refresh_millihertz: 50_000, ..handle.resources().mode(64, 64) };
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
fn kms_3_a_commit_waits_for_its_fence_and_others_for_the_commit() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let handle = &client.handle;
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    let module = lifeboat_lb1_hosted::module();
    for outcome in [Ok(()), Err(FenceError::Innocent)] {
        let (paints, promise) = module.timeline("test", "paints").fence();
        let began = Instant::now();
        let commit = Commit { in_fence: Some(&paints), event: Some(1), ..of(&second) };
        let committed = handle.atomic(&commit).unwrap();
        assert!(began.elapsed() < LONG, "it has waited");
        // One at a time.
        assert_eq!(errno(handle.atomic(&commit)), Some(Errno::EBUSY));
        assert_eq!(errno(handle.flip(&second, Some(2))), Some(Errno::EBUSY));
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
fn kms_2_a_mode_set_that_fails_in_the_middle_of_the_loss_changes_nothing_for_later_commits() {
    let mut failed = 0;
    for access in 1..=6 {
        let mut machine = Machine::new();
        let device = plugged(&mut machine);
        let client = Client::new(&device);
        client.show(&client.vram).unwrap();
        let mode = |width, height| client.handle.resources().mode(width, height);
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
