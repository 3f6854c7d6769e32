//! Which registers tell how a device is, and reading them without changing anything.
//!
//! All of these can be read at any time: LB1 has no register that a read changes. Not among them is what says nothing when it is
//! read (`IRQ_FORCE`), and the address tables, which the driver wrote and the device does not change.

use lifeboat_pci::Bar;

use crate::regs::{self, device_ctrl, device_status, fault, ring_ctrl, ring_status};
use crate::{DriverError, Lb1};

/// A register to be dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// Its name in docs/lb1.md.
    pub name: &'static str,
    /// Where it is: in BAR0, or within the registers of a ring.
    pub offset: u64,
    /// What its bits mean; empty if it is a number.
    pub fields: &'static [Field],
}

/// Bits of a register that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// What they are called.
    pub name: &'static str,
    /// The highest of them, 0 to 31.
    pub high: u8,
    /// The lowest of them, at most `high`.
    pub low: u8,
    /// Values that have a name. The others are numbers.
    pub values: &'static [(u32, &'static str)],
}

impl Field {
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

/// A register that is one number.
const fn number(name: &'static str, offset: u64) -> Register {
    Register { name, offset, fields: &[] }
}

const fn bits(name: &'static str, high: u8, low: u8) -> Field {
    Field { name, high, low, values: &[] }
}

/// A bit by its mask.
const fn flag(name: &'static str, mask: u32) -> Field {
    // A position in 32 bits.
    #[allow(clippy::cast_possible_truncation)]
    let at = mask.trailing_zeros() as u8;
    bits(name, at, at)
}

const IRQ: &[Field] = &[
    bits("ring done", 7, 0),
    bits("ring fault", 15, 8),
    flag("vblank", regs::irq::VBLANK),
    flag("flip", regs::irq::FLIP),
];

const FAULTS: &[(u32, &str)] = &[
    (0, "none"),
    (fault::BAD_OPCODE as u32, "BAD_OPCODE"),
    (fault::BAD_ARGUMENT as u32, "BAD_ARGUMENT"),
    (fault::UNMAPPED as u32, "UNMAPPED"),
    (fault::READ_ONLY as u32, "READ_ONLY"),
    (fault::DMA as u32, "DMA"),
    (fault::BAD_CONTEXT as u32, "BAD_CONTEXT"),
    (fault::INJECTED as u32, "INJECTED"),
];

/// The device's registers, those of its display last.
pub const DEVICE: [Register; 18] = [
    number("ID", regs::ID),
    Register { name: "VERSION", offset: regs::VERSION, fields: &[bits("major", 31, 16), bits("minor", 15, 0)] },
    Register {
        name: "CAPS",
        offset: regs::CAPS,
        fields: &[bits("rings", 7, 0), bits("contexts", 15, 8), bits("segments", 23, 16)],
    },
    number("VRAM_PAGES", regs::VRAM_PAGES),
    Register {
        name: "DEVICE_CTRL",
        offset: regs::DEVICE_CTRL,
        fields: &[flag("ENABLE", device_ctrl::ENABLE), flag("RESET", device_ctrl::RESET)],
    },
    Register {
        name: "DEVICE_STATUS",
        offset: regs::DEVICE_STATUS,
        fields: &[
            flag("READY", device_status::READY),
            flag("RESETTING", device_status::RESETTING),
            flag("RESET_FAILED", device_status::RESET_FAILED),
        ],
    },
    number("HEARTBEAT", regs::HEARTBEAT),
    number("LIVENESS", regs::LIVENESS),
    number("SCRATCH", regs::SCRATCH),
    Register { name: "IRQ_STATUS", offset: regs::IRQ_STATUS, fields: IRQ },
    Register { name: "IRQ_MASK", offset: regs::IRQ_MASK, fields: IRQ },
    Register { name: "SCANOUT_CTRL", offset: regs::SCANOUT_CTRL, fields: &[flag("on", 1)] },
    number("SCANOUT_BASE", regs::SCANOUT_BASE),
    number("SCANOUT_PITCH", regs::SCANOUT_PITCH),
    Register {
        name: "SCANOUT_SIZE",
        offset: regs::SCANOUT_SIZE,
        fields: &[bits("width", 15, 0), bits("height", 31, 16)],
    },
    number("FLIP_BASE", regs::FLIP_BASE),
    Register { name: "FLIP_STATUS", offset: regs::FLIP_STATUS, fields: &[flag("pending", 1)] },
    number("VBLANK_COUNT", regs::VBLANK_COUNT),
];

/// The registers of a ring; their offsets are within those.
pub const RING: [Register; 12] = [
    Register {
        name: "RING_CTRL",
        offset: regs::RING_CTRL,
        fields: &[flag("ENABLE", ring_ctrl::ENABLE), flag("RESET", ring_ctrl::RESET)],
    },
    Register {
        name: "RING_STATUS",
        offset: regs::RING_STATUS,
        fields: &[
            flag("ENABLED", ring_status::ENABLED),
            flag("BUSY", ring_status::BUSY),
            flag("FAULTED", ring_status::FAULTED),
            flag("RESETTING", ring_status::RESETTING),
            flag("RESET_FAILED", ring_status::RESET_FAILED),
        ],
    },
    number("RING_BASE_LO", regs::RING_BASE_LO),
    number("RING_BASE_HI", regs::RING_BASE_HI),
    number("RING_ORDER", regs::RING_ORDER),
    number("RING_HEAD", regs::RING_HEAD),
    number("RING_TAIL", regs::RING_TAIL),
    number("RING_SEQNO", regs::RING_SEQNO),
    Register {
        name: "RING_FAULT",
        offset: regs::RING_FAULT,
        fields: &[
            Field { name: "code", high: 7, low: 0, values: FAULTS },
            bits("context", 15, 8),
            bits("opcode", 23, 16),
        ],
    },
    number("RING_FAULT_INDEX", regs::RING_FAULT_INDEX),
    number("RING_FAULT_ADDR_LO", regs::RING_FAULT_ADDR_LO),
    number("RING_FAULT_ADDR_HI", regs::RING_FAULT_ADDR_HI),
];

/// What the registers of a block read; `None` for one that could not be read, or was not because the device is gone.
pub type Values<const N: usize> = [Option<u32>; N];

/// The value of one of [`DEVICE`] or [`RING`] by its name.
pub fn value(block: &[Register], values: &[Option<u32>], name: &str) -> Option<u32> {
    block.iter().zip(values).find(|(register, _)| register.name == name).and_then(|(_, value)| *value)
}

/// What is known of a register by its name: for who reads a dump.
pub fn register(name: &str) -> Option<&'static Register> {
    static ALL: [&[Register]; 2] = [&DEVICE, &RING];
    ALL.iter().copied().flatten().find(|register| register.name == name)
}

