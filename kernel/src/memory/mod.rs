// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Memory that programs use: buffers, users' maps of them, and the address tables of contexts.
//!
//! A buffer belongs to the device and outlives the binding. What ties it to the binding is undone when that ends: the zap
//! takes video memory from behind all maps, and the release undoes the maps for DMA. Host memory keeps its contents.
//!
//! | file | concept |
//! |---|---|
//! | `buffer` | a buffer, and what is behind a map of it now |
//! | `host` | a buffer's pages in host memory, and the device's way to them |
//! | `imported` | a buffer on another device's memory |
//! | `user` | a buffer of a program's own pages |
//! | `vram` | a buffer's stretch of video memory |
//! | `binding` | what the binding lends buffers |
//! | `table`, `tables` | the address table of a context, and of all |
//! | `unit` | the unit of all sizes and addresses |
//! | `spare` | buffers whose contents are not needed |
//! | `retained` | what jobs keep of buffers that are unmapped |
//!
//! Locks, outermost first: a table's `space`; a host buffer's `state`, then `reached`, then `lent`, then `stretches`;
//! `tables` is a leaf. A fault takes `state`, so no user memory may be touched under any of them. Nothing is allocated
//! under `space`, `reached` and `lent`, but for what the kernel needs for DMA maps: the end of the binding waits for them.

mod binding;
mod buffer;
mod host;
mod imported;
mod retained;
mod spare;
mod table;
mod tables;
mod unit;
mod user;
mod vram;

pub(crate) use buffer::{Buffer, Placement};
pub(crate) use retained::Retained;
pub(crate) use table::{Part, Table};
pub(crate) use tables::Tables;
pub(crate) use unit::UNIT;

use kernel::{device::Bound, pci, prelude::*, sync::Arc};
use lifeboat_driver::{gpu::Gpu, Driver};

use crate::gate::Gate;
use crate::glue::{Gem, Stretches};
use crate::holders::Holding;
use crate::link::Link;
use crate::registration::Driven;
use binding::Lending;
use spare::Spare;

/// A buffer as handles, maps, exports and jobs refer to it.
pub(crate) type Object = Gem<Buffer>;

/// The memory of one device.
#[pin_data]
pub(crate) struct Memory {
    /// Video memory; `None` if the device has none for programs.
    vram: Option<Arc<Stretches>>,
    gate: Arc<Gate>,
    link: Arc<Link>,
    #[pin]
    lending: Lending,
    spare: Spare,
    /// Address tables of contexts.
    #[pin]
    pub(crate) tables: Tables,
    holding: Arc<Holding>,
}

impl Memory {
    /// The first `reserved` bytes of video memory are the driver's own.
    pub(crate) fn new(
        function: &pci::Device<Bound>,
        info: &<Driven as Driver>::Info,
        gate: Arc<Gate>,
        link: Arc<Link>,
        holding: Arc<Holding>,
        reserved: u64,
    ) -> Result<Arc<Self>> {
        let memory = Driven::vram(info);
        let bytes = memory.map_or(0, |vram| vram.bytes.saturating_sub(reserved));
        let vram = (bytes > 0).then(|| Stretches::new(reserved, bytes)).transpose()?;
        Arc::pin_init(
            try_pin_init!(Self {
                vram,
                gate,
                link,
                lending <- Lending::new(function, memory),
                spare: Spare::new()?,
                tables <- Tables::new(info),
                holding,
            }? Error),
            GFP_KERNEL,
        )
    }

    /// The programs' holds on the device.
    pub(crate) fn holding(&self) -> &Arc<Holding> {
        &self.holding
    }

    /// Takes back what the binding has lent: the device reaches no buffer any more. Bus mastering is off, and the gate is
    /// shut, so nobody asks for more.
    pub(crate) fn cut(&self) {
        self.lending.end();
    }
}
