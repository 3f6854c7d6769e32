//! Fences and those who made them: which of the two may go first.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use lifeboat::core::fence::FenceError;
use lifeboat::{Fence, Kind, Module, Timeline, Unsignalled, WaitError};
use lifeboat_lb1_hosted::command::Work;
use machine::{Client, LONG, Machine, assert_lint_is_silent};

/// A driver of its own, as another crate would write it: a module, fences it has promised, callbacks into its code.
struct Driver {
    module: Module,
    timeline: Timeline,
    promises: Vec<Unsignalled>,
    /// How often code of this driver has run.
    code_ran: Arc<AtomicUsize>,
}

impl Driver {
    fn load() -> Self {
        let module = Module::new();
        let timeline = module.timeline("toaster", "slot0");
        Self { module, timeline, promises: Vec::new(), code_ran: Arc::default() }
    }

    fn promise(&mut self) -> Fence {
        let (fence, promise) = self.timeline.fence();
        let code_ran = self.code_ran.clone();
        fence.on_signal(move |_| {
            code_ran.fetch_add(1, SeqCst);
        });
        self.promises.push(promise);
        fence
    }
}

#[test]
fn fence_3_a_signalled_fence_outlives_its_driver_and_never_calls_it() {
    let mut driver = Driver::load();
    let fences: Vec<_> = (0..4).map(|_| driver.promise()).collect();
    let (all, descriptor) = (Fence::all(fences.clone()), fences[0].eventfd().unwrap());
    let mut promises = std::mem::take(&mut driver.promises).into_iter();
    promises.next().unwrap().signal();
    promises.next().unwrap().fail(FenceError::Guilty);

    // LIFE-2: what is pending keeps the module loaded, and is named.
    let refused = driver.module.unload().unwrap_err();
    assert_eq!(refused.counts.get(&Kind::PENDING_FENCE), Some(&2));
    drop(promises);
    refused.module.unload().unwrap();
    drop((driver.timeline, descriptor));
    let code_ran = driver.code_ran;
    assert_eq!(Arc::strong_count(&code_ran), 1, "a signalled fence holds a callback of the driver");
    assert_eq!(code_ran.load(SeqCst), 4);

    // Everything that can be asked of a fence, with the driver gone.
    let outcomes = [Ok(()), Err(FenceError::Guilty), Err(FenceError::Canceled), Err(FenceError::Canceled)];
    for ((number, fence), outcome) in (1..).zip(&fences).zip(outcomes) {
        assert_eq!(
            (fence.status(), fence.seqno(), fence.name().as_str()),
            (Some(outcome), Some(number), "toaster/slot0")
        );
        assert_eq!(fence.wait(LONG), outcome.map_err(WaitError::Failed));
        fence.set_deadline(Instant::now());
        fence.on_signal(move |late| assert_eq!(late, outcome));
        fence.eventfd().unwrap();
        let mut future = std::pin::pin!(fence.into_future());
        assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(outcome));
        assert!(fence.same_timeline(&fences[0]));
    }
    assert_eq!(all.error(), Some(FenceError::Guilty));
    assert_eq!(code_ran.load(SeqCst), 4, "code of an unloaded driver has run");
    assert_lint_is_silent();
}

#[test]
fn fence_3_a_fence_of_a_job_outlives_device_and_module() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let done = client.submit(0, &[Work::Nop], &[]);
    done.wait(LONG).unwrap();
    let hung = client.submit(0, &[Work::Hang], &[]);
    assert_eq!((done.seqno(), hung.seqno()), (Some(1), Some(2)));
    assert!(done.same_timeline(&hung) && done.name().starts_with("lifeboat0/ring0"), "{done:?}");
    machine.slot.remove();
    assert_eq!(hung.wait(LONG), Err(WaitError::Failed(FenceError::Lost)));
    drop(client);
    machine.finish();
    assert_eq!((done.status(), hung.error()), (Some(Ok(())), Some(FenceError::Lost)));
    assert_eq!(hung.name(), done.name());
}

#[test]
fn fence_1_whatever_happens_to_its_owner_a_fence_signals_once() {
    for how in 0..4 {
        let mut driver = Driver::load();
        let fence = driver.promise();
        let promise = driver.promises.pop().unwrap();
        let signals = Arc::new(AtomicUsize::new(0));
        let counted = signals.clone();
        fence.on_signal(move |_| {
            counted.fetch_add(1, SeqCst);
        });
        let expected = match how {
            0 => {
                promise.signal();
                Ok(())
            }
            1 => {
                drop(promise);
                Err(FenceError::Canceled)
            }
            2 => {
                // The owner's thread dies.
                std::thread::spawn(move || {
                    let _promise = promise;
                    std::panic::resume_unwind(Box::new("on purpose"));
                })
                .join()
                .unwrap_err();
                Err(FenceError::Canceled)
            }
            _ => {
                // The last of the fence goes first, from inside a callback.
                let (other, other_promise) = driver.timeline.fence();
                other.on_signal(move |_| drop(promise));
                other_promise.signal();
                Err(FenceError::Canceled)
            }
        };
        assert_eq!(fence.wait(Duration::ZERO), expected.map_err(WaitError::Failed));
        assert_eq!(signals.load(SeqCst), 1);
    }
}
