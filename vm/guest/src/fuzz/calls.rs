//! All calls that are made: the driver's own, and those of the kernel's that meet it.

use lifeboat_uapi::{
    BUFFER_READ_ONLY, BUFFER_USER, BUFFER_VRAM, BufferAdvise, BufferCreate, BufferMmap, BufferWait, ContextCreate,
    ContextDestroy, ContextStatus, DONT_NEED, Direction, Info, MAP_WRITE, Map, PRIORITY_HIGH, PRIORITY_LOW,
    PRIORITY_NORMAL, Request, SUBMIT_IGNORE_ERRORS, SUBMIT_RESTARTABLE, Submit, Unmap, WAIT_WRITERS, WILL_NEED, Wait,
    ioctl_number,
};

use crate::fuzz::resources::Kind;
use crate::fuzz::shape::{Element, Errnos, Field, Gives, Meaning, Shape, Target};

/// Errors as the kernel numbers them.
pub mod errno {
    #![allow(missing_docs)] // as in errno.h
    pub const ENOENT: i32 = 2;
    pub const EINTR: i32 = 4;
    pub const E2BIG: i32 = 7;
    pub const EAGAIN: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EACCES: i32 = 13;
    pub const EFAULT: i32 = 14;
    pub const EEXIST: i32 = 17;
    pub const ENODEV: i32 = 19;
    pub const EINVAL: i32 = 22;
    pub const EMFILE: i32 = 24;
    pub const ENOSPC: i32 = 28;
    pub const ETIME: i32 = 62;
    pub const EPROTO: i32 = 71;
    pub const EOPNOTSUPP: i32 = 95;
    pub const EDQUOT: i32 = 122;
    pub const ECANCELED: i32 = 125;
}

use errno::{
    E2BIG, EACCES, EAGAIN, ECANCELED, EDQUOT, EEXIST, EFAULT, EINTR, EINVAL, EMFILE, ENODEV, ENOENT, ENOMEM, ENOSPC,
    EOPNOTSUPP, EPROTO, ETIME,
};

/// Errors that every call of the driver's own may have.
pub const OF_ALL: [i32; 3] = [EINVAL, E2BIG, EFAULT];
/// Errors of calls that need a device, once that is lost or wedged.
pub const OF_LOSS: [i32; 4] = [ENODEV, ETIME, ECANCELED, EPROTO];

const fn f(at: usize, bytes: usize, meaning: Meaning) -> Field {
    Field { at, bytes, meaning }
}

const fn always(each: &'static [i32]) -> Errnos {
    Errnos { each, device: false }
}

const fn device(each: &'static [i32]) -> Errnos {
    Errnos { each, device: true }
}

const fn own<R: Request>(
    name: &'static str,
    errnos: Errnos,
    fields: &'static [Field],
    gives: Gives,
    weight: u32,
) -> Shape {
    Shape { name, number: R::NUMBER, target: Target::Node, own: Some(errnos), fields, gives, weight }
}

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

