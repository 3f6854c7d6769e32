//! Any sequence of calls with any arguments, at devices that come and go. The fuzz target `calls` looks further.

mod random;

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{panic, thread};

use arbitrary::{Arbitrary, Unstructured};
use proptest::prelude::*;
use random::Input;

/// Has panics of threads that are not the test's counted: of workers, watchers, cards.
fn watch_others() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        let (own, before) = (thread::current().id(), panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            OTHERS.fetch_add(usize::from(thread::current().id() != own), Relaxed);
            before(info);
        }));
    });
}

static OTHERS: AtomicUsize = AtomicUsize::new(0);

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn call_1_fence_1_life_3_and_kms_3_whatever_is_called_and_whatever_happens(
        bytes in prop::collection::vec(any::<u8>(), 64..1536)
    ) {
        watch_others();
        let input = Input::arbitrary(&mut Unstructured::new(&bytes)).unwrap();
        let outcome = panic::catch_unwind(|| random::run(&input));
        prop_assert!(outcome.is_ok(), "{input:#?}");
        prop_assert_eq!(OTHERS.load(Relaxed), 0, "a thread of the framework has panicked");
    }
}
