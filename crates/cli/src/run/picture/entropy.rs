//! Detection of a JPEG whose data are cut short although the marker at its end is there.
//!
//! A decoder that runs out of data before its last block goes on with made-up bits. So the file is
//! decoded once more with other bits before its end: the pixels of a whole picture do not depend on
//! them. A progressive file that is cut between two of its scans is a whole picture of less detail.

use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use image::{ImageDecoder, ImageFormat, ImageReader, Limits};

/// Bytes put before the end: more than any block of a picture has, so that the first missing block
/// is made of them.
const FILLER: usize = 4096;

/// Whether `pixels`, as decoded from `file`, depend on bits that the file does not have. The data
/// of the picture end `before_end` bytes after the beginning of the file.
pub(super) fn is_cut(
    file: &mut (impl BufRead + Seek),
    before_end: u64,
    limits: Limits,
    pixels: &[u8],
) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut filled = Vec::new();
    file.take(before_end).read_to_end(&mut filled)?;
    let mut random = fastrand::Rng::with_seed(before_end);
    // No 0xFF: it begins a marker.
    filled.extend(std::iter::repeat_with(|| random.u8(..0xFF)).take(FILLER));
    filled.extend([0xFF, 0xD9]);
    let mut reader = ImageReader::with_format(Cursor::new(filled), ImageFormat::Jpeg);
    reader.limits(limits);
    let decoded = reader.into_decoder().and_then(|decoder| {
        let mut again = vec![0; pixels.len()];
        decoder.read_image(&mut again).map(|()| again)
    });
    Ok(decoded.map_or(true, |again| again != pixels))
}
