//! One slot's share of the bus: it hears what happens, and does what [`lifeboat_core::lifecycle`] answers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use lifeboat_core::Timestamp;
use lifeboat_core::lifecycle::{Action, For, Lifecycle, LifecycleEvent, LifecycleState};
use lifeboat_core::minor::Minor;
use lifeboat_core::recovery::{Attempts, GivenUp, Unready, seed};
use lifeboat_core::unplug::Loss;
use lifeboat_core::wedge::Failure;
use lifeboat_driver::{DriverError, Identity};
use lifeboat_pci::{Function, Slot, SlotEvent};
use lifeboat_sync::deadline::{deadline_after, later};

use super::farewell::Farewell;
use super::request::Reply;
use super::{BusInner, SlotState};
use crate::aside::aside;
use crate::binding::AnyInfo;
use crate::{Binding, Listeners, Policy, ProbeError, RequestError, UnplugReport};

/// Limit for the answer to a question after the identity of a device. One that takes longer is unknown.
const IDENTITY_LIMIT: Duration = Duration::from_millis(500);

/// What a watcher is told.
pub(super) enum Message {
    Slot(SlotEvent),
    /// A driver found its device lost.
    Lost {
        /// Which binding of this slot it speaks of.
        binding: u64,
        loss: Loss,
    },
    /// A driver has captured a dump.
    Dumped,
    /// Whatever is in the slot.
    UnbindAll,
    Unbind {
        minor: Minor,
        reply: Reply<Arc<UnplugReport>>,
    },
    Rebind {
        minor: Minor,
        reply: Reply<Minor>,
    },
    Bind(Reply<Minor>),
    Stop,
}

/// On a thread of its own: one slot's slow unplug never delays another's.
pub(super) struct Watcher {
    shared: Arc<BusInner>,
    slot: Arc<dyn Slot>,
    /// Given to the driver, to report a loss.
    sender: Sender<Message>,
    lifecycle: Lifecycle,
    binding: Option<Arc<Binding>>,
    /// What `binding` is to.
    function: Option<Arc<dyn Function>>,
    /// The end of the last binding, until it can be told what became of the device.
    farewell: Option<Farewell>,
    /// How long that may take.
    patience: Duration,
    /// Why the device was found not to be ready when it was looked at last.
    unready: Option<ProbeError>,
    /// What was bound last.
    last: Option<(Minor, Arc<dyn AnyInfo>)>,
    /// Why it was told last that the device is left alone, as long as it is.
    told_left_alone: Option<GivenUp>,
    /// Requests to bind what is in the slot, until it is bound or it is clear that it will not be.
    binds: Vec<Reply<Minor>>,
    /// Requests to end the binding, until it has ended.
    unbinds: Vec<Reply<Arc<UnplugReport>>>,
    /// Why the last probe has failed, if it was the last thing that was tried.
    refusal: Option<ProbeError>,
    /// The lifecycle's state, for others.
    state: SlotState,
    /// What time is counted from.
    epoch: Instant,
}

impl Watcher {
    pub(super) fn new(shared: Arc<BusInner>, slot: Arc<dyn Slot>, sender: Sender<Message>) -> Self {
        let Policy { recovery, spacing, patience, .. } = shared.policy;
        let attempts = Attempts::spaced(recovery, spacing, seed(slot.location().as_bytes()));
        let lifecycle = Lifecycle::patient(attempts, patience);
        let state = SlotState::new(lifecycle.state());
        Self {
            shared,
            slot,
            sender,
            lifecycle,
            binding: None,
            function: None,
            farewell: None,
            patience: patience.silent,
            unready: None,
            last: None,
            told_left_alone: None,
            binds: Vec::new(),
            unbinds: Vec::new(),
            refusal: None,
            state,
            epoch: Instant::now(),
        }
    }

