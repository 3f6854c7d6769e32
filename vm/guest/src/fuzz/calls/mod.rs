//! All calls that are made: the driver's own, which are here, and those of the kernel's that meet it.

mod kernels;

use lifeboat_uapi::{
    BUFFER_READ_ONLY, BUFFER_USER, BUFFER_VRAM, BufferAdvise, BufferCreate, BufferMmap, BufferWait, ContextCreate,
    ContextDestroy, ContextStatus, DONT_NEED, Info, MAP_WRITE, Map, PRIORITY_HIGH, PRIORITY_LOW, PRIORITY_NORMAL,
    Request, SUBMIT_IGNORE_ERRORS, SUBMIT_RESTARTABLE, Submit, Unmap, WAIT_WRITERS, WILL_NEED, Wait,
};

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

/// All calls.
pub fn all() -> impl Iterator<Item = &'static Shape> {
    static ALL: (&[Shape], &[Shape]) = (&OWN, &kernels::CORE);
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
