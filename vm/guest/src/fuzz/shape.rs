//! What is known of a call: its number, and what each field of its structure means.

use crate::fuzz::resources::Kind;

/// A call with a structure.
#[derive(Debug)]
pub struct Shape {
    /// In reports.
    pub name: &'static str,
    /// As the system call takes it: direction, size, type and command.
    pub number: u32,
    /// What it is called on.
    pub target: Target,
    /// What it may fail with, if it is the driver's own.
    pub own: Option<Errnos>,
    /// All fields, in the order of the structure.
    pub fields: &'static [Field],
    /// What comes of a success.
    pub gives: Gives,
    /// How often it is made, beside the others.
    pub weight: u32,
}

/// What a call is made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An open node.
    Node,
    /// A descriptor of this kind.
    Descriptor(Kind),
}

/// The errors of a call of the driver's own, besides those that every call has.
#[derive(Debug, Clone, Copy)]
pub struct Errnos {
    /// Of the call.
    pub each: &'static [i32],
    /// Whether it needs the device: then it may fail because of a loss.
    pub device: bool,
}

/// A field of a structure.
#[derive(Debug)]
pub struct Field {
    /// Its offset in bytes.
    pub at: usize,
    /// Its size: 4 or 8 bytes.
    pub bytes: usize,
    /// What it is.
    pub meaning: Meaning,
}

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Must be 0.
    Pad,
    /// Must be 0, and would be an address.
    NoAddress,
    /// Any of these bits.
    Flags(u32),
    /// One of these.
    OneOf(&'static [u32]),
    /// Any number below this; others may be good as well.
    Below(u32),
    /// A ring.
    Ring,
    /// A context of the file.
    Context,
    /// A buffer's handle.
    Buffer,
    /// A syncobj's handle.
    Syncobj,
    /// The context of a job: chosen by the first value of the call, as [`Meaning::Job`] is.
    ContextOfJob,
    /// A job.
    Job,
    /// Size of a buffer in bytes.
    Bytes,
    /// Size of a buffer of the program's own pages.
    UserBytes,
    /// Address of the program's own pages.
    UserPages,
    /// An address of a context.
    GpuAddress,
    /// Offset in a buffer.
    PartOffset,
    /// Bytes of a part of a buffer.
    PartBytes,
    /// When to give up, in nanoseconds of the monotonic clock.
    Time,
    /// A number of elements up to this one that is not 0.
    Some(u32),
    /// A number of elements, or 0.
    Count(u32),
    /// Address of elements; their number is in the field of this index.
    Array(Element, usize),
    /// A descriptor.
    Descriptor(Kind),
    /// A point of a timeline.
    Point,
    /// What the call returns: anything.
    Out,
}

/// What an array has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Commands of the device.
    Command,
    /// Fences that a job waits for.
    Wait,
    /// Fences that a job is to signal.
    Signal,
    /// Handles of syncobjs.
    Syncobj,
    /// Points of timelines.
    Point,
    /// Room for what the call returns.
    Room,
}

/// What comes of a success: the offset of a field that has it then, or had it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// Nothing that is kept.
    Nothing,
    /// A context.
    Context(usize),
    /// A buffer.
    Buffer(usize),
    /// An offset for `mmap`.
    Offset(usize),
    /// A syncobj.
    Syncobj(usize),
    /// A job of the context in the first field; and descriptors of `sync_file`s.
    Job(usize),
    /// A descriptor of this kind.
    Descriptor(Kind),
    /// A map in the context of the first field.
    Map,
    /// One less of what the first field names.
    Less,
}

impl Shape {
    /// Bytes of the structure.
    pub fn bytes(&self) -> usize {
        (self.number >> 16 & 0x3fff) as usize
    }

    /// Whether it is the driver's own.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }
}
