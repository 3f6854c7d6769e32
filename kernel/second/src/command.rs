//! The commands, and their 32-byte encoding: eight little-endian words, which are opcode, bytes, destination (low half
//! first), source (likewise), pattern, and 0. What a command does not use is 0.

use lifeboat_driver::gpu::{GpuVa, InvalidArgument};
use lifeboat_lb1::command::{Copy, Fill, Work};

/// Bytes of an encoded command.
pub const COMMAND_BYTES: usize = 32;
const WORDS: usize = COMMAND_BYTES / 4;

const FILL: u32 = 1;
const COPY: u32 = 2;
const HANG: u32 = 3;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Fills memory with a word.
    Fill {
        /// First byte; a multiple of 4.
        dst: GpuVa,
        /// Bytes, at least 4; a multiple of 4.
        bytes: u32,
        /// The word.
        pattern: u32,
    },
    /// Copies memory, which must not overlap.
    Copy {
        /// First byte to write.
        dst: GpuVa,
        /// First byte to read.
        src: GpuVa,
        /// Bytes, at least 1.
        bytes: u32,
    },
    /// Never ends.
    Hang,
}

impl Command {
    /// Checks the arguments.
    ///
    /// # Errors
    /// The first one that is out of range.
    pub fn check(&self) -> Result<(), InvalidArgument> {
        let require = |holds, argument| if holds { Ok(()) } else { Err(InvalidArgument(argument)) };
        match *self {
            Self::Fill { dst, bytes, .. } => {
                require(dst.0 % 4 == 0, "dst")?;
                require(bytes > 0 && bytes % 4 == 0, "bytes")
            }
            Self::Copy { bytes, .. } => require(bytes > 0, "bytes"),
            Self::Hang => Ok(()),
        }
    }

    /// Decodes a command, and checks it. A command has one encoding.
    ///
    /// # Errors
    /// `length`, `opcode`, `reserved`, or the first argument that is out of range.
    pub fn decode(encoded: &[u8]) -> Result<Self, InvalidArgument> {
        let encoded: &[u8; COMMAND_BYTES] = encoded.try_into().map_err(|_| InvalidArgument("length"))?;
        let mut words = [0; WORDS];
        for (word, b) in words.iter_mut().zip(encoded.chunks_exact(4)) {
            *word = u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        }
        let [opcode, bytes, dst_low, dst_high, src_low, src_high, pattern, _] = words;
        let (dst, src) = (address(dst_low, dst_high), address(src_low, src_high));
        let command = match opcode {
            FILL => Self::Fill { dst, bytes, pattern },
            COPY => Self::Copy { dst, src, bytes },
            HANG => Self::Hang,
            _ => return Err(InvalidArgument("opcode")),
        };
        if command.encode() != *encoded {
            return Err(InvalidArgument("reserved"));
        }
        command.check().map(|()| command)
    }

    /// The encoding.
    #[must_use]
    pub fn encode(&self) -> [u8; COMMAND_BYTES] {
        let (opcode, bytes, dst, src, pattern) = match *self {
            Self::Fill { dst, bytes, pattern } => (FILL, bytes, dst.0, 0, pattern),
            Self::Copy { dst, src, bytes } => (COPY, bytes, dst.0, src.0, 0),
            Self::Hang => (HANG, 0, 0, 0, 0),
        };
        let mut encoded = [0; COMMAND_BYTES];
        encoded[..4].copy_from_slice(&opcode.to_le_bytes());
        encoded[4..8].copy_from_slice(&bytes.to_le_bytes());
        encoded[8..16].copy_from_slice(&dst.to_le_bytes());
        encoded[16..24].copy_from_slice(&src.to_le_bytes());
        encoded[24..28].copy_from_slice(&pattern.to_le_bytes());
        encoded
    }

    /// The command as it stands in a ring.
    pub(crate) fn work(self) -> Work {
        match self {
            Self::Fill { dst, bytes, pattern } => Work::Fill(Fill { dst, bytes: bytes.into(), pattern }),
            Self::Copy { dst, src, bytes } => Work::Copy(Copy::linear(dst, src, bytes)),
            Self::Hang => Work::Hang,
        }
    }
}

fn address(low: u32, high: u32) -> GpuVa {
    GpuVa(u64::from(low) | u64::from(high) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Command; 3] = [
        Command::Fill { dst: GpuVa(0x1_0000_4000), bytes: 64, pattern: 0x11fe_b0a7 },
        Command::Copy { dst: GpuVa(0x1_0000_4000), src: GpuVa(0x8003), bytes: 7 },
        Command::Hang,
    ];

    #[test]
    fn a_command_is_decoded_as_it_was_encoded_and_has_one_encoding() {
        for command in ALL {
            let encoded = command.encode();
            assert_eq!(Command::decode(&encoded), Ok(command));
            for bit in 0..COMMAND_BYTES * 8 {
                let mut other = encoded;
                other[bit / 8] ^= 1 << (bit % 8);
                if let Ok(decoded) = Command::decode(&other) {
                    assert_ne!(decoded, command, "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_command_is_refused_with_what_is_wrong() {
        let fill = |dst, bytes| Command::Fill { dst: GpuVa(dst), bytes, pattern: 0 }.encode();
        let refusals = [
            (&fill(0, 4)[..31], "length"),
            (&[0; COMMAND_BYTES], "opcode"),
            (&fill(2, 4), "dst"),
            (&fill(4, 6), "bytes"),
            (&fill(4, 0), "bytes"),
        ];
        for (encoded, what) in refusals {
            assert_eq!(Command::decode(encoded), Err(InvalidArgument(what)));
        }
    }
}
