//! The registers that a dump shows, and what their bits mean.
//!
//! A layout is a constant: a dump is taken while something is wrong, and looks nothing up.

use crate::{Driver, DriverError, Io};

/// What a dump of a device shows. Registers that a read changes must not be among them.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The device's registers.
    pub device: &'static [Register],
    /// The registers of a ring; their offsets are within those.
    pub ring: &'static [Register],
    /// Where the registers of a ring begin.
    pub ring_at: fn(u8) -> u64,
    /// Indices in `ring` of the registers with the entry that the ring is at, the one behind its
    /// last, and its sequence number.
    pub head_tail_seqno: [usize; 3],
    /// Bytes of an entry of a ring, at most [`Layout::MOST_ENTRY_BYTES`].
    pub entry_bytes: usize,
}

/// A register to be dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// Its name in the device's documentation.
    pub name: &'static str,
    /// Where it is: in its BAR, or within the registers of a ring.
    pub offset: u64,
    /// What its bits mean; empty if it is a number.
    pub fields: &'static [Field],
}

/// Bits of a register that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Their name.
    pub name: &'static str,
    /// The highest of them, 0 to 31.
    pub high: u8,
    /// The lowest of them, at most `high`.
    pub low: u8,
    /// Values that have a name. The others are numbers.
    pub values: &'static [(u32, &'static str)],
}

impl Layout {
    /// The most [`Layout::entry_bytes`].
    pub const MOST_ENTRY_BYTES: usize = 128;

    /// The most bytes of a register's name. Room for a dump is set aside before anything is wrong.
    pub const MOST_NAME_BYTES: usize = 24;

    /// What a dump shows of a device without rings.
    #[must_use]
    pub const fn of(device: &'static [Register]) -> Self {
        Self { device, ring: &[], ring_at: |_| 0, head_tail_seqno: [0; 3], entry_bytes: 0 }
    }

    /// Checks that a dump has room for it, at compile time in a constant.
    ///
    /// # Panics
    /// If an entry or a name is too long, or a name has other characters than visible ASCII without
    /// quotes and backslashes.
    pub(crate) const fn assert_sound(&self) {
        assert!(self.entry_bytes <= Self::MOST_ENTRY_BYTES, "an entry of a ring is too long for a dump");
        assert_names(self.device);
        assert_names(self.ring);
    }

    /// The registers with this name, of the device and of its rings.
    pub fn register(&self, name: &str) -> Option<&'static Register> {
        self.device.iter().chain(self.ring).find(|register| register.name == name)
    }
}

const fn assert_names(registers: &[Register]) {
    let mut index = 0;
    while index < registers.len() {
        assert!(
            is_plain(registers[index].name, Layout::MOST_NAME_BYTES),
            "a register's name is too long, or not plain"
        );
        index += 1;
    }
}

/// Whether a text has so many bytes at most, each visible ASCII and neither a quote nor a backslash: a
/// dump has it as it is.
pub(crate) const fn is_plain(text: &str, most: usize) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !matches!(bytes[index], b' '..=b'~') || matches!(bytes[index], b'"' | b'\\') {
            return false;
        }
        index += 1;
    }
    index <= most
}

impl Register {
    /// A register that is one number.
    #[must_use]
    pub const fn number(name: &'static str, offset: u64) -> Self {
        Self { name, offset, fields: &[] }
    }
}

impl Field {
    /// Bits that are a number.
    #[must_use]
    pub const fn bits(name: &'static str, high: u8, low: u8) -> Self {
        Self { name, high, low, values: &[] }
    }

    /// One bit, by its mask.
    #[must_use]
    pub const fn flag(name: &'static str, mask: u32) -> Self {
        // A position in 32 bits.
        #[allow(clippy::cast_possible_truncation)]
        let at = mask.trailing_zeros() as u8;
        Self::bits(name, at, at)
    }

    /// Its value in that of the register.
    pub const fn of(&self, register: u32) -> u32 {
        let width = self.high - self.low + 1;
        let mask = if width >= 32 { u32::MAX } else { (1 << width) - 1 };
        (register >> self.low) & mask
    }

    /// The name of its value, if that has one.
    pub fn name_of(&self, value: u32) -> Option<&'static str> {
        self.values.iter().find(|(known, _)| *known == value).map(|(_, name)| *name)
    }
}

/// Reads the registers of a block that begins at `base`, while `go_on` says so, which is asked
/// before each. One that cannot be read is `None`, and the next is tried.
///
/// # Errors
/// [`DriverError::Gone`] as soon as the device is found gone: the registers that were left are
/// `None` and have not been tried.
pub fn read<D: Driver>(
    io: &Io<'_>,
    base: u64,
    block: &[Register],
    into: &mut [Option<u32>],
    go_on: impl Fn() -> bool,
) -> Result<(), DriverError> {
    into.fill(None);
    for (register, value) in block.iter().zip(into) {
        if !go_on() {
            break;
        }
        match D::read(io, base + register.offset) {
            Ok(read) => *value = Some(read),
            Err(DriverError::Gone) => return Err(DriverError::Gone),
            // Of this register nothing is known; of the others perhaps.
            Err(_) => {}
        }
    }
    Ok(())
}
