//! A PCI function as the hosted framework sees it.

use std::sync::Arc;

use crate::{irq_vectors, Bar, BusError, ConfigSpace, HostMemory, Iova, IrqKind, LinkState, ResetKind, ResetKinds};

/// Called with the vector number when an interrupt arrives. Runs in interrupt context: it must not block or wait, and
/// it can still be called while [`Function::irq_disable`] is on its way.
pub type IrqHandler = Arc<dyn Fn(u8) + Send + Sync>;

/// The handler of one vector: [`Function::irq_enable_each`] takes one for each. The same rules hold as for [`IrqHandler`].
pub type VectorHandler = Arc<dyn Fn() + Send + Sync>;

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

    /// Turns message signalled interrupts ([`IrqKind::Msi`]) on: programs the capability and connects `handler` to all
    /// vectors. Interrupts that were on are replaced.
    ///
    /// # Errors
    /// [`BusError::Unsupported`] if the function has fewer than `vectors` vectors (a power of two), or
    /// [`BusError::Unmapped`] after [`Function::release`].
    fn irq_enable(&self, vectors: u8, handler: IrqHandler) -> Result<(), BusError>;

    /// How many vectors of a kind can be turned on: as many as the function has, if the backend can deliver them. 0 if the
    /// function has none, or is gone.
    ///
    /// By default what the function's capability says of [`IrqKind::Msi`], and nothing of others.
    ///
    /// # Errors
    /// [`BusError::Unsupported`] if the backend cannot deliver that kind, or [`BusError::Unmapped`] after
    /// [`Function::release`].
    fn irq_vectors(&self, kind: IrqKind) -> Result<u16, BusError> {
        match kind {
            IrqKind::Msi => irq_vectors(&*self.config(), kind),
            IrqKind::MsiX => Err(BusError::Unsupported),
        }
    }

    /// Turns as many vectors on as there are handlers, and connects each to its own. Interrupts that were on, of whatever
    /// kind, are replaced. [`Function::irq_disable`] turns them off, by the same rule: when it has returned, none of the
    /// handlers runs and none will.
    ///
    /// By default [`IrqKind::Msi`] goes by [`Function::irq_enable`], and others are not supported.
    ///
    /// # Errors
    /// [`BusError::Unsupported`] if the backend cannot deliver that kind, if the function has fewer vectors than there are
    /// handlers, if there are none, or if there is no power of two of them for [`IrqKind::Msi`]. [`BusError::Unmapped`] after
    /// [`Function::release`].
    fn irq_enable_each(&self, kind: IrqKind, handlers: Vec<VectorHandler>) -> Result<(), BusError> {
        let (IrqKind::Msi, Ok(vectors)) = (kind, u8::try_from(handlers.len())) else {
            return Err(BusError::Unsupported);
        };
        let dispatch = move |vector: u8| {
            if let Some(handler) = handlers.get(usize::from(vector)) {
                handler();
            }
        };
        self.irq_enable(vectors, Arc::new(dispatch))
    }

    /// Turns interrupts off. When this returns no handler runs and none will; so never call it from a handler.
    fn irq_disable(&self);

    /// Which [resets](Function::reset) there are. By default none.
    fn resets(&self) -> ResetKinds {
        ResetKinds::NONE
    }

    /// Resets the function from outside, whatever state it is in, and waits until it answers again. Blocks, as long as its bus
    /// allows a function to take (a few seconds at most), so never call it in a section or from a handler.
    ///
    /// `Ok` says that configuration space answers again. Whether the device has become well, only the device can say.
    /// What it was told before, it may have forgotten: memory decode, bus mastering and interrupts are to be turned on again,
    /// as at probe. Mappings for DMA are the host's, and stay.
    ///
    /// # Errors
    /// [`BusError::Unsupported`], as by default, if there is no such reset. [`BusError::NotReady`] if the function does not
    /// answer in time, or is gone. [`BusError::Unmapped`] after [`Function::release`].
    fn reset(&self, kind: ResetKind) -> Result<(), BusError> {
        let _ = kind;
        Err(BusError::Unsupported)
    }

    /// The state of the link to the function, as the bus knows it; by default unknown. Asks the port, not the function: so it
    /// is allowed at any time, also of a function that is gone or released.
    fn link(&self) -> LinkState {
        LinkState::Unknown
    }

    /// Ends the binding: interrupts off, all mappings gone, windows dead. Idempotent.
    fn release(&self);
}
