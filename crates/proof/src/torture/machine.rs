//! The computer of a lane: a bus with two slots, and what is known of what is in them.
//!
//! What it knows, it knows from the bus's events alone: they come in the order in which things happened. So it does not
//! matter when it looks, nor what else happens that nobody asked for, such as a hang that is none on a busy machine.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use lifeboat::core::class::Presence;
use lifeboat::core::recovery::{Budget, Spacing};
use lifeboat::core::unplug::Loss;
use lifeboat::core::vitals::Watch;
use lifeboat::{Bus, Counts, Event, Kind, Minor, Module, Policy, SlotState, Subscription, UnplugReport};

use super::kind::Kind as Happening;
use super::round::{Round, SEATS, Stage};
use super::tally::Tally;
use super::tortured::Tortured;
use crate::subject::{Card as _, Slot as _};

/// How long a job may take: long enough for any that is run here on an idle machine. On a busy one sound jobs are taken for
/// hung; that is allowed.
const JOB_TIMEOUT: Duration = Duration::from_millis(12);
/// How closely devices are watched.
const WATCH: Watch = Watch { period: Duration::from_millis(10), stalls: 3 };
/// How long a recovered device must work until its attempts are forgotten.
const GRACE: Duration = Duration::from_millis(20);
/// How far apart recoveries are: the longest outages of a cycle last longer than the first few, and shorter than all of them.
const SPACING: Spacing = Spacing { first: Duration::from_millis(5), most: Duration::from_millis(20), jitter: 20 };
/// Resets that a context may cause.
const GUILTY_LIMIT: u32 = 4;
/// How long an unplug waits for sections: no call of a client lasts so long, even on a busy machine.
const DRAIN_LIMIT: Duration = Duration::from_secs(8);

/// How long the driver may take, and an unplug waits for it, where it may stand still.
const STUCK: Duration = Duration::from_millis(200);

/// What there is in a slot, as far as the bus has told.
pub(super) enum Occupant<S: Tortured> {
    /// The bus is to tell of a device, or that there is none.
    Coming,
    Live(S::Device),
    /// It has failed for good; its number.
    Wedged(Minor),
    /// Nothing comes of itself.
    Empty,
}

/// A slot.
pub(super) struct Seat<S: Tortured> {
    pub(super) slot: Arc<S::Slot>,
    /// Where the bus has its slot in its lifecycle.
    pub(super) slot_state: SlotState,
    pub(super) card: Arc<S::Card>,
    pub(super) state: Occupant<S>,
    /// The number of the device that is bound, or was last.
    minor: Option<Minor>,
    /// The device of this number is to be bound again.
    rebinding: Option<Minor>,
    /// What is bound is going to be lost, and may seem to work until then.
    leaving: bool,
    /// The bus was told to unbind what is bound: it recovers nothing then.
    unbinding: bool,
    /// The bus was asked to bind what is there: once in a cycle is enough.
    asked: bool,
    /// The device of this number was dumped.
    dumped: Option<Minor>,
    /// How many of the mistakes that the card has seen are known already: it may stay for many cycles.
    known: usize,
    /// Cards that have been pulled out, and were not looked at since, with the same.
    pulled: Vec<(Arc<S::Card>, usize)>,
}

pub(super) struct Machine<S: Tortured> {
    bus: Bus,
    events: Subscription,
    /// Whether a driver may stand still in this run.
    stuck: bool,
    pub(super) seats: [Seat<S>; SEATS],
}

impl<S: Tortured> Machine<S> {
    /// With a card in each slot. Machines of different lanes make different numbers of attempts to recover a device.
    pub(super) fn new(lane: u64, kinds: &[Happening]) -> io::Result<Self> {
        let stuck = kinds.iter().any(|kind| kind.keeps_threads());
        let attempts = u32::try_from(lane % 4).unwrap_or(0);
        let mut bus = Bus::new(
            S::users_module(),
            Policy {
                job_timeout: JOB_TIMEOUT,
                extensions: 1,
                guilty_limit: GUILTY_LIMIT,
                drain_limit: if stuck { STUCK } else { DRAIN_LIMIT },
                driver_limit: if stuck { STUCK } else { DRAIN_LIMIT },
                watch: WATCH,
                recovery: Budget { attempts, grace: GRACE },
                spacing: SPACING,
                ..Policy::default()
            },
        );
        let events = bus.subscribe();
        let mut seat = |number: usize| {
            let slot = S::slot(&format!("{lane:04x}:0{number}:00.0"));
            let card = S::card()?;
            // A new slot is empty.
            slot.insert(&card).map_err(io::Error::other)?;
            slot.attach(&mut bus)?;
            let slot_state = bus.slot_state(lifeboat_pci::Slot::location(&*slot));
            Ok::<_, io::Error>(Seat {
                slot,
                slot_state: slot_state.ok_or_else(|| io::Error::other("a slot is not watched"))?,
                card,
                state: Occupant::Coming,
                minor: None,
                rebinding: None,
                leaving: false,
                unbinding: false,
                asked: false,
                dumped: None,
                known: 0,
                pulled: Vec::new(),
            })
        };
        let seats = [seat(0)?, seat(1)?];
        Ok(Self { bus, events, stuck, seats })
    }

