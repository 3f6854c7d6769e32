//! The card as a [`Function`]: the front end for drivers in this process.
//!
//! It adds what belongs to one binding: which mappings it made, whether it has been released, and the record of its use
//! after that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_lb1::regs;
use lifeboat_pci::{
    ALL_ONES, Bar, BusError, ConfigSpace, Function, HostMemory, Iova, IrqHandler, LinkState, ResetKind, ResetKinds,
    offset,
};
use parking_lot::Mutex;

use crate::board::Board;
use crate::config_space::{self, bar_size};
use crate::interrupts::ConnectionId;
use crate::witness::{LateAccess, Violation};

/// One binding of a driver to a card.
struct Binding {
    board: Arc<Board>,
    released: AtomicBool,
    /// Mappings made and not taken back.
    mappings: Mutex<BTreeSet<u64>>,
    /// The handler connected last.
    connection: Mutex<Option<ConnectionId>>,
}

impl Binding {
    /// Refuses what is done after the release, and tells the witness.
    fn check(&self, access: LateAccess) -> Result<(), BusError> {
        if self.released.load(Ordering::Acquire) {
            self.board.witness.record(|at| Violation::AccessAfterRelease { at, access });
            return Err(BusError::Unmapped);
        }
        Ok(())
    }
}

pub(crate) struct LocalFunction {
    location: Box<str>,
    binding: Arc<Binding>,
}

impl LocalFunction {
    pub(crate) fn new(board: Arc<Board>, location: Box<str>) -> Self {
        let released = AtomicBool::new(false);
        let (mappings, connection) = (Mutex::default(), Mutex::default());
        Self { location, binding: Arc::new(Binding { board, released, mappings, connection }) }
    }

    fn board(&self) -> &Board {
        &self.binding.board
    }
}

impl Function for LocalFunction {
    fn location(&self) -> &str {
        &self.location
    }

    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
        Arc::new(ConfigWindow(Arc::clone(&self.binding)))
    }

    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        self.binding.check(LateAccess::Bar { index, offset: 0 })?;
        match index {
            regs::REGISTER_BAR => Ok(Arc::new(RegisterWindow(Arc::clone(&self.binding)))),
            regs::VRAM_BAR => Ok(Arc::new(VramWindow::new(Arc::clone(&self.binding)))),
            _ => Err(BusError::NoSuchBar(index)),
        }
    }

    fn dma_map(&self, memory: &Arc<HostMemory>) -> Result<Iova, BusError> {
        // Under the lock that `release` takes, so that a mapping is either seen there or refused here.
        let mut mappings = self.binding.mappings.lock();
        self.binding.check(LateAccess::DmaMap)?;
        let memory = Arc::clone(memory);
        let iova = self.board().iommu.allocate(memory)?;
        mappings.insert(iova);
        Ok(Iova(iova))
    }

    fn dma_unmap(&self, iova: Iova) -> Result<(), BusError> {
        let ours = self.binding.mappings.lock().remove(&iova.0);
        if ours && self.board().iommu.unmap(iova.0) { Ok(()) } else { Err(BusError::Unmapped) }
    }

    fn irq_enable(&self, vectors: u8, handler: IrqHandler) -> Result<(), BusError> {
        self.binding.check(LateAccess::IrqEnable)?;
        if !vectors.is_power_of_two() || vectors > regs::VECTORS {
            return Err(BusError::Unsupported);
        }
        let id = self.board().interrupts.connect(handler);
        *self.binding.connection.lock() = Some(id);
        let (offset, control) = config_space::msi_enable(vectors);
        self.board().write_config(offset, &control.to_le_bytes());
        Ok(())
    }

    fn irq_disable(&self) {
        let Some(id) = *self.binding.connection.lock() else { return };
        if self.board().interrupts.is_connected(id) {
            self.board().write_config(config_space::MSI_CONTROL_OFFSET, &[0, 0]);
        }
        self.board().interrupts.disconnect(id);
    }

    fn resets(&self) -> ResetKinds {
        ResetKinds::NONE.with(ResetKind::Function).with(ResetKind::Bus)
    }

    fn reset(&self, kind: ResetKind) -> Result<(), BusError> {
        self.binding.check(LateAccess::Reset)?;
        let board = self.board();
        let in_time = match kind {
            ResetKind::Function => board.function_reset(),
            ResetKind::Bus => board.bus_reset(),
            _ => return Err(BusError::Unsupported),
        };
        let mut id = [0; 4];
        board.read_config(offset::ID, &mut id);
        if in_time && u32::from_le_bytes(id) != ALL_ONES { Ok(()) } else { Err(BusError::NotReady) }
    }

    fn link(&self) -> LinkState {
        let presence = &self.board().presence;
        let up = presence.is_present() && presence.link_is_up();
        if up { LinkState::from_status(config_space::LINK_STATUS) } else { LinkState::Down }
    }

    fn release(&self) {
        if self.binding.released.swap(true, Ordering::AcqRel) {
            return;
        }
        let board = self.board();
        // In a reset rings are held, and there are none after it. How long it takes is no fault of the driver's.
        if board.presence.is_present() && !board.control.is_resetting() && !board.is_out_of_reach() {
            for ring in board.rings.iter().filter(|ring| ring.is_enabled()) {
                let ring = ring.index();
                board.witness.record(|at| Violation::ReleasedWhileRunning { at, ring });
            }
        }
        let connected = self.binding.connection.lock().is_some_and(|id| board.interrupts.is_connected(id));
        if connected {
            board.witness.record(|at| Violation::ReleasedWithInterrupts { at });
        }
        self.irq_disable();
        let mappings = std::mem::take(&mut *self.binding.mappings.lock());
        if !mappings.is_empty() {
            let count = mappings.len();
            board.witness.record(|at| Violation::MappingsLeaked { at, count });
        }
        for iova in mappings {
            board.iommu.unmap(iova);
        }
    }
}

