//! The messages of vfio-user, as bytes. No I/O, and no allocation but for replies.
//!
//! All numbers are in the byte order of the host. A message is a header of 16 bytes and a body; the header gives the
//! size of both. What is here: libvfio-user's protocol specification, version 0.0, as far as a device without migration
//! needs it.

use rustix::io::Errno;
use vfio_user::{Command, DmaMapFlags, DmaUnmapFlags};

/// Size of a header.
pub(crate) const HEADER_BYTES: usize = 16;
/// Most bytes of a region in one access. The client is told.
pub(crate) const MAX_DATA: usize = 1 << 20;
/// Most descriptors in one message. The client is told.
pub(crate) const MAX_FDS: usize = 8;
/// Largest message: an access with its data; a version message is far below.
pub(crate) const MAX_MESSAGE: usize = HEADER_BYTES + ACCESS_BYTES + MAX_DATA;
/// Offset, region and count of an access.
const ACCESS_BYTES: usize = 16;

mod flags {
    /// Kind of a message, in the low bits: 0 is a command.
    pub(super) const KIND: u32 = 0xf;
    pub(super) const REPLY: u32 = 1;
    pub(super) const NO_REPLY: u32 = 1 << 4;
    pub(super) const ERROR: u32 = 1 << 5;
}

/// A message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: u16,
    pub(crate) command: u16,
    /// Size of the message in bytes, the header included.
    pub(crate) size: u32,
    flags: u32,
}

impl Header {
    pub(crate) fn parse(bytes: [u8; HEADER_BYTES]) -> Self {
        let mut fields = Fields(&bytes);
        // The array is long enough for all of them.
        let mut short = || fields.u16().unwrap_or_default();
        let (id, command) = (short(), short());
        let mut long = || fields.u32().unwrap_or_default();
        Self { id, command, size: long(), flags: long() }
    }

    /// The size of the body, or `None` if it is none that a client may send.
    pub(crate) fn body_bytes(self) -> Option<usize> {
        let size = usize::try_from(self.size).ok().filter(|size| *size <= MAX_MESSAGE)?;
        (self.flags & flags::KIND == 0).then(|| size.checked_sub(HEADER_BYTES))?
    }

    pub(crate) fn wants_reply(self) -> bool {
        self.flags & flags::NO_REPLY == 0
    }
}

/// What a client asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    Version { major: u16 },
    DmaMap { flags: DmaMapFlags, offset: u64, address: u64, size: u64 },
    DmaUnmap { flags: DmaUnmapFlags, address: u64, size: u64 },
    DeviceInfo,
    RegionInfo { space: u32, index: u32 },
    IrqInfo { index: u32 },
    SetIrqs { flags: u32, index: u32, start: u32, count: u32 },
    Read { offset: u64, region: u32, count: usize },
    Write { offset: u64, region: u32, data: &'a [u8] },
    Reset,
}

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// `EINVAL` for one that is too short or too long, `EOPNOTSUPP` for a command that does not exist here.
    pub(crate) fn parse(command: u16, body: &'a [u8]) -> Result<Self, Errno> {
        let mut fields = Fields(body);
        let request = match Command::n(command) {
            Some(Command::Version) => Self::Version { major: fields.u16()? },
            Some(Command::DmaMap) => {
                let _size = fields.u32()?;
                let flags = DmaMapFlags::from_bits_retain(fields.u32()?);
                Self::DmaMap { flags, offset: fields.u64()?, address: fields.u64()?, size: fields.u64()? }
            }
            Some(Command::DmaUnmap) => {
                let _size = fields.u32()?;
                let flags = DmaUnmapFlags::from_bits_retain(fields.u32()?);
                Self::DmaUnmap { flags, address: fields.u64()?, size: fields.u64()? }
            }
            Some(Command::DeviceGetInfo) => Self::DeviceInfo,
            Some(Command::DeviceGetRegionInfo) => {
                let (space, _flags) = (fields.u32()?, fields.u32()?);
                Self::RegionInfo { space, index: fields.u32()? }
            }
            Some(Command::GetIrqInfo) => {
                let (_size, _flags) = (fields.u32()?, fields.u32()?);
                Self::IrqInfo { index: fields.u32()? }
            }
            Some(Command::SetIrqs) => {
                let _size = fields.u32()?;
                let flags = fields.u32()?;
                Self::SetIrqs { flags, index: fields.u32()?, start: fields.u32()?, count: fields.u32()? }
            }
            Some(Command::RegionRead) => {
                let (offset, region) = (fields.u64()?, fields.u32()?);
                Self::Read { offset, region, count: data_bytes(fields.u32()?)? }
            }
            Some(Command::RegionWrite) => {
                let (offset, region) = (fields.u64()?, fields.u32()?);
                let count = data_bytes(fields.u32()?)?;
                Self::Write { offset, region, data: fields.0.get(..count).ok_or(Errno::INVAL)? }
            }
            Some(Command::DeviceReset) => Self::Reset,
            Some(
                Command::Unknown
                | Command::GetRegionIoFds
                | Command::DmaRead
                | Command::DmaWrite
                | Command::UserDirtyPages,
            )
            | None => return Err(Errno::OPNOTSUPP),
        };
        Ok(request)
    }
}

