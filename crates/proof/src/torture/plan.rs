//! What happens in a cycle: all of it is decided by the seed.

use std::time::Duration;

use fastrand::Rng;

use super::kind::{Kind, Plain};
use crate::subject::{Card, Subject};
use crate::untidy::Untidy;

/// How a device comes back that is still there and will not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Help {
    /// It is bound again.
    Rebind,
    /// Another one takes its place.
    NewCard,
}

/// Something that happens in a storm.
pub enum Gust<S: Subject> {
    /// The card is pulled out.
    Remove,
    /// A new card, on which this is armed.
    Plug(Option<<S::Card as Card>::Strike>),
    /// The device is bound anew.
    Rebind,
    /// Both devices are unbound.
    Unbind,
    /// What is there is bound.
    Bind,
    /// This happens to what is plugged in.
    Break(<S::Card as Card>::Fault),
    /// Somebody asks for a dump.
    Dump,
    /// Until the driver gives up the device.
    AwaitLoss,
    /// Nothing.
    Pause(Duration),
}

/// One cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// What happens.
    pub kind: Kind,
    /// Which of the two devices of the bus.
    pub seat: usize,
    /// At which access or job, counted from when clients begin.
    pub at: u64,
    /// Steps that clients make before something happens that is not tied to anything the device counts.
    pub after: u64,
    /// How long it takes until a new card is plugged in.
    pub replug: Duration,
    /// What is done for a wedged device.
    pub help: Help,
    /// Of two things that happen at once, whether they are begun in the other order.
    pub reversed: bool,
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
            Kind::Plain(Plain::RemovalAtAccess) | Kind::Mistake(_) => 400,
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

    /// How long a fault lasts that ends by itself: from too short to be noticed to some looks at the device.
    pub(crate) fn moment(&self) -> Duration {
        Duration::from_micros(100 << (self.after % 10))
    }

    /// Whether a storm belongs to it.
    pub(crate) fn has_storm(&self) -> bool {
        self.kind == Kind::Plain(Plain::Storm) || self.kind == Kind::Plain(Plain::Unload) && self.reversed
    }

    /// What decides over a storm.
    pub(crate) fn storm_generator(&self) -> Rng {
        Rng::with_seed(self.storm)
    }

    /// Whether it comes at an access, and not with a job.
    pub(crate) const fn comes_at_access(untidy: Untidy) -> bool {
        use Untidy::{Garbage, LinkDown, SilentBars, SilentConfig, StalledRead, SwapModel, SwapSize};
        matches!(untidy, LinkDown | Garbage | SilentBars | SilentConfig | StalledRead | SwapModel | SwapSize)
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
    }
}
