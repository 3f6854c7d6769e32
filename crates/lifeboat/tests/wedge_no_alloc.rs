//! WEDGE-5: to declare a device wedged takes no memory, whatever hangs on it. It is what is done when nothing else helps, also
//! where memory is what is missing.
//!
//! The thread that declares it is counted. What the device's worker does at a loss is in `no_alloc.rs`.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::time::Duration;

use allocation_counter::measure;
use lifeboat::command::Work;
use lifeboat::core::fence::FenceError;
use lifeboat::core::wedge::{Failure, Method, Methods};
use lifeboat::{Fence, Module, ProbeOptions, WaitError};
use lifeboat_sync::lint::{self, Reaction};
use machine::bound::{options, plugged};
use machine::{Client, LONG};

const METHODS: Methods = Methods::UNKNOWN.with(Method::Rebind).with(Method::BusReset);

#[test]
fn wedge_5_declaring_a_device_wedged_allocates_nothing() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1, "it would be seen");
    // It remembers what it has seen.
    lint::force(Reaction::Off);
    // A thread's first wait registers it with the lock library. The bus's threads have theirs when they begin.
    let (fence, _promise) = Module::load().timeline("test", "never").fence();
    assert!(fence.wait(Duration::from_millis(1)).is_err());
    let (card, slot) = plugged();
    let module = Module::load();
    let options = ProbeOptions { job_timeout: LONG, ..options() };
    let binding = module.probe(&slot.function().unwrap(), options).unwrap();
    let client = Client::new(&binding.device().unwrap());
    let maps = [&client.host, &client.vram].map(|buffer| client.handle.mmap(buffer).unwrap());
    client.show(&client.vram).unwrap();
    let hang = |ring| client.submit(ring, &[Work::Hang], &[]);
    let mut owed: Vec<Fence> = [hang(0), hang(1)].into();
    owed.extend((0..100).map(|number| client.submit(number % 2, &[Work::Nop], &[])));
    let flip = client.handle.flip(&client.vram, Some(1)).unwrap();
    let mut event = None;
    let seen = measure(|| event = binding.wedge(Failure::Hung, METHODS));
    assert_eq!((seen.count_total, seen.bytes_total), (0, 0));
    assert_eq!(event.unwrap().variables().collect::<Vec<_>>(), ["WEDGED=rebind,bus-reset"]);
    for fence in owed {
        assert_eq!(fence.wait(Duration::ZERO), Err(WaitError::Failed(FenceError::Lost)));
    }
    assert_eq!(flip.wait(Duration::ZERO), Ok(()));
    let report = binding.report();
    // Host memory stays what it is.
    assert_eq!((report.maps_cut, report.fences_retired), (1, 102));
    drop((maps, client, binding));
    module.unload().unwrap();
    assert!(card.witness().is_empty());
}
