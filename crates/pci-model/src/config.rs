//! Configuration space: the ids, and the command register. Nothing else can be written.

use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use lifeboat_pci::{BusError, CONFIG_BYTES, command, offset};

pub(crate) struct Config {
    id: u32,
    command: AtomicU16,
}

impl Config {
    pub(crate) fn new(vendor: u16, device: u16) -> Self {
        Self { id: u32::from(vendor) | u32::from(device) << 16, command: AtomicU16::new(0) }
    }

    pub(crate) fn command(&self) -> u16 {
        self.command.load(SeqCst)
    }

    /// The aligned register at `offset`.
    pub(crate) fn read(&self, offset: u16) -> Result<u32, BusError> {
        check(offset, 4)?;
        Ok(match offset {
            offset::ID => self.id,
            offset::COMMAND => self.command().into(),
            _ => 0,
        })
    }

    pub(crate) fn write(&self, offset: u16, value: u16) -> Result<(), BusError> {
        check(offset, 2)?;
        if offset == offset::COMMAND {
            self.command.store(value & (command::MEMORY | command::BUS_MASTER | command::INTX_DISABLE), SeqCst);
        }
        Ok(())
    }
}

/// Whether an access of so many bytes, 2 or 4, can be.
pub(crate) fn check(offset: u16, len: u16) -> Result<(), BusError> {
    if !offset.is_multiple_of(len) {
        return Err(BusError::Misaligned { offset: offset.into() });
    }
    if offset >= CONFIG_BYTES {
        return Err(BusError::OutOfRange { offset: offset.into(), len: len.into() });
    }
    Ok(())
}
