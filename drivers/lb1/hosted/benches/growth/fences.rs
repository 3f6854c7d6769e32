//! One fence, and many who wait for it.

use std::future::{Future, IntoFuture};
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};

use lifeboat::{Fence, Module, Signalled, Unsignalled};

use crate::case::{Case, Sample};

pub(crate) const CASES: &[&Case] = &[
    &Case {
        name: "tasks on a fence: begin to wait",
        run: |count| Sample::of(|| drop(black_box(waiting(&fence().0, count)))),
    },
    &Case { name: "tasks on a fence: give up, oldest first", run: |count| give_up(count, false) },
    &Case { name: "tasks on a fence: give up, newest first", run: |count| give_up(count, true) },
    &Case { name: "callbacks on a fence: registered", run: registered },
    &Case { name: "callbacks on a fence: called", run: called },
    &Case {
        name: "any of a pending fence: made, dropped",
        run: |count| made(count, |lasting, done| Fence::any([lasting, done])),
    },
    &Case {
        name: "all of a pending fence: made, dropped",
        run: |count| made(count, |lasting, done| Fence::all([lasting, done])),
    },
    &Case {
        name: "merge of a pending fence: made, dropped",
        run: |count| made(count, |lasting, done| lasting.merge(&done)),
    },
];

fn fence() -> (Fence, Unsignalled) {
    Module::new().timeline("growth", "fences").fence()
}

/// Tasks that wait for a fence.
fn waiting(fence: &Fence, count: usize) -> Vec<Option<Pin<Box<Signalled>>>> {
    let task = |_| {
        let mut task = Box::pin(fence.into_future());
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        Some(task)
    };
    (0..count).map(task).collect()
}

fn give_up(count: usize, newest_first: bool) -> Sample {
    let (fence, _promise) = fence();
    let mut tasks = waiting(&fence, count);
    if newest_first {
        tasks.reverse();
    }
    Sample::of(|| tasks.iter_mut().for_each(|task| drop(task.take())))
}

fn register(fence: &Fence, count: usize) {
    for number in 0..count {
        fence.on_signal(move |_| {
            black_box(number);
        });
    }
}

fn registered(count: usize) -> Sample {
    let (fence, _promise) = fence();
    Sample::of(|| register(&fence, count))
}

fn called(count: usize) -> Sample {
    let (fence, promise) = fence();
    register(&fence, count);
    Sample::of(|| promise.signal())
}

/// Fences made of one that lasts and, each, another one.
fn made(count: usize, make: fn(Fence, Fence) -> Fence) -> Sample {
    let (lasting, _promise) = fence();
    Sample::withdrawn(|| {
        for _ in 0..count {
            drop(black_box(make(lasting.clone(), Fence::signalled(Ok(())))));
        }
    })
}
