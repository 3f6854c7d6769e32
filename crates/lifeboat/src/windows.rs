//! The windows of a device, with a fuse.
//!
//! An unplug takes the registers away by revoking them: it waits for the sections that are open. Code that does not
//! leave its section keeps what it borrowed, so that is kept alive. But the function is released then, and may be bound
//! anew: what the old driver does at last must not reach the device that its successor drives. So each access asks the
//! fuse first. An access that has passed the fuse, and stands still at the device itself, cannot be called back.

use std::sync::Arc;

use lifeboat_pci::{Bar, BusError};

use crate::primitive::atomic::{AtomicBool, Ordering::SeqCst};

/// Shared by the windows of one binding.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fuse(Arc<AtomicBool>);

impl Fuse {
    /// From now on reads give all-ones and writes are dropped, as if the device were gone.
    pub(crate) fn blow(&self) {
        self.0.store(true, SeqCst);
    }

    fn is_blown(&self) -> bool {
        self.0.load(SeqCst)
    }
}

/// A window that leads nowhere once its fuse has blown.
pub(crate) struct Fused {
    bar: Arc<dyn Bar + Send + Sync>,
    fuse: Fuse,
}

impl Fused {
    pub(crate) fn new(bar: Arc<dyn Bar + Send + Sync>, fuse: Fuse) -> Self {
        Self { bar, fuse }
    }

    fn read<T>(&self, all_ones: T, read: impl FnOnce(&dyn Bar) -> Result<T, BusError>) -> Result<T, BusError> {
        if self.fuse.is_blown() { Ok(all_ones) } else { read(&*self.bar) }
    }

    fn write(&self, write: impl FnOnce(&dyn Bar) -> Result<(), BusError>) -> Result<(), BusError> {
        self.read((), write)
    }
}

impl Bar for Fused {
    fn size(&self) -> u64 {
        self.bar.size()
    }

    fn read32(&self, offset: u64) -> Result<u32, BusError> {
        self.read(u32::MAX, |bar| bar.read32(offset))
    }

    fn write32(&self, offset: u64, value: u32) -> Result<(), BusError> {
        self.write(|bar| bar.write32(offset, value))
    }

    fn read8(&self, offset: u64) -> Result<u8, BusError> {
        self.read(u8::MAX, |bar| bar.read8(offset))
    }

    fn write8(&self, offset: u64, value: u8) -> Result<(), BusError> {
        self.write(|bar| bar.write8(offset, value))
    }

    fn read16(&self, offset: u64) -> Result<u16, BusError> {
        self.read(u16::MAX, |bar| bar.read16(offset))
    }

    fn write16(&self, offset: u64, value: u16) -> Result<(), BusError> {
        self.write(|bar| bar.write16(offset, value))
    }

    fn read64(&self, offset: u64) -> Result<u64, BusError> {
        self.read(u64::MAX, |bar| bar.read64(offset))
    }

    fn write64(&self, offset: u64, value: u64) -> Result<(), BusError> {
        self.write(|bar| bar.write64(offset, value))
    }

    fn read_bytes(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        if self.fuse.is_blown() {
            into.fill(u8::MAX);
            return Ok(());
        }
        self.bar.read_bytes(offset, into)
    }

    fn write_bytes(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        self.write(|bar| bar.write_bytes(offset, from))
    }

    fn backing(&self, offset: u64, bytes: u64) -> Result<(std::fs::File, u64), BusError> {
        if self.fuse.is_blown() { Err(BusError::Unmapped) } else { self.bar.backing(offset, bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes everything, and reads as zeroes.
    struct Zeroes;

    impl Bar for Zeroes {
        fn size(&self) -> u64 {
            4096
        }
        fn read32(&self, _: u64) -> Result<u32, BusError> {
            Ok(0)
        }
        fn write32(&self, _: u64, _: u32) -> Result<(), BusError> {
            Err(BusError::Unsupported)
        }
        fn read16(&self, _: u64) -> Result<u16, BusError> {
            Ok(0)
        }
        fn read_bytes(&self, _: u64, into: &mut [u8]) -> Result<(), BusError> {
            into.fill(0);
            Ok(())
        }
        fn write_bytes(&self, _: u64, _: &[u8]) -> Result<(), BusError> {
            Err(BusError::Unsupported)
        }
    }

    #[test]
    fn drv_3_behind_a_blown_fuse_there_is_no_device() {
        let fuse = Fuse::default();
        let window = Fused::new(Arc::new(Zeroes), fuse.clone());
        let mut bytes = [1; 3];
        assert_eq!((window.read32(0), window.read16(0), window.read64(0)), (Ok(0), Ok(0), Err(BusError::Unsupported)));
        assert_eq!(window.write32(0, 1), Err(BusError::Unsupported), "the write has reached the window");
        assert_eq!((window.read_bytes(0, &mut bytes), bytes), (Ok(()), [0; 3]));
        fuse.blow();
        assert_eq!((window.read32(0), window.read16(0), window.read8(0)), (Ok(u32::MAX), Ok(u16::MAX), Ok(u8::MAX)));
        assert_eq!(window.read64(0), Ok(u64::MAX));
        assert_eq!((window.write32(0, 1), window.write8(0, 1), window.write16(0, 1)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((window.write64(0, 1), window.write_bytes(0, &[1])), (Ok(()), Ok(())));
        assert_eq!((window.read_bytes(0, &mut bytes), bytes), (Ok(()), [u8::MAX; 3]));
        assert_eq!(window.backing(0, 1).unwrap_err(), BusError::Unmapped);
        assert_eq!(window.size(), 4096);
    }
}
