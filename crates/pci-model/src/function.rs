//! The card's function, for one binding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use lifeboat_pci::{
    ALL_ONES, Bar, BusError, ConfigSpace, Function, HostMemory, Iova, IrqHandler, IrqKind, VectorHandler,
};

use crate::card::{Board, Mistake};
use crate::config;

/// A binding to the function of a card.
pub(crate) struct Binding {
    location: String,
    shared: Arc<FunctionInner>,
}

struct FunctionInner {
    board: Arc<dyn Board>,
    /// The binding has ended: what is used afterwards is a mistake.
    released: AtomicBool,
}

impl Binding {
    pub(crate) fn new(location: &str, board: Arc<dyn Board>) -> Self {
        let shared = Arc::new(FunctionInner { board, released: AtomicBool::new(false) });
        Self { location: location.to_owned(), shared }
    }
}

impl Binding {
    fn enable(&self, kind: IrqKind, vectors: usize, handler: IrqHandler) -> Result<(), BusError> {
        let board = self.shared.live()?;
        let (offered, most) = board.offered();
        let is_possible = kind != IrqKind::Msi || vectors.is_power_of_two();
        if kind != offered || vectors > most.into() || !is_possible {
            return Err(BusError::Unsupported);
        }
        board.interrupts().enable(handler);
        Ok(())
    }
}

impl FunctionInner {
    fn live(&self) -> Result<&dyn Board, BusError> {
        if self.released.load(SeqCst) { Err(BusError::Unmapped) } else { Ok(&*self.board) }
    }

    /// The card, for an access to a register.
    fn register(&self, register: u64) -> Result<&dyn Board, BusError> {
        let len = 4;
        if !register.is_multiple_of(len) {
            return Err(BusError::Misaligned { offset: register });
        }
        if register >= self.board.bar_bytes() {
            return Err(BusError::OutOfRange { offset: register, len });
        }
        self.live().inspect_err(|_| self.board.note(Mistake::AccessReleased(register)))
    }
}

impl Function for Binding {
    fn location(&self) -> &str {
        &self.location
    }

    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
        self.shared.clone()
    }

    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        self.shared.live()?;
        if index == 0 { Ok(self.shared.clone()) } else { Err(BusError::NoSuchBar(index)) }
    }

    fn dma_map(&self, memory: &Arc<HostMemory>) -> Result<Iova, BusError> {
        Ok(self.shared.live()?.iommu().map(memory))
    }

    fn dma_unmap(&self, iova: Iova) -> Result<(), BusError> {
        if self.shared.live()?.iommu().unmap(iova) { Ok(()) } else { Err(BusError::Unmapped) }
    }

    fn irq_enable(&self, vectors: u8, handler: IrqHandler) -> Result<(), BusError> {
        self.enable(IrqKind::Msi, vectors.into(), handler)
    }

    fn irq_vectors(&self, kind: IrqKind) -> Result<u16, BusError> {
        let board = self.shared.live()?;
        let (offered, vectors) = board.offered();
        Ok(if kind == offered && board.is_present() { vectors } else { 0 })
    }

    fn irq_enable_each(&self, kind: IrqKind, handlers: Vec<VectorHandler>) -> Result<(), BusError> {
        let vectors = handlers.len();
        // The device sends no other vector.
        let first = handlers.into_iter().next().ok_or(BusError::Unsupported)?;
        self.enable(kind, vectors, Arc::new(move |_| first()))
    }

    fn irq_disable(&self) {
        self.shared.board.interrupts().disable();
    }

    fn release(&self) {
        if !self.shared.released.swap(true, SeqCst) {
            self.shared.board.interrupts().disable();
            self.shared.board.iommu().clear();
        }
    }
}

impl ConfigSpace for FunctionInner {
    fn read32(&self, offset: u16) -> Result<u32, BusError> {
        let value = self.board.config().read(offset)?;
        Ok(if self.board.is_present() { value } else { ALL_ONES })
    }

    fn read16(&self, offset: u16) -> Result<u16, BusError> {
        config::check(offset, 2)?;
        let [a, b, c, d] = ConfigSpace::read32(self, offset & !3)?.to_le_bytes();
        Ok(u16::from_le_bytes(if offset.is_multiple_of(4) { [a, b] } else { [c, d] }))
    }

    fn write16(&self, offset: u16, value: u16) -> Result<(), BusError> {
        if self.board.is_present() { self.board.config().write(offset, value) } else { Ok(()) }
    }

    fn write32(&self, offset: u16, value: u32) -> Result<(), BusError> {
        config::check(offset, 4)?;
        let [a, b, c, d] = value.to_le_bytes();
        ConfigSpace::write16(self, offset, u16::from_le_bytes([a, b]))?;
        ConfigSpace::write16(self, offset + 2, u16::from_le_bytes([c, d]))
    }
}

impl Bar for FunctionInner {
    fn size(&self) -> u64 {
        self.board.bar_bytes()
    }

    fn read32(&self, offset: u64) -> Result<u32, BusError> {
        Ok(self.register(offset)?.read(offset))
    }

    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
        self.register(offset)?.write(offset, value);
        Ok(())
    }

    fn read_bytes(&self, _: u64, _: &mut [u8]) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }

    fn write_bytes(&self, _: u64, _: &[u8]) -> Result<(), BusError> {
        Err(BusError::Unsupported)
    }
}
