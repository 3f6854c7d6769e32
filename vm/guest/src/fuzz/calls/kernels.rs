//! Calls of the kernel's own that meet the driver: GEM, PRIME, syncobjs, dumb buffers, and files of fences and of buffers.

use lifeboat_uapi::{Direction, ioctl_number};

use super::f;
use crate::fuzz::resources::Kind;
use crate::fuzz::shape::{Element, Field, Gives, Meaning, Shape, Target};

const fn core(
    name: &'static str,
    command: u32,
    bytes: usize,
    fields: &'static [Field],
    gives: Gives,
    weight: u32,
) -> Shape {
    let number = ioctl_number(Direction::InOut, command, bytes);
    Shape { name, number, target: Target::Node, own: None, fields, gives, weight }
}

const fn other(
    name: &'static str,
    number: u32,
    kind: Kind,
    fields: &'static [Field],
    gives: Gives,
    weight: u32,
) -> Shape {
    Shape { name, number, target: Target::Descriptor(kind), own: None, fields, gives, weight }
}

/// Flags of descriptors: `O_CLOEXEC` and `O_RDWR`.
const DESCRIPTOR_FLAGS: u32 = 0o2_000_002;
/// Most elements that the kernel's own calls are given: it has no limit of its own, and takes memory for them.
const MANY: u32 = 16;

