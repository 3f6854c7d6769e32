// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The lifecycle of the device in a slot, with its time, what it has asked for, and the device that it is about.

use core::time::Duration;

use kernel::sync::Arc;
use lifeboat_core::lifecycle::{Action, Lifecycle, LifecycleEvent, LifecycleState};
use lifeboat_core::recovery::{seed, Attempts, Budget, GivenUp, Patience, Spacing};

use crate::clock::Clock;
use crate::device::Device;
use crate::module_parameters;

/// See the module documentation.
pub(super) struct Machine {
    lifecycle: Lifecycle,
    clock: Clock,
    /// The action that nobody has begun to carry out.
    asked: Option<Action>,
    /// The reason that was told last why the device is left alone, as long as it is.
    told_left_alone: Option<GivenUp>,
    /// The bus has asked for the function.
    closing: bool,
    /// The device that was probed last.
    device: Option<Arc<Device>>,
}

impl Machine {
    /// The machine of an empty slot.
    pub(super) fn new(function: &kernel::device::Device) -> Self {
        let budget = Budget { attempts: *module_parameters::recoveries.value_ref(), ..Budget::DEFAULT };
        let attempts = Attempts::spaced(budget, Spacing::DEFAULT, seed(function.name().to_bytes()));
        Self {
            lifecycle: Lifecycle::patient(attempts, Patience::DEFAULT),
            clock: Clock::start(),
            asked: None,
            told_left_alone: None,
            closing: false,
            device: None,
        }
    }

    pub(super) fn state(&self) -> LifecycleState {
        self.lifecycle.state()
    }

    /// The device that was probed last.
    pub(super) fn device(&self) -> Option<Arc<Device>> {
        self.device.clone()
    }

    /// A device is about to be brought up. Returns the one before, for its drop.
    pub(super) fn begins(&mut self, device: Arc<Device>) -> Option<Arc<Device>> {
        let before = self.device.replace(device);
        self.hurry();
        before
    }

    /// The bus has asked for the function.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.hurry();
    }

    /// Has a sequence that is under way end before its next step, if nobody needs its result any more.
    fn hurry(&self) {
        let state = self.state();
        let goes_on =
            matches!(state, LifecycleState::Probing(None) | LifecycleState::Recovering(None) | LifecycleState::Bound);
        if let Some(device) = self.device.as_ref().filter(|_| self.closing || !goes_on) {
            device.link.begin_end();
        }
    }

    /// Takes an event. The states before and after it, and why the device is left alone, if that is news.
    pub(super) fn handle(&mut self, event: LifecycleEvent) -> (LifecycleState, LifecycleState, Option<GivenUp>) {
        let before = self.state();
        if let Some(action) = self.lifecycle.handle(event, self.clock.now()) {
            // The machine asks for one thing at a time, and waits for its completion.
            debug_assert!(self.asked.is_none());
            self.asked = Some(action);
        }
        self.hurry();
        let given_up = self.lifecycle.given_up();
        let news = given_up.filter(|_| given_up != self.told_left_alone);
        self.told_left_alone = given_up;
        (before, self.state(), news)
    }

    /// Takes the action that is to be carried out now.
    pub(super) fn take(&mut self) -> Option<Action> {
        self.asked.take()
    }

    /// Whether the state has come to its end.
    pub(super) fn is_overdue(&self) -> bool {
        self.lifecycle.next_deadline().is_some_and(|deadline| deadline <= self.clock.now())
    }

    /// The time until there is something to do. `None` before the next event.
    pub(super) fn due_in(&self) -> Option<Duration> {
        if self.asked.is_some() {
            return Some(Duration::ZERO);
        }
        Some(self.lifecycle.next_deadline()?.since_beginning().saturating_sub(self.clock.elapsed()))
    }
}
