// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Probe and remove.

use kernel::{device::Core, pci, prelude::*, sync::Arc};

use crate::binding::Binding;
use crate::bringup;
use crate::debugfs::Files;
use crate::device::Device;
use crate::glue::{lint::Ownership, registered};
use crate::node;
use crate::removals::Trigger;

/// The driver as the bus knows it.
pub(crate) struct PciDriver;

/// Data that the bus keeps for a bound device. Its fields are dropped in this order.
#[pin_data]
pub(crate) struct Data {
    binding: Held,
    #[pin]
    files: Files,
}

/// Ends the binding when dropped, if nothing has ended it before: after a failed probe.
struct Held(Arc<Binding>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.unbind(Trigger::Probe);
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
            let _owner = Ownership::begin();
            let device = Device::new(function, registered()?)?;
            let binding = Held(Binding::begin(device.clone())?);
            Ok(try_pin_init!(Data {
                binding,
                files <- Files::new(&device),
                _: {
                    let _owner = Ownership::begin();
                    node::register(bringup::start(function, &device)?)?;
                },
            }))
        })
    }

    fn unbind<'bound>(_function: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        this.binding.0.unbind(Trigger::Remove);
    }
}
