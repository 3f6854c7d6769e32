//! Video memory that the client maps, too.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use lifeboat_pci::HostMemory;
use rustix::fs::{FallocateFlags, fallocate};

/// A memfd of a fixed size. It is the same for every card in the bay, because a client maps it once.
pub(crate) struct Vram {
    file: File,
    bytes: u64,
}

impl Vram {
    pub(crate) fn new(bytes: u64) -> io::Result<Self> {
        // It is sealed: a client that shortened it would take it from the card and from other clients.
        let (file, _) = HostMemory::shared(bytes)?.backing(0, bytes).map_err(io::Error::other)?;
        Ok(Self { file, bytes })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The memory, for a card.
    pub(crate) fn map(&self) -> io::Result<HostMemory> {
        HostMemory::from_file(self.file.try_clone()?, self.bytes)
    }

    /// Makes it all zero at once, also for who has it mapped.
    pub(crate) fn clear(&self) -> io::Result<()> {
        Ok(fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, self.bytes)?)
    }

    /// Makes it read as what is not there.
    pub(crate) fn fill_with_ones(&self) -> io::Result<()> {
        // VRAM is whole pages.
        let ones = [0xff; 4096];
        (0..self.bytes).step_by(ones.len()).try_for_each(|at| self.file.write_all_at(&ones, at))
    }
}
