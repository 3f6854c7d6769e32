//! A guest's memory as the card reaches it: through descriptors that the client passes along.
//!
//! It is read and written by system calls instead of being mapped, because its owner may truncate it at any moment: a
//! system call then fails where something is missing, and the card's DMA faults; of a mapping all would be zeroes. A call
//! costs well under a microsecond. Memory on hugetlbfs cannot be written that way; DMA to it faults.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Weak};

use lifeboat_gpu::DmaTarget;
use lifeboat_pci::{BusError, PAGE_SIZE};
use rustix::fs::{OFlags, fcntl_getfl};
use vfio_user::DmaMapFlags;

/// Most files behind the mappings of one client, so that it cannot use up this process's descriptors. A virtual machine has
/// a few.
const MAX_FILES: usize = 64;

/// Part of a file, mapped for the card.
pub(crate) struct GuestMemory {
    file: Arc<File>,
    offset: u64,
    size: u64,
    flags: DmaMapFlags,
}

impl DmaTarget for GuestMemory {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        if !self.flags.contains(DmaMapFlags::READ) {
            return Err(BusError::Unmapped);
        }
        self.file.read_exact_at(into, self.offset + offset).map_err(|_| BusError::Unmapped)
    }

    fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        if !self.flags.contains(DmaMapFlags::WRITE) {
            return Err(BusError::Unmapped);
        }
        self.file.write_all_at(from, self.offset + offset).map_err(|_| BusError::Unmapped)
    }
}

/// What is mapped without a descriptor, such as ROM or another device's BAR: it takes up addresses, and faults.
pub(crate) struct Hole(pub(crate) u64);

impl DmaTarget for Hole {
    fn size(&self) -> u64 {
        self.0
    }

    fn read(&self, _offset: u64, _into: &mut [u8]) -> Result<(), BusError> {
        Err(BusError::Unmapped)
    }

    fn write(&self, _offset: u64, _from: &[u8]) -> Result<(), BusError> {
        Err(BusError::Unmapped)
    }
}

/// The files behind a client's mappings, each held open once: a guest behind an IOMMU maps page by page, with a
/// descriptor of the same file every time.
#[derive(Default)]
pub(crate) struct GuestFiles(HashMap<FileKey, Weak<File>>);

/// Device, inode, and how the file was opened.
type FileKey = (u64, u64, u32);

impl GuestFiles {
    /// Part of `file` as memory. `size` is not checked to be a page multiple: mapping it does that.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if it does not lie within a regular file; [`io::ErrorKind::QuotaExceeded`].
    pub(crate) fn memory(
        &mut self,
        file: File,
        offset: u64,
        size: u64,
        flags: DmaMapFlags,
    ) -> io::Result<Arc<GuestMemory>> {
        let invalid = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(invalid("only regular files (memfd, tmpfs) can be memory"));
        }
        if !offset.is_multiple_of(PAGE_SIZE) || offset.checked_add(size).is_none_or(|end| end > metadata.len()) {
            return Err(invalid("the mapping does not lie in whole pages of its file"));
        }
        let opened = fcntl_getfl(&file)?;
        if opened.contains(OFlags::APPEND) {
            return Err(invalid("a file that is only appended to cannot be memory"));
        }
        let key = (metadata.dev(), metadata.ino(), (opened & OFlags::RWMODE).bits());
        let file = match self.0.get(&key).and_then(Weak::upgrade) {
            Some(file) => file,
            None => self.keep(key, file)?,
        };
        Ok(Arc::new(GuestMemory { file, offset, size, flags }))
    }

    fn keep(&mut self, key: FileKey, file: File) -> io::Result<Arc<File>> {
        self.0.retain(|_, file| file.strong_count() > 0);
        if self.0.len() >= MAX_FILES {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many different files are mapped"));
        }
        let file = Arc::new(file);
        self.0.insert(key, Arc::downgrade(&file));
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    const PAGES: u64 = 2 * PAGE_SIZE;

    #[test]
    fn only_what_was_granted_is_possible() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(PAGES).unwrap();
        let mut files = GuestFiles::default();
        let mut memory = |flags| files.memory(file.try_clone().unwrap(), PAGE_SIZE, PAGE_SIZE, flags).unwrap();
        let both = memory(DmaMapFlags::READ_WRITE);
        both.write(8, &[5]).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, PAGE_SIZE + 8).unwrap();
        assert_eq!(byte, [5]);
        let (reader, writer) = (memory(DmaMapFlags::READ), memory(DmaMapFlags::WRITE));
        assert!(reader.read(8, &mut byte).is_ok() && reader.write(8, &[6]).is_err());
        assert!(writer.read(8, &mut byte).is_err() && writer.write(8, &[7]).is_ok());
        both.read(8, &mut byte).unwrap();
        assert_eq!(byte, [7]);
        assert!(Arc::ptr_eq(&reader.file, &writer.file), "one descriptor for one file");
    }

    #[test]
    fn memory_lies_within_a_file_that_can_be_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory");
        let open = |options: &mut OpenOptions| options.open(&path).unwrap();
        open(OpenOptions::new().create_new(true).write(true)).set_len(PAGES).unwrap();
        let mut files = GuestFiles::default();
        let mut refused = |file, offset, size| {
            files.memory(file, offset, size, DmaMapFlags::READ_WRITE).err().map(|error| error.kind())
        };
        let file = || open(OpenOptions::new().read(true).write(true));
        assert_eq!(refused(file(), 0, PAGES), None);
        for (offset, size) in [(0, PAGES + 1), (PAGE_SIZE, PAGES), (PAGES, PAGE_SIZE), (8, 8), (!0xfff, PAGES)] {
            assert_eq!(refused(file(), offset, size), Some(io::ErrorKind::InvalidInput), "{size} at {offset:#x}");
        }
        let appending = open(OpenOptions::new().append(true));
        assert_eq!(refused(appending, 0, PAGES), Some(io::ErrorKind::InvalidInput));
        assert_eq!(refused(File::open(folder.path()).unwrap(), 0, 0), Some(io::ErrorKind::InvalidInput));
        // Who opened it for reading gets no write through another's descriptor.
        let reader = open(OpenOptions::new().read(true));
        let reader = files.memory(reader, 0, PAGES, DmaMapFlags::READ_WRITE).unwrap();
        assert!(reader.write(0, &[1]).is_err());
    }
}
