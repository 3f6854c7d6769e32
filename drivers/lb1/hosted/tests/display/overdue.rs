//! Flips and vertical blanks that the hardware never reports (KMS-5).
//!
//! The hooks stand for a scanout that is stuck while the rest of the device lives. Where the limit must not pass it is an
//! hour; where it must pass it is as short as it can be.

use super::*;
use lifeboat_lb1_hosted::{Options, module_with};

const NEVER: Duration = Duration::from_hours(1);
const OVERDUE: Result<(), WaitError> = Err(WaitError::Failed(FenceError::TimedOut));
const REPLACED: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Canceled));

fn limited(display_limit: Duration) -> Module {
    module_with(Options { display_limit, ..Options::default() })
}

/// What is wrong with the scanout.
#[derive(Default)]
struct Fault {
    /// The flip register says that a flip is pending, whatever happens.
    flip_pending: AtomicBool,
    /// What it shows is never what it was told to.
    shows_another: AtomicBool,
    /// The counter of blanks stands still.
    no_blanks: AtomicBool,
    /// That is mended when the display is turned off.
    heals: AtomicBool,
    /// How often it was turned off.
    offs: AtomicUsize,
}

impl Fault {
    fn bound(limit: Duration) -> (Bound, Arc<Self>) {
        let fault = Arc::new(Self::default());
        let hooked = fault.clone();
        let hook = move |bar, _: &dyn lifeboat_pci::Bar, at, access| match (at, access) {
            _ if bar != regs::REGISTER_BAR => None,
            (regs::FLIP_STATUS, Access::Read(_)) if hooked.flip_pending.load(SeqCst) => Some(1),
            (regs::SCANOUT_BASE, Access::Read(_)) if hooked.shows_another.load(SeqCst) => Some(0x00ba_d000),
            (regs::VBLANK_COUNT, Access::Read(_)) if hooked.no_blanks.load(SeqCst) => Some(7),
            (regs::SCANOUT_CTRL, Access::Written(0)) => {
                hooked.offs.fetch_add(1, SeqCst);
                if hooked.heals.load(SeqCst) {
                    hooked.no_blanks.store(false, SeqCst);
                }
                None
            }
            _ => None,
        };
        (Bound::of(limited(limit), options(), Box::new(hook)), fault)
    }
}

#[test]
fn kms_5_a_flip_that_is_never_reported_is_shown_by_a_reset_of_the_display() {
    let (bound, fault) = Fault::bound(Duration::ZERO);
    let client = bound.client();
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    fault.flip_pending.store(true, SeqCst);
    let before = fault.offs.load(SeqCst);
    for (token, (picture, shown)) in (0..).zip([(&second, 9), (&first, 3)]) {
        let flip = client.handle.flip(picture, Some(token)).unwrap();
        assert_eq!(flip.wait(LONG), Ok(()), "it is shown");
        assert_eq!(shade(&bound.card), Some(shown));
        assert!(is_flip(client.handle.events().try_next(), token));
    }
    assert_eq!(fault.offs.load(SeqCst), before + 2, "one reset for each");
    fault.flip_pending.store(false, SeqCst);
    client.handle.flip(&second, None).unwrap().wait(LONG).unwrap();
    assert_eq!(tally(&client.handle), (Answers::new(), 0));
    drop((first, second, client));
    bound.finish();
}