/// The driver's own.
const OWN: [Shape; 13] = [
    own::<Info>("INFO", always(&[]), &[f(0, 4, Meaning::Pad), f(4, 4, Meaning::Out)], Gives::Nothing, 2),
    own::<ContextCreate>(
        "CONTEXT_CREATE",
        device(&[ENOMEM, EDQUOT]),
        &[f(0, 4, Meaning::Pad), f(4, 4, Meaning::Out)],
        Gives::Context(4),
        5,
    ),
    own::<ContextDestroy>(
        "CONTEXT_DESTROY",
        always(&[ENOENT]),
        &[f(0, 4, Meaning::Context), f(4, 4, Meaning::Pad)],
        Gives::Less,
        3,
    ),
    own::<ContextStatus>(
        "CONTEXT_STATUS",
        always(&[ENOENT]),
        &[f(0, 4, Meaning::Context), f(4, 4, Meaning::Pad), f(8, 4, Meaning::Out), f(24, 8, Meaning::Out)],
        Gives::Nothing,
        3,
    ),
    own::<BufferCreate>(
        "BUFFER_CREATE",
        device(&[ENOSPC, ENOMEM, EINTR]),
        &[
            f(0, 8, Meaning::Bytes),
            f(8, 8, Meaning::NoAddress),
            f(16, 4, Meaning::Flags(BUFFER_VRAM)),
            f(20, 4, Meaning::Out),
        ],
        Gives::Buffer(20),
        8,
    ),
    own::<BufferCreate>(
        "BUFFER_CREATE (user)",
        device(&[ENOMEM, EINTR, EOPNOTSUPP]),
        &[
            f(0, 8, Meaning::UserBytes),
            f(8, 8, Meaning::UserPages),
            f(16, 4, Meaning::OneOf(&[BUFFER_USER, BUFFER_USER | BUFFER_READ_ONLY])),
            f(20, 4, Meaning::Out),
        ],
        Gives::Buffer(20),
        4,
    ),
    own::<BufferMmap>(
        "BUFFER_MMAP",
        always(&[ENOENT]),
        &[f(0, 4, Meaning::Buffer), f(4, 4, Meaning::Pad), f(8, 8, Meaning::Out)],
        Gives::Offset(8),
        4,
    ),
    own::<BufferWait>(
        "BUFFER_WAIT",
        always(&[ENOENT, ETIME, EINTR]),
        &[f(0, 4, Meaning::Buffer), f(4, 4, Meaning::Flags(WAIT_WRITERS)), f(8, 8, Meaning::Time)],
        Gives::Nothing,
        4,
    ),
    own::<BufferAdvise>(
        "BUFFER_ADVISE",
        always(&[ENOENT, ENOMEM]),
        &[
            f(0, 4, Meaning::Buffer),
            f(4, 4, Meaning::OneOf(&[WILL_NEED, DONT_NEED])),
            f(8, 4, Meaning::Out),
            f(12, 4, Meaning::Pad),
        ],
        Gives::Nothing,
        4,
    ),
    own::<Map>(
        "MAP",
        device(&[ENOENT, EEXIST, ENOSPC, ENOMEM, EINTR]),
        &[
            f(0, 4, Meaning::Context),
            f(4, 4, Meaning::Buffer),
            f(8, 8, Meaning::GpuAddress),
            f(16, 8, Meaning::PartOffset),
            f(24, 8, Meaning::PartBytes),
            f(32, 4, Meaning::Flags(MAP_WRITE)),
            f(36, 4, Meaning::Pad),
        ],
        Gives::Map,
        10,
    ),
    own::<Unmap>(
        "UNMAP",
        always(&[ENOENT]),
        &[f(0, 4, Meaning::Context), f(4, 4, Meaning::Pad), f(8, 8, Meaning::GpuAddress)],
        Gives::Nothing,
        3,
    ),
    own::<Submit>(
        "SUBMIT",
        device(&[ENOENT, EACCES, ECANCELED, EDQUOT, EAGAIN, ENOMEM, EMFILE]),
        &[
            f(0, 4, Meaning::Context),
            f(4, 4, Meaning::Ring),
            f(8, 4, Meaning::OneOf(&[PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_HIGH])),
            f(12, 4, Meaning::Flags(SUBMIT_IGNORE_ERRORS | SUBMIT_RESTARTABLE)),
            f(16, 8, Meaning::Array(Element::Command, 7)),
            f(24, 8, Meaning::Array(Element::Wait, 8)),
            f(32, 8, Meaning::Array(Element::Signal, 9)),
            f(40, 4, Meaning::Some(u32::MAX)),
            f(44, 4, Meaning::Count(256)),
            f(48, 4, Meaning::Count(256)),
            f(52, 4, Meaning::Below(1000)),
            f(56, 8, Meaning::Out),
        ],
        Gives::Job(56),
        20,
    ),
    own::<Wait>(
        "WAIT",
        always(&[ENOENT, ETIME, EINTR]),
        &[
            f(0, 4, Meaning::ContextOfJob),
            f(4, 4, Meaning::Pad),
            f(8, 8, Meaning::Job),
            f(16, 8, Meaning::Time),
            f(24, 4, Meaning::Out),
            f(28, 4, Meaning::Pad),
        ],
        Gives::Nothing,
        8,
    ),
];

/// The kernel's own.
const CORE: [Shape; 27] = [
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

/// All calls.
pub fn all() -> impl Iterator<Item = &'static Shape> {
    static ALL: (&[Shape], &[Shape]) = (&OWN, &CORE);
    ALL.0.iter().chain(ALL.1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn fields_are_inside_of_their_structures() {
        let names: BTreeSet<_> = all().map(|shape| shape.name).collect();
        assert_eq!(names.len(), all().count());
        for shape in all() {
            let mut end = 0;
            for field in shape.fields {
                assert!(field.at >= end && (field.bytes == 4 || field.bytes == 8), "{}", shape.name);
                end = field.at + field.bytes;
            }
            assert!(end <= shape.bytes(), "{}", shape.name);
            for field in shape.fields {
                if let Meaning::Array(_, count) = field.meaning {
                    let counts = shape.fields.get(count).map(|field| field.meaning);
                    assert!(matches!(counts, Some(Meaning::Some(_) | Meaning::Count(_) | Meaning::Below(_))));
                }
            }
        }
    }

    #[test]
    fn every_call_of_the_drivers_own_is_there() {
        let commands: BTreeSet<_> = all().filter(|shape| shape.is_own()).map(|shape| shape.number & 0xff).collect();
        assert_eq!(commands, (0x40..=0x4b).collect());
    }
}