struct ConfigWindow(Arc<Binding>);

impl ConfigWindow {
    fn check(&self, offset: u16, width: u16) -> Result<(), BusError> {
        if usize::from(offset) + usize::from(width) > config_space::SIZE {
            return Err(BusError::OutOfRange { offset: offset.into(), len: width.into() });
        }
        if !offset.is_multiple_of(width) {
            return Err(BusError::Misaligned { offset: offset.into() });
        }
        self.0.check(LateAccess::Config { offset })
    }
}

impl ConfigSpace for ConfigWindow {
    fn read32(&self, offset: u16) -> Result<u32, BusError> {
        self.check(offset, 4)?;
        let mut bytes = [0; 4];
        self.0.board.read_config(offset, &mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn read16(&self, offset: u16) -> Result<u16, BusError> {
        self.check(offset, 2)?;
        let mut bytes = [0; 2];
        self.0.board.read_config(offset, &mut bytes);
        Ok(u16::from_le_bytes(bytes))
    }

    fn write16(&self, offset: u16, value: u16) -> Result<(), BusError> {
        self.check(offset, 2)?;
        self.0.board.write_config(offset, &value.to_le_bytes());
        Ok(())
    }

    fn write32(&self, offset: u16, value: u32) -> Result<(), BusError> {
        self.check(offset, 4)?;
        self.0.board.write_config(offset, &value.to_le_bytes());
        Ok(())
    }

    fn read8(&self, offset: u16) -> Result<u8, BusError> {
        self.check(offset, 1)?;
        let mut bytes = [0];
        self.0.board.read_config(offset, &mut bytes);
        Ok(bytes[0])
    }

    fn write8(&self, offset: u16, value: u8) -> Result<(), BusError> {
        self.check(offset, 1)?;
        self.0.board.write_config(offset, &[value]);
        Ok(())
    }
}

/// Checks an access against a window's size.
fn in_range(offset: u64, len: usize, size: u64) -> Result<(), BusError> {
    let len = len as u64;
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(()),
        _ => Err(BusError::OutOfRange { offset, len }),
    }
}

/// Checks an access to one register of `bytes` bytes.
fn register(offset: u64, bytes: usize, size: u64) -> Result<(), BusError> {
    in_range(offset, bytes, size)?;
    if offset.is_multiple_of(bytes as u64) { Ok(()) } else { Err(BusError::Misaligned { offset }) }
}

struct RegisterWindow(Arc<Binding>);

impl RegisterWindow {
    fn check(&self, offset: u64) -> Result<(), BusError> {
        self.0.check(LateAccess::Bar { index: regs::REGISTER_BAR, offset })
    }
}

/// LB1's registers are accessed as 32 bits and no other width, so the others are [`BusError::Unsupported`].
impl Bar for RegisterWindow {
    fn size(&self) -> u64 {
        regs::REGISTER_BAR_SIZE
    }

