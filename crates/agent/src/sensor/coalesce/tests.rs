use lifeboat_recovery_policy::sign::{KernelRecovery, Method, Task, Witness};
use lifeboat_recovery_policy::time::Timestamp;

use super::super::report::FunctionChange;
use super::*;
use crate::address::Address;

fn address(device: u8) -> Address {
    Address { domain: 0, bus: 3, device, function: 0 }
}

fn at(millis: u64, observed: Observed) -> Report {
    Report::new(Timestamp::from_millis(millis), observed)
}

fn wedged(device: u8, methods: &[Method], pid: u32) -> Observed {
    let task = Some(Task { pid, name: "game".into() });
    Observed::sign(address(device), SignKind::Wedged { methods: methods.to_vec(), task }, Witness::KernelEvent)
}

fn changed(device: u8, change: FunctionChange) -> Observed {
    Observed::Function { address: address(device), change, witness: Witness::KernelEvent }
}

#[test]
fn case_19_none_every_ten_seconds_is_one_report_that_counts() {
    let mut queue = Coalescer::default();
    for number in 0..360 {
        queue.push(at(u64::from(number) * 10_000, wedged(0, &[Method::None], number)));
    }
    let reports = queue.drain();
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].times, reports[0].said), (360, Timestamp::from_millis(3_590_000)));
    assert_eq!(reports[0].observed, wedged(0, &[Method::None], 359), "the newest process is kept");
}

#[test]
fn the_last_sightings_keep_their_order() {
    let mut queue = Coalescer::default();
    let sick = wedged(0, &[Method::Rebind], 1);
    for observed in [
        sick.clone(),
        changed(0, FunctionChange::Unbound),
        changed(0, FunctionChange::Bound),
        changed(1, FunctionChange::Removed),
        sick.clone(),
    ] {
        queue.push(at(1, observed));
    }
    let order: Vec<Observed> = queue.drain().into_iter().map(|report| report.observed).collect();
    let expected = [
        changed(0, FunctionChange::Unbound),
        changed(0, FunctionChange::Bound),
        changed(1, FunctionChange::Removed),
        sick,
    ];
    assert_eq!(order, expected);
}

#[test]
fn different_signs_of_a_device_are_all_kept() {
    let mut queue = Coalescer::default();
    let signs = [
        wedged(0, &[Method::None], 1),
        wedged(0, &[Method::Rebind, Method::BusReset], 1),
        Observed::sign(address(0), SignKind::Pci(KernelRecovery::Began), Witness::KernelEvent),
        Observed::sign(address(0), SignKind::Pci(KernelRecovery::Failed), Witness::KernelEvent),
        Observed::sign(address(0), SignKind::AllOnes, Witness::Probe),
        wedged(1, &[Method::None], 1),
    ];
    for sign in &signs {
        queue.push(at(1, sign.clone()));
        queue.push(at(2, sign.clone()));
    }
    assert!(queue.drain().into_iter().map(|report| (report.times, report.observed)).eq(signs.map(|sign| (2, sign))));
}

#[test]
fn a_second_of_events_at_the_highest_rate_fits_and_loses_no_state() {
    let mut queue = Coalescer::new(64);
    for number in 0..100_000_u32 {
        let device = u8::try_from(number % 16).unwrap();
        let last = number >= 100_000 - 16;
        let change = if number % 32 < 16 && !last { FunctionChange::Removed } else { FunctionChange::Added };
        queue.push(at(1, changed(device, change)));
        queue.push(at(1, wedged(device, &[Method::Rebind], number)));
        assert!(queue.len() <= 48);
    }
    let reports = queue.drain();
    assert_eq!(queue.dropped(), 0);
    assert_eq!(reports.iter().map(|report| u64::from(report.times)).sum::<u64>(), 200_000);
    for device in 0..16 {
        let of_device: Vec<&Observed> =
            reports.iter().map(|report| &report.observed).filter(|observed| about(observed) == Some(device)).collect();
        let last_change = of_device.iter().rfind(|observed| matches!(observed, Observed::Function { .. }));
        assert_eq!(last_change, Some(&&changed(device, FunctionChange::Added)));
    }
}

fn about(observed: &Observed) -> Option<u8> {
    match observed {
        Observed::Sign { address, .. } | Observed::Function { address, .. } => Some(address.device),
        _ => None,
    }
}

#[test]
fn agent_16_a_report_too_many_is_a_loss_that_is_told_once() {
    let mut queue = Coalescer::new(2);
    for device in 0..4 {
        queue.push(at(u64::from(device), changed(device, FunctionChange::Added)));
    }
    let reports = queue.drain();
    assert_eq!(reports.len(), 3);
    assert_eq!(reports[2], at(3, Observed::Lost { sensor: NAME }));
    assert_eq!(queue.dropped(), 2);
    assert!(queue.is_empty() && queue.drain().is_empty());
}
