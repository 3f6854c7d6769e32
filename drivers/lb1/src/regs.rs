//! The register map of LB1. docs/lb1.md is the reference; a test holds the two together.
//!
//! Offsets are in bytes from the start of BAR0. All registers are 32 bits wide; 64-bit values stand in two registers,
//! low half first.

/// Vendor id in configuration space. Not assigned by the PCI-SIG: LB1 exists only as a model.
pub const VENDOR_ID: u16 = 0x4c42;
/// Device id in configuration space.
pub const DEVICE_ID: u16 = 0x0001;
/// Class code in configuration space: display controller, other.
pub const CLASS_CODE: u32 = 0x03_80_00;

/// The BAR with the registers.
pub const REGISTER_BAR: u8 = 0;
/// The BAR with the video memory.
pub const VRAM_BAR: u8 = 2;
/// Size of BAR0 in bytes.
pub const REGISTER_BAR_SIZE: u64 = 0x4_0000;

/// Unit of VRAM and address-table sizes, in bytes.
pub const PAGE: u64 = 4096;

/// Identity (read-only): always [`ID_VALUE`].
pub const ID: u64 = 0x000;
/// What [`ID`] reads: the bytes `LB1\0`. Never all-ones, so it decides whether the device is still there.
pub const ID_VALUE: u32 = u32::from_le_bytes(*b"LB1\0");
/// Register interface version (read-only): major in the high half, minor in the low half.
pub const VERSION: u64 = 0x004;
/// The interface version described here.
pub const VERSION_VALUE: u32 = 0x0001_0001;
/// Capabilities (read-only): rings in bits 7:0, contexts in 15:8, segments per context in 23:16.
pub const CAPS: u64 = 0x008;
/// VRAM size (read-only) in [`PAGE`]s.
pub const VRAM_PAGES: u64 = 0x00c;
/// Serial number (read-only): no two devices have the same. No reset changes it. Since version 1.1; reads 0 before.
pub const SERIAL: u64 = 0x030;
/// Device control; see [`device_ctrl`].
pub const DEVICE_CTRL: u64 = 0x010;
/// Device status (read-only, never all-ones); see [`device_status`].
pub const DEVICE_STATUS: u64 = 0x014;
/// Heartbeat (read-only): milliseconds since the device was enabled, modulo 2^32. Stands still while disabled.
pub const HEARTBEAT: u64 = 0x018;
/// Liveness: reads the complement of what was last written. [`LIVENESS_RESET`] after reset.
pub const LIVENESS: u64 = 0x01c;
/// What [`LIVENESS`] reads after a reset.
pub const LIVENESS_RESET: u32 = 0xa5a5_a5a5;
/// Scratch: keeps what is written; all-ones after reset, and all-ones is legal at any time.
pub const SCRATCH: u64 = 0x020;
/// Pending interrupts; write one to clear; see [`irq`].
pub const IRQ_STATUS: u64 = 0x024;
/// Interrupt sources that send a message; 0 after reset. See [`irq`].
pub const IRQ_MASK: u64 = 0x028;
/// Raises the written sources as if they had happened (write-only).
pub const IRQ_FORCE: u64 = 0x02c;

/// Scanout control; bit 0 shows [`SCANOUT_BASE`].
pub const SCANOUT_CTRL: u64 = 0x100;
/// VRAM offset of the picture, in bytes, a multiple of [`PAGE`]. Writing it takes effect at once.
pub const SCANOUT_BASE: u64 = 0x104;
/// Bytes from one row of the picture to the next.
pub const SCANOUT_PITCH: u64 = 0x108;
/// Width in bits 15:0 and height in bits 31:16, in pixels.
pub const SCANOUT_SIZE: u64 = 0x10c;
/// Next VRAM offset to show; takes effect at the next vertical blank and raises [`irq::FLIP`].
pub const FLIP_BASE: u64 = 0x110;
/// Bit 0: a flip is pending (read-only).
pub const FLIP_STATUS: u64 = 0x114;
/// Vertical blanks since the scanout was enabled (read-only), modulo 2^32. One every 16.666 ms.
pub const VBLANK_COUNT: u64 = 0x118;

