// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Probe and remove.

use kernel::{device::Core, pci, prelude::*, sync::Arc};

use crate::debugfs::Files;
use crate::glue::registered;
use crate::removals::Trigger;
use crate::slot::Slot;

/// The driver as the bus knows it.
pub(crate) struct PciDriver;

/// Data that the bus keeps for a bound function. Its fields are dropped in this order.
#[pin_data]
pub(crate) struct Data {
    slot: Held,
    #[pin]
    files: Files,
}

/// Ends the slot when dropped, if nothing has ended it before: after a failed probe.
struct Held(Arc<Slot>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.end(Trigger::Probe);
    }
}

impl pci::Driver for PciDriver {
    type IdInfo = ();
    type Data<'bound> = Data;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = crate::registration::ID_TABLE;

    fn probe<'bound>(
        function: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            let shared = registered()?;
            let slot = Held(Slot::new(function, shared.clone())?);
            let begun = slot.0.clone();
            Ok(try_pin_init!(Data {
                files <- Files::new(&begun, &shared),
                _: {
                    begun.begin()?;
                },
                slot,
            }))
        })
    }

    fn unbind<'bound>(_function: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        this.slot.0.end(Trigger::Remove);
    }
}
