//! A function, its configuration space and its BARs, with the interposer before them.

use std::sync::Arc;

use lifeboat_pci::{ALL_ONES, Bar, BusError, ConfigSpace, Function, HostMemory, Iova, IrqHandler, IrqKind};

use super::{Fate, NONSENSE, To, Watch};

pub(super) struct Interposed<D: 'static> {
    pub(super) inner: Arc<dyn Function>,
    pub(super) watch: Arc<Watch<D>>,
}

/// A configuration space or a BAR.
struct Behind<T: ?Sized, D: 'static> {
    inner: Arc<T>,
    watch: Arc<Watch<D>>,
}

impl<D: Send + Sync + 'static> Function for Interposed<D> {
    fn location(&self) -> &str {
        self.inner.location()
    }

    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
        Arc::new(Behind { inner: self.inner.config(), watch: self.watch.clone() })
    }

    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        Ok(Arc::new(Behind { inner: self.inner.bar(index)?, watch: self.watch.clone() }))
    }

    fn dma_map(&self, memory: &Arc<HostMemory>) -> Result<Iova, BusError> {
        self.inner.dma_map(memory)
    }

    fn dma_unmap(&self, iova: Iova) -> Result<(), BusError> {
        self.inner.dma_unmap(iova)
    }

    fn irq_enable(&self, vectors: u8, handler: IrqHandler) -> Result<(), BusError> {
        let watch = self.watch.clone();
        let arrives = move |vector| {
            if watch.lets_interrupts_through() {
                handler(vector);
            }
        };
        self.inner.irq_enable(vectors, Arc::new(arrives))
    }

    fn irq_vectors(&self, kind: IrqKind) -> Result<u16, BusError> {
        self.inner.irq_vectors(kind)
    }

    fn irq_disable(&self) {
        self.inner.irq_disable();
    }

    fn release(&self) {
        self.inner.release();
    }
}

impl<T: ?Sized, D: Send + Sync + 'static> Behind<T, D> {
    /// Of a device that does not answer, a read gives `nothing`; of one that answers nonsense, that.
    fn read<V>(
        &self,
        to: To,
        (nothing, nonsense): (V, V),
        read: impl FnOnce(&T) -> Result<V, BusError>,
    ) -> Result<V, BusError> {
        let (fate, stuck) = self.watch.access(to, true);
        let value = match fate {
            Fate::Reaches => read(&self.inner),
            Fate::Vanishes => Ok(nothing),
            Fate::Garbled => Ok(nonsense),
        };
        if !stuck.is_zero() {
            std::thread::sleep(stuck);
        }
        value
    }

    fn write(&self, to: To, write: impl FnOnce(&T) -> Result<(), BusError>) -> Result<(), BusError> {
        let (fate, stuck) = self.watch.access(to, false);
        let written = if fate == Fate::Vanishes { Ok(()) } else { write(&self.inner) };
        if !stuck.is_zero() {
            std::thread::sleep(stuck);
        }
        written
    }
}

impl<D: Send + Sync + 'static> ConfigSpace for Behind<dyn ConfigSpace + Send + Sync, D> {
    fn read32(&self, offset: u16) -> Result<u32, BusError> {
        self.read(To::Config, (ALL_ONES, 0), |config| config.read32(offset))
    }

    fn read16(&self, offset: u16) -> Result<u16, BusError> {
        self.read(To::Config, (u16::MAX, 0), |config| config.read16(offset))
    }

    fn write16(&self, offset: u16, value: u16) -> Result<(), BusError> {
        self.write(To::Config, |config| config.write16(offset, value))
    }

    fn write32(&self, offset: u16, value: u32) -> Result<(), BusError> {
        self.write(To::Config, |config| config.write32(offset, value))
    }
}

impl<D: Send + Sync + 'static> Bar for Behind<dyn Bar + Send + Sync, D> {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read32(&self, offset: u64) -> Result<u32, BusError> {
        let nonsense = u32::try_from(offset).unwrap_or(0) ^ NONSENSE;
        self.read(To::Register, (ALL_ONES, nonsense), |bar| bar.read32(offset))
    }

    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
        self.write(To::Register, |bar| bar.write32(offset, value))
    }

    fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.inner.read_bytes(offset, into)
    }

    fn write_bytes(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        self.inner.write_bytes(offset, from)
    }
}