    /// The devices, if all are there.
    pub(super) fn devices(&self) -> Option<[S::Device; SEATS]> {
        match [&self.seats[0].state, &self.seats[1].state] {
            [Occupant::Live(one), Occupant::Live(other)] => Some([one.clone(), other.clone()]),
            _ => None,
        }
    }

    /// What there is of the module besides its devices and their bindings: nothing, if nobody uses them.
    pub(super) fn left(&self) -> Counts {
        let mut counts = self.bus.counts();
        for kind in [Kind::DEVICE, Kind::BINDING] {
            if counts.get(&kind) == Some(&SEATS) {
                counts.remove(&kind);
            }
        }
        counts
    }

    /// Has devices let go of what they keep though its users have ended.
    pub(super) fn let_go(&self) {
        for seat in &self.seats {
            if let Occupant::Live(device) = &seat.state {
                S::let_go(device);
            }
        }
    }

    pub(super) fn unbind_all(&mut self) {
        for seat in 0..SEATS {
            self.expect_loss(seat);
            self.seats[seat].unbinding = true;
        }
        self.bus.unbind_all();
    }

    /// A device is going to be lost, whether it seems to work or not.
    pub(super) fn expect_loss(&mut self, seat: usize) {
        let seat = &mut self.seats[seat];
        seat.leaving = matches!(seat.state, Occupant::Live(_));
    }

    /// Has a device bound again, if there is one.
    pub(super) fn rebind(&mut self, seat: usize) {
        self.expect_loss(seat);
        let seat = &mut self.seats[seat];
        if let (Some(minor), Occupant::Live(_) | Occupant::Wedged(_)) = (seat.minor, &seat.state) {
            seat.rebinding = Some(minor);
            // The bus tells of what comes of it.
            drop(self.bus.rebind(minor));
        }
    }

    /// Has what is there and not bound bound again. `false` if that was asked for before in this cycle.
    pub(super) fn bind(&mut self, seat: usize) -> bool {
        let seat = &mut self.seats[seat];
        if !std::mem::replace(&mut seat.asked, true) {
            seat.state = Occupant::Coming;
            drop(self.bus.bind(lifeboat_pci::Slot::location(&*seat.slot)));
            return true;
        }
        false
    }

    /// The same, without a thought of what becomes of it.
    pub(super) fn bind_unasked(&self, seat: usize) {
        drop(self.bus.bind(lifeboat_pci::Slot::location(&*self.seats[seat].slot)));
    }

    /// Whether something is bound there, and in use, whatever was told of it so far.
    pub(super) fn is_live(&self, seat: usize) -> bool {
        let location = lifeboat_pci::Slot::location(&*self.seats[seat].slot);
        self.bus.devices::<S::Device>().iter().any(|device| S::location(device) == location && S::is_live(device))
    }

    /// Has the device dumped that is there, if any.
    pub(super) fn dump(&self, seat: usize) {
        if let Some(minor) = self.seats[seat].minor {
            // It is told, like any other.
            let _ = self.bus.dump(minor);
        }
    }

    /// A new cycle begins.
    pub(super) fn begin(&mut self) {
        for seat in &mut self.seats {
            (seat.asked, seat.unbinding) = (false, false);
        }
    }

    /// Plugs in a new card, in place of what may still be there. `arm` gets it before the driver does.
    pub(super) fn plug(&mut self, seat: usize, arm: impl FnOnce(&S::Card)) -> io::Result<()> {
        let seat = &mut self.seats[seat];
        let card = S::card()?;
        arm(&card);
        seat.slot.remove();
        // The card before was removed, and nobody else plugs.
        seat.slot.insert(&card).map_err(io::Error::other)?;
        seat.pulled.push((std::mem::replace(&mut seat.card, card), std::mem::take(&mut seat.known)));
        if matches!(seat.state, Occupant::Empty) {
            seat.state = Occupant::Coming;
        }
        Ok(())
    }

