//! Model of a slot: every interleaving of outside events, the watcher's work and a user's calls.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_core::lifecycle::{Action, EventKind, For, Lifecycle, LifecycleEvent, LifecycleState};
use lifeboat_core::recovery::{Attempts, Budget, GivenUp, Patience, Spacing, Unready};
use lifeboat_core::unplug::Loss;
use lifeboat_core::Timestamp;
use stateright::{Model, Property};

use crate::world::{step, Device, Presence, Progress};

/// A single recovery. Time passes only while something waits, so the grace never ends and the
/// recovery is not restored.
const BUDGET: Budget = Budget { attempts: 1, grace: Duration::from_secs(100_000) };
/// Spacing in which every pause is one second.
const SPACING: Spacing = Spacing { first: Duration::from_secs(1), most: Duration::from_secs(1), jitter: 0 };
/// Patience that gives up after one more look.
const PATIENCE: Patience =
    Patience { silent: Duration::ZERO, retry: Duration::ZERO, link: Duration::from_secs(1), outages: 1 };

/// More bindings than the few outside events can cause.
const BINDINGS: u64 = 40;

type Visited = Arc<Mutex<BTreeSet<(usize, EventKind)>>>;

pub(crate) struct Slot {
    /// Number of outside events.
    strokes: u8,
    /// Whether a user uses the device.
    used: bool,
    /// Whether links go down and up, and whether a probe may find a device that is not ready or is
    /// another driver's.
    fickle: bool,
    /// Number of times that a driver may report a loss.
    reports: u8,
    visited: Visited,
}

#[allow(clippy::struct_excessive_bools)] // independent of one another, and all of them needed
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Situation {
    machine: Lifecycle,
    /// Number of the card in the slot.
    card: Option<u8>,
    cards: u8,
    /// Events that the watcher was sent and has not handled yet.
    news: Vec<LifecycleEvent>,
    under_way: Option<(Action, Progress)>,
    /// The device that is bound or whose binding is ending.
    device: Option<Device>,
    strokes: u8,
    /// Whether an action was requested while another action was in progress.
    confused: bool,
    /// Whether the watcher has been told to stop.
    stopping: bool,
    clock: Timestamp,
    /// Whether a recovery has begun since the card was inserted or a user asked to bind it.
    recovery_began: bool,
    /// End of the last such recovery.
    recovery_over: Option<Timestamp>,
    /// Whether two recoveries were closer than the spacing allows.
    crowded: bool,
    /// The slot's report about its link.
    link_is_down: bool,
    /// The last report about the link that the watcher has handled.
    heard_link_is_down: bool,
    /// Whether a probe began although the watcher knew that the link was down.
    probed_in_vain: bool,
}

/// Next step of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Next {
    Insert,
    Pull,
    /// The bus repeats its last report.
    Repeat,
    /// The driver reports a loss.
    Fail(Loss),
    Unbind,
    Rebind,
    Stop,
    /// The watcher handles its oldest event, even while an action is in progress.
    Hear,
    /// The current action makes progress.
    GoOn,
    /// The probe fails.
    Refuse,
    /// The probe finds a device that is not ready.
    Defer,
    /// The probe finds another driver's device.
    Foreign,
    LinkDown,
    LinkUp,
    /// The deadline of the watcher's wait passes.
    Tick,
    Enter,
    Submit,
    Leave,
    /// The device completes the job.
    Complete,
}

impl Slot {
    pub(crate) fn new(strokes: u8, used: bool, fickle: bool) -> Self {
        Self { strokes, used, fickle, reports: if fickle { 1 } else { 2 }, visited: Visited::default() }
    }

    /// Returns the pairs of state and event that occurred.
    pub(crate) fn visited(&self) -> Visited {
        self.visited.clone()
    }

