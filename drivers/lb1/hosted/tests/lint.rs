//! A driver that does what the lint forbids: it is told, and the unplug ends all the same.
//!
//! A process of its own, in which the lint only keeps what it finds; everywhere else a report is a failure in CI.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{Fence, Policy, WaitError};
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_sync::lint::{self, Reaction, ReportKind};
use machine::LONG;
use machine::bound::{Bound, options};
use machine::interposer::Access;

const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

#[test]
fn fence_2_and_gate_5_waiting_for_a_fence_inside_a_section_is_survived_and_reported() {
    lint::force(Reaction::Keep);
    let hung = Arc::new(OnceLock::<Fence>::new());
    let (waits, inside) = (hung.clone(), Arc::new(AtomicBool::new(false)));
    let watch = inside.clone();
    // On a busy machine the report itself, with its backtraces, takes longer than the other tests' limit.
    let options = Policy { drain_limit: LONG, ..options() };
    let bound = Bound::with(
        options,
        Box::new(move |index, _, _, access| {
            if let (regs::VRAM_BAR, Access::CopyIn, Some(fence)) = (index, access, waits.get()) {
                inside.store(true, SeqCst);
                assert_eq!(fence.wait(LONG), LOST);
            }
            None
        }),
    );
    let client = bound.client();
    hung.set(client.submit(0, &[Work::Hang], &[])).unwrap();
    // Callbacks must not block; this one does, so that the worker is of no help.
    let (worker, waits, held_up) = (Arc::new(AtomicBool::new(false)), hung.clone(), Arc::new(AtomicBool::new(false)));
    let (begun, held) = (worker.clone(), held_up.clone());
    client.submit(1, &[Work::Nop], &[]).on_signal(move |_| {
        begun.store(true, SeqCst);
        held.store(waits.get().unwrap().wait(LONG) == LOST, SeqCst);
    });
    std::thread::scope(|scope| {
        scope.spawn(|| client.vram.write(0, &[1]));
        while !(watch.load(SeqCst) && worker.load(SeqCst)) {
            std::thread::yield_now();
        }
        let report = bound.binding.unplug(Loss::Unbound).unwrap();
        assert!(report.holdouts.is_none(), "{:?}", report.holdouts);
    });
    assert!(held_up.load(SeqCst));
    drop(client);
    let found: BTreeSet<_> = lint::take_reports().into_iter().map(|report| report.kind).collect();
    // In the register section, in the gate's around it, and in the callback.
    let expected = [ReportKind::Blocking, ReportKind::FenceWaitInSection, ReportKind::FenceWaitWhileSignalling];
    assert_eq!(found, BTreeSet::from(expected));
    bound.finish();
}
