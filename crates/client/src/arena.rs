//! Calls with any structure, for a fuzzer: also of calls whose structures hold addresses.
//!
//! A number that is taken for an address would have the kernel write anywhere. So a structure's bytes may be any, but its
//! addresses are places of an [`Arena`], or lead to nothing: [`Arena::call`] knows where each call has them, and writes
//! them itself. The arena stands before a reservation that is larger than any count of elements reaches.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use lifeboat_uapi::{BufferCreate, COMMAND_BASE, Request, SYNC_FILE, Submit, Sync as SyncElement};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::call::{call_at, call_bytes};

/// Bytes of the memory that arrays of calls are in.
pub const MEMORY_BYTES: usize = 1 << 20;
/// Pages that buffers can be made of.
pub const USER_PAGES: usize = 64;
/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Address space that is ours: 2^32 elements of 128 bytes, twice.
const RESERVED: usize = 1 << 40;
const READ_ONLY_AT: usize = 2 * MEMORY_BYTES;
const USER_AT: usize = 4 * MEMORY_BYTES;

/// Memory of this process that the kernel and a device may write at any time, and nothing else is in.
#[derive(Debug)]
pub struct Arena {
    start: NonNull<u8>,
}

/// A place that a call is given the address of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Memory, from this byte on, modulo its size. What reaches beyond its end meets nothing.
    Memory(usize),
    /// Pages that buffers are made of, from this one on, modulo their number.
    Pages(usize),
    /// Nothing that can be written.
    Hole(Hole),
}

/// A place that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hole {
    /// Address 0.
    Null,
    /// Zeroes that can be read.
    ReadOnly,
    /// Nothing is there.
    Nothing,
    /// The kernel's half.
    Kernel,
    /// The last bytes of all addresses, so that a sum overflows.
    Last,
}

/// What becomes of [`USER_PAGES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Other pages, zeroed, take their place.
    Replace,
    /// Nothing is there.
    Remove,
}

/// What a call is about, as its number says, and where its structure has addresses.
struct Known {
    kind: u8,
    command: u32,
    addresses: &'static [usize],
    /// Where it returns a new descriptor.
    descriptor: Option<usize>,
}

const fn known(kind: u8, command: u32, addresses: &'static [usize], descriptor: Option<usize>) -> Known {
    Known { kind, command, addresses, descriptor }
}

/// Calls of others that may be made, besides the driver's own: DRM's, of `dma-buf`, of `sync_file`.
const CALLS: &[Known] = &[
    known(b'd', COMMAND_BASE + Submit::COMMAND, &[16, 24, 32], None),
    known(b'd', COMMAND_BASE + BufferCreate::COMMAND, &[8], None),
    known(b'd', 0x00, &[24, 40, 56], None),
    known(b'd', 0x09, &[], None),
    known(b'd', 0x0c, &[], None),
    known(b'd', 0x2d, &[], Some(8)),
    known(b'd', 0x2e, &[], None),
    known(b'd', 0xa0, &[0, 8, 16, 24], None),
    known(b'd', 0xb2, &[], None),
    known(b'd', 0xb3, &[], None),
    known(b'd', 0xb4, &[], None),
    known(b'd', 0xb5, &[0], None),
    known(b'd', 0xbf, &[], None),
    known(b'd', 0xc0, &[], None),
    known(b'd', 0xc1, &[], Some(8)),
    known(b'd', 0xc2, &[], None),
    known(b'd', 0xc3, &[0], None),
    known(b'd', 0xc4, &[0], None),
    known(b'd', 0xc5, &[0], None),
    known(b'd', 0xca, &[0, 8], None),
    known(b'd', 0xcb, &[0, 8], None),
    known(b'd', 0xcc, &[], None),
    known(b'd', 0xcd, &[0, 8], None),
    known(b'b', 0x00, &[], None),
    known(b'b', 0x02, &[], Some(4)),
    known(b'b', 0x03, &[], None),
    known(b'>', 0x03, &[], Some(36)),
    known(b'>', 0x04, &[48], None),
];

/// Drivers' commands end here.
const COMMAND_END: u32 = 0xa0;

impl Known {
    fn find(number: u32) -> Option<&'static Self> {
        const OWN: Known = known(b'd', COMMAND_BASE, &[], None);
        let (command, kind) = (number & 0xff, number >> 8 & 0xff);
        let listed = CALLS.iter().find(|call| u32::from(call.kind) == kind && call.command == command);
        let own = kind == u32::from(b'd') && (COMMAND_BASE..COMMAND_END).contains(&command);
        listed.or(own.then_some(&OWN))
    }
}

