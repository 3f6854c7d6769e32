// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Binds the device in a slot, for the first time or again.

use kernel::{device::Bound, pci, prelude::*, sync::Arc};
use lifeboat_core::lifecycle::LifecycleEvent;
use lifeboat_core::recovery::Unready;
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{Driver, DriverError};

use super::refusal::Refusal;
use super::{Slot, Turn};
use crate::binding::{Binding, Ending};
use crate::bringup;
use crate::device::{Device, Origin};
use crate::drive::Stopped;
use crate::node;
use crate::registration::Driven;
use crate::removals::Trigger;
use crate::shown::Shown;

impl Slot {
    /// Binds the device. Its completion for the machine.
    pub(super) fn probe(
        self: &Arc<Self>,
        function: &pci::Device<Bound>,
        turn: &mut Turn,
        number: u64,
    ) -> LifecycleEvent {
        match self.bind(function, turn, number) {
            Ok(binding) => {
                self.is_it_another(turn, &binding);
                turn.binding = Some(binding);
                turn.refusal = None;
                LifecycleEvent::Probed
            }
            Err(refusal) => {
                let completion = refusal.completion();
                turn.refusal = Some(refusal);
                completion
            }
        }
    }

    fn bind(self: &Arc<Self>, function: &pci::Device<Bound>, turn: &mut Turn, number: u64) -> Result<Binding, Refusal> {
        self.is_there(turn)?;
        let again = turn.last.is_some();
        if again {
            // The device may have been reset, or taken out and put back.
            turn.enabled.restore();
        }
        let origin = Origin {
            shared: self.shared.clone(),
            enabled: turn.enabled.clone(),
            bars: turn.bars.clone(),
            outbox: self.outbox.clone(),
            owner: self.clone(),
            binding: number,
        };
        let device = Device::new(function, origin).map_err(|stopped| said(function, stopped))?;
        if again {
            dev_notice!(function, "the device answers, and is bound again\n");
        }
        // From here on whoever wants an end of it finds it.
        let before = self.machine.lock().begins(device.clone());
        drop(before);
        let binding = Binding::begin(device);
        match bringup::start(function, binding.device()).and_then(|working| Ok(node::register(working)?)) {
            Ok(()) => Ok(binding),
            Err(stopped) => {
                binding.end(Loss::Unbound, Ending::now(Trigger::Probe));
                Err(said(function, stopped))
            }
        }
    }

    /// Whether a function of ours answers in the slot.
    pub(super) fn is_there(&self, turn: &Turn) -> Result<(), Refusal> {
        if turn.enabled.is_disconnected() {
            return Err(Refusal::Vanished);
        }
        let id = turn.enabled.id();
        if let Some(unready) = Unready::of(id) {
            return Err(Refusal::NotReady(unready));
        }
        let ours = |known: &lifeboat_driver::PciId| u32::from(known.device) << 16 | u32::from(known.vendor) == id;
        if Driven::FACTS.ids.iter().any(ours) {
            Ok(())
        } else {
            Err(Refusal::NotOurs)
        }
    }

    /// Another device of the same kind is not charged for the failures of the one before (LIFE-8).
    fn is_it_another(&self, turn: &mut Turn, binding: &Binding) {
        let info = binding.device().info;
        let before = turn.last.replace(info);
        if before.is_some_and(|before| before != info) {
            dev_notice!(self.function, "another device is in the place of the one before\n");
            self.handle(LifecycleEvent::Inserted);
        }
    }
}

/// Says why the driver has refused the device.
fn said(function: &pci::Device<Bound>, stopped: Stopped) -> Refusal {
    match &stopped {
        // Perhaps it is only not ready yet: the machine decides.
        Stopped::Driver(DriverError::Gone) => dev_dbg!(function, "the device does not answer\n"),
        Stopped::Driver(error) => dev_err!(function, "the device was not bound: {}\n", Shown(*error)),
        Stopped::Kernel(error) => dev_err!(function, "the device was not bound: {error:?}\n"),
    }
    Refusal::Stopped(stopped)
}
