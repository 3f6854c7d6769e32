//! What can happen: every call of the table, and what becomes of devices and objects.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::command::{Address, Commands};
use super::values::{Alter, Few, Mishap, Number, Pick, Place, Ring, Screen, Turn, When};

/// Most operations of one input.
const OPERATIONS: usize = 128;

/// Anything that users do, and anything that happens to them.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) operations: Vec<Operation>,
    /// Whether the cards are pulled out at the end, before all is let go.
    pub(crate) pulled: [bool; 2],
    /// In which order that happens.
    pub(crate) order: u64,
}

impl<'a> Arbitrary<'a> for Input {
    /// As many operations as there are bytes for.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let (pulled, order) = (bytes.arbitrary()?, bytes.arbitrary()?);
        let mut operations = Vec::new();
        while !bytes.is_empty() && operations.len() < OPERATIONS {
            operations.push(bytes.arbitrary()?);
        }
        Ok(Self { operations, pulled, order })
    }
}

#[derive(Debug, Clone, Arbitrary)]
pub(crate) enum Operation {
    // A user's calls.
    Open {
        device: Pick,
    },
    /// Opens a device, and makes one of everything.
    Client {
        device: Pick,
    },
    Query {
        handle: Pick,
    },
    CreateContext {
        handle: Pick,
    },
    ResetStats {
        context: Pick,
    },
    CreateQueue {
        handle: Pick,
        context: Pick,
        ring: Ring,
        priority: Turn,
    },
    SetPriority {
        queue: Pick,
        priority: Turn,
    },
    MoveQueue {
        queue: Pick,
        ring: Ring,
    },
    CreateBuffer {
        handle: Pick,
        place: Place,
        size: Number,
    },
    ReadBuffer {
        buffer: Pick,
        offset: Number,
        len: Number,
    },
    WriteBuffer {
        buffer: Pick,
        offset: Number,
        len: Number,
    },
    Map {
        handle: Pick,
        context: Pick,
        buffer: Pick,
    },
    Unmap {
        handle: Pick,
        context: Pick,
        va: Address,
    },
    Mmap {
        handle: Pick,
        buffer: Pick,
    },
    ReadMap {
        map: Pick,
        offset: Number,
        len: Number,
    },
    WriteMap {
        map: Pick,
        offset: Number,
        len: Number,
    },
    Export {
        handle: Pick,
        buffer: Pick,
    },
    Import {
        handle: Pick,
        export: Pick,
    },
    Submit {
        handle: Pick,
        queue: Pick,
        commands: Commands,
        after: Few<Pick>,
        restartable: bool,
        run_anyway: bool,
    },
    SetMode {
        handle: Pick,
        picture: Option<(Pick, Screen)>,
    },
    Flip {
        handle: Pick,
        buffer: Pick,
        token: Option<u64>,
    },
    Atomic(Atomic),
    QueueVblank {
        handle: Pick,
        token: u64,
    },
    ReadEvents {
        handle: Pick,
    },
    Wait {
        fence: Pick,
        milliseconds: u8,
    },
    Combine {
        fences: Few<Pick>,
        any: bool,
    },
    Promise,
    Keep {
        promise: u8,
        how: Keep,
    },
    // Ends of what users have.
    Forget {
        device: Pick,
    },
    Close {
        handle: Pick,
    },
    DropContext {
        context: Pick,
    },
    DropQueue {
        queue: Pick,
    },
    DropBuffer {
        buffer: Pick,
    },
    DropMap {
        map: Pick,
    },
    DropExport {
        export: Pick,
    },
    // What happens to the devices.
    Inject {
        machine: bool,
        mishap: Mishap,
    },
    Schedule {
        machine: bool,
        when: When,
        mishap: Mishap,
    },
    Pull {
        machine: bool,
        wait: bool,
    },
    Plug {
        machine: bool,
        wait: bool,
    },
    Unbind {
        machine: bool,
    },
    Pause {
        microseconds: u8,
    },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) struct Atomic {
    pub(crate) handle: Pick,
    pub(crate) mode: Alter<Screen>,
    pub(crate) plane: Alter<Pick>,
    pub(crate) in_fence: Option<Pick>,
    pub(crate) event: Option<u64>,
    pub(crate) allow_modeset: bool,
    pub(crate) kind: Kind,
}

/// What becomes of a user's promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub(crate) enum Keep {
    Signal,
    Fail,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub(crate) enum Kind {
    TestOnly,
    Blocking,
    NonBlocking,
}