    pub(super) fn state(&self) -> SlotState {
        self.state.clone()
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        Binding::ready_to_wedge();
        while self.lifecycle.state() != LifecycleState::Stopped {
            // `self.sender` keeps the channel open: this ends by `Stop`.
            let mut action = match self.next(messages) {
                Ok(message) => self.hear(message),
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            while let Some(under_way) = action {
                let completion = self.carry_out(under_way);
                // It came while this was under way. What is to come of it, the completion answers.
                for message in messages.try_iter() {
                    let answer = self.hear(message);
                    debug_assert_eq!(answer, None, "one thing at a time");
                }
                action = self.handle(completion);
            }
        }
    }

    /// What happens next, until something is to be done anyway.
    fn next(&self, messages: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        let state_ends = self.lifecycle.next_deadline().map(|deadline| later(self.epoch, deadline.since_beginning()));
        let farewell_ends = self.farewell.as_ref().map(Farewell::until);
        match [state_ends, farewell_ends].into_iter().flatten().min() {
            Some(deadline) => messages.recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// A deadline has come: of the state, or of what is to be told.
    fn tick(&mut self) -> Option<Action> {
        if self.lifecycle.next_deadline().is_some_and(|deadline| deadline <= self.now()) {
            return self.handle(LifecycleEvent::Tick);
        }
        self.tell_news();
        None
    }

    fn now(&self) -> Timestamp {
        Timestamp::new(self.epoch.elapsed())
    }

    fn hear(&mut self, message: Message) -> Option<Action> {
        let event = match message {
            Message::Slot(SlotEvent::Present) => match self.recognise() {
                Some(Identity::Other) => self.replaced(),
                _ => LifecycleEvent::Inserted,
            },
            // The news is old: by now another device is there and bound. It answers, so its link is up.
            Message::Slot(SlotEvent::Absent) if self.recognise() == Some(Identity::Same) => LifecycleEvent::LinkUp,
            Message::Slot(SlotEvent::Absent) => LifecycleEvent::Removed,
            Message::Slot(SlotEvent::LinkDown) => LifecycleEvent::LinkDown,
            Message::Slot(SlotEvent::LinkUp) => LifecycleEvent::LinkUp,
            // News that this bus does not know says nothing about the device.
            Message::Slot(_) => return None,
            Message::Dumped => {
                self.tell_dumps();
                return None;
            }
            Message::Lost { binding, loss } => LifecycleEvent::Failed { binding, loss },
            Message::Rebind { minor, reply } => {
                self.binds.push(self.expect_bound(minor, reply)?);
                LifecycleEvent::Rebind
            }
            Message::Bind(reply) => {
                self.binds.push(self.expect_unbound(reply)?);
                LifecycleEvent::Rebind
            }
            Message::Unbind { minor, reply } => {
                self.unbinds.push(self.expect_bound(minor, reply)?);
                LifecycleEvent::Unbind
            }
            Message::UnbindAll => LifecycleEvent::Unbind,
            Message::Stop => LifecycleEvent::Stop,
        };
        self.handle(event)
    }

    /// Answers a request about a device that is not the bound one.
    fn expect_bound<T>(&self, minor: Minor, reply: Reply<T>) -> Option<Reply<T>> {
        if self.minor() == Some(minor) {
            return Some(reply);
        }
        reply.answer(Err(RequestError::NoSuchDevice(minor)));
        None
    }

    /// Answers a request to bind what is bound and stays so.
    fn expect_unbound(&self, reply: Reply<Minor>) -> Option<Reply<Minor>> {
        let stays = match self.lifecycle.state() {
            LifecycleState::Probing(then) | LifecycleState::Recovering(then) | LifecycleState::Wedging(then) => {
                then.is_none()
            }
            LifecycleState::Ending(_) => false,
            _ => true,
        };
        let Some(minor) = self.minor().filter(|_| stays) else { return Some(reply) };
        reply.answer(Err(RequestError::AlreadyBound(minor)));
        None
    }

    fn handle(&mut self, event: LifecycleEvent) -> Option<Action> {
        let before = self.lifecycle.state();
        self.shared.visits.count(before, event.kind());
        let action = self.lifecycle.handle(event, self.now());
        let (location, now) = (self.slot.location(), self.lifecycle.state());
        self.state.set(now);
        tracing::debug!(location, event = event.kind().name(), %before, %now, "slot");
        if matches!(now, LifecycleState::Recovering(None)) && now != before {
            tracing::warn!(location, "the device is bound again");
        }
        self.tell_news();
        action
    }

    /// Tells what the last event has settled: in the order in which it came to pass.
    fn tell_news(&mut self) {
        let state = self.lifecycle.state();
        if self.farewell.as_ref().is_some_and(|farewell| farewell.is_due(state, Instant::now())) {
            self.tell_farewell(self.lifecycle.loss());
        }
        match state {
            // The lifecycle looks again.
            LifecycleState::Waiting(For::Ready | For::ReadyAgain)
            | LifecycleState::Probing(_)
            | LifecycleState::Recovering(_) => {}
            // That was why.
            LifecycleState::LinkDown => self.unready = None,
            _ => {
                if let Some(error) = self.unready.take() {
                    self.tell_refusal(error);
                }
            }
        }
        let given_up = self.lifecycle.given_up();
        if given_up != self.told_left_alone {
            self.told_left_alone = given_up;
            if let Some(why) = given_up {
                self.tell_farewell(self.lifecycle.loss());
                self.tell_left_alone(why);
            }
        }
        self.answer_binds(state);
    }

    /// Answers requests to bind, once it is settled what becomes of the device.
    fn answer_binds(&mut self, state: LifecycleState) {
        let answer = match state {
            LifecycleState::Bound => self.minor().ok_or(RequestError::Overridden),
            LifecycleState::Idle => Err(self.refusal.map_or(RequestError::Overridden, RequestError::Probe)),
            LifecycleState::Empty => Err(RequestError::Empty),
            LifecycleState::LinkDown => Err(RequestError::LinkDown),
            LifecycleState::Stopped => Err(RequestError::Stopped),
            _ => return,
        };
        self.binds.drain(..).for_each(|reply| reply.answer(answer));
    }

    /// `loss` is what is known of it by now.
    fn tell_farewell(&mut self, loss: Loss) {
        if let Some(farewell) = self.farewell.take() {
            self.shared.tell(&super::Event::Removed { report: farewell.report(loss) });
        }
    }

    fn tell_refusal(&mut self, error: ProbeError) {
        let location = self.slot.location().to_owned();
        tracing::warn!(location, %error, "probe failed");
        self.tell_farewell(self.lifecycle.loss());
        self.shared.tell(&super::Event::ProbeFailed { location, error });
        self.refusal = Some(error);
    }

    fn tell_left_alone(&self, why: GivenUp) {
        let (location, minor) = (self.slot.location().to_owned(), self.last.as_ref().map(|(minor, _)| *minor));
        tracing::error!(location, minor = minor.map(|minor| minor.0), %why, helps = ?why.remedies(), "the device is left alone");
        self.shared.tell(&super::Event::LeftAlone { minor, location, why, helps: why.remedies() });
    }

    /// Gives its completion.
    fn carry_out(&mut self, action: Action) -> LifecycleEvent {
        match action {
            Action::Probe { binding } => match self.slot.function() {
                Some(function) => self.probe(function, binding),
                None => LifecycleEvent::Vanished,
            },
            Action::Unplug(loss) => {
                self.unplug(loss);
                LifecycleEvent::Ended
            }
            Action::Wedge(failure) => {
                self.wedge(failure);
                LifecycleEvent::Cut
            }
        }
    }

    fn probe(&mut self, function: Arc<dyn Function>, number: u64) -> LifecycleEvent {
        self.refusal = None;
        let (sender, of_dumps) = (self.sender.clone(), self.sender.clone());
        let listeners = Listeners::none()
            .on_dump(move || drop(of_dumps.send(Message::Dumped)))
            // A watcher that has stopped has unplugged the device already.
            .on_loss(move |loss| drop(sender.send(Message::Lost { binding: number, loss })));
        let probed = match &*self.shared.module.lock() {
            Some(module) => module.probe(&function, &self.shared.policy, listeners),
            None => Err(ProbeError::Unloading),
        };
        let location = self.slot.location().to_owned();
        match probed {
            Ok(binding) => {
                self.unready = None;
                let binding = Arc::new(binding);
                let minor = binding.any().minor();
                let info = binding.any().info();
                let last = minor.map(|minor| (minor, info.clone()));
                let before = std::mem::replace(&mut self.last, last);
                let other = before.as_ref().is_some_and(|(_, before)| !before.is_same_as(&*info));
                let recovering = matches!(self.lifecycle.state(), LifecycleState::Recovering(_));
                if other && recovering {
                    tracing::warn!(location, ?before, ?info, "another device is in the place of the one before");
                    self.tell_farewell(Loss::Replaced);
                    // A new device is not charged for failures of the one before.
                    let answer = self.handle(LifecycleEvent::Inserted);
                    debug_assert_eq!(answer, None, "a probe is under way");
                }
                self.tell_farewell(self.lifecycle.loss());
                self.binding = Some(binding.clone());
                self.function = Some(function);
                self.shared.bindings.lock().push(binding);
                if let Some(minor) = minor {
                    self.shared.tell(&super::Event::Added { minor, location });
                }
                LifecycleEvent::Probed
            }
            Err(error) => {
                let completion = refusal(&error);
                if let LifecycleEvent::NotReady(_) = completion {
                    tracing::debug!(location, %error, "not ready");
                    self.unready = Some(error);
                } else {
                    self.unready = None;
                    if completion == LifecycleEvent::Foreign
                        && matches!(self.lifecycle.state(), LifecycleState::Recovering(_))
                    {
                        self.tell_farewell(Loss::Replaced);
                    }
                    self.tell_refusal(error);
                }
                completion
            }
        }
    }

    fn unplug(&mut self, loss: Loss) {
        let Some(binding) = self.binding.take() else { return };
        self.function = None;
        // Out of the list first: whoever asks for devices finds only what can be opened.
        self.shared.bindings.lock().retain(|other| !Arc::ptr_eq(other, &binding));
        let report = binding.unplug(loss);
        binding.take_dumps().iter().for_each(|dump| self.shared.tell_dump(dump));
        let ended = report.clone().ok_or(RequestError::TimedOut);
        self.unbinds.drain(..).for_each(|reply| reply.answer(ended.clone()));
        if let Some(report) = report {
            self.tell_farewell(self.lifecycle.loss());
            self.farewell = Some(Farewell::new(report, deadline_after(self.patience)));
        }
    }

    /// The driver has done what it could.
    fn wedge(&self, failure: Failure) {
        let Some(binding) = &self.binding else { return };
        let Some(event) = binding.wedge(failure, binding.any().methods()) else { return };
        let (report, location) = (Arc::new(binding.report()), self.slot.location().to_owned());
        self.tell_dumps();
        self.shared.tell(&super::Event::Wedged { minor: report.minor, location, failure, event, report });
    }

    /// What the driver has captured. Before anything else that comes of it is told.
    fn tell_dumps(&self) {
        let dumps = self.binding.as_ref().map(|binding| binding.take_dumps());
        dumps.iter().flatten().for_each(|dump| self.shared.tell_dump(dump));
    }

    fn minor(&self) -> Option<Minor> {
        self.binding.as_ref()?.any().minor()
    }

    /// Compares the device that answers now with the bound one (LIFE-8). `None` if none is bound.
    fn recognise(&self) -> Option<Identity> {
        let (function, binding) = (self.function.clone()?, self.binding.as_ref()?);
        binding.any().minor()?;
        let binding = binding.any().clone();
        // An access that stands still must not delay the unplug that this decides on (HEALTH-5).
        let answer = aside("lifeboat-identity", IDENTITY_LIMIT, move || binding.identify(&*function));
        Some(answer.unwrap_or(Identity::Unknown))
    }

    /// Another device is in the place of the one that is bound.
    fn replaced(&self) -> LifecycleEvent {
        match self.lifecycle.state() {
            // A wedged one has nothing more to lose.
            LifecycleState::Wedged | LifecycleState::Wedging(_) => LifecycleEvent::Rebind,
            _ => LifecycleEvent::Failed { binding: self.lifecycle.binding(), loss: Loss::Replaced },
        }
    }
}

/// What a probe that has failed says of the device. While the bus says that nothing answers, nothing else is known of it.
fn refusal(error: &ProbeError) -> LifecycleEvent {
    match *error {
        ProbeError::NotReady(id) => LifecycleEvent::NotReady(Unready::of(id).unwrap_or(Unready::Silent)),
        ProbeError::Driver(DriverError::Gone) => LifecycleEvent::NotReady(Unready::Silent),
        ProbeError::NotOurs(_) => LifecycleEvent::Foreign,
        _ => LifecycleEvent::Refused,
    }
}