// SAFETY: the memory is shared with the kernel in any case, and accessed by atomics alone.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// An arena, zeroed.
    ///
    /// # Errors
    /// Those of `mmap`.
    pub fn new() -> Result<Self, Errno> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: the kernel chooses the address, so that nothing of ours is mapped over.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), RESERVED, ProtFlags::empty(), flags)? };
        let arena = Self { start: NonNull::new(start.cast()).ok_or(Errno::FAULT)? };
        let writable = ProtFlags::READ | ProtFlags::WRITE;
        arena.map(0, MEMORY_BYTES, writable)?;
        arena.map(READ_ONLY_AT, PAGE, ProtFlags::READ)?;
        arena.map(USER_AT, USER_PAGES * PAGE, writable)?;
        Ok(arena)
    }

    fn map(&self, at: usize, length: usize, access: ProtFlags) -> Result<(), Errno> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        let start = self.start.as_ptr().wrapping_add(at);
        // SAFETY: the range is inside of the reservation, and no reference leads there: `bytes` leads to the memory alone,
        // which is mapped once, before anybody has the arena.
        unsafe { mmap_anonymous(start.cast(), length, access, flags) }.map(drop)
    }

    /// Changes pages that buffers can be made of, from `first` on, both modulo [`USER_PAGES`].
    ///
    /// # Errors
    /// Those of `mmap`.
    pub fn change(&self, first: usize, pages: usize, change: Change) -> Result<(), Errno> {
        let first = first % USER_PAGES;
        let pages = pages.clamp(1, USER_PAGES - first);
        let access = match change {
            Change::Replace => ProtFlags::READ | ProtFlags::WRITE,
            Change::Remove => ProtFlags::empty(),
        };
        self.map(USER_AT + first * PAGE, pages * PAGE, access)
    }

    /// Writes bytes into the memory; what reaches beyond its end is left out.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let target = &self.bytes()[offset.min(MEMORY_BYTES)..];
        target.iter().zip(bytes).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
    }

    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let source = self.bytes().get(offset..)?.get(..N)?;
        Some(std::array::from_fn(|index| source[index].load(Ordering::Relaxed)))
    }

    fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: the memory is mapped as long as `self` lives, and accessed by atomics alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), MEMORY_BYTES) }
    }

    fn address(&self, place: Place) -> u64 {
        let inside = |at: usize| self.start.as_ptr().wrapping_add(at).expose_provenance() as u64;
        match place {
            Place::Memory(offset) => inside(offset % MEMORY_BYTES),
            Place::Pages(first) => inside(USER_AT + first % USER_PAGES * PAGE),
            Place::Hole(Hole::Null) => 0,
            Place::Hole(Hole::ReadOnly) => inside(READ_ONLY_AT),
            Place::Hole(Hole::Nothing) => inside(MEMORY_BYTES),
            Place::Hole(Hole::Kernel) => 0xffff_8880_0000_1000,
            Place::Hole(Hole::Last) => u64::MAX - 7,
        }
    }

    /// Makes a call with these bytes in and out; the addresses in them are those of `places`, in order, and 0 for those that are
    /// missing. Gives the descriptors that the kernel has made: no other call may use the same memory for what it signals.
    ///
    /// # Errors
    /// The kernel refuses; EINVAL as well if the call is not known, or the bytes are fewer than the number says.
    pub fn call(
        &self,
        file: BorrowedFd<'_>,
        number: u32,
        bytes: &mut [u8],
        places: &[Place],
    ) -> Result<Vec<OwnedFd>, Errno> {
        let known = Known::find(number).ok_or(Errno::INVAL)?;
        if bytes.len() < (number >> 16 & 0x3fff) as usize {
            return Err(Errno::INVAL);
        }
        let places = places.iter().copied().chain(std::iter::repeat(Place::Hole(Hole::Null)));
        for (at, place) in known.addresses.iter().zip(places) {
            let Some(tail) = bytes.get_mut(*at..) else { continue };
            let address = self.address(place).to_le_bytes();
            // A part of an address would be another one.
            let whole = tail.len() >= address.len();
            tail.iter_mut().zip(address).for_each(|(to, from)| *to = if whole { from } else { 0 });
        }
        // A number that does not write its structure back leaves what was there.
        if let Some(descriptor) = known.descriptor.and_then(|at| bytes.get_mut(at..at + 4)) {
            descriptor.fill(0xff);
        }
        // SAFETY: the bytes are as many as the number says. All addresses that the kernel follows were written above: they lead
        // to memory of ours that nothing but atomics access, or to nothing.
        unsafe { call_bytes(file, number, bytes)? };
        let made = known.descriptor.and_then(|at| number_at(bytes, at)).into_iter();
        let is_submit = known.command == COMMAND_BASE + Submit::COMMAND && known.kind == b'd';
        let signalled = if is_submit { self.signalled(bytes) } else { Vec::new() };
        let descriptors = made.chain(signalled).filter(|number| *number >= 0);
        // SAFETY: the kernel has just made these descriptors, for this call.
        Ok(descriptors.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect())
    }

    /// Makes a call with a structure that is in a hole.
    ///
    /// # Errors
    /// The kernel refuses; EINVAL as well if the call is not known.
    pub fn call_in_hole(&self, file: BorrowedFd<'_>, number: u32, hole: Hole) -> Result<(), Errno> {
        Known::find(number).ok_or(Errno::INVAL)?;
        let address = self.address(Place::Hole(hole));
        let argument = std::ptr::with_exposed_provenance_mut::<c_void>(usize::try_from(address).unwrap_or(0));
        // SAFETY: nothing at the address can be written, and what can be read there is zeroes: no address.
        unsafe { call_at(file, number, argument) }
    }

    /// The descriptors of a submission that was accepted.
    fn signalled(&self, bytes: &[u8]) -> Vec<i32> {
        let count = number_at(bytes, 48).unwrap_or(0);
        let address = bytes.get(32..40).map_or(0, |address| u64::from_le_bytes(address.try_into().unwrap_or_default()));
        let first = address.checked_sub(self.address(Place::Memory(0))).and_then(|at| usize::try_from(at).ok());
        let Some(first) = first else { return Vec::new() };
        let element = |index: usize| {
            let at = first + index * size_of::<SyncElement>();
            let [handle, flags] = [at, at + 4].map(|at| self.read(at).map(i32::from_le_bytes));
            handle.filter(|_| flags.is_some_and(|flags| flags.cast_unsigned() & SYNC_FILE != 0))
        };
        (0..usize::try_from(count).unwrap_or(0)).filter_map(element).collect()
    }
}

