//! What can be done with a node: the vocabulary of tests.
//!
//! Files, maps and descriptors are named by numbers that the runner chooses. Contexts, buffers, syncobjs and jobs have the
//! kernel's numbers.

use lifeboat_uapi::{BufferAdvise, BufferMmap, ContextCreate, ContextDestroy, ContextStatus, Info, Map, Sync, Unmap};
use serde::{Deserialize, Serialize};

/// A use of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "node", rename_all = "snake_case")]
pub enum NodeRequest {
    /// Opens a node.
    Open {
        /// The new file.
        file: u32,
        /// The node.
        path: String,
    },
    /// Closes a file, or fails if something else of this process uses it at the moment.
    Close {
        /// The file.
        file: u32,
    },
    /// The number of the file's descriptor.
    Descriptor {
        /// The file.
        file: u32,
    },
    /// VERSION, answered as text: name, numbers, description.
    Version {
        /// The file.
        file: u32,
    },
    /// `GET_CAP`.
    Capability {
        /// The file.
        file: u32,
        /// Its number.
        capability: u64,
    },
    /// An ioctl without addresses.
    Call {
        /// The file.
        file: u32,
        /// Which.
        call: Call,
    },
    /// An ioctl by number and bytes; answered with the bytes.
    Raw {
        /// The file.
        file: u32,
        /// Its number.
        number: u32,
        /// The structure.
        argument: Vec<u8>,
    },
    /// `BUFFER_CREATE`.
    CreateBuffer {
        /// The file.
        file: u32,
        /// Bytes.
        size: u64,
        /// `BUFFER_*`.
        flags: u32,
    },
    /// `GEM_CLOSE`.
    CloseBuffer {
        /// The file.
        file: u32,
        /// The buffer.
        handle: u32,
    },
    /// SUBMIT, so many times. Points of timelines that the job signals count up from the ones given.
    Submit {
        /// The file.
        file: u32,
        /// The job.
        job: Job,
        /// How often.
        times: u32,
    },
    /// WAIT; answered with the job's result.
    WaitForJob {
        /// The file.
        file: u32,
        /// Context of the job.
        context: u32,
        /// The job.
        job: u64,
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// WAIT for each of some jobs; answered with how many ended with this result.
    CountResults {
        /// The file.
        file: u32,
        /// Context of the jobs.
        context: u32,
        /// The jobs.
        jobs: Vec<u64>,
        /// 0, or a negative errno.
        result: i32,
        /// Limit of all together, in milliseconds.
        limit_ms: u64,
    },
    /// `BUFFER_WAIT`.
    WaitForBuffer {
        /// The file.
        file: u32,
        /// The buffer.
        handle: u32,
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// `SYNCOBJ_CREATE`.
    CreateSyncobj {
        /// The file.
        file: u32,
    },
    /// `SYNCOBJ_WAIT`, or `SYNCOBJ_TIMELINE_WAIT` for a point that is not 0.
    WaitForSyncobj {
        /// The file.
        file: u32,
        /// The syncobj.
        handle: u32,
        /// Its point.
        point: u64,
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// Waits with `poll()`: 0 at the limit, else the sum of 1 (readable), 8 (error), 16 (hang-up).
    Poll {
        /// The file.
        file: u32,
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// Maps a buffer into the process.
    MapMemory {
        /// The file.
        file: u32,
        /// The buffer.
        handle: u32,
        /// The new map.
        mapping: u32,
        /// Bytes.
        length: usize,
    },
    /// Makes memory of the process's own, which takes the place of a map in requests.
    Allocate {
        /// The new memory.
        mapping: u32,
        /// Bytes.
        length: usize,
    },
    /// `BUFFER_CREATE` with memory of the process's own.
    CreateUserBuffer {
        /// The file.
        file: u32,
        /// The memory.
        mapping: u32,
        /// Whether the device may only read it.
        read_only: bool,
    },
    /// Discards what is in memory of the process's own: `MADV_DONTNEED`.
    Discard {
        /// The memory.
        mapping: u32,
    },
    /// Writes one word of a map, and reads another one; answered with that.
    Poke {
        /// The map.
        mapping: u32,
        /// Place of the word that is written, in words.
        at: usize,
        /// The word.
        word: u32,
        /// Place of the word that is read then.
        read: usize,
    },
    /// Writes a word all over a map.
    Fill {
        /// The map.
        mapping: u32,
        /// The word.
        word: u32,
    },
    /// How many words of a map are not this one.
    Differing {
        /// The map.
        mapping: u32,
        /// The word.
        word: u32,
    },
    /// Begins to read and write a map all the time.
    Touch {
        /// The map.
        mapping: u32,
    },
    /// How often the whole map was touched so far.
    Touches {
        /// The map.
        mapping: u32,
    },
    /// Unmaps.
    Unmap {
        /// The map.
        mapping: u32,
    },
    /// Does a job again and again: clears a map, submits, waits, and checks that the map holds the word all over. Answered when
    /// an error ends it or [`NodeRequest::StopWork`] does.
    Work {
        /// The file.
        file: u32,
        /// The job.
        job: Job,
        /// The map that the job fills.
        mapping: u32,
        /// What with.
        word: u32,
        /// A number for this work.
        work: u32,
    },
    /// How many jobs a work has completed.
    Progress {
        /// The work.
        work: u32,
    },
    /// Ends a work after the job that it is at.
    StopWork {
        /// The work.
        work: u32,
    },
    /// A `sync_file` of a syncobj's fence.
    ExportSyncobj {
        /// The file.
        file: u32,
        /// The syncobj.
        handle: u32,
        /// The new descriptor.
        descriptor: u32,
    },
    /// A descriptor of a buffer, for others.
    ExportBuffer {
        /// The file.
        file: u32,
        /// The buffer.
        handle: u32,
        /// The new descriptor.
        descriptor: u32,
    },
    /// A `sync_file` of those who write an exported buffer.
    WritersOfBuffer {
        /// Descriptor of the buffer.
        buffer: u32,
        /// The new descriptor.
        descriptor: u32,
    },
    /// Makes a buffer of a descriptor; answered with its handle.
    ImportBuffer {
        /// The file.
        file: u32,
        /// The descriptor.
        descriptor: u32,
    },
    /// Takes a descriptor of another process.
    Take {
        /// Its process id.
        process: u32,
        /// Its number there: [`NodeRequest::NumberOf`].
        number: i32,
        /// The new descriptor.
        descriptor: u32,
    },
    /// The kernel's number of a descriptor.
    NumberOf {
        /// The descriptor.
        descriptor: u32,
    },
    /// Waits for a descriptor, as [`NodeRequest::Poll`].
    PollDescriptor {
        /// The descriptor.
        descriptor: u32,
        /// Limit in milliseconds.
        limit_ms: u64,
    },
    /// The state of a `sync_file`: 0 pending, 1 signalled, or the negative error.
    Status {
        /// The descriptor.
        descriptor: u32,
    },
    /// Makes a call again and again; answered with the nanoseconds that all of them took.
    TimeCalls {
        /// The file.
        file: u32,
        /// Which.
        call: TimedCall,
        /// How often.
        times: u32,
    },
    /// Submits a job and waits for it, again and again; answered with the nanoseconds that each took.
    TimeJobs {
        /// The file.
        file: u32,
        /// The job.
        job: Job,
        /// How often.
        times: u32,
    },
    /// Has two threads wake each other through eventfds; answered with the nanoseconds that each round trip took.
    TimePingPong {
        /// Round trips.
        times: u32,
    },
    /// Closes a descriptor.
    CloseDescriptor {
        /// The descriptor.
        descriptor: u32,
    },
}

/// An ioctl without addresses, in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // as the structures
pub enum Call {
    Info(Info),
    ContextCreate(ContextCreate),
    ContextDestroy(ContextDestroy),
    ContextStatus(ContextStatus),
    BufferMmap(BufferMmap),
    BufferAdvise(BufferAdvise),
    Map(Map),
    Unmap(Unmap),
}

/// A call whose time is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimedCall {
    /// VERSION, without its texts.
    Version,
    /// INFO: the cheapest of those that need no device.
    Info,
    /// `CONTEXT_CREATE` with a flag that nobody knows: it enters the gate, is refused, and has done nothing.
    RefusedInSection,
}

/// What SUBMIT is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The context.
    pub context: u32,
    /// The ring.
    pub ring: u32,
    /// `PRIORITY_*`.
    pub priority: u32,
    /// `SUBMIT_*`.
    pub flags: u32,
    /// The commands.
    pub commands: Vec<u8>,
    /// Bytes of a command.
    pub command_bytes: u32,
    /// Fences to wait for.
    pub waits: Vec<Sync>,
    /// Fences to signal.
    pub signals: Vec<Sync>,
    /// Limit of the job in milliseconds; 0: the device's.
    pub timeout_ms: u32,
}
