//! What happens in a cycle: all of it is decided by the seed.

use std::time::Duration;

use fastrand::Rng;
use lifeboat_gpu::{Fault, Lasts, Trigger};
use lifeboat_lb1::regs;

use super::kind::{Kind, Plain};
use crate::untidy::Untidy;

/// The longest that a reset of the device may take.
const RESET_MAX: Duration = Duration::from_millis(regs::RESET_MAX_MS);

/// How a device comes back that is still there and will not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Help {
    Rebind,
    NewCard,
}

/// Something that happens in a storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gust {
    Remove,
    /// A new card, on which this is armed.
    Plug(Option<(Trigger, Fault)>),
    Rebind,
    Unbind,
    Bind,
    Break(Fault),
    Dump,
    /// Until the driver gives up the device.
    AwaitLoss,
    Pause(Duration),
}

/// One cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    /// Which of the two devices of the bus.
    pub(super) seat: usize,
    /// At which access or job, counted from when clients begin.
    pub(super) at: u64,
    /// Steps that clients make before something happens that is not tied to anything the device counts.
    pub(super) after: u64,
    /// How long it takes until a new card is plugged in.
    pub(super) replug: Duration,
    /// What is done for a wedged device.
    pub(super) help: Help,
    /// Of two things that happen at once, whether they are begun in the other order.
    pub(super) reversed: bool,
    /// What decides over a storm.
    storm: u64,
}

