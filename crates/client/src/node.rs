//! An open node: the calls that are made on it.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use lifeboat_uapi::{
    BUFFER_USER, BufferAdvise, BufferCreate, BufferMmap, BufferWait, ContextCreate, ContextDestroy, ContextStatus,
    Info, Map, Request, Unmap, Wait,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::call::call;
use crate::drm::{self, Capability, GemClose, GetCap, PrimeHandle, Text};

/// A file of a device's node. Everything that was made by it ends with it, apart from maps and exported buffers.
#[derive(Debug)]
pub struct Node {
    file: File,
}

/// What VERSION says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Major, minor, patch level.
    pub number: (i32, i32, i32),
    /// Name of the driver.
    pub name: String,
    /// What the driver says of itself.
    pub description: String,
}

/// What a poll found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Woken {
    /// Something can be read.
    pub readable: bool,
    /// The device is lost (`POLLHUP`).
    pub hangup: bool,
    /// The device is lost (`POLLERR`).
    pub error: bool,
}

/// A request without an address in it.
#[allow(private_bounds)] // nobody else may say so of a request
pub trait Plain: Request + Checked {}

/// Requests that were looked at for addresses.
trait Checked {}

impl<R: Request + Checked> Plain for R {}

impl Checked for Info {}
impl Checked for ContextCreate {}
impl Checked for ContextDestroy {}
impl Checked for ContextStatus {}
impl Checked for BufferMmap {}
impl Checked for BufferWait {}
impl Checked for BufferAdvise {}
impl Checked for Map {}
impl Checked for Unmap {}
impl Checked for Wait {}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Node {
    /// Opens a node, `/dev/dri/renderD128` for example.
    ///
    /// # Errors
    /// Those of the file system; `ENXIO` if the device has just been lost.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().read(true).write(true).open(path)? })
    }

    /// The driver's version without its texts: the cheapest call that every DRM driver answers.
    ///
    /// # Errors
    /// None because of a loss.
    pub fn version_number(&self) -> Result<(i32, i32, i32), Errno> {
        let empty = || Text { length: 0, address: 0 };
        let mut request =
            drm::Version { major: 0, minor: 0, patch: 0, name: empty(), date: empty(), description: empty() };
        // SAFETY: texts without length have no address that the kernel would follow.
        unsafe { call(self.as_fd(), drm::VERSION, &mut request)? };
        Ok((request.major, request.minor, request.patch))
    }

    /// The driver's name and version.
    ///
    /// # Errors
    /// None because of a loss.
    pub fn version(&self) -> Result<Version, Errno> {
        let mut texts = [[0_u8; 64]; 3];
        let [name, date, description] =
            texts.each_mut().map(|text| Text { length: text.len(), address: text.as_mut_ptr().expose_provenance() });
        let mut version = drm::Version { major: 0, minor: 0, patch: 0, name, date, description };
        // SAFETY: the kernel writes the structure, and at most the lengths given into the texts, which outlive the call.
        unsafe { call(self.as_fd(), drm::VERSION, &mut version)? };
        let text =
            |number: usize, length: usize| String::from_utf8_lossy(&texts[number][..length.min(64)]).into_owned();
        Ok(Version {
            number: (version.major, version.minor, version.patch),
            name: text(0, version.name.length),
            description: text(2, version.description.length),
        })
    }

    /// A capability of the driver.
    ///
    /// # Errors
    /// None because of a loss. `EINVAL` or `EOPNOTSUPP` if there is no such capability.
    pub fn capability(&self, capability: Capability) -> Result<u64, Errno> {
        let mut request = GetCap { capability: capability.0, value: 0 };
        // SAFETY: the structure has no address.
        unsafe { call(self.as_fd(), drm::GET_CAP, &mut request)? };
        Ok(request.value)
    }

    /// Sizes and limits of the device.
    ///
    /// # Errors
    /// None because of a loss.
    pub fn info(&self) -> Result<Info, Errno> {
        self.plain(Info::default())
    }

    /// Creates a context and returns its number.
    ///
    /// # Errors
    /// See [`ContextCreate`].
    pub fn create_context(&self) -> Result<u32, Errno> {
        Ok(self.plain(ContextCreate::default())?.context)
    }

    /// Destroys a context.
    ///
    /// # Errors
    /// See [`ContextDestroy`].
    pub fn destroy_context(&self, context: u32) -> Result<(), Errno> {
        self.plain(ContextDestroy { context, ..Default::default() }).map(drop)
    }

    /// The resets that a context went through.
    ///
    /// # Errors
    /// See [`ContextStatus`].
    pub fn context_status(&self, context: u32) -> Result<ContextStatus, Errno> {
        self.plain(ContextStatus { context, ..Default::default() })
    }

    /// Creates a buffer of at least `size` bytes; gives its handle and its size.
    ///
    /// # Errors
    /// See [`BufferCreate`]; `EINVAL` for [`BUFFER_USER`], for which there is
    /// [`create_user_buffer`](Self::create_user_buffer).
    pub fn create_buffer(&self, size: u64, flags: u32) -> Result<BufferCreate, Errno> {
        if flags & BUFFER_USER != 0 {
            return Err(Errno::INVAL);
        }
        let mut request = BufferCreate { size, flags, ..Default::default() };
        // SAFETY: without BUFFER_USER the kernel does not take `address` for one.
        unsafe { call(self.as_fd(), BufferCreate::NUMBER, &mut request)? };
        Ok(request)
    }

    /// Gives up the handle of a buffer.
    ///
    /// # Errors
    /// `EINVAL` if there is no such buffer.
    pub fn close_buffer(&self, handle: u32) -> Result<(), Errno> {
        // SAFETY: the structure has no address.
        unsafe { call(self.as_fd(), drm::GEM_CLOSE, &mut GemClose { handle, pad: 0 }) }
    }

    /// The offset at which the file maps a buffer.
    ///
    /// # Errors
    /// See [`BufferMmap`].
    pub fn buffer_offset(&self, handle: u32) -> Result<u64, Errno> {
        Ok(self.plain(BufferMmap { handle, ..Default::default() })?.offset)
    }

    /// Waits for the jobs that use a buffer, for `limit` at most.
    ///
    /// # Errors
    /// See [`BufferWait`].
    pub fn wait_for_buffer(&self, handle: u32, flags: u32, limit: Duration) -> Result<(), Errno> {
        self.plain(BufferWait { handle, flags, timeout_ns: deadline(limit) }).map(drop)
    }

    /// Says whether the contents of a buffer are needed; whether they are still there.
    ///
    /// # Errors
    /// See [`BufferAdvise`].
    pub fn advise(&self, handle: u32, advice: u32) -> Result<bool, Errno> {
        Ok(self.plain(BufferAdvise { handle, advice, ..Default::default() })?.retained != 0)
    }

    /// Maps a part of a buffer into a context.
    ///
    /// # Errors
    /// See [`Map`].
    pub fn map(&self, map: Map) -> Result<(), Errno> {
        self.plain(map).map(drop)
    }

    /// Unmaps what begins at an address.
    ///
    /// # Errors
    /// See [`Unmap`].
    pub fn unmap(&self, context: u32, address: u64) -> Result<(), Errno> {
        self.plain(Unmap { context, address, ..Default::default() }).map(drop)
    }

    /// Waits for a job, for `limit` at most: 0, or the negative error of its fence.
    ///
    /// # Errors
    /// See [`Wait`].
    pub fn wait(&self, context: u32, job: u64, limit: Duration) -> Result<i32, Errno> {
        Ok(self.plain(Wait { context, job, timeout_ns: deadline(limit), ..Default::default() })?.result)
    }

    /// A descriptor of a buffer, for another driver or process.
    ///
    /// # Errors
    /// `ENOENT` if there is no such buffer.
    pub fn export(&self, handle: u32) -> Result<OwnedFd, Errno> {
        const CLOEXEC_AND_RDWR: u32 = 0o2_000_002;
        let mut request = PrimeHandle { handle, flags: CLOEXEC_AND_RDWR, fd: -1 };
        // SAFETY: the structure has no address.
        unsafe { call(self.as_fd(), drm::PRIME_HANDLE_TO_FD, &mut request)? };
        // SAFETY: the kernel has just made this descriptor, for us.
        Ok(unsafe { OwnedFd::from_raw_fd(request.fd) })
    }

    /// The handle of a buffer that another driver or process has exported.
    ///
    /// # Errors
    /// `ENODEV` if the device is lost and the buffer is another's.
    pub fn import(&self, buffer: BorrowedFd<'_>) -> Result<u32, Errno> {
        use std::os::fd::AsRawFd;
        let mut request = PrimeHandle { handle: 0, flags: 0, fd: buffer.as_raw_fd() };
        // SAFETY: the structure has no address.
        unsafe { call(self.as_fd(), drm::PRIME_FD_TO_HANDLE, &mut request)? };
        Ok(request.handle)
    }

    /// Waits until there is something to read or the device is lost, for `limit` at most; `None` if neither came.
    ///
    /// # Errors
    /// Those of `poll`.
    pub fn poll(&self, limit: Duration) -> Result<Option<Woken>, Errno> {
        poll_file(self.as_fd(), limit)
    }

    /// Makes a request as it is, and gives what the kernel has made of it.
    ///
    /// # Errors
    /// Those of the request.
    pub fn plain<R: Plain>(&self, mut request: R) -> Result<R, Errno> {
        // SAFETY: a plain request has no address.
        unsafe { call(self.as_fd(), R::NUMBER, &mut request)? };
        Ok(request)
    }
}

/// Waits for a file, for `limit` at most.
pub(crate) fn poll_file(file: BorrowedFd<'_>, limit: Duration) -> Result<Option<Woken>, Errno> {
    let mut files = [PollFd::from_borrowed_fd(file, PollFlags::IN)];
    let limit = Timespec::try_from(limit).map_err(|_| Errno::INVAL)?;
    if poll(&mut files, Some(&limit))? == 0 {
        return Ok(None);
    }
    let found = |flag| files[0].revents().contains(flag);
    Ok(Some(Woken { readable: found(PollFlags::IN), hangup: found(PollFlags::HUP), error: found(PollFlags::ERR) }))
}

/// An absolute time as the kernel takes it: `CLOCK_MONOTONIC` in nanoseconds.
pub(crate) fn deadline(limit: Duration) -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    let now = now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec);
    now.saturating_add(i64::try_from(limit.as_nanos()).unwrap_or(i64::MAX))
}
