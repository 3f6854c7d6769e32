//! A function with an eavesdropper: every access to its BARs passes a hook, which may delay it or change its value. So a
//! test can stop the driver at any one access, and let a device answer as no model of ours would.

use std::sync::Arc;

use lifeboat_pci::{Bar, BusError, ConfigSpace, Function};

use super::forward::forward;

/// An access to a BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A register has read this value.
    Read(u32),
    /// A register is about to be written with this value.
    Write(u32),
    /// A register has been written.
    Written(u32),
    /// Bytes are about to be copied in.
    CopyIn,
}

/// Called with the number of the BAR, the BAR itself, the offset and the access; returns the value to go on with.
pub(crate) type Hook = Arc<dyn Fn(u8, &dyn Bar, u64, Access) -> u32 + Send + Sync>;

pub(crate) struct Interposer {
    inner: Arc<dyn Function>,
    hook: Hook,
    /// In place of its own.
    config: Option<Arc<dyn ConfigSpace + Send + Sync>>,
}

struct InterposedBar {
    index: u8,
    inner: Arc<dyn Bar + Send + Sync>,
    hook: Hook,
}

impl Interposer {
    /// `hook` sees every access from now on. For what it does not care about it returns the value of the access.
    pub(crate) fn on(
        inner: Arc<dyn Function>,
        hook: impl Fn(u8, &dyn Bar, u64, Access) -> Option<u32> + Send + Sync + 'static,
    ) -> Arc<dyn Function> {
        let hook = Arc::new(move |index, bar: &dyn Bar, offset, access| {
            let same = match access {
                Access::Read(value) | Access::Write(value) | Access::Written(value) => value,
                Access::CopyIn => 0,
            };
            hook(index, bar, offset, access).unwrap_or(same)
        });
        Arc::new(Self { inner, hook, config: None })
    }

    /// A function with such a configuration space, and nobody who listens.
    pub(crate) fn with_config(
        inner: Arc<dyn Function>,
        config: Arc<dyn ConfigSpace + Send + Sync>,
    ) -> Arc<dyn Function> {
        let hook = Arc::new(|_, _: &dyn Bar, _, access| match access {
            Access::Read(value) | Access::Write(value) | Access::Written(value) => value,
            Access::CopyIn => 0,
        });
        Arc::new(Self { inner, hook, config: Some(config) })
    }
}

impl Bar for InterposedBar {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read32(&self, offset: u64) -> Result<u32, BusError> {
        let value = self.inner.read32(offset)?;
        Ok((self.hook)(self.index, &*self.inner, offset, Access::Read(value)))
    }

    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
        let value = (self.hook)(self.index, &*self.inner, offset, Access::Write(value));
        self.inner.write32(offset, value)?;
        (self.hook)(self.index, &*self.inner, offset, Access::Written(value));
        Ok(())
    }

    fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.inner.read_bytes(offset, into)
    }

    fn write_bytes(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        (self.hook)(self.index, &*self.inner, offset, Access::CopyIn);
        self.inner.write_bytes(offset, from)
    }
}

impl Function for Interposer {
    forward!(location dma_map dma_unmap irq_enable irq_disable release);

    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
        self.config.clone().unwrap_or_else(|| self.inner.config())
    }

    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        Ok(Arc::new(InterposedBar { index, inner: self.inner.bar(index)?, hook: self.hook.clone() }))
    }
}
