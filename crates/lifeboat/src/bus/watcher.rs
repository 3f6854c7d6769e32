//! One slot's share of the bus: it hears what happens, and does what [`lifeboat_core::lifecycle`] answers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use lifeboat_core::Timestamp;
use lifeboat_core::lifecycle::{Action, Event, Lifecycle, State};
use lifeboat_core::unplug::Loss;
use lifeboat_core::wedge::{Failure, Method, Methods};
use lifeboat_pci::{Function, Slot, SlotEvent, offset};

use super::{Shared, SlotState};
use crate::probe::PCI_ID;
use crate::{Binding, ProbeError, ProbeOptions};

/// What may help a wedged device: to bind it anew, which resets it, or to reset its bus before.
const METHODS: Methods = Methods::UNKNOWN.with(Method::Rebind).with(Method::BusReset);

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
    Unbind,
    /// The device of this number.
    Rebind(u32),
    /// What is in the slot of this name, if it is not bound.
    Bind(String),
    Stop,
}

/// On a thread of its own: one slot's slow unplug never delays another's.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    slot: Arc<dyn Slot>,
    /// Given to the driver, to report a loss.
    sender: Sender<Message>,
    lifecycle: Lifecycle,
    binding: Option<Arc<Binding>>,
    /// What `binding` is to.
    function: Option<Arc<dyn Function>>,
    /// The lifecycle's state, for others.
    state: SlotState,
    /// What time is counted from.
    epoch: Instant,
}

impl Watcher {
    pub(super) fn new(shared: Arc<Shared>, slot: Arc<dyn Slot>, sender: Sender<Message>) -> Self {
        let lifecycle = Lifecycle::new((shared.options)().recovery);
        let state = SlotState::new(lifecycle.state());
        Self { shared, slot, sender, lifecycle, binding: None, function: None, state, epoch: Instant::now() }
    }

    pub(super) fn state(&self) -> SlotState {
        self.state.clone()
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        Binding::ready_to_wedge();
        while self.lifecycle.state() != State::Stopped {
            // `self.sender` keeps the channel open: this ends by `Stop`.
            let Ok(message) = messages.recv() else { return };
            let mut action = self.hear(message);
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

    fn hear(&mut self, message: Message) -> Option<Action> {
        let event = match message {
            Message::Slot(SlotEvent::Present) => Event::Inserted,
            // The news may be old: by now another device may be there and bound.
            Message::Slot(SlotEvent::Absent) if self.is_there() => return None,
            Message::Slot(SlotEvent::Absent) => Event::Removed,
            Message::Slot(SlotEvent::LinkDown | SlotEvent::LinkUp) => return None,
            Message::Dumped => {
                self.tell_dumps();
                return None;
            }
            Message::Lost { binding, loss } => Event::Failed { binding, loss },
            Message::Rebind(minor) if self.minor() != Some(minor) => return None,
            Message::Bind(slot) if slot != self.slot.location() || self.binding.is_some() => return None,
            Message::Rebind(_) | Message::Bind(_) => Event::Rebind,
            Message::Unbind => Event::Unbind,
            Message::Stop => Event::Stop,
        };
        self.handle(event)
    }

    fn handle(&mut self, event: Event) -> Option<Action> {
        let before = self.lifecycle.state();
        self.shared.visits.count(before, event.kind());
        let action = self.lifecycle.handle(event, Timestamp::new(self.epoch.elapsed()));
        let (location, now) = (self.slot.location(), self.lifecycle.state());
        self.state.set(now);
        tracing::debug!(location, event = event.kind().name(), %before, %now, "slot");
        match now {
            State::Recovering(None) if now != before => tracing::warn!(location, "the device is bound again"),
            State::Idle if matches!(before, State::Recovering(None)) => {
                tracing::error!(
                    location,
                    "the device cannot be bound any more, and is left alone until it is replaced"
                );
            }
            _ => {}
        }
        action
    }

    /// Gives its completion.
    fn carry_out(&mut self, action: Action) -> Event {
        match action {
            Action::Probe { binding } => match self.slot.function() {
                Some(function) => self.probe(function, binding),
                None => Event::Vanished,
            },
            Action::Unplug(loss) => {
                self.unplug(loss);
                Event::Ended
            }
            Action::Wedge(failure) => {
                self.wedge(failure);
                Event::Cut
            }
        }
    }

    fn probe(&mut self, function: Arc<dyn Function>, number: u64) -> Event {
        let (sender, of_dumps) = (self.sender.clone(), self.sender.clone());
        let options = ProbeOptions {
            report_dump: Box::new(move || drop(of_dumps.send(Message::Dumped))),
            // A watcher that has stopped has unplugged the device already.
            report_loss: Box::new(move |loss| drop(sender.send(Message::Lost { binding: number, loss }))),
            ..(self.shared.options)()
        };
        let probed = match &*self.shared.module.lock() {
            Some(module) => module.probe(&function, options),
            None => Err(ProbeError::Unloading),
        };
        let location = self.slot.location().to_owned();
        match probed {
            Ok(binding) => {
                let binding = Arc::new(binding);
                let minor = binding.device().map(|device| device.info().minor);
                self.binding = Some(binding.clone());
                self.function = Some(function);
                self.shared.bindings.lock().push(binding);
                if let Some(minor) = minor {
                    self.shared.tell(&super::Event::Added { minor, location });
                }
                Event::Probed
            }
            Err(error) => {
                tracing::warn!(location, %error, "probe failed");
                self.shared.tell(&super::Event::ProbeFailed { location, error });
                Event::Refused
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
        if let Some(report) = report {
            self.shared.tell(&super::Event::Removed { report });
        }
    }

    /// The driver has done what it could.
    fn wedge(&self, failure: Failure) {
        let Some(binding) = &self.binding else { return };
        let Some(event) = binding.wedge(failure, METHODS) else { return };
        let (report, location) = (Arc::new(binding.report()), self.slot.location().to_owned());
        self.tell_dumps();
        self.shared.tell(&super::Event::Wedged { minor: report.minor, location, failure, event, report });
    }

    /// What the driver has captured. Before anything else that comes of it is told.
    fn tell_dumps(&self) {
        let dumps = self.binding.as_ref().map(|binding| binding.take_dumps());
        dumps.iter().flatten().for_each(|dump| self.shared.tell_dump(dump));
    }

    fn minor(&self) -> Option<u32> {
        Some(self.binding.as_ref()?.device()?.info().minor)
    }

    /// Whether the bound device still answers in configuration space: it, and not another one at its address, nor one that
    /// says that it is not ready yet.
    fn is_there(&self) -> bool {
        self.function.as_ref().is_some_and(|function| function.config().read32(offset::ID) == Ok(PCI_ID))
    }
}
