//! Memory of this process that a device, and other processes, may write at any time: a map of a buffer, or memory of the
//! process's own that is lent to a device.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

use lifeboat_uapi::{BUFFER_READ_ONLY, BUFFER_USER, BufferCreate, Request};

use crate::Node;
use crate::call::call;

/// A map of a buffer. It outlives the node's file, the handle of the buffer, and the device: then it shows undefined data.
/// Or [anonymous](Self::anonymous) memory, which outlives them as well.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory is shared with a device in any case, and accessed by atomics alone.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// Whether writes to a map reach what is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// They do.
    Shared,
    /// They make a copy: buffers cannot be mapped so.
    Private,
}

/// Maps `length` bytes of a file, readable and writable.
///
/// # Errors
/// Those of `mmap`.
pub fn map_file(file: BorrowedFd<'_>, offset: u64, length: usize, sharing: Sharing) -> Result<Mapping, Errno> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let flags = match sharing {
        Sharing::Shared => MapFlags::SHARED,
        Sharing::Private => MapFlags::PRIVATE,
    };
    // SAFETY: the kernel chooses the address, so that nothing of ours is mapped over.
    let start = unsafe { mmap(std::ptr::null_mut(), length, access, flags, file, offset)? };
    Ok(Mapping { start: NonNull::new(start.cast()).ok_or(Errno::FAULT)?, length })
}

impl Node {
    /// Maps the first `length` bytes of a buffer.
    ///
    /// # Errors
    /// Those of `BufferMmap` and of `mmap`; `EINVAL` for a length of 0.
    pub fn map_memory(&self, handle: u32, length: usize) -> Result<Mapping, Errno> {
        let offset = self.buffer_offset(handle)?;
        self.map_offset(offset, length)
    }

    /// Maps `length` bytes at an offset that the kernel has told.
    ///
    /// # Errors
    /// Those of `mmap`.
    pub fn map_offset(&self, offset: u64, length: usize) -> Result<Mapping, Errno> {
        map_file(self.as_fd(), offset, length, Sharing::Shared)
    }

    /// Creates a buffer of memory of this process, which the device writes as well unless it is `read_only` to it. Unmapped
    /// or [discarded](Mapping::discard), the memory is out of the device's reach, apart from that of jobs that are under way.
    ///
    /// # Errors
    /// See [`BufferCreate`]; `EFAULT` for a map of a buffer.
    pub fn create_user_buffer(&self, memory: &Mapping, read_only: bool) -> Result<BufferCreate, Errno> {
        let mut request = BufferCreate {
            size: memory.length as u64,
            address: memory.start.as_ptr().expose_provenance() as u64,
            flags: BUFFER_USER | if read_only { BUFFER_READ_ONLY } else { 0 },
            ..Default::default()
        };
        // SAFETY: the kernel pins the pages at the address, which are mapped and accessed by atomics alone. When they are
        // unmapped it does not follow the address any more.
        unsafe { call(self.as_fd(), BufferCreate::NUMBER, &mut request)? };
        Ok(request)
    }
}

impl Mapping {
    /// Zeroed memory of this process's own.
    ///
    /// # Errors
    /// The errors of `mmap`; `EINVAL` for a length of 0.
    pub fn anonymous(length: usize) -> Result<Self, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses the address, so that nothing of ours is mapped over.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), length, access, MapFlags::PRIVATE)? };
        Ok(Self { start: NonNull::new(start.cast()).ok_or(Errno::FAULT)?, length })
    }

    /// Discards what is there, as `MADV_DONTNEED` does: anonymous memory is zeroed, and its pages are others.
    ///
    /// # Errors
    /// The errors of `madvise`.
    pub fn discard(&self) -> Result<(), Errno> {
        // SAFETY: the memory stays mapped; that its contents change is what atomics allow.
        unsafe { madvise(self.start.as_ptr().cast(), self.length, Advice::LinuxDontNeed) }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes: never.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The 32-bit words.
    pub fn words(&self) -> &[AtomicU32] {
        // SAFETY: the mapping is page-aligned, as long as said, lives as long as `self`, and is accessed by atomics alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length / 4) }
    }

    /// Writes bytes at an offset.
    ///
    /// # Errors
    /// `EINVAL` if they reach beyond the end.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        let target = self.bytes().get(offset..).and_then(|rest| rest.get(..bytes.len())).ok_or(Errno::INVAL)?;
        target.iter().zip(bytes).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
        Ok(())
    }

    /// Reads bytes at an offset.
    ///
    /// # Errors
    /// `EINVAL` if they reach beyond the end.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Errno> {
        let source = self.bytes().get(offset..).and_then(|rest| rest.get(..bytes.len())).ok_or(Errno::INVAL)?;
        source.iter().zip(bytes).for_each(|(from, to)| *to = from.load(Ordering::Relaxed));
        Ok(())
    }

    fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: as in `words`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and nothing of it is borrowed any more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}