    fn tell(&self, now: &mut Situation, event: LifecycleEvent) {
        let before = now.machine.state();
        self.visited.lock().unwrap().insert((before.index(), event.kind()));
        match event {
            LifecycleEvent::LinkDown => now.heard_link_is_down = before != LifecycleState::Empty,
            LifecycleEvent::LinkUp | LifecycleEvent::Removed | LifecycleEvent::Rebind | LifecycleEvent::Vanished => {
                now.heard_link_is_down = false;
            }
            _ => {}
        }
        if matches!(event, LifecycleEvent::Inserted | LifecycleEvent::Rebind | LifecycleEvent::Foreign) {
            (now.recovery_began, now.recovery_over) = (false, None);
        }
        if matches!(before, LifecycleState::Recovering(_))
            && matches!(event, LifecycleEvent::Probed | LifecycleEvent::Refused)
            && now.recovery_began
        {
            now.recovery_over = Some(now.clock);
        }
        let action = now.machine.handle(event, now.clock);
        if let Some(Action::Probe { .. }) = action {
            now.probed_in_vain |= now.heard_link_is_down;
            // Another look at a device that was not ready belongs to the same recovery.
            let another_look = matches!(before, LifecycleState::Waiting(For::ReadyAgain));
            let recovering = matches!(now.machine.state(), LifecycleState::Recovering(_)) && !another_look;
            now.recovery_began |= recovering;
            now.crowded |=
                recovering && now.recovery_over.is_some_and(|over| now.clock < over.plus(Duration::from_secs(1)));
        }
        now.confused |= action.is_some() && now.under_way.is_some();
        if let Some(action) = action {
            now.under_way = Some((action, Progress::Begun));
        }
    }

    fn complete(&self, now: &mut Situation, completion: LifecycleEvent) {
        now.under_way = None;
        self.tell(now, completion);
    }

    fn go_on(&self, now: &mut Situation) {
        let Some((action, progress)) = now.under_way else { return };
        match action {
            Action::Probe { .. } => match (now.device, now.card) {
                // The card that the probe began with may be gone by now.
                (Some(_), _) => self.complete(now, LifecycleEvent::Probed),
                (None, Some(card)) => now.device = Some(Device::new(card)),
                (None, None) => self.complete(now, LifecycleEvent::Vanished),
            },
            Action::Unplug(loss) => {
                let Some(device) = &mut now.device else { return self.complete(now, LifecycleEvent::Ended) };
                // A wedged device has passed the steps up to its cut.
                let from = if device.told && progress < Progress::Cut { Progress::Cut } else { progress };
                match step(device, from, loss) {
                    Progress::Released => {
                        now.device = None;
                        self.complete(now, LifecycleEvent::Ended);
                    }
                    progress => now.under_way = Some((action, progress)),
                }
            }
            Action::Wedge(failure) => {
                let Some(device) = &mut now.device else { return self.complete(now, LifecycleEvent::Cut) };
                match step(device, progress, Loss::Wedged(failure)) {
                    Progress::Cut => self.complete(now, LifecycleEvent::Cut),
                    progress => now.under_way = Some((action, progress)),
                }
            }
        }
    }
}

impl Situation {
    /// Tells whether the unplug can go on. Its drain waits for sections, and a section ends when
    /// the fence that it waits for has signalled.
    fn may_go_on(&self) -> bool {
        let draining = matches!(self.under_way, Some((_, Progress::Retired)));
        !(draining && self.device.is_some_and(|device| device.in_section))
    }

    fn fits(&self, card: u8) -> bool {
        self.card == Some(card)
    }

    fn at_rest(&self) -> bool {
        self.under_way.is_none() && self.news.is_empty()
    }
}

impl Model for Slot {
    type State = Situation;
    type Action = Next;

    fn init_states(&self) -> Vec<Situation> {
        vec![Situation {
            machine: Lifecycle::patient(Attempts::spaced(BUDGET, SPACING, 0), PATIENCE),
            card: None,
            cards: 0,
            news: Vec::new(),
            under_way: None,
            device: None,
            strokes: self.strokes,
            confused: false,
            stopping: false,
            clock: Timestamp::default(),
            recovery_began: false,
            recovery_over: None,
            crowded: false,
            link_is_down: false,
            heard_link_is_down: false,
            probed_in_vain: false,
        }]
    }