    fn read32(&self, offset: u64) -> Result<u32, BusError> {
        register(offset, 4, self.size())?;
        self.check(offset)?;
        Ok(self.0.board.load_register(offset))
    }

    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
        register(offset, 4, self.size())?;
        self.check(offset)?;
        self.0.board.store_register(offset, value);
        Ok(())
    }

    /// Registers one after the other; each counts as an access. Bytes beyond the last whole register are misaligned.
    fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        in_range(offset, into.len(), self.size())?;
        let (registers, rest) = into.as_chunks_mut::<4>();
        if !rest.is_empty() {
            return Err(BusError::Misaligned { offset });
        }
        for (at, bytes) in (offset..).step_by(4).zip(registers) {
            *bytes = self.read32(at)?.to_le_bytes();
        }
        Ok(())
    }

    fn write_bytes(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        in_range(offset, from.len(), self.size())?;
        let (registers, rest) = from.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(BusError::Misaligned { offset });
        }
        for (at, bytes) in (offset..).step_by(4).zip(registers) {
            self.write32(at, u32::from_le_bytes(*bytes))?;
        }
        Ok(())
    }
}

struct VramWindow {
    binding: Arc<Binding>,
    /// As it was found: another card that comes in the place of this one does not change it.
    size: u64,
}

impl VramWindow {
    fn new(binding: Arc<Binding>) -> Self {
        let size = bar_size(binding.board.vram_bytes());
        Self { binding, size }
    }

    fn check(&self, offset: u64) -> Result<(), BusError> {
        self.binding.check(LateAccess::Bar { index: regs::VRAM_BAR, offset })
    }

    /// Reads `N` aligned bytes in one access.
    fn load<const N: usize>(&self, offset: u64) -> Result<[u8; N], BusError> {
        register(offset, N, self.size)?;
        let mut bytes = [0; N];
        self.read_bytes(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes `N` aligned bytes in one access.
    fn store<const N: usize>(&self, offset: u64, bytes: [u8; N]) -> Result<(), BusError> {
        register(offset, N, self.size)?;
        self.write_bytes(offset, &bytes)
    }
}

impl Bar for VramWindow {
    fn backing(&self, offset: u64, bytes: u64) -> Result<(std::fs::File, u64), BusError> {
        self.check(offset)?;
        self.binding.board.vram.backing(offset, bytes)
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read32(&self, offset: u64) -> Result<u32, BusError> {
        Ok(u32::from_le_bytes(self.load(offset)?))
    }

    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
        self.store(offset, value.to_le_bytes())
    }

    fn read8(&self, offset: u64) -> Result<u8, BusError> {
        Ok(u8::from_le_bytes(self.load(offset)?))
    }

    fn write8(&self, offset: u64, value: u8) -> Result<(), BusError> {
        self.store(offset, value.to_le_bytes())
    }

    fn read16(&self, offset: u64) -> Result<u16, BusError> {
        Ok(u16::from_le_bytes(self.load(offset)?))
    }

    fn write16(&self, offset: u64, value: u16) -> Result<(), BusError> {
        self.store(offset, value.to_le_bytes())
    }

    fn read64(&self, offset: u64) -> Result<u64, BusError> {
        Ok(u64::from_le_bytes(self.load(offset)?))
    }

    fn write64(&self, offset: u64, value: u64) -> Result<(), BusError> {
        self.store(offset, value.to_le_bytes())
    }

    fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        in_range(offset, into.len(), self.size())?;
        self.check(offset)?;
        self.binding.board.load_vram(offset, into);
        Ok(())
    }

    fn write_bytes(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        in_range(offset, from.len(), self.size())?;
        self.check(offset)?;
        self.binding.board.store_vram(offset, from);
        Ok(())
    }
}
