//! A client's share of what others need, too (SCHED-9). A client is an open handle.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

use lifeboat::core::errno::Errno;
use lifeboat::{CallError, Listeners, Priority, ProbeError};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{Context, Handle, Options, Submission, module_with};
use machine::bound::{Bound, no_hook, options, plugged};
use machine::interposer::Interposer;
use machine::{LONG, Machine};

/// All contexts that a client can get, and why it gets no more.
fn all(handle: &Handle) -> (Vec<Context>, CallError) {
    let mut contexts = Vec::new();
    loop {
        match handle.create_context() {
            Ok(context) => contexts.push(context),
            Err(error) => return (contexts, error),
        }
    }
}

/// Until a context is free again that was held by a job.
fn until(free: impl Fn() -> bool) {
    let began = Instant::now();
    while !free() {
        assert!(began.elapsed() < LONG, "it is never free again");
        std::thread::yield_now();
    }
}

fn shares(contexts: u16) -> Options {
    Options { context_share: Some(contexts), ..Options::default() }
}

fn share_of(contexts: u16) -> Bound {
    Bound::of(module_with(shares(contexts)), options(), no_hook())
}

#[test]
fn sched_9_a_client_that_takes_all_contexts_it_can_leaves_some_for_others() {
    let machine = Machine::new();
    let device = machine.added();
    let greedy = device.open().unwrap();
    let (contexts, error) = all(&greedy);
    assert_eq!(device.open().unwrap().create_context().map(drop), Ok(()), "a client that has none gets one");
    // EDQUOT: close some of your own. ENOMEM would mean that others have them all.
    assert_eq!((contexts.len(), error.errno().code()), (16, 122), "a quarter of the 64 that there are");
    // They are as good as any.
    let queue = greedy.create_queue(&contexts[15], 0, Priority::Normal).unwrap();
    assert_eq!(greedy.submit(&Submission::new(&queue, &[Work::Nop])).unwrap().wait(LONG), Ok(()));
    drop((queue, contexts));
    // The job is released right after its fence signals.
    until(|| all(&greedy).0.len() == 16);
    drop((greedy, device));
    machine.finish();
}

#[test]
fn sched_9_only_together_do_clients_exhaust_the_device() {
    let bound = share_of(64);
    let device = bound.device();
    let (greedy, other) = (device.open().unwrap(), device.open().unwrap());
    let (contexts, error) = all(&greedy);
    assert_eq!((contexts.len(), error.errno()), (64, Errno::EDQUOT));
    assert_eq!(other.create_context().unwrap_err().errno(), Errno::ENOMEM, "it holds none, and there are none");
    drop((contexts, greedy, other, device));
    bound.finish();
}

#[test]
fn sched_9_a_context_counts_until_it_is_really_gone() {
    let bound = share_of(1);
    let device = bound.device();
    let handle = device.open().unwrap();
    let context = handle.create_context().unwrap();
    let queue = handle.create_queue(&context, 0, Priority::Normal).unwrap();
    let hung = handle.submit(&Submission::new(&queue, &[Work::Hang])).unwrap();
    let refused = || handle.create_context().map(drop).map_err(CallError::errno) == Err(Errno::EDQUOT);
    drop(context);
    assert!(refused(), "its queue is there");
    drop(queue);
    // Asked first: a context that is gone had its job released, which comes after the signal.
    assert!(refused() || hung.status().is_some(), "its job is there");
    assert!(hung.wait(LONG).is_err());
    // The job is released right after its fence signals.
    until(|| !refused());
    // A call that fails for another reason holds nothing.
    let (only, error) = all(&handle);
    assert_eq!((only.len(), error), (1, CallError::OverShare("contexts; close some")));
    // Kept when its handle is closed.
    drop(handle);
    assert_eq!(device.open().unwrap().create_context().map(drop), Ok(()), "a new client has a share of its own");
    drop((only, device));
    bound.finish();
}

#[test]
fn a_share_of_no_context_is_an_error_before_the_hardware_is_touched() {
    let (card, slot) = plugged();
    let accesses = Arc::new(AtomicUsize::new(0));
    let counted = accesses.clone();
    let hook = Box::new(move |_, _: &dyn lifeboat_pci::Bar, _, _| {
        counted.fetch_add(1, SeqCst);
        None
    });
    let function = Interposer::on(slot.function().unwrap(), hook);
    let module = module_with(shares(0));
    let failed = module.probe(&function, &options(), Listeners::none()).unwrap_err();
    assert!(matches!(failed, ProbeError::Invalid(_)), "{failed:?}");
    assert!(failed.to_string().contains("at least 1"), "{failed}");
    assert_eq!(accesses.load(SeqCst), 0);
    // It can be probed again.
    drop(lifeboat_lb1_hosted::module().probe(&slot.function().unwrap(), &options(), Listeners::none()).unwrap());
    module.unload().unwrap();
    assert!(card.witness().is_empty(), "{:?}", card.witness().violations());
}
