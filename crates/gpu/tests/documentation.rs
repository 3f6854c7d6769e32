//! docs/lb1.md and the code say the same: every constant of the register map and of the commands is in a table there
//! with its value, and the descriptor tables are where the encoder puts things.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_lb1::command::{self, Command, ContextId, Convolve, Copy, Descriptor, Edge, Fill, GpuVa, Kernel, MatMul};
use lifeboat_lb1::command::{Opcode, Work};
use lifeboat_lb1::regs;

const REFERENCE: &str = include_str!("../../../docs/lb1.md");
const REGS_SOURCE: &str = include_str!("../../../drivers/lb1/src/regs.rs");

/// Constants of `regs` by the names the tables give them.
macro_rules! values {
    ($base:path; $($($name:ident)::+),* $(,)?) => {{
        use $base as base;
        vec![$((stringify!($($name)::+).replace(' ', ""), i128::from(base::$($name)::+))),*]
    }};
}

fn register_map() -> Vec<(String, i128)> {
    values![lifeboat_lb1::regs;
        VENDOR_ID, DEVICE_ID, CLASS_CODE, REGISTER_BAR, VRAM_BAR, REGISTER_BAR_SIZE, PAGE,
        ID, ID_VALUE, VERSION, VERSION_VALUE, CAPS, VRAM_PAGES, SERIAL, DEVICE_CTRL, DEVICE_STATUS, HEARTBEAT, LIVENESS,
        LIVENESS_RESET, SCRATCH, IRQ_STATUS, IRQ_MASK, IRQ_FORCE,
        SCANOUT_CTRL, SCANOUT_BASE, SCANOUT_PITCH, SCANOUT_SIZE, FLIP_BASE, FLIP_STATUS, VBLANK_COUNT,
        RINGS, RING_STRIDE, MAX_RINGS, RING_CTRL, RING_STATUS, RING_BASE_LO, RING_BASE_HI, RING_ORDER, RING_HEAD,
        RING_TAIL, RING_SEQNO, RING_FAULT, RING_FAULT_INDEX, RING_FAULT_ADDR_LO, RING_FAULT_ADDR_HI, RING_ORDER_MIN,
        RING_ORDER_MAX,
        CONTEXTS, CONTEXT_STRIDE, CONTEXT_COUNT, SEGMENT_STRIDE, SEGMENT_COUNT, SEG_VA_LO, SEG_VA_HI, SEG_PAGES,
        SEG_FLAGS, SEG_TARGET_LO, SEG_TARGET_HI,
        device_ctrl::ENABLE, device_ctrl::RESET,
        device_status::READY, device_status::RESETTING, device_status::RESET_FAILED,
        RESET_MAX_MS,
        irq::RING_DONE, irq::RING_FAULT, irq::VBLANK, irq::FLIP, irq::ALL,
        VECTORS,
        ring_ctrl::ENABLE, ring_ctrl::RESET,
        ring_status::ENABLED, ring_status::BUSY, ring_status::FAULTED, ring_status::RESETTING,
        ring_status::RESET_FAILED,
        fault::BAD_OPCODE, fault::BAD_ARGUMENT, fault::UNMAPPED, fault::READ_ONLY, fault::DMA, fault::BAD_CONTEXT,
        fault::INJECTED,
        segment::VALID, segment::WRITABLE, segment::HOST,
    ]
}

fn command_limits() -> Vec<(String, i128)> {
    let mut limits =
        values![lifeboat_lb1::command; MAX_TAP, MAX_SHIFT, CONVOLVE_MAX_SIDE, MATMUL_TILE, MATMUL_MAX_SIDE];
    limits.push(("DESCRIPTOR_BYTES".into(), command::DESCRIPTOR_BYTES as i128));
    limits.push(("SEPARABLE_TAPS".into(), command::SEPARABLE_TAPS as i128));
    let opcodes = [
        ("Nop", Opcode::Nop),
        ("Fill", Opcode::Fill),
        ("Copy", Opcode::Copy),
        ("Convolve", Opcode::Convolve),
        ("MatMul", Opcode::MatMul),
        ("WriteSeqno", Opcode::WriteSeqno),
        ("WaitSeqno", Opcode::WaitSeqno),
        ("Hang", Opcode::Hang),
    ];
    limits.extend(opcodes.map(|(name, opcode)| (name.into(), opcode as i128)));
    limits
}

