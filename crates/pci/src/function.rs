//! A PCI function as the hosted framework sees it.

use std::sync::Arc;

use crate::{Bar, BusError, ConfigSpace, HostMemory, Iova};

/// Called with the vector number when an interrupt arrives. Runs in interrupt context: it must not block or wait, and
/// it can still be called while [`Function::irq_disable`] is on its way.
pub type IrqHandler = Arc<dyn Fn(u8) + Send + Sync>;

/// One PCI function: what a bus hands to a driver's probe.
///
/// Everything obtained from it (windows, mappings, interrupts) belongs to one binding. [`Function::release`] ends that
/// binding; what is used afterwards is a bug of the driver, answered with [`BusError::Unmapped`] and recorded by
/// backends that can.
pub trait Function: Send + Sync {
    /// Where the function sits, for messages: `0000:01:00.0`.
    fn location(&self) -> &str;

    /// The configuration space.
    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync>;

    /// Maps a BAR.
    ///
    /// # Errors
    /// [`BusError::NoSuchBar`], or [`BusError::Unmapped`] after [`Function::release`].
    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError>;

    /// Lets the device reach `memory` and says under which address.
    ///
    /// # Errors
    /// [`BusError::NoMemory`] if no address space is left, [`BusError::Unmapped`] after [`Function::release`].
    /// [`BusError::Unsupported`] for [another device's memory](HostMemory::is_peers), if the bus cannot do without it when that
    /// is replaced: an IOMMU that looks pages up once, as those of real machines do, would go on to lead to the lost device.
    fn dma_map(&self, memory: &Arc<HostMemory>) -> Result<Iova, BusError>;

    /// Takes a mapping back. When this returns the device can no longer reach the memory.
    ///
    /// # Errors
    /// [`BusError::Unmapped`] if nothing is mapped there.
    fn dma_unmap(&self, iova: Iova) -> Result<(), BusError>;

    /// Turns message signalled interrupts on: programs the capability and connects `handler`.
    ///
    /// # Errors
    /// [`BusError::Unsupported`] if the function has fewer than `vectors` vectors (a power of two), or
    /// [`BusError::Unmapped`] after [`Function::release`].
    fn irq_enable(&self, vectors: u8, handler: IrqHandler) -> Result<(), BusError>;

    /// Turns interrupts off. When this returns no handler runs and none will; so never call it from a handler.
    fn irq_disable(&self);

    /// Ends the binding: interrupts off, all mappings gone, windows dead. Idempotent.
    fn release(&self);
}