fn number_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_le_bytes)
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the reservation is ours alone, and nothing of it is borrowed any more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), RESERVED) };
        debug_assert!(unmapped.is_ok());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn addresses_are_those_of_places_alone() {
        let arena = Arena::new().unwrap();
        let null = File::open("/dev/null").unwrap();
        let mut bytes = vec![0xff; size_of::<Submit>()];
        let places = [Place::Memory(8), Place::Hole(Hole::Last)];
        assert_eq!(arena.call(null.as_fd(), Submit::NUMBER, &mut bytes, &places).unwrap_err(), Errno::NOTTY);
        let addresses = [16, 24, 32].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
        assert_eq!(addresses, [arena.address(places[0]), u64::MAX - 7, 0]);
        // A shorter structure, in the midst of an address.
        let number = Submit::NUMBER & !(0x3fff << 16) | 20 << 16;
        let mut bytes = vec![0xff; 20];
        assert_eq!(arena.call(null.as_fd(), number, &mut bytes, &places).unwrap_err(), Errno::NOTTY);
        assert_eq!(bytes[16..20], [0; 4]);
    }

    #[test]
    fn only_known_calls_are_made() {
        let arena = Arena::new().unwrap();
        let null = File::open("/dev/null").unwrap();
        let call = |number, bytes: &mut [u8]| arena.call(null.as_fd(), number, bytes, &[]).unwrap_err();
        // TCGETS, and a structure that is shorter than its number says.
        assert_eq!(call(0x5401, &mut [0; 64]), Errno::INVAL);
        assert_eq!(call(Submit::NUMBER, &mut [0; 8]), Errno::INVAL);
        assert_eq!(call(0xc008_6499, &mut [0; 8]), Errno::NOTTY);
        assert_eq!(arena.call_in_hole(null.as_fd(), 0x5401, Hole::ReadOnly), Err(Errno::INVAL));
        assert_eq!(arena.call_in_hole(null.as_fd(), Submit::NUMBER, Hole::Kernel), Err(Errno::NOTTY));
    }

    #[test]
    fn pages_are_replaced_and_removed() {
        let arena = Arena::new().unwrap();
        for change in [Change::Remove, Change::Replace, Change::Remove] {
            arena.change(USER_PAGES + 3, usize::MAX, change).unwrap();
        }
        arena.write(MEMORY_BYTES - 1, &[7, 7]);
        assert_eq!(arena.read::<1>(MEMORY_BYTES - 1), Some([7]));
        assert_eq!(arena.read::<2>(MEMORY_BYTES - 1), None);
    }
}