    fn actions(&self, now: &Situation, next: &mut Vec<Next>) {
        if now.machine.state() == LifecycleState::Stopped {
            return;
        }
        if now.strokes > 0 {
            next.push(if now.card.is_none() { Next::Insert } else { Next::Pull });
            next.extend([Next::Repeat, Next::Unbind, Next::Rebind, Next::Stop]);
            // A slot may repeat a report, and may report late about the link to a card that is
            // gone.
            if self.fickle {
                next.extend([Next::LinkDown, Next::LinkUp]);
            }
        }
        if now.machine.next_deadline().is_some() && now.under_way.is_none() {
            next.push(Next::Tick);
        }
        if !now.news.is_empty() {
            next.push(Next::Hear);
        }
        if now.under_way.is_some() && now.may_go_on() {
            next.push(Next::GoOn);
        }
        if matches!(now.under_way, Some((Action::Probe { .. }, _))) && now.device.is_some() {
            next.push(Next::Refuse);
            if self.fickle {
                next.push(Next::Defer);
            }
        }
        if let Some((Action::Probe { .. }, Progress::Begun)) = now.under_way {
            if self.fickle && now.device.is_none() && now.card.is_some() {
                next.extend([Next::Defer, Next::Foreign]);
            }
        }
        if let Some(device) = &now.device {
            // A driver can report only a loss of a device that it reaches. The report may come
            // before the end of the probe, or late.
            if device.reported < self.reports && device.reached {
                next.push(Next::Fail(Loss::FellOff));
                if now.fits(device.card) {
                    next.push(Next::Fail(Loss::Hung));
                }
            }
            if !self.used {
                return;
            }
            if device.in_section {
                // This call has already entered: it may create a fence although the loss has been
                // announced.
                next.push(Next::Leave);
                if !device.pending {
                    next.push(Next::Submit);
                }
            } else if device.presence == Presence::Live {
                next.push(Next::Enter);
            }
            if device.pending && device.reached && now.fits(device.card) {
                next.push(Next::Complete);
            }
        }
    }

    fn next_state(&self, last: &Situation, next: Next) -> Option<Situation> {
        let mut now = last.clone();
        let stroke = |now: &mut Situation, event| {
            now.strokes -= 1;
            now.news.push(event);
        };
        match next {
            Next::Insert => {
                now.cards += 1;
                now.card = Some(now.cards);
                now.link_is_down = false;
                stroke(&mut now, LifecycleEvent::Inserted);
            }
            Next::Pull => {
                now.card = None;
                stroke(&mut now, LifecycleEvent::Removed);
            }
            Next::Repeat if now.card.is_some() => stroke(&mut now, LifecycleEvent::Inserted),
            Next::Repeat => stroke(&mut now, LifecycleEvent::Removed),
            Next::Unbind => stroke(&mut now, LifecycleEvent::Unbind),
            Next::Rebind => stroke(&mut now, LifecycleEvent::Rebind),
            Next::Stop => stroke(&mut now, LifecycleEvent::Stop),
            Next::Fail(loss) => {
                now.device.as_mut()?.reported += 1;
                now.news.push(LifecycleEvent::Failed { binding: now.machine.binding(), loss });
            }
            Next::Hear => {
                let event = now.news.remove(0);
                // The hosted watcher does the same: it checks whether the card that it has bound is
                // really gone.
                let stale = event == LifecycleEvent::Removed && now.device.is_some_and(|device| now.fits(device.card));
                now.stopping |= event == LifecycleEvent::Stop;
                self.tell(&mut now, if stale { LifecycleEvent::LinkUp } else { event });
            }
            Next::LinkDown => {
                now.link_is_down = true;
                stroke(&mut now, LifecycleEvent::LinkDown);
            }
            Next::LinkUp => {
                now.link_is_down = false;
                stroke(&mut now, LifecycleEvent::LinkUp);
            }
            Next::Tick => {
                now.clock = now.machine.next_deadline()?.max(now.clock);
                self.tell(&mut now, LifecycleEvent::Tick);
            }
            Next::GoOn => self.go_on(&mut now),
            Next::Defer => {
                now.device = None;
                self.complete(&mut now, LifecycleEvent::NotReady(Unready::Silent));
            }
            Next::Foreign => self.complete(&mut now, LifecycleEvent::Foreign),
            Next::Refuse => {
                now.device = None;
                self.complete(&mut now, LifecycleEvent::Refused);
            }
            Next::Enter => now.device.as_mut()?.in_section = true,
            Next::Submit => now.device.as_mut()?.pending = true,
            Next::Leave => now.device.as_mut()?.in_section = false,
            Next::Complete => now.device.as_mut()?.pending = false,
        }
        Some(now)
    }