    /// Takes up one event. `false` if none has come within `limit`.
    pub(super) fn hear(&mut self, limit: Duration, round: Option<&Round<S>>, stage: &Stage<S>, tally: &Tally) -> bool {
        match self.events.recv_timeout(limit) {
            Ok(event) => {
                self.take_up(event, round, stage, tally);
                true
            }
            // Or the bus is gone, and all it had to tell is told.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }

    fn take_up(&mut self, event: Event, round: Option<&Round<S>>, stage: &Stage<S>, tally: &Tally) {
        match event {
            Event::Added { minor, location } => {
                let found = self.bus.device::<S::Device>(minor).filter(|device| S::location(device) == location);
                let Some(seat) = self.at(&location) else { return stage.wrong(format!("nothing is at {location}")) };
                seat.minor = Some(minor);
                // It may be gone already; then that is the next to be told.
                seat.state = found.map_or(Occupant::Coming, Occupant::Live);
            }
            Event::Removed { report } => {
                judge(&report, self.stuck, stage);
                if !matches!(report.loss, Loss::Wedged(_)) {
                    tally.unplugged(report.took());
                }
                if let Some(round) = round {
                    round.cut(report.minor);
                }
                let Some(seat) = self.of(report.minor) else {
                    return stage.wrong(format!("device {} was removed that was never added", report.minor));
                };
                let failed = matches!(report.loss, Loss::Crashed | Loss::Hung | Loss::Nonsense);
                if seat.dumped.take() != Some(report.minor) && failed {
                    stage.wrong(format!(
                        "device {} has failed ({}), and nothing was dumped before",
                        report.minor, report.loss
                    ));
                }
                let rebinding = seat.rebinding.take() == Some(report.minor);
                let recovers = match report.loss {
                    Loss::Unbound | Loss::Wedged(_) => rebinding,
                    Loss::Unplugged
                    | Loss::FellOff
                    | Loss::Crashed
                    | Loss::Hung
                    | Loss::Nonsense
                    | Loss::LinkDown
                    | Loss::Replaced => !seat.unbinding,
                };
                (seat.minor, seat.leaving) = (None, false);
                seat.state = if recovers { Occupant::Coming } else { Occupant::Empty };
            }
            Event::Wedged { minor, failure, report, event, .. } => {
                judge(&report, self.stuck, stage);
                tally.unplugged(report.took());
                tally.wedged();
                if let Some(round) = round {
                    round.cut(minor);
                }
                if !event.variables().any(|variable| variable == "WEDGED=rebind,bus-reset") {
                    stage.wrong(format!("a wedged device is told of by {event:?}"));
                }
                let Some(seat) = self.of(minor) else {
                    return stage.wrong(format!("device {minor} was wedged that was never added"));
                };
                if let Occupant::Live(device) = &seat.state
                    && ![Presence::Wedged(failure), Presence::Gone].contains(&S::presence(device))
                {
                    stage.wrong(format!("device {minor} is wedged, and it is {:?}", S::presence(device)));
                }
                if seat.dumped != Some(minor) {
                    stage.wrong(format!("device {minor} is wedged, and nothing was dumped before"));
                }
                seat.leaving = false;
                seat.state = Occupant::Wedged(minor);
            }
            Event::Dumped { minor, location, dump } => {
                if dump.device.minor != minor.0 || dump.device.location != location {
                    stage.wrong(format!("the dump of device {minor} is that of device {}", dump.device.minor));
                }
                let Some(seat) = self.at(&location) else { return stage.wrong(format!("nothing is at {location}")) };
                seat.dumped = Some(minor);
                tally.dumped();
            }
            Event::ProbeFailed { location, .. } | Event::LeftAlone { location, .. } => {
                let Some(seat) = self.at(&location) else { return stage.wrong(format!("nothing is at {location}")) };
                seat.state = Occupant::Empty;
            }
            other => stage.wrong(format!("an event that torture does not know: {other:?}")),
        }
    }

    fn at(&mut self, location: &str) -> Option<&mut Seat<S>> {
        self.seats.iter_mut().find(|seat| lifeboat_pci::Slot::location(&*seat.slot) == location)
    }

    fn of(&mut self, minor: Minor) -> Option<&mut Seat<S>> {
        self.seats.iter_mut().find(|seat| seat.minor == Some(minor))
    }

    /// Looks at the record of every card, and lets go of those that were pulled out.
    pub(super) fn look_at_cards(&mut self, stage: &Stage<S>) {
        for seat in &mut self.seats {
            seat.look_at_cards(stage);
        }
    }

    /// Tries to unload the module while it is used: it must be refused, with who uses it. Gives back the module, without
    /// devices.
    pub(super) fn unload_in_use(self, round: &Round<S>, stage: &Stage<S>, tally: &Tally) -> Option<Module> {
        let Self { mut bus, events, stuck, mut seats } = self;
        bus.stop();
        tally.visited(&bus.visits());
        let refused = bus.shutdown();
        for event in events.try_iter() {
            if let Event::Removed { report } | Event::Wedged { report, .. } = event {
                judge(&report, stuck, stage);
                tally.unplugged(report.took());
                round.cut(report.minor);
            }
        }
        for seat in &mut seats {
            seat.state = Occupant::Empty;
            seat.slot.remove();
            seat.look_at_cards(stage);
        }
        let Err(holders) = refused else {
            stage.wrong("the module was unloaded although its devices are held");
            return None;
        };
        let devices = holders.counts.get(&Kind::DEVICE).copied().unwrap_or(0);
        let bindings = holders.counts.get(&Kind::BINDING);
        if devices < SEATS || bindings.is_some() || !holders.to_string().contains("device(s)") {
            stage.wrong(format!("the unloading was refused with the wrong reason: {holders}"));
        }
        Some(holders.module)
    }

    /// Switches it off. Nobody uses it any more.
    pub(super) fn shut_down(self, stage: &Stage<S>, tally: &Tally) {
        let Self { mut bus, mut seats, .. } = self;
        bus.stop();
        tally.visited(&bus.visits());
        // A device that the machine knows of is no user.
        for seat in &mut seats {
            seat.state = Occupant::Empty;
        }
        if let Err(holders) = bus.shutdown() {
            stage.wrong(format!("something is left: {holders}"));
        }
        for seat in &mut seats {
            seat.look_at_cards(stage);
        }
    }
}

impl<S: Tortured> Seat<S> {
    /// What the cards have seen and nobody has said yet. Lets go of those that were pulled out.
    fn look_at_cards(&mut self, stage: &Stage<S>) {
        for (card, known) in self.pulled.drain(..) {
            tell_mistakes(&*card, known, stage);
        }
        self.known = tell_mistakes(&*self.card, self.known, stage);
    }

    /// The device, if it is to stay.
    pub(super) fn device(&self) -> Option<&S::Device> {
        match &self.state {
            Occupant::Live(device) if !self.leaving && self.card.is_present() => Some(device),
            _ => None,
        }
    }

    /// Whether it was asked for, and has not happened yet.
    pub(super) fn is_rebinding(&self) -> bool {
        self.rebinding.is_some() && self.rebinding == self.minor
    }

    /// Its state in words, for who asks what everybody waits for.
    pub(super) fn describe(&self) -> String {
        let state = match &self.state {
            Occupant::Coming => "the bus is to tell of a device".to_owned(),
            Occupant::Live(device) => format!("device {} is {:?}", S::minor(device), S::presence(device)),
            Occupant::Wedged(minor) => format!("device {minor} is wedged"),
            Occupant::Empty => "nothing is bound".to_owned(),
        };
        let card = if self.card.is_present() { "its card is there" } else { "its card is pulled out" };
        format!("{}: {state}, {card}", lifeboat_pci::Slot::location(&*self.slot))
    }
}

/// Nobody may have been left behind by an unplug, and a driver that makes no mistake is not found to make one.
fn judge<S: Tortured>(report: &UnplugReport, stuck: bool, stage: &Stage<S>) {
    if stuck {
        return;
    }
    if let Some(overstay) = &report.overstay {
        stage.wrong(format!("the driver of device {} was found not to return: {overstay}", report.minor));
    }
    for holdouts in report.holdouts.iter().chain(&report.registers_held).chain(&report.threads_held) {
        stage.wrong(format!("the unplug of device {} did not wait for everyone: {holdouts}", report.minor));
    }
}

/// Tells what a card has seen but for what is known. Gives how much is known then.
fn tell_mistakes<S: Tortured>(card: &S::Card, known: usize, stage: &Stage<S>) -> usize {
    let seen = card.mistakes();
    for mistake in seen.iter().skip(known) {
        stage.wrong(format!("the card saw: {mistake}"));
    }
    seen.len()
}
