//! What a shell has captured, as a dump is written of it.

use core::fmt::Display;
use core::time::Duration;

use super::{Layout, Reason, Utc};

/// A captured state.
pub trait State {
    /// What there is once.
    fn about(&self) -> About<'_>;

    /// The registers of the device and of a ring.
    fn layout(&self) -> &Layout;

    /// What the device's registers read, in the order of the layout. `None` if there was nobody to be asked.
    fn registers(&self) -> Option<&[Option<u32>]>;

    /// The rings, by number.
    fn rings(&self) -> impl Iterator<Item = Ring<'_>>;

    /// The jobs that had not ended. The most important comes first.
    fn jobs(&self) -> impl Iterator<Item = Job<'_>>;

    /// Jobs that were not captured.
    fn jobs_left_out(&self) -> u64;

    /// Copies the entry of a ring into `bytes`, which are as many as the layout says.
    fn entry(&self, ring: u8, index: u32, bytes: &mut [u8]) -> Entry;
}

/// What there is of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Its bytes, in the caller's memory.
    Read,
    /// It could not be read.
    Unreadable,
    /// It was not captured.
    LeftOut,
}

/// What there is once in a dump.
#[derive(Clone, Copy)]
pub struct About<'a> {
    /// Name and version of the driver.
    pub driver: (&'a str, &'a str),
    /// The device's name.
    pub model: &'a str,
    /// The device's number.
    pub minor: u32,
    /// The place where the device is plugged in.
    pub location: &'a dyn Display,
    /// The moment of the capture.
    pub taken: Utc,
    /// The time from the bind to the capture.
    pub since_bind: Duration,
    /// The reason for the dump.
    pub reason: Reason,
    /// The job that is blamed, if that is known.
    pub guilty: Option<Guilty<'a>>,
}

/// A job that is blamed.
#[derive(Clone, Copy)]
pub struct Guilty<'a> {
    /// The ring that it is on.
    pub ring: u8,
    /// The context that it runs in, as the hardware numbers it.
    pub context: u8,
    /// The timeline of its fence.
    pub fence: &'a dyn Display,
    /// The number of its fence.
    pub number: u64,
    /// The process that the context belongs to, if that is known.
    pub process: Option<Process<'a>>,
}

/// A process.
#[derive(Clone, Copy)]
pub struct Process<'a> {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: &'a dyn Display,
}

/// A ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring<'a> {
    /// Its number.
    pub number: u8,
    /// Entries that it has room for.
    pub size: u32,
    /// The sequence number that the driver has given last.
    pub issued: Option<u32>,
    /// The sequence number that the driver has seen last.
    pub completed: Option<u32>,
    /// What its registers read, in the order of the layout. `None` if there was nobody to be asked.
    pub registers: Option<&'a [Option<u32>]>,
}

/// A job that was submitted and had not ended.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The ring that it is on, or waits for.
    pub ring: u8,
    /// Its queue, as the scheduler numbers it.
    pub queue: u32,
    /// The context that it runs in, as the hardware numbers it.
    pub context: u8,
    /// The sequence number that the ring will write for it. `None` if it has not been given to the ring.
    pub seqno: Option<u32>,
    /// Fences that it waits for.
    pub waits: u32,
    /// Its commands.
    pub commands: u32,
    /// The timeline of its fence.
    pub fence: &'a dyn Display,
    /// The number of its fence.
    pub number: u64,
    /// The time since it was submitted, in microseconds.
    pub age_us: u64,
}

impl Ring<'_> {
    /// What the registers of head, tail and sequence number read.
    pub(super) fn head_tail_seqno(&self, layout: &Layout) -> [Option<u32>; 3] {
        layout.head_tail_seqno.map(|at| self.registers.and_then(|read| read.get(at).copied().flatten()))
    }
}