fn data_bytes(count: u32) -> Result<usize, Errno> {
    usize::try_from(count).ok().filter(|count| *count <= MAX_DATA).ok_or(Errno::INVAL)
}

/// What is left of a body.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Errno> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(Errno::INVAL)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, Errno> {
        self.take().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Result<u32, Errno> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Result<u64, Errno> {
        self.take().map(u64::from_ne_bytes)
    }
}

/// A reply while it is put together.
pub(crate) struct Reply(Vec<u8>);

impl Reply {
    /// A reply to the message with this header, so far without a body.
    pub(crate) fn to(header: Header) -> Self {
        let mut reply = Self(Vec::with_capacity(64));
        reply.u16(header.id).u16(header.command).u32(0).u32(flags::REPLY).u32(0);
        reply
    }

    /// A refusal.
    pub(crate) fn error(header: Header, errno: Errno) -> Self {
        let mut reply = Self(Vec::with_capacity(HEADER_BYTES));
        let errno = errno.raw_os_error().unsigned_abs();
        reply.u16(header.id).u16(header.command).u32(0).u32(flags::REPLY | flags::ERROR).u32(errno);
        reply
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_ne_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Room for data that is written in place.
    pub(crate) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let begin = self.0.len();
        self.0.resize(begin + bytes, 0);
        &mut self.0[begin..]
    }

    /// The message.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        // At most the largest message, see `MAX_MESSAGE`.
        let size = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[4..8].copy_from_slice(&size.to_ne_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(size: u32, flags: u32) -> Header {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = 7;
        bytes[2] = 9;
        bytes[4..8].copy_from_slice(&size.to_ne_bytes());
        bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
        Header::parse(bytes)
    }

    #[test]
    fn a_header_bounds_its_body() {
        assert_eq!(header(16, 0).body_bytes(), Some(0));
        assert_eq!(header(15, 0).body_bytes(), None);
        assert_eq!(header(0, 0).body_bytes(), None);
        assert_eq!(header(u32::MAX, 0).body_bytes(), None);
        let largest = u32::try_from(MAX_MESSAGE).unwrap();
        assert_eq!(header(largest, 0).body_bytes(), Some(MAX_MESSAGE - HEADER_BYTES));
        assert_eq!(header(largest + 1, 0).body_bytes(), None);
        assert_eq!(header(16, flags::REPLY).body_bytes(), None, "only commands are taken");
        assert!(header(16, 0).wants_reply() && !header(16, flags::NO_REPLY).wants_reply());
    }

    #[test]
    fn short_and_unknown_bodies_are_refused() {
        for command in [1, 2, 3, 5, 7, 8, 9, 10] {
            assert_eq!(Request::parse(command, &[0]), Err(Errno::INVAL), "{command}");
        }
        for command in [0, 6, 11, 12, 14, 15, u16::MAX] {
            assert_eq!(Request::parse(command, &[0; 64]), Err(Errno::OPNOTSUPP), "{command}");
        }
        assert_eq!(Request::parse(13, &[]), Ok(Request::Reset));
    }

    #[test]
    fn data_is_bounded_by_what_there_is() {
        let access = |count: u32, data: &[u8]| [&[0; 12], &count.to_ne_bytes()[..], data].concat();
        let body = access(2, &[5, 6, 7]);
        assert_eq!(Request::parse(10, &body), Ok(Request::Write { offset: 0, region: 0, data: &[5, 6] }));
        assert_eq!(Request::parse(10, &access(4, &[5, 6, 7])), Err(Errno::INVAL));
        assert_eq!(Request::parse(9, &access(u32::MAX, &[])), Err(Errno::INVAL));
    }

    #[test]
    fn a_reply_tells_its_size() {
        let mut reply = Reply::to(header(16, 0));
        reply.u64(3);
        let bytes = reply.finish();
        assert_eq!(bytes[..12], [7, 0, 9, 0, 24, 0, 0, 0, 1, 0, 0, 0]);
        let error = Reply::error(header(16, 0), Errno::INVAL).finish();
        assert_eq!(error[4..], [16, 0, 0, 0, 0x21, 0, 0, 0, 22, 0, 0, 0]);
    }
}