/// First ring's registers.
pub const RINGS: u64 = 0x1000;
/// Bytes from one ring's registers to the next ring's.
pub const RING_STRIDE: u64 = 0x100;
/// Most rings a device can have.
pub const MAX_RINGS: u8 = 8;

/// Ring control; see [`ring_ctrl`]. Offset within a ring's registers, like all `RING_` constants that follow.
pub const RING_CTRL: u64 = 0x00;
/// Ring status (read-only, never all-ones); see [`ring_status`].
pub const RING_STATUS: u64 = 0x04;
/// Bus address of the ring, low half. A multiple of [`PAGE`]. Writable while the ring is disabled.
pub const RING_BASE_LO: u64 = 0x08;
/// Bus address of the ring, high half.
pub const RING_BASE_HI: u64 = 0x0c;
/// Number of descriptors as a power of two, 4 to 12. Writable while the ring is disabled.
pub const RING_ORDER: u64 = 0x10;
/// Index of the descriptor being executed, or of the next one (read-only). 0 after enable.
pub const RING_HEAD: u64 = 0x14;
/// Doorbell: index one past the last valid descriptor, below 2^[`RING_ORDER`]. 0 after enable.
pub const RING_TAIL: u64 = 0x18;
/// Sequence number last written by this ring. Writable while the ring is disabled; kept across a ring reset.
pub const RING_SEQNO: u64 = 0x1c;
/// Why the ring stopped (read-only): [`fault`] code in bits 7:0, context in 15:8, opcode in 23:16. 0 without a fault.
pub const RING_FAULT: u64 = 0x20;
/// Index of the descriptor that faulted (read-only).
pub const RING_FAULT_INDEX: u64 = 0x24;
/// GPU or bus address that faulted, low half (read-only).
pub const RING_FAULT_ADDR_LO: u64 = 0x28;
/// GPU or bus address that faulted, high half (read-only).
pub const RING_FAULT_ADDR_HI: u64 = 0x2c;

/// Smallest [`RING_ORDER`].
pub const RING_ORDER_MIN: u8 = 4;
/// Largest [`RING_ORDER`].
pub const RING_ORDER_MAX: u8 = 12;

/// First context's address table.
pub const CONTEXTS: u64 = 0x2_0000;
/// Bytes from one context's table to the next context's.
pub const CONTEXT_STRIDE: u64 = 0x800;
/// Contexts of a device.
pub const CONTEXT_COUNT: u8 = 64;
/// Bytes from one segment of a table to the next.
pub const SEGMENT_STRIDE: u64 = 0x20;
/// Segments of a context.
pub const SEGMENT_COUNT: u8 = 64;

/// First GPU address of the segment, low half; a multiple of [`PAGE`]. Offset within a segment, as all `SEG_` constants.
pub const SEG_VA_LO: u64 = 0x00;
/// First GPU address of the segment, high half.
pub const SEG_VA_HI: u64 = 0x04;
/// Length of the segment in [`PAGE`]s.
pub const SEG_PAGES: u64 = 0x08;
/// See [`segment`]. Written last: [`segment::VALID`] puts the other fields into effect, and they may only be changed
/// while it is clear.
pub const SEG_FLAGS: u64 = 0x0c;
/// VRAM offset or bus address of the first byte, low half; a multiple of [`PAGE`].
pub const SEG_TARGET_LO: u64 = 0x10;
/// VRAM offset or bus address of the first byte, high half.
pub const SEG_TARGET_HI: u64 = 0x14;

/// Bits of [`DEVICE_CTRL`].
pub mod device_ctrl {
    /// Heartbeat, scanout and enabled rings run. 0 after reset.
    pub const ENABLE: u32 = 1 << 0;
    /// Write 1: reset everything to power-on state, VRAM contents excepted. Reads 0 when done.
    pub const RESET: u32 = 1 << 1;
}

/// Bits of [`DEVICE_STATUS`].
pub mod device_status {
    /// Out of reset and able to work.
    pub const READY: u32 = 1 << 0;
    /// A reset is under way (at most [`crate::regs::RESET_MAX_MS`]).
    pub const RESETTING: u32 = 1 << 1;
    /// The last reset did not succeed; nothing but another reset works.
    pub const RESET_FAILED: u32 = 1 << 2;
}

