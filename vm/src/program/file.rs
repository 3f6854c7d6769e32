//! An open node of a program.

use std::time::Duration;

use lifeboat_guest::wire::{Job, NodeCall, NodeRequest, Outcome, TimedCall};
use lifeboat_uapi::{
    BufferAdvise, BufferCreate, BufferMmap, ContextCreate, ContextDestroy, ContextStatus, Info, MAP_WRITE, Map, Sync,
    Unmap,
};

use crate::guest::agent::{AgentError, Pending};
use crate::pace;
use crate::program::memory::Memory;
use crate::program::{Program, milliseconds, refused};
use crate::suite::failure::Failure;

/// An open node. Closed with [`close`](Self::close) or with its program.
#[derive(Debug)]
pub struct File<'a> {
    program: &'a Program<'a>,
    number: u32,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident $variant:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// The kernel refuses.
            pub fn $name(&self, request: $variant) -> Result<$variant, AgentError> {
                match self.call(NodeRequest::Call { file: self.number, call: NodeCall::$variant(request) })? {
                    Outcome::Called(NodeCall::$variant(request)) => Ok(request),
                    other => Err(AgentError::Unfitting(other)),
                }
            }
        )*
    };
}

impl Program<'_> {
    /// Opens a node.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open(&self, path: &str) -> Result<File<'_>, AgentError> {
        let file = self.new_number();
        self.call(NodeRequest::Open { file, path: path.to_owned() }, pace::COMMAND)?;
        Ok(File::new(self, file))
    }
}

impl<'a> File<'a> {
    pub(super) fn new(program: &'a Program<'a>, number: u32) -> Self {
        Self { program, number }
    }

    /// Closes it.
    ///
    /// # Errors
    /// A request is under way on it.
    pub fn close(self) -> Result<(), AgentError> {
        self.call(NodeRequest::Close { file: self.number }).map(drop)
    }

    /// Name, version and description of the driver.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn version(&self) -> Result<String, AgentError> {
        match self.call(NodeRequest::Version { file: self.number })? {
            Outcome::Text(text) => Ok(text),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    /// A capability.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn capability(&self, capability: u64) -> Result<i64, AgentError> {
        self.ask(NodeRequest::Capability { file: self.number, capability })
    }