/// The kernel's own.
pub(super) const CORE: [Shape; 27] = [
    core(
        "VERSION",
        0x00,
        64,
        &[
            f(16, 8, Meaning::Below(64)),
            f(24, 8, Meaning::Array(Element::Room, 0)),
            f(32, 8, Meaning::Below(64)),
            f(40, 8, Meaning::Array(Element::Room, 2)),
            f(48, 8, Meaning::Below(64)),
            f(56, 8, Meaning::Array(Element::Room, 4)),
        ],
        Gives::Nothing,
        1,
    ),
    Shape {
        name: "GEM_CLOSE",
        number: ioctl_number(Direction::In, 0x09, 8),
        target: Target::Node,
        own: None,
        fields: &[f(0, 4, Meaning::Buffer), f(4, 4, Meaning::Pad)],
        gives: Gives::Less,
        weight: 6,
    },
    core("GET_CAP", 0x0c, 16, &[f(0, 8, Meaning::Below(0x16)), f(8, 8, Meaning::Out)], Gives::Nothing, 1),
    core(
        "PRIME_HANDLE_TO_FD",
        0x2d,
        12,
        &[f(0, 4, Meaning::Buffer), f(4, 4, Meaning::Flags(DESCRIPTOR_FLAGS)), f(8, 4, Meaning::Out)],
        Gives::Descriptor(Kind::Buffer),
        4,
    ),
    core(
        "PRIME_FD_TO_HANDLE",
        0x2e,
        12,
        &[f(0, 4, Meaning::Out), f(4, 4, Meaning::Pad), f(8, 4, Meaning::Descriptor(Kind::Buffer))],
        Gives::Buffer(0),
        4,
    ),
    core(
        "MODE_GETRESOURCES",
        0xa0,
        64,
        &[
            f(0, 8, Meaning::Array(Element::Room, 4)),
            f(8, 8, Meaning::Array(Element::Room, 5)),
            f(16, 8, Meaning::Array(Element::Room, 6)),
            f(24, 8, Meaning::Array(Element::Room, 7)),
            f(32, 4, Meaning::Count(MANY)),
            f(36, 4, Meaning::Count(MANY)),
            f(40, 4, Meaning::Count(MANY)),
            f(44, 4, Meaning::Count(MANY)),
        ],
        Gives::Nothing,
        1,
    ),
    core(
        "MODE_CREATE_DUMB",
        0xb2,
        32,
        &[
            f(0, 4, Meaning::Below(128)),
            f(4, 4, Meaning::Below(128)),
            f(8, 4, Meaning::OneOf(&[8, 16, 32])),
            f(12, 4, Meaning::Pad),
            f(16, 4, Meaning::Out),
        ],
        Gives::Buffer(16),
        3,
    ),
    core(
        "MODE_MAP_DUMB",
        0xb3,
        16,
        &[f(0, 4, Meaning::Buffer), f(4, 4, Meaning::Pad), f(8, 8, Meaning::Out)],
        Gives::Offset(8),
        2,
    ),
    core("MODE_DESTROY_DUMB", 0xb4, 4, &[f(0, 4, Meaning::Buffer)], Gives::Less, 1),
    core(
        "MODE_GETPLANERESOURCES",
        0xb5,
        16,
        &[f(0, 8, Meaning::Array(Element::Room, 1)), f(8, 4, Meaning::Count(MANY))],
        Gives::Nothing,
        1,
    ),
    core("SYNCOBJ_CREATE", 0xbf, 8, &[f(0, 4, Meaning::Out), f(4, 4, Meaning::Flags(1))], Gives::Syncobj(0), 3),
    core("SYNCOBJ_DESTROY", 0xc0, 8, &[f(0, 4, Meaning::Syncobj), f(4, 4, Meaning::Pad)], Gives::Less, 2),
    core(
        "SYNCOBJ_HANDLE_TO_FD (file)",
        0xc1,
        24,
        &[
            f(0, 4, Meaning::Syncobj),
            f(4, 4, Meaning::OneOf(&[1])),
            f(8, 4, Meaning::Out),
            f(12, 4, Meaning::Pad),
            f(16, 8, Meaning::Pad),
        ],
        Gives::Descriptor(Kind::SyncFile),
        3,
    ),
    core(
        "SYNCOBJ_HANDLE_TO_FD",
        0xc1,
        16,
        &[f(0, 4, Meaning::Syncobj), f(4, 4, Meaning::OneOf(&[0])), f(8, 4, Meaning::Out), f(12, 4, Meaning::Pad)],
        Gives::Descriptor(Kind::Syncobj),
        1,
    ),
    core(
        "SYNCOBJ_FD_TO_HANDLE (file)",
        0xc2,
        24,
        &[
            f(0, 4, Meaning::Syncobj),
            f(4, 4, Meaning::OneOf(&[1])),
            f(8, 4, Meaning::Descriptor(Kind::SyncFile)),
            f(12, 4, Meaning::Pad),
            f(16, 8, Meaning::Pad),
        ],
        Gives::Nothing,
        2,
    ),
    core(
        "SYNCOBJ_FD_TO_HANDLE",
        0xc2,
        16,
        &[
            f(0, 4, Meaning::Out),
            f(4, 4, Meaning::OneOf(&[0])),
            f(8, 4, Meaning::Descriptor(Kind::Syncobj)),
            f(12, 4, Meaning::Pad),
        ],
        Gives::Syncobj(0),
        1,
    ),
    core(
        "SYNCOBJ_WAIT",
        0xc3,
        40,
        &[
            f(0, 8, Meaning::Array(Element::Syncobj, 2)),
            f(8, 8, Meaning::Time),
            f(16, 4, Meaning::Some(MANY)),
            f(20, 4, Meaning::Flags(0b1011)),
            f(24, 4, Meaning::Out),
            f(28, 4, Meaning::Pad),
            f(32, 8, Meaning::Time),
        ],
        Gives::Nothing,
        3,
    ),
    core(
        "SYNCOBJ_RESET",
        0xc4,
        16,
        &[f(0, 8, Meaning::Array(Element::Syncobj, 1)), f(8, 4, Meaning::Some(MANY)), f(12, 4, Meaning::Pad)],
        Gives::Nothing,
        1,
    ),
    core(
        "SYNCOBJ_SIGNAL",
        0xc5,
        16,
        &[f(0, 8, Meaning::Array(Element::Syncobj, 1)), f(8, 4, Meaning::Some(MANY)), f(12, 4, Meaning::Pad)],
        Gives::Nothing,
        2,
    ),
    core(
        "SYNCOBJ_TIMELINE_WAIT",
        0xca,
        48,
        &[
            f(0, 8, Meaning::Array(Element::Syncobj, 3)),
            f(8, 8, Meaning::Array(Element::Point, 3)),
            f(16, 8, Meaning::Time),
            f(24, 4, Meaning::Some(MANY)),
            f(28, 4, Meaning::Flags(0b1111)),
            f(32, 4, Meaning::Out),
            f(36, 4, Meaning::Pad),
            f(40, 8, Meaning::Time),
        ],
        Gives::Nothing,
        3,
    ),
    core(
        "SYNCOBJ_QUERY",
        0xcb,
        24,
        &[
            f(0, 8, Meaning::Array(Element::Syncobj, 2)),
            f(8, 8, Meaning::Array(Element::Room, 2)),
            f(16, 4, Meaning::Some(MANY)),
            f(20, 4, Meaning::Flags(1)),
        ],
        Gives::Nothing,
        1,
    ),
    core(
        "SYNCOBJ_TRANSFER",
        0xcc,
        32,
        &[
            f(0, 4, Meaning::Syncobj),
            f(4, 4, Meaning::Syncobj),
            f(8, 8, Meaning::Point),
            f(16, 8, Meaning::Point),
            f(24, 4, Meaning::Pad),
            f(28, 4, Meaning::Pad),
        ],
        Gives::Nothing,
        2,
    ),
    core(
        "SYNCOBJ_TIMELINE_SIGNAL",
        0xcd,
        24,
        &[
            f(0, 8, Meaning::Array(Element::Syncobj, 2)),
            f(8, 8, Meaning::Array(Element::Point, 2)),
            f(16, 4, Meaning::Some(MANY)),
            f(20, 4, Meaning::Pad),
        ],
        Gives::Nothing,
        1,
    ),
    other(
        "SYNC_IOC_MERGE",
        0xc030_3e03,
        Kind::SyncFile,
        &[
            f(32, 4, Meaning::Descriptor(Kind::SyncFile)),
            f(36, 4, Meaning::Out),
            f(40, 4, Meaning::Pad),
            f(44, 4, Meaning::Pad),
        ],
        Gives::Descriptor(Kind::SyncFile),
        2,
    ),
    other(
        "SYNC_IOC_FILE_INFO",
        0xc038_3e04,
        Kind::SyncFile,
        &[f(36, 4, Meaning::Pad), f(40, 4, Meaning::Count(MANY)), f(48, 8, Meaning::Array(Element::Room, 1))],
        Gives::Nothing,
        2,
    ),
    other(
        "DMA_BUF_EXPORT_SYNC_FILE",
        0xc008_6202,
        Kind::Buffer,
        &[f(0, 4, Meaning::OneOf(&[1, 2, 3])), f(4, 4, Meaning::Out)],
        Gives::Descriptor(Kind::SyncFile),
        2,
    ),
    other(
        "DMA_BUF_IMPORT_SYNC_FILE",
        0x4008_6203,
        Kind::Buffer,
        &[f(0, 4, Meaning::OneOf(&[1, 2, 3])), f(4, 4, Meaning::Descriptor(Kind::SyncFile))],
        Gives::Nothing,
        2,
    ),
];
