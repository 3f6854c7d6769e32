// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The BARs of a function. They are mapped once, by its probe, for all of the bindings that follow one another until its
//! removal: [`crate::link`] decides which of these may reach them.

use kernel::{
    device::Bound,
    pci::{self, DevresBar},
    prelude::*,
    sync::Arc,
};
use lifeboat_driver::{BarUse, Driver};

use crate::glue::{Section, BARS};
use crate::registration::Driven;
use crate::NAME;

/// See the module documentation.
pub(crate) struct Bars {
    /// BARs that the driver's code reaches, by number.
    mapped: [Option<DevresBar>; BARS],
    /// Sizes of all BARs, in bytes.
    sizes: [u64; BARS],
}

impl Bars {
    /// Maps the driver's BARs for as long as the function is bound. ENODEV if one is shorter than the driver needs.
    pub(crate) fn new(function: &pci::Device<Bound>) -> Result<Arc<Self>> {
        let mut mapped = [const { None }; BARS];
        let mut sizes = [0; BARS];
        for &BarUse { number, bytes } in Driven::FACTS.bars {
            let size = function.resource_len(number.into())?;
            if size < bytes {
                dev_err!(function, "BAR {number} has {size} bytes, {bytes} are needed\n");
                return Err(ENODEV);
            }
            let index = usize::from(number);
            if bytes > 0 {
                let bar = function.iomap_region(number.into(), NAME)?.into_devres()?;
                *mapped.get_mut(index).ok_or(EINVAL)? = Some(bar);
            }
            // A BAR that the kernel found no room for has no length. Video memory
            // that lies there has no aperture then, and programs cannot map it.
            *sizes.get_mut(index).ok_or(EINVAL)? = if size == 0 { u64::MAX } else { size };
        }
        Ok(Arc::new(Self { mapped, sizes }, GFP_KERNEL)?)
    }

    /// All windows, for one register section.
    pub(crate) fn section(&self) -> Section<'_> {
        Section::new(&self.mapped, &self.sizes)
    }
}
