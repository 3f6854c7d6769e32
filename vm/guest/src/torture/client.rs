//! A client: what all kinds of them have, and how their calls may end.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use lifeboat_client::{Errno, Job, Mapping, Node};
use lifeboat_uapi::{SUBMIT_RESTARTABLE, Sync};

use crate::fuzz::activity::Activity;
use crate::torture::report::{Options, Report, Work};

/// A client.
pub(super) struct Client<'a> {
    pub(super) options: &'a Options,
    pub(super) random: Rng,
    pub(super) activity: &'a Activity,
    /// Steps that it has made.
    pub(super) steps: &'a AtomicU64,
    pub(super) over: &'a AtomicBool,
    pub(super) report: Report,
}

/// Why a client does not go on with what it was at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The device is lost.
    Lost,
    /// There is no room: others have it.
    Busy,
    /// Something is not as it must be.
    Wrong(String),
}

/// What a client needs to compute.
pub(super) struct Desk<'a> {
    pub(super) node: Node,
    pub(super) context: u32,
    pub(super) work: &'a Work,
    pub(super) copy: u32,
    pub(super) memory: Mapping,
}

/// What a call answers where somebody else has all there is.
const BUSY: [Errno; 4] = [Errno::NOMEM, Errno::NOSPC, Errno::AGAIN, Errno::DQUOT];
/// What an open may end with when the device goes.
const NO_NODE: [Errno; 3] = [Errno::NOENT, Errno::NXIO, Errno::NODEV];

impl<'a> Client<'a> {
    pub(super) fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    pub(super) fn step(&mut self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> Duration {
        Duration::from_millis(self.options.limit_ms)
    }

    /// Makes a call that needs the device.
    pub(super) fn call<T>(&self, name: &'static str, call: impl FnOnce() -> Result<T, Errno>) -> Result<T, Stop> {
        match self.watched(name, call) {
            Ok(value) => Ok(value),
            Err(Errno::NODEV | Errno::TIME | Errno::PROTO) => Err(Stop::Lost),
            // What a context says whose jobs caused too many resets; every other call says so of a device that is wedged.
            Err(Errno::CANCELED) => Err(if name == "SUBMIT" { Stop::Busy } else { Stop::Lost }),
            Err(errno) if BUSY.contains(&errno) => Err(Stop::Busy),
            Err(errno) => Err(Stop::Wrong(format!("{name} failed: {errno}"))),
        }
    }

    /// Makes a call that works on both sides of a loss.
    pub(super) fn always<T>(&self, name: &'static str, call: impl FnOnce() -> Result<T, Errno>) -> Result<T, Stop> {
        self.watched(name, call).map_err(|errno| Stop::Wrong(format!("{name} failed: {errno}")))
    }

    fn watched<T>(&self, name: &'static str, call: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        self.activity.begin(name);
        let result = call();
        self.activity.end();
        result
    }

    pub(super) fn open(&self) -> Result<Node, Stop> {
        let opened = self.watched("open", || {
            Node::open(Path::new(&self.options.node)).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        });
        opened.map_err(|errno| match errno {
            errno if NO_NODE.contains(&errno) => Stop::Lost,
            errno => Stop::Wrong(format!("open failed: {errno}")),
        })
    }

    /// Everything that a job needs.
    pub(super) fn desk(&mut self) -> Result<Desk<'a>, Stop> {
        let node = self.open()?;
        let options = self.options;
        let work = &options.work[self.random.usize(..options.work.len())];
        let context = self.call("CONTEXT_CREATE", || node.create_context())?;
        let mut buffers = [0; 2];
        for (buffer, address) in buffers.iter_mut().zip(work.addresses) {
            let made = self.call("BUFFER_CREATE", || node.create_buffer(work.bytes, 0))?;
            *buffer = made.handle;
            let map = lifeboat_uapi::Map {
                context,
                handle: made.handle,
                address,
                size: made.size,
                flags: lifeboat_uapi::MAP_WRITE,
                ..Default::default()
            };
            self.call("MAP", || node.plain(map))?;
        }
        let bytes = usize::try_from(work.bytes).unwrap_or(usize::MAX);
        let memory = self.always("mmap", || node.map_memory(buffers[1], bytes))?;
        Ok(Desk { node, context, work, copy: buffers[1], memory })
    }

    /// Submits the desk's job.
    pub(super) fn submit(&mut self, desk: &Desk<'_>, signals: &mut [Sync]) -> Result<u64, Stop> {
        let ring = self.random.u32(..self.options.info.rings.max(1));
        let bytes = self.options.info.command_bytes;
        let job = Job { flags: SUBMIT_RESTARTABLE, ..Job::new(desk.context, ring, &desk.work.commands, bytes) };
        self.call("SUBMIT", || desk.node.submit(&job, signals))
    }

    /// How a job ends. Its end must come, and be one that there may be.
    pub(super) fn end_of(&mut self, desk: &Desk<'_>, job: u64) -> Result<i32, Stop> {
        let limit = self.limit();
        let result = self.always("WAIT", || desk.node.wait(desk.context, job, limit))?;
        *self.report.results.entry(result).or_default() += 1;
        match result {
            0 => Ok(0),
            _ if result == -Errno::NODEV.raw_os_error() => Err(Stop::Lost),
            _ if self.options.results.contains(&-result) => Ok(result),
            _ => Err(Stop::Wrong(format!("a job ended with {result}"))),
        }
    }

    /// Whether the device of a file is lost.
    pub(super) fn is_lost(&self, node: &Node) -> Result<bool, Stop> {
        let woken = self.always("poll", || node.poll(Duration::ZERO))?;
        Ok(woken.is_some_and(|woken| woken.hangup))
    }
}
