//! Pages of this process that a device can be given.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{fcntl_add_seals, memfd_create, MemfdFlags, SealFlags};

use crate::copy::within;
use crate::{BusError, Window, PAGE_SIZE};

/// Zeroed, page-aligned host memory, shared between this process and a device.
///
/// The other side may write at any moment, so there is no way to borrow it: bytes are copied in and out. Bytes that
/// are changed during the copy come out as the old or the new ones.
#[derive(Debug)]
pub struct HostMemory {
    window: Arc<Window>,
    file: Option<File>,
    peers: bool,
}

impl HostMemory {
    /// Allocates `size` bytes, rounded up to whole pages, all zero.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if `size` is zero or too large for this machine, else what the system said.
    pub fn new(size: u64) -> io::Result<Self> {
        Ok(Self { window: Arc::new(Window::dummy(rounded(size)?)?), file: None, peers: false })
    }

    /// One device's memory, for another to reach: what is behind a window. Whoever else has the window can detach it: then
    /// there are zeroes here, and the other device's mapping stays as it is.
    pub fn of_peer(window: Arc<Window>) -> Self {
        Self { window, file: None, peers: true }
    }

    /// Whether it is another device's memory, which can be replaced by zeroes at any moment.
    pub fn is_peers(&self) -> bool {
        self.peers
    }

    /// As [`HostMemory::new`], in a file of its own that others can map: a memfd, sealed at its size.
    ///
    /// # Errors
    /// As [`HostMemory::new`].
    pub fn shared(size: u64) -> io::Result<Self> {
        let size = rounded(size)?;
        let file = File::from(memfd_create(c"device-memory", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        file.set_len(size)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Self::from_file(file, size)
    }

    /// The file behind a part of it, and where that part begins in the file, for who wants to map it.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`], or [`BusError::Unsupported`] for memory that is in no file; [`BusError::TooManyFiles`]
    /// or [`BusError::NoMemory`] if the system cannot open it once more.
    pub fn backing(&self, offset: u64, bytes: u64) -> Result<(File, u64), BusError> {
        let len = usize::try_from(bytes).map_err(|_| BusError::OutOfRange { offset, len: bytes })?;
        within(self.size(), offset, len)?;
        let file = self.file.as_ref().ok_or(BusError::Unsupported)?;
        let copy = file.try_clone().map_err(|error| match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => BusError::TooManyFiles,
            _ => BusError::NoMemory,
        })?;
        Ok((copy, offset))
    }

    /// Maps the first `size` bytes of `file`, shared with whoever else maps it. They keep what the file holds.
    ///
    /// Whoever has the file can make it shorter: from then on all of this is zeroes and shared with nobody (see [`Window`]).
    /// Seal a memfd against it before handing it to others.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if `size` is not a positive number of whole pages or the file is shorter, else what
    /// the system said.
    pub fn from_file(file: File, size: u64) -> io::Result<Self> {
        let invalid = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        if size == 0 || size % PAGE_SIZE != 0 {
            return Err(invalid("host memory must be a positive number of whole pages"));
        }
        if file.metadata()?.len() < size {
            return Err(invalid("the file is shorter than the memory it is to hold"));
        }
        Ok(Self { window: Arc::new(Window::map(&file, 0, size)?), file: Some(file), peers: false })
    }

    /// Size in bytes; a multiple of [`PAGE_SIZE`].
    pub fn size(&self) -> u64 {
        self.window.bytes()
    }

    /// The first address, valid as long as this. Others write there at any moment: use volatile access.
    pub fn as_ptr(&self) -> *mut u8 {
        self.window.as_ptr()
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`]; then nothing was copied.
    pub fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.window.read(offset, into)
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`]; then nothing was copied.
    pub fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        self.window.write(offset, from)
    }
}

/// So many bytes in whole pages.
fn rounded(size: u64) -> io::Result<u64> {
    match size.checked_next_multiple_of(PAGE_SIZE) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "host memory must have at least one byte")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_zeroed_page_sized_and_bounds_checked() {
        let memory = HostMemory::new(5000).unwrap();
        assert_eq!(memory.size(), 8192);
        let mut bytes = [1; 16];
        memory.read(8176, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 16]);
        memory.write(8176, &[7; 16]).unwrap();
        assert_eq!(memory.write(8177, &[9; 16]), Err(BusError::OutOfRange { offset: 8177, len: 16 }));
        assert_eq!(memory.read(u64::MAX, &mut bytes), Err(BusError::OutOfRange { offset: u64::MAX, len: 16 }));
        memory.read(8176, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 16]);
    }

    #[test]
    fn a_file_is_shared_with_whoever_else_has_it() {
        use std::os::unix::fs::FileExt;

        let file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        file.write_all_at(&[5], 4096).unwrap();
        let memory = HostMemory::from_file(file.try_clone().unwrap(), 8192).unwrap();
        let mut byte = [0];
        memory.read(4096, &mut byte).unwrap();
        assert_eq!(byte, [5]);
        memory.write(8191, &[6]).unwrap();
        file.read_exact_at(&mut byte, 8191).unwrap();
        assert_eq!(byte, [6]);
        for size in [0, 4095, 12288, u64::MAX - 4095] {
            let error = HostMemory::from_file(file.try_clone().unwrap(), size).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{size}");
        }
    }

    #[test]
    fn map_3_what_is_behind_a_window_goes_with_it_and_can_be_used_on() {
        let device = HostMemory::shared(8192).unwrap();
        let (file, at) = device.backing(4096, 4096).unwrap();
        let window = Arc::new(Window::map(&file, at, 4096).unwrap());
        let memory = HostMemory::of_peer(window.clone());
        assert_eq!((memory.size(), memory.is_peers(), device.is_peers()), (4096, true, false));
        memory.write(1, &[7]).unwrap();
        let mut byte = [0];
        device.read(4097, &mut byte).unwrap();
        assert_eq!(byte, [7]);
        window.detach().unwrap();
        memory.read(1, &mut byte).unwrap();
        assert_eq!(byte, [0]);
        memory.write(1, &[8]).unwrap();
        device.read(4097, &mut byte).unwrap();
        assert_eq!(byte, [7], "it reaches the device no more");
        assert_eq!(memory.backing(0, 4096).unwrap_err(), BusError::Unsupported);
    }

    #[test]
    fn impossible_sizes_are_errors() {
        assert_eq!(HostMemory::new(0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(HostMemory::new(u64::MAX).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
