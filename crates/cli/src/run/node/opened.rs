//! A device of a kernel as clients use it: a file of its node, and one context with an address for each buffer.

use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat::WaitError;
use lifeboat::core::fence::FenceError;
use lifeboat_client::uapi::{
    BUFFER_VRAM, CONTEXT_BANNED, CONTEXT_LOST, Info, MAP_WRITE, Map, SUBMIT_RESTARTABLE, Sync,
};
use lifeboat_client::{Errno, Job, Mapping, Node};
use lifeboat_lb1::command::{Command, ContextId, Descriptor, GpuVa, Work};

use super::error::NodeError;
use crate::run::devices::{Memory, Opened, Refused};
use crate::run::error::RunError;

/// How long to try again while the driver has too many jobs in flight: jobs of others, since ours are few.
const CROWDED: Duration = Duration::from_secs(10);

/// See the module documentation.
pub(super) struct OpenedNode {
    node: Node,
    info: Info,
    context: u32,
    /// Where the next buffer goes in the context.
    next: Cell<u64>,
    /// Milliseconds that a job may take; 0: what the driver allows.
    job_limit_ms: u32,
}

/// Memory on the device, or shared with it.
pub(super) struct NodeBuffer {
    /// As this process sees it; `None` if it never looks.
    mapping: Option<Mapping>,
}

/// One ring, and what its last job signals.
pub(super) struct NodeQueue {
    ring: u32,
    syncobj: u32,
}

/// A job.
pub(super) struct NodeFence {
    job: u64,
    /// Signals when the job has ended, as long as no other job of the queue is submitted.
    syncobj: u32,
}

impl OpenedNode {
    /// Opens a node, and makes a context.
    pub(super) fn open(path: &Path, job_limit_ms: u32) -> Result<Self, Refused> {
        let node = Node::open(path).map_err(|source| match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NXIO | Errno::NODEV | Errno::NOENT) => Refused::Lost,
            _ => failed(NodeError::Open { path: path.to_owned(), source }),
        })?;
        let info = node.info().map_err(|errno| refused("INFO", errno))?;
        let context = node.create_context().map_err(|errno| refused("CONTEXT_CREATE", errno))?;
        Ok(Self { node, info, context, next: Cell::new(info.first_address), job_limit_ms })
    }

    /// The addresses for the next `bytes` bytes.
    fn take_addresses(&self, bytes: u64) -> Option<u64> {
        let page = u64::from(self.info.page_bytes).max(1);
        let address = self.next.get();
        let end = address.checked_add(bytes)?.checked_next_multiple_of(page)?;
        self.next.set(end);
        (end - 1 <= self.info.last_address).then_some(address)
    }
}

impl Opened for OpenedNode {
    type Buffer = NodeBuffer;
    type Queue = NodeQueue;
    type Fence = NodeFence;

    fn rings(&self) -> u8 {
        u8::try_from(self.info.rings).unwrap_or(u8::MAX)
    }

    fn is_live(&self) -> bool {
        let status = self.node.context_status(self.context);
        status.is_ok_and(|status| status.flags & (CONTEXT_BANNED | CONTEXT_LOST) == 0) && !is_lost(&self.node)
    }

    fn queue(&self, ring: u8) -> Result<NodeQueue, Refused> {
        let syncobj = self.node.create_syncobj().map_err(|errno| refused("SYNCOBJ_CREATE", errno))?;
        Ok(NodeQueue { ring: ring.into(), syncobj })
    }

    fn buffer(&self, memory: Memory, bytes: u64) -> Result<(NodeBuffer, GpuVa), Refused> {
        let flags = if memory == Memory::Device { BUFFER_VRAM } else { 0 };
        let buffer = self.node.create_buffer(bytes, flags).map_err(|errno| refused("BUFFER_CREATE", errno))?;
        let address = self.take_addresses(buffer.size).ok_or(Errno::NOSPC).map_err(|errno| refused("MAP", errno))?;
        let map = Map {
            context: self.context,
            handle: buffer.handle,
            address,
            size: buffer.size,
            flags: MAP_WRITE,
            ..Map::default()
        };
        self.node.map(map).map_err(|errno| refused("MAP", errno))?;
        let mapping = match memory {
            Memory::Device => None,
            Memory::Host => {
                let length = usize::try_from(buffer.size).unwrap_or(usize::MAX);
                Some(self.node.map_memory(buffer.handle, length).map_err(|errno| refused("mmap", errno))?)
            }
        };
        Ok((NodeBuffer { mapping }, GpuVa(address)))
    }

