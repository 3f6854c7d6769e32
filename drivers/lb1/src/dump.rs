//! Which registers tell how a device is, and reading them without changing anything.
//!
//! All of these can be read at any time: LB1 has no register that a read changes. Not among them is what says nothing when it is
//! read (`IRQ_FORCE`), and the address tables, which the driver wrote and the device does not change.

use lifeboat_driver::dump::{Field, Layout, Register};

use crate::command::DESCRIPTOR_BYTES;
use crate::regs::{self, device_ctrl, device_status, fault, ring_ctrl, ring_status};

/// What a dump of an LB1 shows.
pub(crate) const LAYOUT: Layout = Layout {
    device: &DEVICE,
    ring: &RING,
    ring_at: |ring| regs::ring(ring, 0),
    head_tail_seqno: [at(regs::RING_HEAD), at(regs::RING_TAIL), at(regs::RING_SEQNO)],
    entry_bytes: DESCRIPTOR_BYTES,
};

/// Index in [`RING`] of the register at an offset. Fails to compile if there is none.
const fn at(offset: u64) -> usize {
    let mut index = 0;
    while RING[index].offset != offset {
        index += 1;
    }
    index
}

const IRQ: &[Field] = &[
    Field::bits("ring done", 7, 0),
    Field::bits("ring fault", 15, 8),
    Field::flag("vblank", regs::irq::VBLANK),
    Field::flag("flip", regs::irq::FLIP),
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
const DEVICE: [Register; 18] = [
    Register::number("ID", regs::ID),
    Register {
        name: "VERSION",
        offset: regs::VERSION,
        fields: &[Field::bits("major", 31, 16), Field::bits("minor", 15, 0)],
    },
    Register {
        name: "CAPS",
        offset: regs::CAPS,
        fields: &[Field::bits("rings", 7, 0), Field::bits("contexts", 15, 8), Field::bits("segments", 23, 16)],
    },
    Register::number("VRAM_PAGES", regs::VRAM_PAGES),
    Register {
        name: "DEVICE_CTRL",
        offset: regs::DEVICE_CTRL,
        fields: &[Field::flag("ENABLE", device_ctrl::ENABLE), Field::flag("RESET", device_ctrl::RESET)],
    },
    Register {
        name: "DEVICE_STATUS",
        offset: regs::DEVICE_STATUS,
        fields: &[
            Field::flag("READY", device_status::READY),
            Field::flag("RESETTING", device_status::RESETTING),
            Field::flag("RESET_FAILED", device_status::RESET_FAILED),
        ],
    },
    Register::number("HEARTBEAT", regs::HEARTBEAT),
    Register::number("LIVENESS", regs::LIVENESS),
    Register::number("SCRATCH", regs::SCRATCH),
    Register { name: "IRQ_STATUS", offset: regs::IRQ_STATUS, fields: IRQ },
    Register { name: "IRQ_MASK", offset: regs::IRQ_MASK, fields: IRQ },
    Register { name: "SCANOUT_CTRL", offset: regs::SCANOUT_CTRL, fields: &[Field::flag("on", 1)] },
    Register::number("SCANOUT_BASE", regs::SCANOUT_BASE),
    Register::number("SCANOUT_PITCH", regs::SCANOUT_PITCH),
    Register {
        name: "SCANOUT_SIZE",
        offset: regs::SCANOUT_SIZE,
        fields: &[Field::bits("width", 15, 0), Field::bits("height", 31, 16)],
    },
    Register::number("FLIP_BASE", regs::FLIP_BASE),
    Register { name: "FLIP_STATUS", offset: regs::FLIP_STATUS, fields: &[Field::flag("pending", 1)] },
    Register::number("VBLANK_COUNT", regs::VBLANK_COUNT),
];

/// The registers of a ring; their offsets are within those.
const RING: [Register; 12] = [
    Register {
        name: "RING_CTRL",
        offset: regs::RING_CTRL,
        fields: &[Field::flag("ENABLE", ring_ctrl::ENABLE), Field::flag("RESET", ring_ctrl::RESET)],
    },
    Register {
        name: "RING_STATUS",
        offset: regs::RING_STATUS,
        fields: &[
            Field::flag("ENABLED", ring_status::ENABLED),
            Field::flag("BUSY", ring_status::BUSY),
            Field::flag("FAULTED", ring_status::FAULTED),
            Field::flag("RESETTING", ring_status::RESETTING),
            Field::flag("RESET_FAILED", ring_status::RESET_FAILED),
        ],
    },
    Register::number("RING_BASE_LO", regs::RING_BASE_LO),
    Register::number("RING_BASE_HI", regs::RING_BASE_HI),
    Register::number("RING_ORDER", regs::RING_ORDER),
    Register::number("RING_HEAD", regs::RING_HEAD),
    Register::number("RING_TAIL", regs::RING_TAIL),
    Register::number("RING_SEQNO", regs::RING_SEQNO),
    Register {
        name: "RING_FAULT",
        offset: regs::RING_FAULT,
        fields: &[
            Field { name: "code", high: 7, low: 0, values: FAULTS },
            Field::bits("context", 15, 8),
            Field::bits("opcode", 23, 16),
        ],
    },
    Register::number("RING_FAULT_INDEX", regs::RING_FAULT_INDEX),
    Register::number("RING_FAULT_ADDR_LO", regs::RING_FAULT_ADDR_LO),
    Register::number("RING_FAULT_ADDR_HI", regs::RING_FAULT_ADDR_HI),
];

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::Cell;

    use lifeboat_driver::{dump, DriverError, Io, Windows};
    use lifeboat_pci::{Bar, BusError};

    use super::*;
    use crate::Lb1Driver;

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

    impl Windows for Mock {
        fn window(&self, _: u8) -> Result<&dyn Bar, BusError> {
            Ok(self)
        }
    }

    fn read(bar: &Mock, base: u64, block: &[Register], into: &mut [Option<u32>]) -> Result<(), DriverError> {
        dump::read::<Lb1Driver>(&Io::new(bar), base, block, into, || true)
    }

    fn value(block: &[Register], values: &[Option<u32>], name: &str) -> Option<u32> {
        block.iter().zip(values).find(|(register, _)| register.name == name).and_then(|(_, value)| *value)
    }

    #[test]
    fn each_register_is_read_once_and_what_cannot_be_read_is_no_zero() {
        let bar = Mock::new(u32::MAX, regs::HEARTBEAT);
        let mut values = [Some(1); DEVICE.len()];
        read(&bar, 0, &DEVICE, &mut values).unwrap();
        assert_eq!(value(&DEVICE, &values, "HEARTBEAT"), None);
        assert_eq!(value(&DEVICE, &values, "VBLANK_COUNT"), Some(0x118));
        assert_eq!(values.iter().flatten().count(), DEVICE.len() - 1);
        assert_eq!(bar.reads.get() as usize, DEVICE.len());
        let mut values = [None; RING.len()];
        read(&bar, (LAYOUT.ring_at)(3), &RING, &mut values).unwrap();
        assert_eq!(value(&RING, &values, "RING_TAIL"), Some(0x1318));
    }

    #[test]
    fn the_dump_of_a_device_that_vanishes_ends_there() {
        let bar = Mock::new(4, u64::MAX);
        let mut values = [Some(7); DEVICE.len()];
        assert_eq!(read(&bar, 0, &DEVICE, &mut values), Err(DriverError::Gone));
        assert_eq!(values.iter().flatten().count(), 4, "{values:?}");
        assert_eq!(bar.reads.get(), 6, "the fifth, and the identity that decides");
    }

    #[test]
    fn fields_are_cut_out_of_their_register() {
        let fault = LAYOUT.register("RING_FAULT").unwrap();
        let [code, context, opcode] = [0, 1, 2].map(|at: usize| fault.fields[at].of(0x0001_0203));
        assert_eq!((code, context, opcode), (3, 2, 1));
        assert_eq!(fault.fields[0].name_of(3), Some("UNMAPPED"));
        assert_eq!(fault.fields[0].name_of(99), None);
        assert_eq!(Field { name: "all", high: 31, low: 0, values: &[] }.of(u32::MAX), u32::MAX);
        for register in DEVICE.iter().chain(&RING) {
            assert!(register.fields.iter().all(|field| field.low <= field.high && field.high < 32), "{register:?}");
        }
        assert_eq!(LAYOUT.register("NONE"), None);
    }
}
