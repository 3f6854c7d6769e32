//! Vertical blanks and flips as the hardware reports them, late, lost, twice, or around a reset.

use super::*;

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
