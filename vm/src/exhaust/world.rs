//! What a program in the guest has when a point begins: a file, two contexts, buffers, and maps of them.
//!
//! The kernel numbers contexts, buffers, syncobjs and jobs of a file from 1 on, so a plan can name what an earlier step of it
//! makes. If the kernel numbered otherwise, steps would fail, and so would the point.

use lifeboat_guest::wire::{Job, NodeCall, NodeRequest, Request};
use lifeboat_lb1::command::Work;
use lifeboat_uapi::{BUFFER_VRAM, ContextCreate, MAP_WRITE, Map, Sync};

use super::verdict::Expect;
use crate::driver::Nodes;
use crate::program::commands::{copy, fill, job};

/// The file that the calls are made on, another of the same device, one of its card node, one of another driver's device, and
/// one that sees whether the device works.
pub(super) const FILE: u32 = 0;
pub(super) const OTHER_FILE: u32 = 1;
pub(super) const CARD_FILE: u32 = 2;
pub(super) const PEER_FILE: u32 = 3;
pub(super) const WORK_FILE: u32 = 4;

/// A context with two buffers in it, and one without any.
pub(super) const CONTEXT: u32 = 1;
pub(super) const SPARE_CONTEXT: u32 = 2;

/// Buffers: what a job fills, what it copies to, one that is mapped nowhere, and one in video memory.
pub(super) const SOURCE: u32 = 1;
pub(super) const TARGET: u32 = 2;
pub(super) const SPARE: u32 = 3;
pub(super) const VRAM: u32 = 4;

/// Maps of the target, of the buffer in video memory, and of others that a call makes.
pub(super) const TARGET_MAP: u32 = 0;
pub(super) const VRAM_MAP: u32 = 1;
pub(super) const NEW_MAP: u32 = 2;
pub(super) const WORK_MAP: u32 = 3;
pub(super) const USER_MEMORY: u32 = 4;

/// The syncobj of a file.
pub(super) const SYNCOBJ: u32 = 1;
/// Descriptors: what a call makes, and what it takes.
pub(super) const NEW_DESCRIPTOR: u32 = 0;
pub(super) const EXPORTED: u32 = 1;

/// Bytes of a buffer: one page, so that a job is quick on an emulated processor.
pub(super) const BYTES: u64 = 4096;
const LENGTH: usize = 4096;
/// What a job leaves in the target.
const PATTERN: u32 = 0x11fe_b0a7;
/// Between the addresses of two buffers.
const APART: u64 = 1 << 20;

/// A step of a plan.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// What it is called in reports.
    pub(super) what: &'static str,
    pub(super) expect: Expect,
    /// The step that must have succeeded for this one to mean anything.
    pub(super) needs: Option<&'static str>,
    pub(super) request: Request,
}

impl Planned {
    pub(super) fn new(what: &'static str, expect: Expect, request: Request) -> Self {
        Self { what, expect, needs: None, request }
    }

    /// The same, if `earlier` succeeded.
    pub(super) fn after(self, earlier: &'static str) -> Self {
        Self { needs: Some(earlier), ..self }
    }
}

/// A step on a node.
pub(super) fn node(what: &'static str, expect: Expect, request: NodeRequest) -> Planned {
    Planned::new(what, expect, Request::Node { request })
}

/// A call without addresses.
pub(super) fn call(what: &'static str, expect: Expect, call: NodeCall) -> Planned {
    node(what, expect, NodeRequest::Call { file: FILE, call })
}

/// What the plans of all points are made of.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) nodes: Nodes,
    /// The other driver's.
    pub(super) peer: String,
    /// First address of a context.
    pub(super) first_address: u64,
    /// Limit of each job in milliseconds; 0: the driver's.
    pub(super) job_limit: u32,
    /// Limit of each wait in milliseconds.
    pub(super) wait_limit: u64,
}

impl World {
    /// Steps that make the world. All must succeed.
    pub(super) fn prepare(&self) -> Vec<Planned> {
        let must = |what, request| node(what, Expect::Success, request);
        let mut steps = self.desk(FILE, TARGET_MAP);
        steps.extend([
            call("context_create", Expect::Success, NodeCall::ContextCreate(ContextCreate::default())),
            must("buffer_create", create(FILE, 0)),
            must("buffer_create", create(FILE, BUFFER_VRAM)),
            must("mmap", map_memory(FILE, VRAM, VRAM_MAP)),
            must("touch", poke(VRAM_MAP)),
            must("syncobj_create", NodeRequest::CreateSyncobj { file: FILE }),
        ]);
        steps
    }

