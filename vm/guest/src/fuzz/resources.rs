//! What the threads have: files with what is in them, descriptors, maps. Threads share all of it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lifeboat_client::arena::Arena;
use lifeboat_client::{Mapping, Node};

/// What a descriptor is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A buffer (`dma-buf`).
    Buffer,
    /// A fence.
    SyncFile,
    /// A syncobj.
    Syncobj,
}

/// Numbers of each kind that are remembered in a file; older ones stay in it until it is closed.
const NUMBERS: usize = 48;
const FILES: usize = 4;
const DESCRIPTORS: usize = 48;
const MAPS: usize = 12;

/// All that there is.
#[derive(Debug)]
pub struct World {
    /// Memory for structures, and pages for buffers.
    pub arena: Arena,
    /// Open files.
    pub files: Pool<OpenFile>,
    /// Descriptors.
    pub descriptors: Pool<Descriptor>,
    /// Maps of buffers.
    pub maps: Pool<Mapping>,
}

/// An open node.
#[derive(Debug)]
pub struct OpenFile {
    /// The node.
    pub node: Node,
    numbers: Mutex<Numbers>,
}

/// A descriptor.
#[derive(Debug)]
pub struct Descriptor {
    /// The descriptor.
    pub descriptor: OwnedFd,
    /// What it is of.
    pub kind: Kind,
}

/// What a file has, as far as it is remembered. Some of it is there no more.
#[derive(Debug, Default)]
pub struct Numbers {
    /// Contexts, each with the slots of its addresses where something is mapped for writing.
    pub contexts: VecDeque<(u32, u32)>,
    /// Handles.
    pub buffers: VecDeque<u32>,
    /// Offsets of buffers for `mmap`.
    pub offsets: VecDeque<u64>,
    /// Handles.
    pub syncobjs: VecDeque<u32>,
    /// Contexts and jobs.
    pub jobs: VecDeque<(u32, u64)>,
}

/// Things that threads share, the oldest of which goes when there are too many.
#[derive(Debug)]
pub struct Pool<T> {
    things: Mutex<VecDeque<Arc<T>>>,
    most: usize,
}

impl World {
    /// Nothing.
    ///
    /// # Errors
    /// Memory.
    pub fn new() -> Result<Self, lifeboat_client::Errno> {
        Ok(Self {
            arena: Arena::new()?,
            files: Pool::new(FILES),
            descriptors: Pool::new(DESCRIPTORS),
            maps: Pool::new(MAPS),
        })
    }
}

impl OpenFile {
    /// A file in which nothing is known.
    pub fn new(node: Node) -> Self {
        Self { node, numbers: Mutex::default() }
    }

    /// What is in it. Kept for a moment only.
    pub fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Pool<T> {
    fn new(most: usize) -> Self {
        Self { things: Mutex::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<T>>> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of them.
    pub fn choose(&self, random: u64) -> Option<Arc<T>> {
        chosen(&self.lock(), random).cloned()
    }

    /// One of those that fit.
    pub fn choose_where(&self, random: u64, fits: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let fitting: Vec<_> = self.lock().iter().filter(|thing| fits(thing)).cloned().collect();
        (!fitting.is_empty()).then(|| Arc::clone(&fitting[index(random, fitting.len())]))
    }

    /// Adds one. What goes instead ends when no thread uses it any more.
    pub fn add(&self, thing: T) {
        let dropped = {
            let mut things = self.lock();
            things.push_back(Arc::new(thing));
            if things.len() > self.most { things.pop_front() } else { None }
        };
        drop(dropped);
    }

    /// Takes one out.
    pub fn take(&self, random: u64) -> Option<Arc<T>> {
        let mut things = self.lock();
        if things.is_empty() {
            return None;
        }
        let at = index(random, things.len());
        things.remove(at)
    }

    /// Takes this one out.
    pub fn forget(&self, thing: &Arc<T>) {
        self.lock().retain(|other| !Arc::ptr_eq(thing, other));
    }
}

/// Remembers a number.
pub fn remember<T>(numbers: &mut VecDeque<T>, number: T) {
    numbers.push_back(number);
    if numbers.len() > NUMBERS {
        numbers.pop_front();
    }
}

/// One of them.
pub fn chosen<T>(things: &VecDeque<T>, random: u64) -> Option<&T> {
    (!things.is_empty()).then(|| &things[index(random, things.len())])
}

/// A place among so many.
pub fn index(random: u64, length: usize) -> usize {
    // A remainder is less than the length.
    usize::try_from(random % length as u64).unwrap_or(0)
}
