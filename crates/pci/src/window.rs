//! Device memory in the address space of this process, and taking it away while others use it.
//!
//! What a user maps stays mapped until he unmaps it: a device that vanishes takes the memory from behind the addresses,
//! not the addresses (MAP-1). The kernel does the same, with a fault handler that gives a dummy page.
#![allow(unsafe_code)] // mapping memory is what this file is for

use std::any::Any;
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};

use rustix::fs::{fcntl_get_seals, SealFlags};
use rustix::mm::{mmap, munmap, MapFlags};
use vm_memory::VolatileSlice;

use crate::copy::{copy_in, copy_out};
use crate::guarded::Entry;
use crate::pages::{put_zeroes, zeroes, READ_WRITE};
use crate::{sigbus, BusError, PAGE_SIZE};

/// A stretch of this process's addresses with device memory behind it, or nothing.
///
/// Others write there at any moment, so it is not borrowed: bytes are copied in and out, or reached by a raw pointer.
/// The addresses are valid as long as this exists, whatever becomes of the device.
///
/// The kernel can take the memory away by itself: a file becomes shorter, VFIO resets a device. A window on such memory
/// is guarded: whoever then touches it finds zeroes in the whole window, as after [`Window::detach`]. The guard is a
/// handler of SIGBUS for this process, installed with the first such window; it hands on what is not ours to the handler
/// before it. Who installs one later must hand on what is not his, and threads must not block that signal. System calls
/// that are given such an address (`write(2)` from it) answer EFAULT until somebody has touched it or it is detached.
#[derive(Debug)]
pub struct Window {
    base: NonNull<c_void>,
    bytes: usize,
    guard: Option<Entry>,
    /// Dropped when the addresses are unmapped.
    kept: Option<Box<dyn Any + Send + Sync>>,
}

// SAFETY: it owns its addresses, which belong to no thread. All access goes by volatile copies or through raw pointers.
unsafe impl Send for Window {}
// SAFETY: as above. `detach` replaces what is behind the addresses in one step; the addresses stay valid all the time.
unsafe impl Sync for Window {}

impl Window {
    /// Maps `bytes` bytes of `file` from `offset` on, both whole pages, shared with the device. Guarded, unless the file
    /// is a memfd that holds them all and is sealed against becoming shorter.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a length or offset that is not whole pages, else what the system said.
    pub fn map(file: &File, offset: u64, bytes: u64) -> io::Result<Self> {
        let length = whole_pages(offset, bytes)?;
        // SAFETY: the system chooses addresses that nobody uses.
        let base = unsafe { mmap(ptr::null_mut(), length, READ_WRITE, MapFlags::SHARED, file, offset)? };
        let mut window = Self::owning(base, length)?;
        if !stays(file, offset, bytes) {
            // SAFETY: the addresses are the window's, which drops the guard before it unmaps them, and may be mapped over
            // as by `detach`. Nobody has touched them yet.
            window.guard = Some(unsafe { sigbus::guard(base, length)? });
        }
        Ok(window)
    }

    /// Maps `bytes` bytes, whole pages, with nothing behind them: what is written there reaches nobody.
    ///
    /// # Errors
    /// As [`Window::map`].
    pub fn dummy(bytes: u64) -> io::Result<Self> {
        let length = whole_pages(0, bytes)?;
        Self::owning(zeroes(length)?, length)
    }

    fn owning(base: *mut c_void, bytes: usize) -> io::Result<Self> {
        let base = NonNull::new(base).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { base, bytes, guard: None, kept: None })
    }

    /// The same window, which keeps something for as long as it exists: a place in a register of
    /// windows, for one.
    #[must_use = "the window"]
    pub fn keeping(self, something: impl Send + Sync + 'static) -> Self {
        let mut window = self;
        window.kept = Some(Box::new(something));
        window
    }

    /// Takes the device's memory from behind the addresses and puts zeroes there, in one step, however large it is:
    /// whoever reads or writes at this moment reaches the one or the other, and is never stopped. What is written
    /// from now on reaches nobody. May be repeated.
    ///
    /// # Errors
    /// What the system said; then the device's memory is still there.
    pub fn detach(&self) -> io::Result<()> {
        // SAFETY: the addresses are this window's own.
        unsafe { put_zeroes(self.base.as_ptr(), self.bytes)? };
        Ok(())
    }

    /// Whether the memory can be taken away by others, so that the guard looks after it.
    pub fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// Length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// The first address. Others write there at any moment: use volatile access.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr().cast()
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`]; then nothing was copied.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        copy_out(self.slice(), offset, into)
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`]; then nothing was copied.
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        copy_in(self.slice(), offset, from)
    }

    fn slice(&self) -> VolatileSlice<'_> {
        // SAFETY: so many bytes are mapped there, readable and writable, as long as `self` is borrowed; `detach` keeps that so.
        unsafe { VolatileSlice::new(self.as_ptr(), self.bytes) }
    }
}

