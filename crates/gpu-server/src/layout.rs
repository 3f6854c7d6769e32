//! What the card looks like to a VFIO client: its regions and its interrupts.

use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_NORESIZE, VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS,
    VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};

use lifeboat_gpu::Endpoint;
use lifeboat_lb1::regs;

pub(crate) const REGISTERS: u32 = VFIO_PCI_BAR0_REGION_INDEX;
pub(crate) const VRAM: u32 = VFIO_PCI_BAR2_REGION_INDEX;
pub(crate) const CONFIG: u32 = VFIO_PCI_CONFIG_REGION_INDEX;
pub(crate) const REGIONS: u32 = VFIO_PCI_NUM_REGIONS;
pub(crate) const MSI: u32 = VFIO_PCI_MSI_IRQ_INDEX;
pub(crate) const IRQS: u32 = VFIO_PCI_NUM_IRQS;

const _: () = assert!(REGISTERS == regs::REGISTER_BAR as u32 && VRAM == regs::VRAM_BAR as u32);

/// A region, as the client is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) flags: u32,
    pub(crate) size: u64,
    /// How many bytes of it, from the first on, can be mapped through the VRAM's descriptor; 0 for none.
    pub(crate) mappable: u64,
}

/// The region with this index; one of size 0 if the card lacks it, `None` if PCI does.
pub(crate) fn region(index: u32, vram_bytes: u64, vram_bar: u64) -> Option<Region> {
    let accessible = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    match index {
        REGISTERS => Some(Region { flags: accessible, size: regs::REGISTER_BAR_SIZE, mappable: 0 }),
        VRAM => Some(Region { flags: accessible | VFIO_REGION_INFO_FLAG_MMAP, size: vram_bar, mappable: vram_bytes }),
        CONFIG => Some(Region { flags: accessible, size: Endpoint::CONFIG_BYTES as u64, mappable: 0 }),
        absent if absent < REGIONS => Some(Region::default()),
        _ => None,
    }
}

/// Flags and count of the interrupt with this index; count 0 if the card lacks it, `None` if VFIO does.
///
/// There is no `INTx`, and no MSI-X: it makes QEMU 11.1 abort when the device is unplugged.
pub(crate) fn irq(index: u32) -> Option<(u32, u32)> {
    match index {
        MSI => Some((VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, u32::from(regs::VECTORS))),
        absent if absent < IRQS => Some((0, 0)),
        _ => None,
    }
}
