//! What is armed on an LB1 for a cycle of torture, and its storms.

use std::time::Duration;

use fastrand::Rng;
use lifeboat_gpu::{Fault, Lasts, Trigger};
use lifeboat_lb1::regs;

use super::{Lb1, fault};
use crate::torture::{Gust, Kind, Plain, Plan};
use crate::untidy::Untidy;

/// The longest that a reset of the device may take.
const RESET_MAX: Duration = Duration::from_millis(regs::RESET_MAX_MS);

/// What is armed on the card for it, each with when.
pub(super) fn armed(plan: &Plan) -> Vec<(Trigger, Fault)> {
    let job = Trigger::Job(plan.at);
    let hang = (job, Fault::Hang);
    let kind = match plan.kind {
        Kind::Plain(kind) => kind,
        Kind::Untidy(untidy) => return armed_untidy(plan, untidy),
        // Not among its kinds.
        Kind::Mistake(_) => return Vec::new(),
    };
    match kind {
        Plain::RemovalAtAccess | Plain::RemovalInProbe => vec![(Trigger::Access(plan.at), Fault::Remove)],
        Plain::RemovalAtJob => vec![(job, Fault::Remove)],
        // The reset of the ring, or the reset of the device after a failed one of the ring.
        Plain::RemovalInRecovery if plan.reversed => {
            vec![hang, (Trigger::Reset(1), Fault::FailedReset), (Trigger::Reset(2), Fault::Remove)]
        }
        Plain::RemovalInRecovery => vec![hang, (Trigger::Reset(1), Fault::Remove)],
        Plain::Hang => vec![hang],
        Plain::JobFault => vec![(job, Fault::JobFault)],
        Plain::LostInterrupt => vec![(job, Fault::LostInterrupt)],
        Plain::SpuriousInterrupt => vec![(job, Fault::SpuriousInterrupt)],
        Plain::FailedRingReset => vec![hang, (Trigger::Reset(1), Fault::FailedReset)],
        Plain::FailedReset => {
            vec![hang, (Trigger::Reset(1), Fault::FailedReset), (Trigger::Reset(2), Fault::FailedReset)]
        }
        Plain::SlowReset => {
            let time = if plan.reversed && plan.at.is_multiple_of(8) { 3 * RESET_MAX } else { RESET_MAX / 20 };
            vec![hang, (Trigger::Reset(1), Fault::FailedReset), (Trigger::Reset(2), Fault::SlowReset(time))]
        }
        Plain::FailedProbe => vec![(Trigger::Reset(1), Fault::FailedReset)],
        Plain::Slow => vec![(job, Fault::Slow(Duration::from_micros(100 * plan.at)))],
        Plain::StuckHeartbeat => vec![(job, Fault::StuckHeartbeat)],
        // The first is that of its end.
        Plain::FailedRecovery if plan.reversed => {
            vec![(job, Fault::StuckHeartbeat), (Trigger::Reset(2), Fault::FailedReset)]
        }
        Plain::FailedRecovery => vec![
            (job, Fault::StuckHeartbeat),
            (Trigger::Reset(2), Fault::FailedReset),
            (Trigger::Reset(3), Fault::FailedReset),
        ],
        Plain::Removal
        | Plain::RemovalOfBoth
        | Plain::Rebind
        | Plain::RebindInRemoval
        | Plain::ForcedUnbind
        | Plain::Storm
        | Plain::Unload => vec![],
    }
}

/// The same for an untidy fault.
fn armed_untidy(plan: &Plan, untidy: Untidy) -> Vec<(Trigger, Fault)> {
    let when = if Plan::comes_at_access(untidy) { Trigger::Access(plan.at) } else { Trigger::Job(plan.at) };
    let mut armed = vec![(when, fault(untidy, plan.moment(), Duration::from_micros(5 * plan.at)))];
    if untidy == Untidy::LyingReset {
        // The reset of the ring, or the reset of the device after a failed one of the ring.
        let resets = [Fault::FailedReset, Fault::LyingReset];
        let lies = &resets[usize::from(!plan.reversed)..];
        armed.extend((1..).zip(lies).map(|(number, fault)| (Trigger::Reset(number), *fault)));
    }
    armed
}

/// The storm of this cycle, if it has one.
pub(super) fn storm(plan: &Plan) -> Vec<Gust<Lb1>> {
    if !plan.has_storm() {
        return Vec::new();
    }
    let mut random = plan.storm_generator();
    let gust = |random: &mut Rng| match random.u8(..16) {
        0 => Gust::Remove,
        1 => Gust::Break(untidy(random)),
        2..5 => Gust::Plug(match random.u8(..6) {
            0 => Some((Trigger::Access(random.u64(1..120)), Fault::Remove)),
            1 => Some((Trigger::Reset(random.u64(1..4)), Fault::FailedReset)),
            2 => Some((Trigger::Reset(random.u64(1..4)), Fault::Remove)),
            3 => Some((Trigger::Access(random.u64(1..120)), Fault::StuckHeartbeat)),
            4 => Some((Trigger::Access(random.u64(1..120)), untidy(random))),
            _ => None,
        }),
        5..7 => Gust::Rebind,
        7..9 => Gust::Unbind,
        9 => Gust::Bind,
        10 => Gust::Dump,
        11 => Gust::Break(Fault::StuckHeartbeat),
        12 => Gust::Break(Fault::FailedReset),
        13 => Gust::Break(Fault::Hang),
        14 => Gust::AwaitLoss,
        _ => Gust::Pause(Duration::from_micros(random.u64(..3000))),
    };
    // Most begin while the bus is at it already: after a hang, or after resets that have failed.
    let failed = [Fault::FailedReset, Fault::FailedReset, Fault::FailedReset, Fault::Hang];
    let mut storm: Vec<Gust<Lb1>> = match random.u8(..6) {
        0..2 => vec![Gust::Break(Fault::StuckHeartbeat), Gust::AwaitLoss],
        2..5 => failed.into_iter().skip(random.usize(..2)).map(Gust::Break).chain([Gust::AwaitLoss]).collect(),
        _ => vec![],
    };
    storm.push(Gust::Pause(Duration::from_micros(random.u64(..3000))));
    storm.extend((0..random.usize(3..16)).map(|_| gust(&mut random)));
    storm
}
/// Something untidy that is over soon, whatever is done about it.
fn untidy(random: &mut Rng) -> Fault {
    let time = Duration::from_micros(random.u64(100..20_000));
    let lasts = Lasts::For(time);
    match random.u8(..8) {
        0 => Fault::LinkDown(time),
        1 => Fault::Garbage(lasts),
        2 => Fault::SilentBars(lasts),
        3 => Fault::SilentConfig(lasts),
        4 => Fault::StalledRead(time),
        5 => Fault::NoInterrupts(lasts),
        6 => Fault::DeadDoorbell(lasts),
        _ => Fault::LyingReset,
    }
}