/// Longest time a device or ring reset takes, in milliseconds.
pub const RESET_MAX_MS: u64 = 100;

/// Interrupt sources, as bits of the interrupt registers.
pub mod irq {
    /// A sequence number was written with the interrupt flag: bit 0 for ring 0, up to bit 7.
    pub const RING_DONE: u32 = 0xff;
    /// A ring stopped with a fault: bit 8 for ring 0, up to bit 15.
    pub const RING_FAULT: u32 = 0xff << 8;
    /// A vertical blank began.
    pub const VBLANK: u32 = 1 << 16;
    /// A flip took effect.
    pub const FLIP: u32 = 1 << 17;
    /// Every source there is.
    pub const ALL: u32 = 0x3_ffff;

    /// [`RING_DONE`] of one ring.
    pub const fn ring_done(ring: u8) -> u32 {
        1 << (ring & 7)
    }

    /// [`RING_FAULT`] of one ring.
    pub const fn ring_fault(ring: u8) -> u32 {
        1 << (8 + (ring & 7))
    }
}

/// MSI vectors the function offers. A source uses its vector modulo the number enabled: 0 ring done, 1 ring fault,
/// 2 vertical blank and flip, 3 reserved.
pub const VECTORS: u8 = 4;

/// Bits of [`RING_CTRL`].
pub mod ring_ctrl {
    /// The ring executes descriptors. The change to 1 sets head and tail to 0.
    pub const ENABLE: u32 = 1 << 0;
    /// Write 1: abandon what is executing, clear the fault, disable the ring. Reads 0 when done.
    pub const RESET: u32 = 1 << 1;
}

/// Bits of [`RING_STATUS`].
pub mod ring_status {
    /// The ring is enabled.
    pub const ENABLED: u32 = 1 << 0;
    /// A descriptor is being executed.
    pub const BUSY: u32 = 1 << 1;
    /// The ring stopped with a fault and waits for a reset.
    pub const FAULTED: u32 = 1 << 2;
    /// A reset is under way (at most [`crate::regs::RESET_MAX_MS`]).
    pub const RESETTING: u32 = 1 << 3;
    /// The last reset did not succeed; a device reset is needed.
    pub const RESET_FAILED: u32 = 1 << 4;
}

/// Fault codes in [`RING_FAULT`].
pub mod fault {
    /// No such opcode.
    pub const BAD_OPCODE: u8 = 1;
    /// An argument is outside its stated range.
    pub const BAD_ARGUMENT: u8 = 2;
    /// No valid segment of the context covers the GPU address.
    pub const UNMAPPED: u8 = 3;
    /// A write to a segment that is not writable.
    pub const READ_ONLY: u8 = 4;
    /// The bus refused the transfer: the bus address is not mapped, or bus mastering is off.
    pub const DMA: u8 = 5;
    /// The context number is not below the number of contexts.
    pub const BAD_CONTEXT: u8 = 6;
    /// Injected for a test.
    pub const INJECTED: u8 = 7;
}

/// Bits of [`SEG_FLAGS`].
pub mod segment {
    /// The segment translates addresses.
    pub const VALID: u32 = 1 << 0;
    /// Commands may write through it.
    pub const WRITABLE: u32 = 1 << 1;
    /// The target is a bus address; otherwise a VRAM offset.
    pub const HOST: u32 = 1 << 2;
}

/// Offset of a ring's register in BAR0.
pub const fn ring(index: u8, register: u64) -> u64 {
    RINGS + index as u64 * RING_STRIDE + register
}

/// Offset of a segment's field in BAR0.
pub const fn segment_field(context: u8, index: u8, field: u64) -> u64 {
    CONTEXTS + context as u64 * CONTEXT_STRIDE + index as u64 * SEGMENT_STRIDE + field
}

// The tables fit their windows exactly; a change of one constant must not let them overlap.
const _: () = {
    assert!(RINGS + MAX_RINGS as u64 * RING_STRIDE <= CONTEXTS);
    assert!(SEGMENT_COUNT as u64 * SEGMENT_STRIDE == CONTEXT_STRIDE);
    assert!(CONTEXTS + CONTEXT_COUNT as u64 * CONTEXT_STRIDE == REGISTER_BAR_SIZE);
};
