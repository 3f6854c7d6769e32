//! WEDGE-5: to declare a device wedged takes no memory: not for its jobs, maps, flips, dump, fences that others are made of. It is what is done when nothing else helps, also
//! where memory is what is missing.
//!
//! The thread that declares it is counted. What the device's worker does at a loss is in `no_alloc.rs`.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use allocation_counter::measure;
use lifeboat::core::fence::FenceError;
use lifeboat::core::wedge::{Failure, Method, Methods};
use lifeboat::{Binding, Fence, Listeners, Policy, WaitError};
use lifeboat_lb1_hosted::Placement;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_sync::lint::{self, Reaction};
use machine::bound::{options, plugged};
use machine::{BYTES, Client, LONG};

const METHODS: Methods = Methods::UNKNOWN.with(Method::Rebind).with(Method::BusReset);

#[test]
fn wedge_5_declaring_a_device_wedged_allocates_nothing() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1, "it would be seen");
    // It remembers what it has seen.
    lint::force(Reaction::Off);
    let (card, slot) = plugged();
    let module = lifeboat_lb1_hosted::module();
    let options = Policy { job_timeout: LONG, ..options() };
    let binding = module.probe(&slot.function().unwrap(), &options, Listeners::none()).unwrap();
    let client = Client::new(&binding.device().unwrap());
    let maps = [&client.host, &client.vram].map(|buffer| client.handle.mmap(buffer).unwrap());
    // Free VRAM is in as many pieces as one node of the allocator's has room for. What is shown is
    // nobody's any more but the display's: it is freed on the way, and would be one more.
    let screen = client.handle.create_buffer(Placement::Vram, u64::from(BYTES)).unwrap();
    let mut pieces: Vec<_> = (0..24).map(|_| client.handle.create_buffer(Placement::Vram, 4096).unwrap()).collect();
    let rest = client.handle.info().vram_bytes - 2 * u64::from(BYTES) - 24 * 4096;
    let rest = client.handle.create_buffer(Placement::Vram, rest).unwrap();
    let mut number = 0;
    pieces.retain(|_| {
        number += 1;
        number % 2 == 1 || number > 22
    });
    client.show(&client.vram).unwrap();
    let hang = |ring| client.submit(ring, &[Work::Hang], &[]);
    let mut owed: Vec<Fence> = [hang(0), hang(1)].into();
    owed.extend((0..100).map(|number| client.submit(number % 2, &[Work::Nop], &[])));
    let flip = client.handle.flip(&screen, Some(1)).unwrap();
    drop(screen);
    // Callbacks that make others due.
    let told = Arc::new(AtomicU32::new(0));
    let both = Fence::all([owed[0].clone(), owed[1].clone()]);
    for fence in [&both, &owed[2]] {
        let told = told.clone();
        fence.on_signal(move |_| {
            told.fetch_add(1, SeqCst);
        });
    }
    // On a thread that has done nothing yet, as the bus's.
    let (seen, event) = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            Binding::ready_to_wedge();
            let mut event = None;
            (measure(|| event = binding.wedge(Failure::Hung, METHODS)), event)
        });
        thread.join().unwrap()
    });
    assert_eq!((seen.count_total, seen.bytes_total), (0, 0));
    assert_eq!((told.load(SeqCst), binding.take_dumps().len()), (2, 1), "it was dumped on the way");
    assert_eq!(event.unwrap().variables().collect::<Vec<_>>(), ["WEDGED=rebind,bus-reset"]);
    for fence in owed {
        assert_eq!(fence.wait(Duration::ZERO), Err(WaitError::Failed(FenceError::Lost)));
    }
    assert_eq!(flip.wait(Duration::ZERO), Ok(()));
    let report = binding.report();
    // Host memory stays what it is.
    assert_eq!((report.maps_cut, report.fences_retired), (1, 102));
    drop((maps, pieces, rest, client, binding));
    module.unload().unwrap();
    assert!(card.witness().is_empty());
}
