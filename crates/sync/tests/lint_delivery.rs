//! Tests of the lint's delivery: a finding is reported once, is kept, and causes the chosen
//! reaction.
#![cfg(not(loom))]

mod lint_support;

use std::panic::catch_unwind;

use lifeboat_sync::lint::{self, Class, Mutex, MutexGuard, Reaction, ReportKind};
use lint_support::{found, kinds, turn};

static CLASS: Class = Class::new("delivery");
static SHORT: Mutex<()> = Mutex::new(&CLASS, ());

#[test]
fn a_finding_is_reported_once_and_another_place_is_another_finding() {
    let again = || lint::interrupt(|| lint::might_block("reading"));
    let reports = found(|| {
        again();
        again();
        lint::interrupt(|| lint::might_block("reading"));
    });
    assert_eq!(kinds(&reports), [ReportKind::Blocking; 2]);
    assert_eq!(kinds(&found(again)), []);
}

#[test]
fn the_reaction_can_be_to_panic_at_the_place() {
    let _turn = turn();
    lint::force(Reaction::Panic);
    drop(lint::take_reports());
    let message = catch_unwind(|| {
        let _guard = SHORT.lock();
        lint::might_block("reading");
    })
    .unwrap_err();
    // The guard is forgotten, and the lint is on again.
    lint::might_block("writing");
    assert!(catch_unwind(|| lint::interrupt(|| lint::might_block("reading"))).is_err());
    lint::force(Reaction::Keep);
    assert!(message.downcast::<String>().unwrap().starts_with("lifeboat lint: blocking where nothing may block"));
    assert_eq!(kinds(&lint::take_reports()), [ReportKind::Blocking; 2], "they are kept too");
}

#[test]
fn a_thread_that_panics_already_does_not_panic_again() {
    struct Blocks;
    impl Drop for Blocks {
        fn drop(&mut self) {
            lint::interrupt(|| lint::might_block("cleaning up"));
        }
    }
    let _turn = turn();
    lint::force(Reaction::Panic);
    let message = catch_unwind(|| {
        let _blocks = Blocks;
        panic!("the first");
    })
    .unwrap_err();
    lint::force(Reaction::Keep);
    assert_eq!(message.downcast_ref::<&str>(), Some(&"the first"));
}

#[test]
fn no_more_than_256_reports_are_kept_and_the_others_are_counted() {
    // 289 pairs of places, each of them a finding.
    #[rustfmt::skip]
    let locks: [fn() -> MutexGuard<'static, ()>; 17] = [
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
        || SHORT.lock(),
    ];
    #[rustfmt::skip]
    let blocks: [fn(); 17] = [
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
        || lint::might_block("reading"),
    ];
    let before = lint::missed_reports();
    let reports = found(|| {
        for lock in locks {
            let _guard = lock();
            for block in blocks {
                block();
            }
        }
    });
    assert_eq!((reports.len(), lint::missed_reports() - before), (256, 33));
    assert_eq!(reports[0].here.line() + 1, reports[1].here.line(), "the first are kept");
}