#[test]
fn kms_5_a_flip_that_no_reset_helps_fails_and_the_next_ones_have_their_turn() {
    let (bound, fault) = Fault::bound(Duration::ZERO);
    let client = bound.client();
    let handle = &client.handle;
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    fault.flip_pending.store(true, SeqCst);
    fault.shows_another.store(true, SeqCst);
    for token in 0..2 {
        let flip = handle.flip(&second, Some(token)).unwrap();
        assert_eq!(flip.wait(LONG), OVERDUE);
        assert_eq!(flip.error().map(Errno::from), Some(Errno::ETIME));
        assert!(is_flip(handle.events().try_next(), token));
        assert_eq!(shade(&bound.card), Some(3), "what was set before is shown again");
    }
    // A job that waits for a flip does not wait for ever.
    let flip = handle.flip(&second, None).unwrap();
    let job = client.submit(0, &[Work::Nop], &[flip]);
    assert_ne!(job.wait(LONG), Err(WaitError::TimedOut));
    // Others have their turn after it, also one that waits for a fence.
    let flip = handle.flip(&second, Some(2)).unwrap();
    let blocking = handle.atomic(&Commit { kind: CommitKind::Blocking, event: Some(3), ..of(&second) }).unwrap();
    assert_eq!((flip.wait(LONG), blocking.wait(LONG)), (OVERDUE, OVERDUE));
    let paints = client.submit(0, &[Work::Nop], &[]);
    let commit = Commit { in_fence: Some(&paints), event: Some(4), ..of(&second) };
    assert_eq!(handle.atomic(&commit).unwrap().wait(LONG), OVERDUE);
    assert_eq!(tally(handle).0, Answers::from([(2, 1), (3, 1), (4, 1)]));
    fault.flip_pending.store(false, SeqCst);
    handle.flip(&second, None).unwrap().wait(LONG).unwrap();
    assert_eq!(shade(&bound.card), Some(9));
    drop((first, second, client));
    bound.finish();
}

#[test]
fn kms_5_a_vertical_blank_that_never_comes_ends_after_one_reset() {
    for heals in [false, true] {
        // The one that is mended must then report within the limit.
        let (bound, fault) = Fault::bound(if heals { Duration::from_secs(2) } else { Duration::ZERO });
        let client = bound.client();
        let handle = &client.handle;
        client.show(&client.vram).unwrap();
        fault.heals.store(heals, SeqCst);
        fault.no_blanks.store(true, SeqCst);
        let before = fault.offs.load(SeqCst);
        let waits = [1, 2].map(|token| handle.queue_vblank(token).unwrap());
        for wait in &waits {
            assert_eq!(wait.wait(LONG), if heals { Ok(()) } else { OVERDUE });
        }
        assert_eq!(fault.offs.load(SeqCst), before + 1);
        assert_eq!(tally(handle), (Answers::from([(1, 1), (2, 1)]), 0));
        // Flips do not need the counter.
        handle.flip(&client.vram, None).unwrap().wait(LONG).unwrap();
        fault.no_blanks.store(false, SeqCst);
        handle.queue_vblank(3).unwrap().wait(LONG).unwrap();
        drop(client);
        bound.finish();
    }
}

#[test]
fn kms_5_blanks_that_keep_coming_do_not_keep_a_flip_from_ending() {
    let (bound, fault) = Fault::bound(Duration::ZERO);
    let client = bound.client();
    let handle = &client.handle;
    client.show(&client.vram).unwrap();
    fault.flip_pending.store(true, SeqCst);
    let flip = handle.flip(&client.vram, None).unwrap();
    let end = Instant::now() + LONG;
    while flip.status().is_none() && Instant::now() < end {
        handle.queue_vblank(1).unwrap().wait(LONG).unwrap();
        while handle.events().try_next().is_some() {}
    }
    assert_eq!(flip.status(), Some(Ok(())));
    drop(client);
    bound.finish();
}

#[test]
fn kms_5_a_mode_set_or_a_turn_off_gets_through_and_ends_a_stuck_flip_with_its_outcome() {
    for (shows_another, off) in [(false, false), (false, true), (true, false), (true, true)] {
        let (bound, fault) = Fault::bound(NEVER);
        let client = bound.client();
        let handle = &client.handle;
        let [first, second] = [painted(&client, 3), painted(&client, 9)];
        client.show(&first).unwrap();
        fault.flip_pending.store(true, SeqCst);
        fault.shows_another.store(shows_another, SeqCst);
        let flip = handle.flip(&second, Some(1)).unwrap();
        let end = Instant::now() + LONG;
        while shade(&bound.card) != Some(9) && Instant::now() < end {
            std::thread::yield_now();
        }
        assert_eq!(flip.status(), None);
        if off { handle.set_mode(None) } else { client.show(&first) }.unwrap();
        assert_eq!(shade(&bound.card), if off { None } else { Some(3) });
        assert_eq!(flip.wait(LONG), if shows_another { REPLACED } else { Ok(()) });
        assert!(is_flip(handle.events().try_next(), 1));
        fault.flip_pending.store(false, SeqCst);
        if off {
            assert_eq!(errno(handle.flip(&second, None)), Some(Errno::EINVAL), "it is off");
        } else {
            handle.flip(&second, None).unwrap().wait(LONG).unwrap();
        }
        assert_eq!(tally(handle), (Answers::new(), 0));
        drop((first, second, client));
        bound.finish();
    }
}