/// The names of all constants in the source of `regs`, with their modules.
fn names_in_source() -> BTreeSet<String> {
    let mut module = String::new();
    let mut names = BTreeSet::new();
    for line in REGS_SOURCE.lines() {
        if let Some(rest) = line.strip_prefix("pub mod ") {
            module = format!("{}::", rest.trim_end_matches(" {"));
        } else if line == "}" {
            module.clear();
        } else if let Some(rest) = line.trim_start().strip_prefix("pub const ")
            && !rest.starts_with("fn ")
        {
            names.insert(format!("{module}{}", rest.split(':').next().unwrap_or(rest)));
        }
    }
    names
}

/// The cells of every table row, with the heading it stands under.
fn rows() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let mut heading = "";
    REFERENCE.lines().filter_map(move |line| {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        }
        let cells = line.strip_prefix('|')?.strip_suffix('|')?;
        Some((heading, cells.split('|').map(str::trim).collect()))
    })
}

fn number(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

#[test]
fn every_constant_is_documented_with_its_value() {
    let mut documented = BTreeMap::new();
    for (heading, cells) in rows() {
        if let (Some(name), Some(value)) = (code(cells[0]), code(cells[1]).and_then(number)) {
            let before = documented.insert(name.to_owned(), value);
            assert_eq!(before, None, "{name} is documented twice, the second time under {heading}");
        }
    }
    let map = register_map();
    let named: BTreeSet<String> = map.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(named, names_in_source(), "this test names every constant of regs.rs");

    let expected: BTreeMap<_, _> = map.into_iter().chain(command_limits()).collect();
    for (name, value) in &expected {
        assert_eq!(documented.get(name), Some(value), "{name} in docs/lb1.md");
    }
    let unknown: Vec<_> = documented.keys().filter(|name| !expected.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "documented but not in the code: {unknown:?}");
}

/// The values of a command's fields, by the names the tables give them.
type Fields = Vec<(&'static str, u32)>;

/// A command of each kind with a value of its own in every field.
fn samples() -> Vec<(&'static str, Command, Fields)> {
    let va = |high: u64, low: u64| GpuVa(high << 32 | low);
    let convolve = |kernel| Convolve {
        dst: va(0x101, 0x204),
        src: va(0x303, 0x408),
        dst_pitch: 0x1234,
        src_pitch: 0x5678,
        src_size: (300, 200),
        origin: (17, 19),
        size: (101, 103),
        kernel,
        shift: 11,
        bias: -200,
        edge: Edge::Zero,
    };
    let placed = [
        ("dst, low", 0x204),
        ("dst, high", 0x101),
        ("src, low", 0x408),
        ("src, high", 0x303),
        ("dst_pitch", 0x1234),
        ("src_pitch", 0x5678),
    ];
    let mut convolve_fields = placed.to_vec();
    convolve_fields.extend([
        ("source width", 300),
        ("source height", 200),
        ("origin column", 17),
        ("origin row", 19),
        ("output width", 101),
        ("output height", 103),
        ("mode", 2),
        ("edge", 1),
        ("shift", 11),
        ("tap_count", 7),
        ("bias", (-200_i32).cast_unsigned()),
        ("first tap of the first set", 21),
        ("second tap of the first set", 0xffff - 21),
        ("first tap of the second set", 31),
        ("second tap of the second set", 32),
    ]);
    let mut copy_fields = placed.to_vec();
    copy_fields.extend([("row_bytes", 0x1111), ("rows", 77)]);
    let copy = Copy {
        dst: va(0x101, 0x204),
        src: va(0x303, 0x408),
        dst_pitch: 0x1234,
        src_pitch: 0x5678,
        row_bytes: 0x1111,
        rows: 77,
    };
    let separable = Kernel::Separable {
        taps: 7,
        horizontal: [21, -22, 0, 0, 0, 0, 0, 0, 0],
        vertical: [31, 32, 0, 0, 0, 0, 0, 0, 0],
    };
    let fill = Fill { dst: va(0x101, 0x204), bytes: 0x5_0000_0008, pattern: 0xdead_beef };
    let product = MatMul { c: va(1, 4), a: va(2, 8), b: va(3, 12), m: 33, n: 34, k: 35 };
    vec![
        (
            "Fill",
            Command::Work(Work::Fill(fill)),
            vec![
                ("dst, low", 0x204),
                ("dst, high", 0x101),
                ("bytes, low", 8),
                ("bytes, high", 5),
                ("pattern", 0xdead_beef),
            ],
        ),
        ("Copy", Command::Work(Work::Copy(copy)), copy_fields),
        ("Convolve", Command::Work(Work::Convolve(convolve(separable))), convolve_fields),
        (
            "MatMul",
            Command::Work(Work::MatMul(product)),
            vec![
                ("c, low", 4),
                ("c, high", 1),
                ("a, low", 8),
                ("a, high", 2),
                ("b, low", 12),
                ("b, high", 3),
                ("m", 33),
                ("n", 34),
                ("k", 35),
            ],
        ),
        (
            "WriteSeqno",
            Command::WriteSeqno { value: 0x1234_5678, interrupt: true },
            vec![("interrupt", 1), ("value", 0x1234_5678)],
        ),
        ("WaitSeqno", Command::WaitSeqno { ring: 6, value: 0x1234_5678 }, vec![("value", 0x1234_5678), ("ring", 6)]),
    ]
}

#[test]
fn descriptors_are_laid_out_as_documented() {
    let both = |(name, command, fields): (&'static str, Command, Fields)| {
        let own = Descriptor::encode_own(&command);
        let context = Descriptor::encode(ContextId(45), &command);
        [(name, own, 0, 1, fields.clone()), (name, context, 45, 0, fields)]
    };
    for (name, descriptor, context, own, fields) in samples().into_iter().flat_map(both) {
        let bytes = descriptor.to_bytes();
        let opcode = command_limits().into_iter().find(|(limit, _)| limit == name).unwrap().1;
        let mut fields: BTreeMap<&str, u32> = fields.into_iter().collect();
        fields.extend([("opcode", u32::try_from(opcode).unwrap()), ("context", context), ("own", own)]);
        let mut documented = BTreeSet::new();
        for (heading, cells) in rows().filter(|(heading, _)| [name, "Commands"].contains(heading)) {
            let (Ok(word), Some((high, low))) = (cells[0].parse::<usize>(), cells[1].split_once(':')) else { continue };
            let (high, low): (u32, u32) = (high.parse().unwrap(), low.parse().unwrap());
            let word = u32::from_le_bytes(bytes[word * 4..][..4].try_into().unwrap());
            let value = word << (31 - high) >> (31 - high + low);
            assert_eq!(fields.get(cells[2]), Some(&value), "{heading}: {}", cells[2]);
            documented.insert(cells[2]);
        }
        assert_eq!(documented, fields.keys().copied().collect(), "{name}: every field is documented");
    }
}

#[test]
fn the_bits_of_ring_interrupts_are_as_documented() {
    for ring in 0..regs::MAX_RINGS {
        assert_eq!(regs::irq::ring_done(ring), 1 << ring);
        assert_eq!(regs::irq::ring_fault(ring), 1 << (8 + ring));
    }
}