    /// Opens the device, and makes what a job needs: a context, two buffers in it, and a map of the second.
    fn desk(&self, file: u32, mapping: u32) -> Vec<Planned> {
        let must = |what, request| node(what, Expect::Success, request);
        let plain = |call| NodeRequest::Call { file, call };
        vec![
            must("open", NodeRequest::Open { file, path: self.nodes.render.clone() }),
            must("context_create", plain(NodeCall::ContextCreate(ContextCreate::default()))),
            must("buffer_create", create(file, 0)),
            must("buffer_create", create(file, 0)),
            must("map", plain(NodeCall::Map(self.map(CONTEXT, SOURCE, 0)))),
            must("map", plain(NodeCall::Map(self.map(CONTEXT, TARGET, 1)))),
            must("mmap", map_memory(file, TARGET, mapping)),
            must("touch", poke(mapping)),
        ]
    }

    /// Steps that see whether the device works: the last of three jobs must be right. The ones before may be those that hang.
    pub(super) fn work(&self) -> Vec<Planned> {
        let must = |what, request| node(what, Expect::Success, request);
        let mut steps = self.desk(WORK_FILE, WORK_MAP);
        for job in 1..=3 {
            let expect = if job < 3 { Expect::Job } else { Expect::Number(0) };
            steps.extend([
                must("clear", NodeRequest::Fill { mapping: WORK_MAP, word: !PATTERN }),
                must("submit", self.submit(WORK_FILE, CONTEXT, &[])),
                node("a job", expect, self.wait(WORK_FILE, job, self.wait_limit)),
            ]);
        }
        steps.extend([
            node("a result", Expect::Number(0), NodeRequest::Differing { mapping: WORK_MAP, word: PATTERN }),
            must("munmap", NodeRequest::Unmap { mapping: WORK_MAP }),
            must("close", NodeRequest::Close { file: WORK_FILE }),
        ]);
        steps
    }

    /// A map of a buffer, at the `place`-th address.
    pub(super) fn map(&self, context: u32, handle: u32, place: u64) -> Map {
        let address = self.first_address + place * APART;
        Map { context, handle, address, size: BYTES, flags: MAP_WRITE, ..Map::default() }
    }

    /// A job that fills the source and copies it to the target, on the first ring.
    fn job(&self, context: u32) -> Job {
        let bytes = u32::try_from(BYTES).unwrap_or(u32::MAX);
        let (source, target) = (self.first_address, self.first_address + APART);
        let work: [Work; 2] = [fill(source, BYTES, PATTERN), copy(target, source, bytes)];
        Job { timeout_ms: self.job_limit, ..job(context, &work) }
    }

    pub(super) fn submit(&self, file: u32, context: u32, signals: &[Sync]) -> NodeRequest {
        NodeRequest::Submit { file, job: Job { signals: signals.to_vec(), ..self.job(context) }, times: 1 }
    }

    /// The same on the second ring, once the fence of a syncobj has signalled.
    pub(super) fn submit_after(&self, wait: Sync) -> NodeRequest {
        NodeRequest::Submit { file: FILE, job: Job { ring: 1, waits: vec![wait], ..self.job(CONTEXT) }, times: 1 }
    }

    pub(super) fn wait(&self, file: u32, job: u64, limit_ms: u64) -> NodeRequest {
        NodeRequest::WaitForJob { file, context: CONTEXT, job, limit_ms }
    }
}

pub(super) fn create(file: u32, flags: u32) -> NodeRequest {
    NodeRequest::CreateBuffer { file, size: BYTES, flags }
}

pub(super) fn map_memory(file: u32, handle: u32, mapping: u32) -> NodeRequest {
    NodeRequest::MapMemory { file, handle, mapping, length: LENGTH }
}

/// Writes a word and reads another one, which faults if nothing is behind the page.
pub(super) fn poke(mapping: u32) -> NodeRequest {
    NodeRequest::Poke { mapping, at: 5, word: 7, read: 900 }
}
