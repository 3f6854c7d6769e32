//! A program that uses the device, through its node.

mod held;
mod memory;
pub mod request;
mod timing;
mod work;

use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use lifeboat_client::{
    Capability, Errno, Mapping, Node, RawError, WaitFor, Woken, poll_sync_file, sync_file_status, writers_of_buffer,
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::node::held::Held;
use crate::node::memory::Memory;
use crate::node::request::{Call, NodeRequest};
use crate::node::work::Work;
use crate::wire::{Failure, Outcome};

/// What this process has open.
#[derive(Debug, Default)]
pub struct Nodes {
    files: Held<Node>,
    memory: Held<Memory>,
    descriptors: Held<std::os::fd::OwnedFd>,
    works: Held<Work>,
}

impl Nodes {
    /// Carries a request out.
    ///
    /// # Errors
    /// Those of the kernel, and numbers that name nothing.
    pub fn carry_out(&self, request: &NodeRequest) -> Result<Outcome, Failure> {
        self.attempt(request).map_err(|error| error.into_failure(request))
    }

    fn attempt(&self, request: &NodeRequest) -> Result<Outcome, Error> {
        match request {
            NodeRequest::Open { file, path } => self.files.keep(*file, Node::open(path)?),
            NodeRequest::Close { file } => self.files.end(*file)?,
            NodeRequest::Descriptor { file } => return number(self.files.get(*file)?.as_fd().as_raw_fd()),
            NodeRequest::Version { file } => {
                let version = self.files.get(*file)?.version()?;
                let (major, minor, patch) = version.number;
                return Ok(Outcome::Text(format!("{} {major}.{minor}.{patch} {}", version.name, version.description)));
            }
            NodeRequest::Capability { file, capability } => {
                return number(self.files.get(*file)?.capability(Capability(*capability))?);
            }
            NodeRequest::Call { file, call } => return Ok(Outcome::Called(make(&*self.files.get(*file)?, *call)?)),
            NodeRequest::Raw { file, number, argument } => {
                let mut argument = argument.clone();
                self.files.get(*file)?.raw(*number, &mut argument)?;
                return Ok(Outcome::Bytes(argument));
            }
            NodeRequest::CreateBuffer { file, size, flags } => {
                return Ok(Outcome::Buffer(self.files.get(*file)?.create_buffer(*size, *flags)?));
            }
            NodeRequest::CloseBuffer { file, handle } => self.files.get(*file)?.close_buffer(*handle)?,
            NodeRequest::Submit { file, job, times } => return self.submit(*file, job, *times),
            NodeRequest::Work { file, job, mapping, word, work } => {
                let (node, memory) = (self.files.get(*file)?, self.memory.get(*mapping)?);
                self.works.keep(*work, Work::default());
                return Ok(self.works.get(*work)?.carry_out(&node, job, &memory, *word)?);
            }
            // Work that has not begun yet has completed nothing.
            NodeRequest::Progress { work } => return number(self.works.get(*work).map_or(0, |work| work.completed())),
            NodeRequest::StopWork { work } => self.works.get(*work)?.stop(),
            NodeRequest::WaitForJob { .. }
            | NodeRequest::CountResults { .. }
            | NodeRequest::WaitForBuffer { .. }
            | NodeRequest::WaitForSyncobj { .. }
            | NodeRequest::Poll { .. }
            | NodeRequest::PollDescriptor { .. } => return self.wait(request),
            NodeRequest::CreateSyncobj { file } => return number(self.files.get(*file)?.create_syncobj()?),
            NodeRequest::MapMemory { file, handle, mapping, length } => {
                self.memory.keep(*mapping, Memory::new(self.files.get(*file)?.map_memory(*handle, *length)?));
            }
            NodeRequest::Allocate { mapping, length } => {
                self.memory.keep(*mapping, Memory::new(Mapping::anonymous(*length)?));
            }
            NodeRequest::CreateUserBuffer { file, mapping, read_only } => {
                let (node, memory) = (self.files.get(*file)?, self.memory.get(*mapping)?);
                return Ok(Outcome::Buffer(node.create_user_buffer(memory.mapping(), *read_only)?));
            }
            NodeRequest::Discard { mapping } => self.memory.get(*mapping)?.mapping().discard()?,
            NodeRequest::Poke { mapping, at, word, read } => {
                return number(self.memory.get(*mapping)?.poke(*at, *word, *read).ok_or(Errno::INVAL)?);
            }
            NodeRequest::Fill { mapping, word } => self.memory.get(*mapping)?.fill(*word),
            NodeRequest::Differing { mapping, word } => return number(self.memory.get(*mapping)?.differing(*word)),
            NodeRequest::Touch { mapping } => self.memory.get(*mapping)?.touch_all_the_time(),
            NodeRequest::Touches { mapping } => return number(self.memory.get(*mapping)?.touches()),
            NodeRequest::Unmap { mapping } => self.memory.end(*mapping)?,
            NodeRequest::ExportSyncobj { file, handle, descriptor } => {
                self.descriptors.keep(*descriptor, self.files.get(*file)?.syncobj_to_sync_file(*handle)?);
            }
            NodeRequest::ExportBuffer { file, handle, descriptor } => {
                self.descriptors.keep(*descriptor, self.files.get(*file)?.export(*handle)?);
            }
            NodeRequest::WritersOfBuffer { buffer, descriptor } => {
                let buffer = self.descriptors.get(*buffer)?;
                self.descriptors.keep(*descriptor, writers_of_buffer(buffer.as_fd())?);
            }
            NodeRequest::ImportBuffer { file, descriptor } => {
                let buffer = self.descriptors.get(*descriptor)?;
                return number(self.files.get(*file)?.import(buffer.as_fd())?);
            }
            NodeRequest::Take { process, number, descriptor } => {
                let process = i32::try_from(*process).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
                let process = pidfd_open(process, PidfdFlags::empty())?;
                self.descriptors.keep(*descriptor, pidfd_getfd(process, *number, PidfdGetfdFlags::empty())?);
            }
            NodeRequest::NumberOf { descriptor } => return number(self.descriptors.get(*descriptor)?.as_raw_fd()),
            NodeRequest::Status { descriptor } => {
                return number(sync_file_status(self.descriptors.get(*descriptor)?.as_fd())?);
            }
            NodeRequest::TimeCalls { file, call, times } => {
                return number(timing::calls(&*self.files.get(*file)?, *call, *times)?);
            }
            NodeRequest::TimeJobs { file, job, times } => {
                return Ok(Outcome::Numbers(timing::jobs(&*self.files.get(*file)?, job, *times)?));
            }
            NodeRequest::TimePingPong { times } => return Ok(Outcome::Numbers(timing::ping_pong(*times)?)),
            NodeRequest::CloseDescriptor { descriptor } => self.descriptors.end(*descriptor)?,
        }
        Ok(Outcome::Done)
    }

    /// Requests that wait, each no longer than its limit.
    fn wait(&self, request: &NodeRequest) -> Result<Outcome, Error> {
        let limit = Duration::from_millis;
        match request {
            NodeRequest::WaitForJob { file, context, job, limit_ms } => {
                number(self.files.get(*file)?.wait(*context, *job, limit(*limit_ms))?)
            }
            NodeRequest::CountResults { file, context, jobs, result, limit_ms } => {
                let (node, began) = (self.files.get(*file)?, Instant::now());
                let mut count = 0_u32;
                for job in jobs {
                    let left = limit(*limit_ms).saturating_sub(began.elapsed());
                    count += u32::from(node.wait(*context, *job, left)? == *result);
                }
                number(count)
            }
            NodeRequest::WaitForBuffer { file, handle, limit_ms } => {
                self.files.get(*file)?.wait_for_buffer(*handle, 0, limit(*limit_ms))?;
                Ok(Outcome::Done)
            }
            NodeRequest::WaitForSyncobj { file, handle, point, limit_ms } => {
                let node = self.files.get(*file)?;
                match point {
                    0 => node.wait_for_syncobjs(&[*handle], WaitFor::All, limit(*limit_ms))?,
                    point => node.wait_for_points(&[(*handle, *point)], WaitFor::All, limit(*limit_ms))?,
                }
                Ok(Outcome::Done)
            }
            NodeRequest::Poll { file, limit_ms } => number(events(self.files.get(*file)?.poll(limit(*limit_ms))?)),
            NodeRequest::PollDescriptor { descriptor, limit_ms } => {
                number(events(poll_sync_file(self.descriptors.get(*descriptor)?.as_fd(), limit(*limit_ms))?))
            }
            _ => Err(Errno::INVAL.into()),
        }
    }

    fn submit(&self, file: u32, job: &request::Job, times: u32) -> Result<Outcome, Error> {
        let node = self.files.get(file)?;
        let mut signals = job.signals.clone();
        let mut jobs = Vec::new();
        for _ in 0..times {
            if !jobs.is_empty() {
                signals.iter_mut().filter(|signal| signal.point > 0).for_each(|signal| signal.point += 1);
            }
            jobs.push(work::submit(&node, job, &mut signals)?);
        }
        Ok(Outcome::Submitted { jobs, signals })
    }
}

/// Makes a call without addresses.
fn make(node: &Node, call: Call) -> Result<Call, Errno> {
    Ok(match call {
        Call::Info(request) => Call::Info(node.plain(request)?),
        Call::ContextCreate(request) => Call::ContextCreate(node.plain(request)?),
        Call::ContextDestroy(request) => Call::ContextDestroy(node.plain(request)?),
        Call::ContextStatus(request) => Call::ContextStatus(node.plain(request)?),
        Call::BufferMmap(request) => Call::BufferMmap(node.plain(request)?),
        Call::BufferAdvise(request) => Call::BufferAdvise(node.plain(request)?),
        Call::Map(request) => Call::Map(node.plain(request)?),
        Call::Unmap(request) => Call::Unmap(node.plain(request)?),
    })
}

fn number(number: impl TryInto<i64>) -> Result<Outcome, Error> {
    number.try_into().map(Outcome::Number).map_err(|_| Error::Kernel(Errno::OVERFLOW))
}

/// As `poll.h` has them.
fn events(woken: Option<Woken>) -> i64 {
    let flag = |set, value| if set { value } else { 0 };
    woken.map_or(0, |woken| flag(woken.readable, 1) + flag(woken.error, 8) + flag(woken.hangup, 16))
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("{0}")]
    Kernel(#[from] Errno),
    #[error(transparent)]
    Raw(#[from] RawError),
    #[error(transparent)]
    Timing(#[from] timing::Error),
    #[error(transparent)]
    Held(#[from] held::Error),
    #[error(transparent)]
    Work(#[from] work::Error),
}

impl Error {
    fn into_failure(self, request: &NodeRequest) -> Failure {
        let errno = match &self {
            Self::File(error) => error.raw_os_error(),
            Self::Kernel(errno) | Self::Raw(RawError::Kernel(errno)) | Self::Timing(timing::Error::Kernel(errno)) => {
                Some(errno.raw_os_error())
            }
            Self::Raw(RawError::MayHoldAddress) | Self::Timing(_) | Self::Held(_) | Self::Work(_) => None,
        };
        let mut request = format!("{request:?}");
        request.truncate(200);
        Failure { errno, message: format!("{request}: {self}") }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use lifeboat_uapi::{Info, Map};

    use super::*;
    use crate::wire::Request;

    #[test]
    fn requests_arrive_as_they_were_sent() {
        let job = request::Job {
            context: 1,
            ring: 0,
            priority: 1,
            flags: 0,
            commands: vec![0, 255],
            command_bytes: 2,
            waits: vec![lifeboat_uapi::Sync { handle: -1, flags: 1, point: u64::MAX }],
            signals: Vec::new(),
            timeout_ms: 0,
        };
        let map = Map { address: u64::MAX - 4095, ..Map::default() };
        for node in [
            NodeRequest::Open { file: 0, path: "/dev/dri/renderD128".into() },
            NodeRequest::Call { file: 0, call: Call::Info(Info::default()) },
            NodeRequest::Call { file: 0, call: Call::Map(map) },
            NodeRequest::Submit { file: 0, job, times: 100 },
        ] {
            let request = Request::Within { process: 7, request: Box::new(Request::Node { request: node }) };
            let line = serde_json::to_string(&request).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
        }
    }

    #[test]
    fn a_number_that_nothing_has_is_no_errno_of_the_kernel() {
        let nodes = Nodes::default();
        let failure = nodes.carry_out(&NodeRequest::Version { file: 3 }).unwrap_err();
        assert_eq!(failure.errno, None);
        let failure = nodes.carry_out(&NodeRequest::Open { file: 3, path: "/no/such/node".into() }).unwrap_err();
        assert_eq!(failure.errno, Some(2));
        // What is no node of DRM answers as such.
        nodes.carry_out(&NodeRequest::Open { file: 3, path: "/dev/null".into() }).unwrap();
        let failure = nodes.carry_out(&NodeRequest::Version { file: 3 }).unwrap_err();
        assert_eq!(failure.errno, Some(25), "{failure}");
        nodes.carry_out(&NodeRequest::Close { file: 3 }).unwrap();
        // A work that has not begun.
        assert_eq!(nodes.carry_out(&NodeRequest::Progress { work: 1 }), Ok(Outcome::Number(0)));
    }
}
