//! Form of a segment as bytes: a header, then frames. No I/O.
//!
//! All numbers are little-endian.
//!
//! | header | bytes | | frame | bytes | |
//! |---|---|---|---|---|---|
//! | magic | 8 | `LBJOURN\n` | length of the payload | 4 | 1 to 1 MiB |
//! | version | 4 | [`VERSION`] | sequence | 8 | 1 more than the frame before |
//! | number of the segment | 8 | | CRC32 of the payload | 4 | |
//! | sequence of the first frame | 8 | | CRC32 of the 16 bytes before | 4 | |
//! | CRC32 of the 28 bytes before | 4 | | payload | length | the last byte is never zero |
//!
//! # A torn write is not damage
//!
//! A write that the machine's death interrupts leaves a prefix of a frame, or a frame that ends in zeros: file systems
//! extend a file before its data arrive. No append had returned for such a frame, so it may be cut off. A frame that
//! has all its bytes and a wrong checksum was once written whole: it may be a record that somebody relies on, so this
//! is damage, even at the end of the file. The frame's head has a checksum of its own, so that a wrong length is not
//! taken for a prefix.

/// Newest version of the form.
pub(super) const VERSION: u32 = 1;

/// Longest payload in bytes. Records are a few hundred bytes; the bound keeps a wrong length from being believed.
pub(super) const LONGEST: usize = 1 << 20;

/// Length of a segment's header in bytes.
pub(super) const HEADER: usize = 32;

const MAGIC: [u8; 8] = *b"LBJOURN\n";
/// Length of a frame's head in bytes.
const HEAD: usize = 20;

/// Header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Number of the segment, from 1 on.
    pub(super) number: u64,
    /// Sequence number of the first frame.
    pub(super) first: u64,
}

/// Reason for which bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// The version is newer than [`VERSION`].
    Newer(u32),
    /// The bytes are not those of a header.
    Damaged(&'static str),
}

impl Header {
    /// Returns the header as bytes.
    pub(super) fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.number.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.first.to_le_bytes());
        let check = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// Reads the header at the begin of `bytes`.
    ///
    /// The version is looked at before the checksum: a newer header may be longer. So a damaged version is reported
    /// as a newer one, and both are refused.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, NoHeader> {
        if bytes.is_empty() {
            return Err(NoHeader::Damaged("the file is empty"));
        }
        let magic = bytes.get(..8).is_some_and(|magic| magic == MAGIC);
        let (true, Some(version)) = (magic, four(bytes, 8)) else {
            return Err(NoHeader::Damaged("the file is no journal"));
        };
        if version > VERSION {
            return Err(NoHeader::Newer(version));
        }
        let (Some(number), Some(first), Some(check)) = (eight(bytes, 12), eight(bytes, 20), four(bytes, 28)) else {
            return Err(NoHeader::Damaged("the header is not complete"));
        };
        if check != crc32fast::hash(&bytes[..28]) {
            return Err(NoHeader::Damaged("the header has a wrong checksum"));
        }
        Ok(Self { number, first })
    }
}

/// Appends a frame to `bytes`. The payload has 1 to [`LONGEST`] bytes and ends in one that is not zero.
pub(super) fn encode(sequence: u64, payload: &[u8], bytes: &mut Vec<u8>) {
    debug_assert!((1..=LONGEST).contains(&payload.len()) && payload.last() != Some(&0));
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let begin = bytes.len();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let check = crc32fast::hash(&bytes[begin..]);
    bytes.extend_from_slice(&check.to_le_bytes());
    bytes.extend_from_slice(payload);
}

/// Frame that has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Sequence number.
    pub(super) sequence: u64,
    /// Payload.
    pub(super) payload: &'a [u8],
}

/// End of a run of good frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End<'a> {
    /// The last byte of the file belongs to the last frame.
    Clean,
    /// A write was interrupted. The frame at `offset` was never acknowledged.
    Torn {
        /// Offset of the frame in the file.
        offset: usize,
    },
    /// Bytes that were once written are wrong.
    Damaged {
        /// Offset of the damage in the file.
        offset: usize,
        /// Description of the damage.
        reason: &'static str,
        /// Frames behind the damage that are good.
        after: Vec<Frame<'a>>,
    },
}

/// Frames of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan<'a> {
    /// Good frames from the begin on.
    pub(super) frames: Vec<Frame<'a>>,
    /// End of the good frames.
    pub(super) end: End<'a>,
}

/// Reads the frames behind the header of a segment. `first` is the header's.
pub(super) fn scan(segment: &[u8], first: u64) -> Scan<'_> {
    let mut frames = Vec::new();
    let mut offset = HEADER.min(segment.len());
    loop {
        let rest = &segment[offset..];
        if rest.is_empty() {
            return Scan { frames, end: End::Clean };
        }
        let next = first.saturating_add(frames.len() as u64);
        match frame_at(rest) {
            Ok(frame) if frame.sequence == next => {
                offset += HEAD + frame.payload.len();
                frames.push(frame);
            }
            Ok(_) => return damaged(frames, segment, offset, next, "entries are missing"),
            Err(_) if is_torn(rest, next) => return Scan { frames, end: End::Torn { offset } },
            Err(reason) => return damaged(frames, segment, offset, next, reason),
        }
    }
}

fn damaged<'a>(frames: Vec<Frame<'a>>, segment: &'a [u8], offset: usize, next: u64, reason: &'static str) -> Scan<'a> {
    let after = salvage(&segment[offset..], next);
    Scan { frames, end: End::Damaged { offset, reason, after } }
}

/// Finds the good frames in `bytes` whose sequence numbers rise from `next` on.
fn salvage(bytes: &[u8], mut next: u64) -> Vec<Frame<'_>> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        match frame_at(&bytes[offset..]) {
            Ok(frame) if frame.sequence >= next => {
                next = frame.sequence.saturating_add(1);
                offset += HEAD + frame.payload.len();
                found.push(frame);
            }
            _ => offset += 1,
        }
    }
    found
}

/// Reads the head of the frame at the begin of `bytes`: length, sequence number and checksum of the payload.
fn head_at(bytes: &[u8]) -> Option<(usize, u64, u32)> {
    let (length, sequence) = (four(bytes, 0)?, eight(bytes, 4)?);
    let (payload, head) = (four(bytes, 12)?, four(bytes, 16)?);
    let length = usize::try_from(length).ok()?;
    ((1..=LONGEST).contains(&length) && head == crc32fast::hash(&bytes[..16])).then_some((length, sequence, payload))
}

fn frame_at(bytes: &[u8]) -> Result<Frame<'_>, &'static str> {
    let (length, sequence, check) = head_at(bytes).ok_or("the head of an entry is wrong")?;
    let payload = bytes.get(HEAD..HEAD + length).ok_or("an entry is not complete")?;
    if check == crc32fast::hash(payload) {
        Ok(Frame { sequence, payload })
    } else {
        Err("an entry has a wrong checksum")
    }
}

/// Tells whether `rest`, which is no frame, can be the remains of an interrupted write of the frame `next`.
fn is_torn(rest: &[u8], next: u64) -> bool {
    let written = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // A frame is longer than its head, so no acknowledged frame is lost here.
    written < HEAD || head_at(rest).is_some_and(|(length, sequence, _)| sequence == next && written < HEAD + length)
}

fn four(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

fn eight(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?))
}
