//! What happens in a cycle: all of it is decided by the seed.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use fastrand::Rng;
use lifeboat_gpu::{Fault, Lasts, Swap, Trigger};
use lifeboat_lb1::regs;
use serde::Serialize;

/// The longest that a reset of the device may take.
const RESET_MAX: Duration = Duration::from_millis(regs::RESET_MAX_MS);

/// What happens to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It is pulled out.
    Removal,
    /// It is pulled out right before its n-th access.
    RemovalAtAccess,
    /// It is pulled out when it begins its n-th job.
    RemovalAtJob,
    /// It is pulled out when a reset of it begins: in the middle of a recovery.
    RemovalInRecovery,
    /// It is pulled out right after it was plugged in, in the middle of its probe.
    RemovalInProbe,
    /// Both devices of a bus are pulled out.
    RemovalOfBoth,
    /// A job hangs.
    Hang,
    /// A job faults.
    JobFault,
    /// An interrupt does not come.
    LostInterrupt,
    /// Interrupts come that nobody sent.
    SpuriousInterrupt,
    /// Its heartbeat stands still.
    StuckHeartbeat,
    /// A job hangs, and the reset of its ring fails.
    FailedRingReset,
    /// A job hangs, and neither its ring nor the device can be reset.
    FailedReset,
    /// A job hangs, its ring cannot be reset, and the reset of the device takes long; sometimes longer than it may.
    SlowReset,
    /// It cannot be reset when it is bound.
    FailedProbe,
    /// Its heartbeat stands still, and when it is bound again because of that it cannot be reset.
    FailedRecovery,
    /// It is pulled out, plugged in, unbound, bound, and fails, one right after the other and before anything of it is over.
    Storm,
    /// Everything takes longer.
    Slow,
    /// It is unbound and bound again while it is used.
    Rebind,
    /// It is recovered while it is pulled out, or pulled out while it is recovered.
    RebindInRemoval,
    /// It is unbound by force, and so is its neighbour.
    ForcedUnbind,
    /// The module is to be unloaded while it is used.
    Unload,
    /// Its link is down for a moment.
    LinkDown,
    /// Its registers read nonsense for a moment.
    Garbage,
    /// Its BARs do not answer for a moment, and configuration space does.
    SilentBars,
    /// Its configuration space does not answer for a moment, and its BARs do.
    SilentConfig,
    /// Its display stands still.
    StuckScanout,
    /// A job hangs, and the reset of its ring, or of the device, says that it is done, and was none.
    LyingReset,
    /// Its register reads take longer.
    SlowReads,
    /// One of its register reads stalls.
    StalledRead,
    /// No interrupt comes for a moment.
    NoInterrupts,
    /// Interrupts come that nobody sent, one right after the other, for a moment.
    InterruptStorm,
    /// Its doorbells ring nobody.
    DeadDoorbell,
    /// Another model is in its place, and the slot has not reported it.
    SwapModel,
    /// A card with half the memory is in its place, and the slot has not reported it.
    SwapSize,
}

impl Kind {
    /// Whether it keeps the display from reporting what is owed, until somebody gives up.
    pub(super) const fn disturbs_display(self) -> bool {
        matches!(self, Self::StuckScanout | Self::LinkDown | Self::Garbage | Self::SilentBars)
    }

    /// Whether what is written to the device, or what the device writes, may be lost although it is not.
    pub(super) const fn loses_writes(self) -> bool {
        matches!(
            self,
            Self::LinkDown | Self::SilentBars | Self::SwapModel | Self::SwapSize | Self::Storm | Self::Unload
        )
    }

    /// Whether it lasts until somebody resets the device, and the driver need not.
    pub(super) const fn waits_for_reset(self) -> bool {
        matches!(self, Self::Slow | Self::SlowReads | Self::StuckScanout)
    }