/// Whether a part of a file is there and nobody can take it away.
fn stays(file: &File, offset: u64, bytes: u64) -> bool {
    let sealed = fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
    let end = offset.checked_add(bytes);
    sealed && file.metadata().is_ok_and(|metadata| end.is_some_and(|end| end <= metadata.len()))
}

fn whole_pages(offset: u64, bytes: u64) -> io::Result<usize> {
    match usize::try_from(bytes) {
        Ok(length) if length > 0 && bytes % PAGE_SIZE == 0 && offset % PAGE_SIZE == 0 => Ok(length),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "only whole pages can be mapped, and at least one")),
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // First: from the unmapping on the addresses can be somebody else's, whose faults are not ours to repair.
        self.guard = None;
        // SAFETY: the addresses are this window's own, and nobody has it any more.
        // An error would mean that they were not mapped: there is nothing to be undone.
        let _ = unsafe { munmap(self.base.as_ptr(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;
    use crate::HostMemory;

    const BYTES: u64 = 4 * PAGE_SIZE;

    fn memory() -> HostMemory {
        HostMemory::shared(BYTES).unwrap()
    }

    fn window(memory: &HostMemory) -> Window {
        let (file, offset) = memory.backing(0, BYTES).unwrap();
        Window::map(&file, offset, BYTES).unwrap()
    }

    #[test]
    fn a_window_is_the_memory_until_it_is_detached_and_zeroes_afterwards() {
        let memory = memory();
        let window = window(&memory);
        window.write(5000, &[7]).unwrap();
        let mut byte = [0];
        memory.read(5000, &mut byte).unwrap();
        assert_eq!(byte, [7]);
        for round in 1..3 {
            window.detach().unwrap();
            window.read(5000, &mut byte).unwrap();
            assert_eq!(byte, [0]);
            window.write(5000, &[9 + round]).unwrap();
            window.read(5000, &mut byte).unwrap();
            assert_eq!(byte, [9 + round], "it can be used as before");
            memory.read(5000, &mut byte).unwrap();
            assert_eq!(byte, [7], "but it reaches nobody");
        }
    }

    #[test]
    fn what_a_window_keeps_is_kept_as_long_as_it_exists() {
        let kept = std::sync::Arc::new(());
        let window = Window::dummy(PAGE_SIZE).unwrap().keeping(kept.clone());
        window.detach().unwrap();
        assert_eq!(std::sync::Arc::strong_count(&kept), 2);
        drop(window);
        assert_eq!(std::sync::Arc::strong_count(&kept), 1);
    }

    #[test]
    fn a_part_of_the_memory_can_be_mapped_and_not_more() {
        let memory = memory();
        let (file, offset) = memory.backing(PAGE_SIZE, PAGE_SIZE).unwrap();
        let window = Window::map(&file, offset, PAGE_SIZE).unwrap();
        window.write(1, &[3]).unwrap();
        let mut byte = [0];
        memory.read(PAGE_SIZE + 1, &mut byte).unwrap();
        assert_eq!((byte, window.bytes()), ([3], PAGE_SIZE));
        assert_eq!(window.write(PAGE_SIZE - 1, &[1, 2]).unwrap_err(), BusError::OutOfRange { offset: 4095, len: 2 });
        assert!(memory.backing(PAGE_SIZE, BYTES).is_err());
        assert!(HostMemory::new(BYTES).unwrap().backing(0, BYTES).is_err(), "it is this process's own");
        assert!(Window::map(&file, 1, PAGE_SIZE).is_err() && Window::dummy(0).is_err() && Window::dummy(17).is_err());
    }

    #[test]
    fn map_1_who_uses_a_window_while_it_is_detached_is_never_stopped() {
        let memory = memory();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let windows: Vec<_> = (0..200).map(|_| window(&memory)).collect();
            let windows = std::sync::Arc::new(windows);
            for _ in 0..3 {
                let (windows, stop) = (windows.clone(), &stop);
                scope.spawn(move || {
                    let mut bytes = [0; 64];
                    while !stop.load(Relaxed) {
                        for window in &*windows {
                            window.write(4090, &bytes).unwrap();
                            window.read(8180, &mut bytes).unwrap();
                        }
                    }
                });
            }
            for window in &*windows {
                window.detach().unwrap();
                std::thread::yield_now();
            }
            stop.store(true, Relaxed);
        });
    }
}