    /// What the kernel says of this file in `/proc`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn fdinfo(&self) -> Result<String, AgentError> {
        let descriptor = self.descriptor()?;
        self.program.read(&format!("/proc/self/fdinfo/{descriptor}"))
    }

    /// The number of its descriptor in the program.
    ///
    /// # Errors
    /// The program is gone.
    pub fn descriptor(&self) -> Result<i64, AgentError> {
        self.ask(NodeRequest::Descriptor { file: self.number })
    }

    /// A call by number and bytes.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn raw(&self, number: u32, argument: &[u8]) -> Result<Vec<u8>, AgentError> {
        match self.call(NodeRequest::Raw { file: self.number, number, argument: argument.to_vec() })? {
            Outcome::Bytes(bytes) => Ok(bytes),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    calls! {
        /// Sizes and limits.
        info Info;
        /// Creates a context.
        create_context ContextCreate;
        /// Destroys a context.
        destroy_context ContextDestroy;
        /// The resets that a context went through.
        context_status ContextStatus;
        /// The offset of a buffer.
        buffer_offset BufferMmap;
        /// Says whether the contents of a buffer are needed.
        advise BufferAdvise;
        /// Maps a part of a buffer into a context.
        map Map;
        /// Unmaps what begins at an address.
        unmap Unmap;
    }

    /// Creates a context and gives its number.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn context(&self) -> Result<u32, AgentError> {
        Ok(self.create_context(ContextCreate::default())?.context)
    }

    /// Maps a whole buffer into a context, writable.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn map_all(&self, context: u32, buffer: &BufferCreate, address: u64) -> Result<(), AgentError> {
        let map =
            Map { context, handle: buffer.handle, address, size: buffer.size, flags: MAP_WRITE, ..Map::default() };
        self.map(map).map(drop)
    }

    /// Creates a buffer.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn buffer(&self, size: u64, flags: u32) -> Result<BufferCreate, AgentError> {
        match self.call(NodeRequest::CreateBuffer { file: self.number, size, flags })? {
            Outcome::Buffer(buffer) => Ok(buffer),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    /// Creates a buffer of memory of the program's own.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn user_buffer(&self, memory: &Memory<'_>, read_only: bool) -> Result<BufferCreate, AgentError> {
        let mapping = memory.number();
        match self.call(NodeRequest::CreateUserBuffer { file: self.number, mapping, read_only })? {
            Outcome::Buffer(buffer) => Ok(buffer),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    /// Gives up a buffer's handle.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn close_buffer(&self, handle: u32) -> Result<(), AgentError> {
        self.call(NodeRequest::CloseBuffer { file: self.number, handle }).map(drop)
    }

    /// Maps a whole buffer into the program.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn map_memory(&self, buffer: &BufferCreate) -> Result<Memory<'a>, AgentError> {
        let mapping = self.program.new_number();
        let length = usize::try_from(buffer.size).unwrap_or(usize::MAX);
        self.call(NodeRequest::MapMemory { file: self.number, handle: buffer.handle, mapping, length })?;
        Ok(Memory::new(self.program, mapping))
    }

    /// Submits a job so many times, at the next points of the timelines that it signals each time; gives the jobs' numbers and what the last one signals.
    ///
    /// # Errors
    /// The kernel refuses one of them.
    pub fn submit(&self, job: &Job, times: u32) -> Result<(Vec<u64>, Vec<Sync>), AgentError> {
        match self.call(NodeRequest::Submit { file: self.number, job: job.clone(), times })? {
            Outcome::Submitted { jobs, signals } => Ok((jobs, signals)),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    /// Begins to wait for a job; the answer is its result.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start_wait(&self, context: u32, job: u64) -> Result<Pending, AgentError> {
        let limit_ms = self.program.milliseconds(pace::DRIVER);
        self.start(NodeRequest::WaitForJob { file: self.number, context, job, limit_ms }, pace::DRIVER)
    }

    /// Waits for a job: 0, or its negative errno.
    ///
    /// # Errors
    /// The kernel refuses, or it does not end.
    pub fn wait(&self, context: u32, job: u64) -> Result<i64, AgentError> {
        self.start_wait(context, job)?.wait()?.number()
    }

    /// Whether a job has not ended yet.
    ///
    /// # Errors
    /// The kernel refuses to say.
    pub fn is_pending(&self, context: u32, job: u64) -> Result<bool, Failure> {
        /// The time of a wait is over.
        const ETIME: i32 = 62;
        match self.ask(NodeRequest::WaitForJob { file: self.number, context, job, limit_ms: 0 }) {
            Ok(_) => Ok(false),
            still => Ok(refused(still)? == ETIME),
        }
    }

    /// Waits for some jobs, and counts those that ended with this result: 0, or a negative errno.
    ///
    /// # Errors
    /// The kernel refuses, or one does not end.
    pub fn count_results(&self, context: u32, jobs: &[u64], result: i32) -> Result<i64, AgentError> {
        let limit_ms = milliseconds(pace::DRIVER);
        let request = NodeRequest::CountResults { file: self.number, context, jobs: jobs.to_vec(), result, limit_ms };
        self.start(request, pace::DRIVER)?.wait()?.number()
    }

    /// Begins to wait until no job uses a buffer.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start_wait_for_buffer(&self, handle: u32) -> Result<Pending, AgentError> {
        let limit_ms = self.program.milliseconds(pace::DRIVER);
        self.start(NodeRequest::WaitForBuffer { file: self.number, handle, limit_ms }, pace::DRIVER)
    }

    /// Creates a syncobj.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn syncobj(&self) -> Result<u32, AgentError> {
        let handle = self.ask(NodeRequest::CreateSyncobj { file: self.number })?;
        u32::try_from(handle).map_err(|_| AgentError::Unfitting(Outcome::Number(handle)))
    }

    /// Begins to wait for a syncobj, or for a point of it that is not 0.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start_wait_for_syncobj(&self, handle: u32, point: u64) -> Result<Pending, AgentError> {
        let limit_ms = self.program.milliseconds(pace::DRIVER);
        self.start(NodeRequest::WaitForSyncobj { file: self.number, handle, point, limit_ms }, pace::DRIVER)
    }

    /// Begins to poll the node; the answer is the sum of what `poll.h` names.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start_poll(&self) -> Result<Pending, AgentError> {
        let limit_ms = self.program.milliseconds(pace::DRIVER);
        self.start(NodeRequest::Poll { file: self.number, limit_ms }, pace::DRIVER)
    }

    /// The same, for so long at most, whatever the kernel.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start_poll_for(&self, limit: Duration) -> Result<Pending, AgentError> {
        self.start(NodeRequest::Poll { file: self.number, limit_ms: milliseconds(limit) }, limit)
    }

    /// Begins to do a job again and again, which fills a map with `pattern` each time.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn start_work(&self, job: &Job, memory: &Memory<'_>, pattern: u32) -> Result<Work<'a>, AgentError> {
        let number = self.program.new_number();
        let request = NodeRequest::Work {
            file: self.number,
            job: job.clone(),
            mapping: memory.number(),
            word: pattern,
            work: number,
        };
        Ok(Work { program: self.program, number, ended: self.start(request, pace::WORK)? })
    }

    /// Exports a buffer; gives the descriptor's number in this program's requests.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn export(&self, handle: u32) -> Result<u32, AgentError> {
        let descriptor = self.program.new_number();
        self.call(NodeRequest::ExportBuffer { file: self.number, handle, descriptor })?;
        Ok(descriptor)
    }

    /// Imports a buffer, and gives its handle.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn import(&self, descriptor: u32) -> Result<i64, AgentError> {
        self.ask(NodeRequest::ImportBuffer { file: self.number, descriptor })
    }

    /// A `sync_file` of a syncobj; gives the descriptor's number in this program's requests.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn sync_file(&self, handle: u32) -> Result<u32, AgentError> {
        let descriptor = self.program.new_number();
        self.call(NodeRequest::ExportSyncobj { file: self.number, handle, descriptor })?;
        Ok(descriptor)
    }

    /// How long a call takes that is made so many times in a row, all together.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn time_calls(&self, call: TimedCall, times: u32) -> Result<Duration, AgentError> {
        let nanoseconds = self.ask(NodeRequest::TimeCalls { file: self.number, call, times })?;
        Ok(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)))
    }

    /// The nanoseconds from SUBMIT to the end of WAIT, of each of so many jobs one after the other.
    ///
    /// # Errors
    /// The kernel refuses, or a job does not complete.
    pub fn time_jobs(&self, job: &Job, times: u32) -> Result<Vec<u64>, AgentError> {
        match self.call(NodeRequest::TimeJobs { file: self.number, job: job.clone(), times })? {
            Outcome::Numbers(nanoseconds) => Ok(nanoseconds),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    fn ask(&self, request: NodeRequest) -> Result<i64, AgentError> {
        self.program.call(request, pace::COMMAND)?.number()
    }

    fn call(&self, request: NodeRequest) -> Result<Outcome, AgentError> {
        Ok(self.program.call(request, pace::COMMAND)?.outcome)
    }

    fn start(&self, request: NodeRequest, limit: Duration) -> Result<Pending, AgentError> {
        // The guest gives up by itself; only one that hangs needs the second limit.
        self.program.start_call(request, limit + pace::COMMAND)
    }
}

/// A job that is done again and again.
#[derive(Debug)]
pub struct Work<'a> {
    program: &'a Program<'a>,
    number: u32,
    ended: Pending,
}

impl Work<'_> {
    /// Jobs that were completed so far.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn progress(&self) -> Result<i64, AgentError> {
        self.program.call(NodeRequest::Progress { work: self.number }, pace::COMMAND)?.number()
    }

    /// Waits for its end: the errno that ended it, 0 if it was stopped.
    ///
    /// # Errors
    /// A result was wrong, or a job did not end.
    pub fn ended(self) -> Result<i32, AgentError> {
        match self.ended.wait()?.outcome {
            Outcome::Worked { errno, .. } => Ok(errno),
            other => Err(AgentError::Unfitting(other)),
        }
    }

    /// Stops it.
    ///
    /// # Errors
    /// A result was wrong, or the device was lost.
    pub fn stop(self) -> Result<i32, AgentError> {
        self.program.call(NodeRequest::StopWork { work: self.number }, pace::COMMAND)?;
        self.ended()
    }
}
