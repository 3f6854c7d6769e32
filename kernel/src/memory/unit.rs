// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The unit of memory: whole pages, for the processor as for the device. Pages of the device that are larger than the
//! processor's need host memory in pieces of their size.

use kernel::page::PAGE_SIZE;
use lifeboat_driver::gpu::Gpu;

use crate::registration::Driven;

/// Bytes of a unit.
pub(crate) const UNIT: u64 = if Driven::PAGE > PAGE_SIZE as u64 { Driven::PAGE } else { PAGE_SIZE as u64 };
const _: () = assert!(UNIT % Driven::PAGE == 0 && UNIT % PAGE_SIZE as u64 == 0, "a page is a power of two");

/// The same in pages of the processor, as a power of two.
pub(super) const UNIT_ORDER: u32 = (UNIT / PAGE_SIZE as u64).ilog2();
