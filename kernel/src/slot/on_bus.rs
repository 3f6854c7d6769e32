// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Errors of the bus, and resets by others, as the lifecycle has them: the link to the device is down, and up again.

use kernel::{device::Bound, pci, prelude::*, sync::Arc};
use lifeboat_core::lifecycle::LifecycleEvent;

use super::roster::Told;
use super::Slot;
use crate::glue::{registered, Answer, Channel, ErrorHandlers};

/// See the module documentation.
pub(super) struct OnBus;

fn find(function: &pci::Device<Bound>) -> Option<Arc<dyn Told>> {
    registered().ok()?.slots.find(function)
}

impl ErrorHandlers for OnBus {
    fn detected(function: &pci::Device<Bound>, channel: Channel) -> Answer {
        let Some(slot) = find(function) else { return Answer::Disconnect };
        match channel {
            // The device's own looks say whether it is well.
            Channel::Normal => Answer::GoOn,
            Channel::Frozen => {
                dev_warn!(function, "the bus reports an error, and will reset the slot\n");
                slot.link_is_down();
                Answer::Reset
            }
            Channel::Dead => {
                dev_err!(function, "the bus reports that nothing reaches the device any more\n");
                slot.link_is_dead();
                Answer::Disconnect
            }
        }
    }

    fn slot_reset(function: &pci::Device<Bound>) -> Answer {
        match find(function) {
            Some(slot) if slot.restore() => Answer::Recovered,
            _ => Answer::Disconnect,
        }
    }

    fn resume(function: &pci::Device<Bound>) {
        if let Some(slot) = find(function) {
            slot.link_is_up();
        }
    }

    fn reset_prepare(function: &pci::Device<Bound>) {
        if let Some(slot) = find(function) {
            slot.link_is_down();
        }
    }

    fn reset_done(function: &pci::Device<Bound>) {
        if let Some(slot) = find(function) {
            slot.was_reset();
        }
    }
}

impl Told for Slot {
    fn function(&self) -> &pci::Device {
        &self.function
    }

    fn link_is_down(self: Arc<Self>) {
        self.tell(LifecycleEvent::LinkDown);
        self.settle();
    }

    fn link_is_up(self: Arc<Self>) {
        self.tell(LifecycleEvent::LinkUp);
        self.settle();
    }

    fn link_is_dead(self: Arc<Self>) {
        self.tell(LifecycleEvent::Removed);
        self.settle();
    }

    fn was_reset(self: Arc<Self>) {
        if let Err(error) = self.rebind() {
            dev_err!(self.function, "the device was reset, and cannot be bound: {error:?}\n");
        }
    }

    fn restore(&self) -> bool {
        let answers = self.place.turn(|_, turn| {
            turn.enabled.restore();
            self.is_there(turn).is_ok()
        });
        answers == Some(true)
    }
}