    fn write(&self, buffer: &NodeBuffer, at: u64, bytes: &[u8]) -> Result<(), RunError> {
        let (mapping, at) = (buffer.mapping.as_ref(), usize::try_from(at).unwrap_or(usize::MAX));
        let written = mapping.ok_or(Errno::INVAL).and_then(|mapping| mapping.write(at, bytes));
        written.map_err(|errno| NodeError::Call { call: "a write into a buffer", errno }.into())
    }

    /// A map of a lost device shows undefined data, from a moment on that is not told. Whoever finds the device there after
    /// reading has read before that moment.
    fn read(&self, buffer: &NodeBuffer, bytes: &mut [u8]) -> Result<(), Refused> {
        let read = buffer.mapping.as_ref().ok_or(Errno::INVAL).and_then(|mapping| mapping.read(0, bytes));
        read.map_err(|errno| failed(NodeError::Call { call: "a read from a buffer", errno }))?;
        if is_lost(&self.node) { Err(Refused::Lost) } else { Ok(()) }
    }

    fn submit(&self, queue: &NodeQueue, work: Work, after: Option<&NodeFence>) -> Result<NodeFence, Refused> {
        let command = Descriptor::encode(ContextId(0), &Command::Work(work)).to_bytes();
        let waits = after.map(|fence| sync(fence.syncobj));
        let job = Job {
            flags: SUBMIT_RESTARTABLE,
            waits: waits.as_slice(),
            timeout_ms: self.job_limit_ms,
            ..Job::new(self.context, queue.ring, &command, self.info.command_bytes)
        };
        let began = Instant::now();
        loop {
            match self.node.submit(&job, &mut [sync(queue.syncobj)]) {
                Ok(job) => return Ok(NodeFence { job, syncobj: queue.syncobj }),
                Err(Errno::CANCELED) => return Err(Refused::Banned),
                Err(Errno::AGAIN) if began.elapsed() < CROWDED => std::thread::sleep(Duration::from_millis(1)),
                Err(errno) => return Err(refused("SUBMIT", errno)),
            }
        }
    }

    fn wait(&self, fence: &NodeFence, limit: Duration) -> Result<(), WaitError> {
        match self.node.wait(self.context, fence.job, limit) {
            Ok(result) => ended(result),
            Err(_) => Err(WaitError::TimedOut),
        }
    }
}

/// How a job ended, from what WAIT says: 0, or the negative number of its error.
fn ended(result: i32) -> Result<(), WaitError> {
    const LOST: i32 = -Errno::NODEV.raw_os_error();
    const GUILTY: i32 = -Errno::TIME.raw_os_error();
    Err(WaitError::Failed(match result {
        0 => return Ok(()),
        LOST => FenceError::Lost,
        GUILTY => FenceError::Guilty,
        // The driver gives no other error but ECANCELED.
        _ => FenceError::Canceled,
    }))
}

fn sync(syncobj: u32) -> Sync {
    // Handles are small numbers. One that is none is refused.
    Sync { handle: i32::try_from(syncobj).unwrap_or(-1), ..Sync::default() }
}

fn is_lost(node: &Node) -> bool {
    node.poll(Duration::ZERO).map_or(true, |woken| woken.is_some_and(|woken| woken.hangup || woken.error))
}

/// Meaning of a refusal, apart from those that a call gives a meaning of its own.
fn refused(call: &'static str, errno: Errno) -> Refused {
    match errno {
        // Lost; or wedged, which a fresh device cures as well.
        Errno::NODEV | Errno::NXIO | Errno::TIME | Errno::PROTO | Errno::CANCELED => Refused::Lost,
        Errno::NOSPC | Errno::DQUOT | Errno::NOMEM => failed(NodeError::NoRoom { call, errno }),
        errno => failed(NodeError::Call { call, errno }),
    }
}

fn failed(error: NodeError) -> Refused {
    Refused::Failed(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_job_is_read_as_the_interface_says() {
        assert_eq!(ended(0), Ok(()));
        let errors = [-19, -62, -125].map(|result| ended(result).unwrap_err());
        assert_eq!(errors, [FenceError::Lost, FenceError::Guilty, FenceError::Canceled].map(WaitError::Failed));
    }

    #[test]
    fn only_a_loss_or_a_wedge_is_one() {
        for errno in [Errno::NODEV, Errno::NXIO, Errno::TIME, Errno::PROTO, Errno::CANCELED] {
            assert!(matches!(refused("MAP", errno), Refused::Lost), "{errno:?}");
        }
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::NOMEM] {
            let error = refused("MAP", errno);
            assert!(matches!(error, Refused::Failed(RunError::Node(NodeError::NoRoom { .. }))), "{errno:?}");
        }
        assert!(matches!(refused("MAP", Errno::INVAL), Refused::Failed(RunError::Node(NodeError::Call { .. }))));
    }
}
