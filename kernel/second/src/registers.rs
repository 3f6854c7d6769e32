//! The registers, and what a device says of itself.

use lifeboat_driver::{DriverError, IdRegister, Io};
use lifeboat_lb1::regs;
use lifeboat_pci::Bar;

/// The registers, for one section.
pub(crate) type Registers<'a, B> = lifeboat_driver::Registers<'a, B>;

/// The one ring.
pub(crate) const RING: u8 = 0;
/// Contexts.
pub(crate) const CONTEXTS: u8 = 8;
/// Bytes of the BAR that the driver reaches.
pub(crate) const BAR_BYTES: u64 = regs::CONTEXTS + CONTEXTS as u64 * regs::CONTEXT_STRIDE;

const ID: IdRegister = IdRegister::new(regs::ID, regs::ID_VALUE);

/// Properties of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    pub(crate) serial: u32,
}

pub(crate) fn registers<'a>(io: &Io<'a>) -> Result<Registers<'a, dyn Bar + 'a>, DriverError> {
    Ok(Registers::new(io.bar(regs::REGISTER_BAR)?, ID))
}

pub(crate) fn read_info(io: &Io<'_>) -> Result<Info, DriverError> {
    let registers = registers(io)?;
    let value = registers.read(regs::ID)?;
    if value != regs::ID_VALUE {
        return Err(DriverError::Foreign { register: regs::ID, value });
    }
    Ok(Info { serial: registers.read(regs::SERIAL)? })
}
