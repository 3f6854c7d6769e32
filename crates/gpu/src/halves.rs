//! Values of 64 bits that stand in two registers of 32.

use lifeboat_lb1::regs;

/// The address bits of the low half of a page address.
pub(crate) const PAGE_MASK: u32 = !0xfff;
const _: () = assert!(regs::PAGE == 0x1000);

/// One 32-bit half of a value that stands in two registers.
pub(crate) fn half(value: u64, index: usize) -> u32 {
    let half = value >> (32 * index) & u64::from(u32::MAX);
    u32::try_from(half).unwrap_or(0) // It was masked, so it fits.
}

/// Replaces one 32-bit half.
pub(crate) fn set_half(value: &mut u64, index: usize, half: u32) {
    let shift = 32 * index;
    *value = *value & !(u64::from(u32::MAX) << shift) | u64::from(half) << shift;
}