#[test]
fn kms_5_a_mode_set_gets_through_before_a_commit_whose_fence_never_signals() {
    let bound = Bound::of(limited(Duration::ZERO), options(), no_hook());
    let client = bound.client();
    let handle = &client.handle;
    let [first, second] = [painted(&client, 3), painted(&client, 9)];
    client.show(&first).unwrap();
    let (never, promise) = Module::new().timeline("test", "never").fence();
    let [mode, other] = [32, 64].map(|width| Change::To(handle.resources().mode(width, 32)));
    let modeset = Commit { mode, allow_modeset: true, ..of(&first) };
    for token in 0..4 {
        let waits = handle.atomic(&Commit { in_fence: Some(&never), event: Some(token), ..of(&second) }).unwrap();
        match token {
            0 => client.show(&first).unwrap(),
            1 => drop(handle.atomic(&Commit { kind: CommitKind::Blocking, ..modeset }).unwrap()),
            2 => {
                // A nonblocking mode set gets its turn once the limit has passed.
                let end = Instant::now() + LONG;
                while let Err(error) = handle.atomic(&Commit { mode: other, ..modeset }) {
                    assert_eq!(error.errno(), Errno::EBUSY);
                    assert!(Instant::now() < end, "it never gets its turn");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            _ => handle.set_mode(None).unwrap(),
        }
        assert_eq!(waits.wait(LONG), REPLACED);
        assert!(is_flip(handle.events().try_next(), token));
    }
    promise.signal();
    client.show(&first).unwrap();
    handle.queue_vblank(9).unwrap().wait(LONG).unwrap();
    assert_eq!(shade(&bound.card), Some(3), "nobody waits for the fence any more");
    assert_eq!(tally(handle), (Answers::from([(9, 1)]), 0));
    drop((first, second, client));
    bound.finish();
}

#[test]
fn kms_5_and_kms_3_a_stuck_flip_is_answered_once_wherever_the_unplug_finds_it() {
    for round in 0_u64..12 {
        // Far from the limit, and around it.
        let (bound, fault) = Fault::bound(if round < 2 { NEVER } else { Duration::ZERO });
        let client = bound.client();
        client.show(&client.vram).unwrap();
        fault.flip_pending.store(true, SeqCst);
        fault.shows_another.store(round % 2 == 1, SeqCst);
        fault.no_blanks.store(true, SeqCst);
        let flip = client.handle.flip(&client.vram, Some(1)).unwrap();
        let blank = client.handle.queue_vblank(2).unwrap();
        std::thread::sleep(Duration::from_millis(if round < 2 { 0 } else { 160 + round }));
        if round == 11 {
            assert_eq!(flip.wait(LONG), OVERDUE, "it ends without an unplug, too");
        }
        bound.binding.unplug(Loss::Unbound).unwrap();
        let ends = [flip.status(), blank.status()];
        for end in ends {
            assert!(matches!(end, Some(Ok(()) | Err(FenceError::TimedOut))), "{ends:?}");
        }
        assert!(round >= 2 || ends == [Some(Ok(())); 2], "not judged before the limit");
        assert_eq!(tally(&client.handle), (Answers::from([(1, 1), (2, 1)]), 1));
        drop(client);
        bound.finish();
    }
}
