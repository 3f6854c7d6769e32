//! Letting a function answer, and letting it start transfers.

use crate::{command, offset, BusError, ConfigSpace};

/// What the command register reads if nothing answers: no function has all its bits.
const NO_ANSWER: u16 = u16::MAX;

/// Lets the function start DMA and messages, or stops it.
///
/// # Errors
/// Those of the configuration space, and [`BusError::NotTaken`] if it is not on afterwards.
pub fn set_bus_master(config: &(impl ConfigSpace + ?Sized), on: bool) -> Result<(), BusError> {
    set_command(config, command::BUS_MASTER, on)
}

/// Lets the function answer on its BARs, or stops it.
///
/// # Errors
/// As [`set_bus_master`].
pub fn set_memory_decode(config: &(impl ConfigSpace + ?Sized), on: bool) -> Result<(), BusError> {
    set_command(config, command::MEMORY, on)
}

fn set_command(config: &(impl ConfigSpace + ?Sized), bits: u16, on: bool) -> Result<(), BusError> {
    let old = match config.read16(offset::COMMAND)? {
        // Nothing answers. What may hear it all the same is told to stop everything.
        NO_ANSWER => 0,
        old => old,
    };
    config.write16(offset::COMMAND, if on { old | bits } else { old & !bits })?;
    // A ring that reaches for memory although bus mastering was not turned on would be the driver's
    // mistake.
    match config.read16(offset::COMMAND)? {
        now if on && (now == NO_ANSWER || now & bits != bits) => Err(BusError::NotTaken),
        _ => Ok(()),
    }
}