impl<B: Bar + ?Sized> Lb1<'_, B> {
    /// Reads the [device's registers](DEVICE) while `go_on` says so, which is asked before each. One that cannot be
    /// read is `None`, and the next is tried.
    ///
    /// # Errors
    /// [`DriverError::Gone`] as soon as the device is found gone: the registers that were left are `None` and have not been
    /// tried.
    pub fn dump_device(
        &self,
        into: &mut Values<{ DEVICE.len() }>,
        go_on: impl Fn() -> bool,
    ) -> Result<(), DriverError> {
        self.dump(0, &DEVICE, into, go_on)
    }

    /// Reads the [registers of a ring](RING), in the same way.
    ///
    /// # Errors
    /// As [`Lb1::dump_device`].
    pub fn dump_ring(
        &self,
        ring: u8,
        into: &mut Values<{ RING.len() }>,
        go_on: impl Fn() -> bool,
    ) -> Result<(), DriverError> {
        self.dump(regs::ring(ring, 0), &RING, into, go_on)
    }

    fn dump(
        &self,
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
            match self.read(base + register.offset) {
                Ok(read) => *value = Some(read),
                Err(DriverError::Gone) => return Err(DriverError::Gone),
                // Of this register nothing is known; of the others perhaps.
                Err(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::Cell;

    use lifeboat_pci::BusError;

    use super::*;

    /// Reads each register as its own offset; gone after so many reads, and one register is refused.
    struct Mock {
        left: Cell<u32>,
        reads: Cell<u32>,
        refused: u64,
    }

    impl Mock {
        fn new(left: u32, refused: u64) -> Self {
            Self { left: Cell::new(left), reads: Cell::new(0), refused }
        }
    }

    impl Bar for Mock {
        fn size(&self) -> u64 {
            regs::REGISTER_BAR_SIZE
        }

        fn read32(&self, offset: u64) -> Result<u32, BusError> {
            self.reads.set(self.reads.get() + 1);
            if offset == self.refused {
                return Err(BusError::Unmapped);
            }
            let left = self.left.get();
            self.left.set(left.saturating_sub(1));
            Ok(if left == 0 { u32::MAX } else { u32::try_from(offset).unwrap() })
        }

        fn write32(&self, _: u64, _: u32) -> Result<(), BusError> {
            panic!("a dump writes nothing");
        }

        fn read_bytes(&self, _: u64, _: &mut [u8]) -> Result<(), BusError> {
            panic!("registers are read one by one");
        }

        fn write_bytes(&self, _: u64, _: &[u8]) -> Result<(), BusError> {
            panic!("a dump writes nothing");
        }
    }

    #[test]
    fn each_register_is_read_once_and_what_cannot_be_read_is_no_zero() {
        let bar = Mock::new(u32::MAX, regs::HEARTBEAT);
        let mut values = [Some(1); DEVICE.len()];
        Lb1::new(&bar).dump_device(&mut values, || true).unwrap();
        assert_eq!(value(&DEVICE, &values, "HEARTBEAT"), None);
        assert_eq!(value(&DEVICE, &values, "VBLANK_COUNT"), Some(0x118));
        assert_eq!(values.iter().flatten().count(), DEVICE.len() - 1);
        assert_eq!(bar.reads.get() as usize, DEVICE.len());
        let mut values = [None; RING.len()];
        Lb1::new(&bar).dump_ring(3, &mut values, || true).unwrap();
        assert_eq!(value(&RING, &values, "RING_TAIL"), Some(0x1318));
    }

    #[test]
    fn the_dump_of_a_device_that_vanishes_ends_there() {
        let bar = Mock::new(4, u64::MAX);
        let mut values = [Some(7); DEVICE.len()];
        assert_eq!(Lb1::new(&bar).dump_device(&mut values, || true), Err(DriverError::Gone));
        assert_eq!(values.iter().flatten().count(), 4, "{values:?}");
        assert_eq!(bar.reads.get(), 6, "the fifth, and the identity that decides");
    }

    #[test]
    fn fields_are_cut_out_of_their_register() {
        let fault = register("RING_FAULT").unwrap();
        let [code, context, opcode] = [0, 1, 2].map(|at: usize| fault.fields[at].of(0x0001_0203));
        assert_eq!((code, context, opcode), (3, 2, 1));
        assert_eq!(fault.fields[0].name_of(3), Some("UNMAPPED"));
        assert_eq!(fault.fields[0].name_of(99), None);
        assert_eq!(Field { name: "all", high: 31, low: 0, values: &[] }.of(u32::MAX), u32::MAX);
        for register in DEVICE.iter().chain(&RING) {
            assert!(register.fields.iter().all(|field| field.low <= field.high && field.high < 32), "{register:?}");
        }
        assert_eq!(register("NONE"), None);
    }
}