/// A generator for one of those who decide in a cycle. They are independent of each other, and of all other cycles.
pub(super) fn generator(seed: u64, cycle: u64, who: u64) -> Rng {
    // Two rounds of a mixer that is a bijection each time; the constants are those of SplitMix64.
    let mix = |value: u64| {
        let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    };
    let cycle = mix(seed.wrapping_add(cycle.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    Rng::with_seed(mix(cycle.wrapping_add(who.wrapping_mul(0xd1b5_4a32_d192_ed03))))
}

impl Plan {
    /// What is to happen in a cycle. Only one of `kinds`.
    pub(super) fn new(seed: u64, cycle: u64, kinds: &[Kind]) -> Self {
        let mut random = generator(seed, cycle, 0);
        let kind = random.choice(kinds).copied().unwrap_or(Kind::Plain(Plain::Removal));
        let most = match kind {
            Kind::Plain(Plain::RemovalAtAccess) => 400,
            Kind::Untidy(untidy) if Self::comes_at_access(untidy) => 400,
            Kind::Plain(Plain::RemovalInProbe) => 60,
            _ => 24,
        };
        Self {
            kind,
            seat: random.usize(..2),
            at: random.u64(1..=most),
            after: random.u64(..100),
            replug: Duration::from_micros(if random.bool() { 0 } else { random.u64(..2000) }),
            help: if random.bool() { Help::Rebind } else { Help::NewCard },
            reversed: random.bool(),
            storm: random.u64(..),
        }
    }

    /// What is armed on the card for it, each with when.
    pub(super) fn armed(&self) -> Vec<(Trigger, Fault)> {
        let job = Trigger::Job(self.at);
        let hang = (job, Fault::Hang);
        let kind = match self.kind {
            Kind::Plain(plain) => plain,
            Kind::Untidy(untidy) => return self.armed_untidy(untidy),
        };
        match kind {
            Plain::RemovalAtAccess | Plain::RemovalInProbe => vec![(Trigger::Access(self.at), Fault::Remove)],
            Plain::RemovalAtJob => vec![(job, Fault::Remove)],
            // The reset of the ring, or the reset of the device after a failed one of the ring.
            Plain::RemovalInRecovery if self.reversed => {
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
                let time = if self.reversed && self.at.is_multiple_of(8) { 3 * RESET_MAX } else { RESET_MAX / 20 };
                vec![hang, (Trigger::Reset(1), Fault::FailedReset), (Trigger::Reset(2), Fault::SlowReset(time))]
            }
            Plain::FailedProbe => vec![(Trigger::Reset(1), Fault::FailedReset)],
            Plain::Slow => vec![(job, Fault::Slow(Duration::from_micros(100 * self.at)))],
            Plain::StuckHeartbeat => vec![(job, Fault::StuckHeartbeat)],
            // The first is that of its end.
            Plain::FailedRecovery if self.reversed => {
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
    fn armed_untidy(&self, untidy: Untidy) -> Vec<(Trigger, Fault)> {
        let when = if Self::comes_at_access(untidy) { Trigger::Access(self.at) } else { Trigger::Job(self.at) };
        let mut armed = vec![(when, crate::drivers::fault(untidy, self.moment(), Duration::from_micros(5 * self.at)))];
        if untidy == Untidy::LyingReset {
            // The reset of the ring, or the reset of the device after a failed one of the ring.
            let resets = [Fault::FailedReset, Fault::LyingReset];
            let lies = &resets[usize::from(!self.reversed)..];
            armed.extend((1..).zip(lies).map(|(number, fault)| (Trigger::Reset(number), *fault)));
        }
        armed
    }

    /// Whether it comes at an access, and not with a job.
    const fn comes_at_access(untidy: Untidy) -> bool {
        use Untidy::{Garbage, LinkDown, SilentBars, SilentConfig, StalledRead, SwapModel, SwapSize};
        matches!(untidy, LinkDown | Garbage | SilentBars | SilentConfig | StalledRead | SwapModel | SwapSize)
    }

    /// How long a fault lasts that ends by itself: from too short to be noticed to some looks at the device.
    pub(super) fn moment(&self) -> Duration {
        Duration::from_micros(100 << (self.after % 10))
    }

    /// The storm of this cycle, if it has one.
    pub(super) fn storm(&self) -> Vec<Gust> {
        if self.kind != Kind::Plain(Plain::Storm) && !(self.kind == Kind::Plain(Plain::Unload) && self.reversed) {
            return Vec::new();
        }
        let mut random = Rng::with_seed(self.storm);
        let gust = |random: &mut Rng| match random.u8(..16) {
            0 => Gust::Remove,
            1 => Gust::Break(Self::untidy(random)),
            2..5 => Gust::Plug(match random.u8(..6) {
                0 => Some((Trigger::Access(random.u64(1..120)), Fault::Remove)),
                1 => Some((Trigger::Reset(random.u64(1..4)), Fault::FailedReset)),
                2 => Some((Trigger::Reset(random.u64(1..4)), Fault::Remove)),
                3 => Some((Trigger::Access(random.u64(1..120)), Fault::StuckHeartbeat)),
                4 => Some((Trigger::Access(random.u64(1..120)), Self::untidy(random))),
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
        let mut storm: Vec<Gust> = match random.u8(..6) {
            0..2 => vec![Gust::Break(Fault::StuckHeartbeat), Gust::AwaitLoss],
            2..5 => failed.into_iter().skip(random.usize(..2)).map(Gust::Break).chain([Gust::AwaitLoss]).collect(),
            _ => vec![],
        };
        storm.push(Gust::Pause(Duration::from_micros(random.u64(..3000))));
        storm.extend((0..random.usize(3..16)).map(|_| gust(&mut random)));
        storm
    }
}

impl Plan {
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
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum;

    use super::*;

    fn plans(seed: u64) -> Vec<Plan> {
        (0..2000).map(|cycle| Plan::new(seed, cycle, Kind::value_variants())).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_plan_and_another_one_another() {
        assert_eq!(plans(7), plans(7));
        assert_ne!(plans(7), plans(8));
        // Each cycle by itself: it does not matter where a run begins.
        assert_eq!(plans(7)[1234], Plan::new(7, 1234, Kind::value_variants()));
        let draw = |seed, cycle, who| generator(seed, cycle, who).u64(..);
        assert_eq!(draw(7, 1, 2), draw(7, 1, 2));
        let all = [draw(7, 1, 2), draw(7, 2, 1), draw(8, 1, 2), draw(7, 1, 3), draw(7, 0, 0), draw(0, 0, 0)];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn every_kind_happens_to_both_devices() {
        let seen: BTreeSet<_> = plans(1).iter().map(|plan| (plan.kind, plan.seat)).collect();
        assert_eq!(seen.len(), 2 * Kind::value_variants().len());
        let only = Plan::new(1, 5, &[Kind::Plain(Plain::Hang)]);
        assert_eq!(only.kind, Kind::Plain(Plain::Hang));
        assert!(only.armed().len() == 1 && only.armed()[0].1 == Fault::Hang);
    }
}