    /// Whether the device is surely lost by it, although it may seem to work for a while.
    pub(super) const fn ends_binding(self) -> bool {
        matches!(self, Self::StuckHeartbeat | Self::SwapModel | Self::SwapSize)
    }
}

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
        let kind = random.choice(kinds).copied().unwrap_or(Kind::Removal);
        let most = match kind {
            Kind::RemovalAtAccess
            | Kind::LinkDown
            | Kind::Garbage
            | Kind::SilentBars
            | Kind::SilentConfig
            | Kind::StalledRead
            | Kind::SwapModel
            | Kind::SwapSize => 400,
            Kind::RemovalInProbe => 60,
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
        let access = Trigger::Access(self.at);
        let hang = (job, Fault::Hang);
        let moment = self.moment();
        let lasts = Lasts::For(moment);
        match self.kind {
            Kind::RemovalAtAccess | Kind::RemovalInProbe => vec![(Trigger::Access(self.at), Fault::Remove)],
            Kind::RemovalAtJob => vec![(job, Fault::Remove)],
            // The reset of the ring, or the reset of the device after a failed one of the ring.
            Kind::RemovalInRecovery if self.reversed => {
                vec![hang, (Trigger::Reset(1), Fault::FailedReset), (Trigger::Reset(2), Fault::Remove)]
            }
            Kind::RemovalInRecovery => vec![hang, (Trigger::Reset(1), Fault::Remove)],
            Kind::Hang => vec![hang],
            Kind::JobFault => vec![(job, Fault::JobFault)],
            Kind::LostInterrupt => vec![(job, Fault::LostInterrupt)],
            Kind::SpuriousInterrupt => vec![(job, Fault::SpuriousInterrupt)],
            Kind::FailedRingReset => vec![hang, (Trigger::Reset(1), Fault::FailedReset)],
            Kind::FailedReset => {
                vec![hang, (Trigger::Reset(1), Fault::FailedReset), (Trigger::Reset(2), Fault::FailedReset)]
            }
            Kind::SlowReset => {
                let time = if self.reversed && self.at.is_multiple_of(8) { 3 * RESET_MAX } else { RESET_MAX / 20 };
                vec![hang, (Trigger::Reset(1), Fault::FailedReset), (Trigger::Reset(2), Fault::SlowReset(time))]
            }
            Kind::FailedProbe => vec![(Trigger::Reset(1), Fault::FailedReset)],
            Kind::Slow => vec![(job, Fault::Slow(Duration::from_micros(100 * self.at)))],
            Kind::StuckHeartbeat => vec![(job, Fault::StuckHeartbeat)],
            // The first is that of its end.
            Kind::FailedRecovery if self.reversed => {
                vec![(job, Fault::StuckHeartbeat), (Trigger::Reset(2), Fault::FailedReset)]
            }
            Kind::FailedRecovery => vec![
                (job, Fault::StuckHeartbeat),
                (Trigger::Reset(2), Fault::FailedReset),
                (Trigger::Reset(3), Fault::FailedReset),
            ],
            Kind::LinkDown => vec![(access, Fault::LinkDown(moment))],
            Kind::Garbage => vec![(access, Fault::Garbage(lasts))],
            Kind::SilentBars => vec![(access, Fault::SilentBars(lasts))],
            Kind::SilentConfig => vec![(access, Fault::SilentConfig(lasts))],
            Kind::StuckScanout => vec![(job, Fault::StuckScanout(Lasts::UntilReset))],
            // The reset of the ring, or the reset of the device after a failed one of the ring.
            Kind::LyingReset if self.reversed => {
                vec![hang, (Trigger::Reset(1), Fault::FailedReset), (Trigger::Reset(2), Fault::LyingReset)]
            }
            Kind::LyingReset => vec![hang, (Trigger::Reset(1), Fault::LyingReset)],
            Kind::SlowReads => vec![(job, Fault::SlowReads(Duration::from_micros(5 * self.at)))],
            Kind::StalledRead => vec![(access, Fault::StalledRead(moment))],
            Kind::NoInterrupts => vec![(job, Fault::NoInterrupts(lasts))],
            Kind::InterruptStorm => vec![(job, Fault::InterruptStorm(lasts))],
            Kind::DeadDoorbell => vec![(job, Fault::DeadDoorbell(Lasts::UntilReset))],
            Kind::SwapModel => vec![(access, Fault::Swap(Swap::Model))],
            Kind::SwapSize => vec![(access, Fault::Swap(Swap::Size))],
            Kind::Removal
            | Kind::RemovalOfBoth
            | Kind::Rebind
            | Kind::RebindInRemoval
            | Kind::ForcedUnbind
            | Kind::Storm
            | Kind::Unload => vec![],
        }
    }

    /// How long a fault lasts that ends by itself: from too short to be noticed to some looks at the device.
    pub(super) fn moment(&self) -> Duration {
        Duration::from_micros(100 << (self.after % 10))
    }

    /// The storm of this cycle, if it has one.
    pub(super) fn storm(&self) -> Vec<Gust> {
        if self.kind != Kind::Storm && !(self.kind == Kind::Unload && self.reversed) {
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
        let only = Plan::new(1, 5, &[Kind::Hang]);
        assert_eq!(only.kind, Kind::Hang);
        assert!(only.armed().len() == 1 && only.armed()[0].1 == Fault::Hang);
    }
}