    fn within_boundary(&self, now: &Situation) -> bool {
        now.machine.binding() <= BINDINGS
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one thing at a time", |_, now: &Situation| !now.confused),
            Property::always("it is not bound for ever", |_, now: &Situation| now.machine.binding() < BINDINGS),
            Property::always("nothing is bound where nothing is said to be", |_, now: &Situation| {
                let unbound = matches!(
                    now.machine.state(),
                    LifecycleState::Empty
                        | LifecycleState::Idle
                        | LifecycleState::Stopped
                        | LifecycleState::Waiting(_)
                        | LifecycleState::LinkDown
                );
                !unbound || now.device.is_none()
            }),
            Property::always("after the sweep no fence is owed", |_, now: &Situation| {
                let swept = matches!(now.under_way, Some((_, Progress::Swept | Progress::Cut)));
                let over = swept || now.machine.state() == LifecycleState::Wedged;
                !(over && now.device.is_some_and(|device| device.pending))
            }),
            Property::always("who is told of a wedged device finds it cut off", |_, now: &Situation| {
                now.device
                    .is_none_or(|device| !device.told || (!device.reached && !device.pending && !device.in_section))
            }),
            Property::always("a driver's word ends no other binding than its own", |_, now: &Situation| {
                let given_up =
                    matches!(now.under_way, Some((Action::Unplug(Loss::FellOff | Loss::Hung) | Action::Wedge(_), _)));
                !given_up || now.device.is_none_or(|device| device.reported > 0)
            }),
            Property::always("nothing is left under way", |_, now: &Situation| {
                let resting = matches!(
                    now.machine.state(),
                    LifecycleState::Empty
                        | LifecycleState::Idle
                        | LifecycleState::Waiting(_)
                        | LifecycleState::LinkDown
                        | LifecycleState::Bound
                        | LifecycleState::Wedged
                        | LifecycleState::Stopped
                );
                resting == now.under_way.is_none()
            }),
            Property::always("when all is heard, it stands as the slot does", |_, now: &Situation| {
                !now.at_rest()
                    || match now.machine.state() {
                        LifecycleState::Stopped => true,
                        LifecycleState::Empty => now.card.is_none(),
                        LifecycleState::Idle | LifecycleState::Waiting(_) => now.card.is_some(),
                        LifecycleState::LinkDown => now.card.is_some() && now.link_is_down,
                        _ => now.device.is_some_and(|device| now.fits(device.card)),
                    }
            }),
            Property::always("who is told to stop does", |_, now: &Situation| {
                !now.stopping || now.under_way.is_some() || now.machine.state() == LifecycleState::Stopped
            }),
            Property::always("a driver's word is not lost", |_, now: &Situation| {
                let working = now.at_rest() && now.machine.state() == LifecycleState::Bound;
                !(working && now.device.is_some_and(|device| device.reported > 0))
            }),
            Property::always("recoveries are spaced", |_, now: &Situation| !now.crowded),
            Property::always("nothing is probed while the link is down", |_, now: &Situation| !now.probed_in_vain),
            Property::always("a wait ends", |_, now: &Situation| {
                let waiting = matches!(now.machine.state(), LifecycleState::Waiting(_));
                !waiting || now.machine.next_deadline().is_some()
            }),
            Property::sometimes("its link is given up", |model: &Self, now: &Situation| {
                !model.fickle
                    || now.machine.state() == LifecycleState::LinkDown && now.machine.given_up() == Some(GivenUp::Link)
            }),
            Property::sometimes("it is left alone", |_, now: &Situation| {
                now.machine.given_up() == Some(GivenUp::Recoveries)
            }),
            Property::sometimes("it is recovered", |_, now: &Situation| {
                now.machine.state() == LifecycleState::Bound && now.machine.binding() == 2 && now.cards == 1
            }),
            Property::sometimes("it is wedged", |_, now: &Situation| now.machine.state() == LifecycleState::Wedged),
        ]
    }
}
