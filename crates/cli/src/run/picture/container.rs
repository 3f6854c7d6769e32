//! Parts of a picture file that a decoder passes over in silence: a missing end, further pictures.
//!
//! A JPEG decoder fills missing pixels with grey and says nothing. So the file's parts are walked
//! here, up to the marker at its end; nothing is decoded. A file with the marker and without all of
//! its data is found by [`entropy`](super::entropy).

use std::io::{self, BufRead, ErrorKind, Seek, SeekFrom};

use image::ImageFormat;

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Container {
    /// The file ends before the picture does.
    pub(super) truncated: bool,
    /// Bytes of a JPEG before the marker at its end.
    pub(super) before_end: u64,
    /// The file has more pictures than the first.
    pub(super) more_pictures: bool,
    /// The picture is for printing: four colours.
    pub(super) cmyk: bool,
}

mod marker {
    pub(super) const SOI: u8 = 0xD8;
    pub(super) const EOI: u8 = 0xD9;
    pub(super) const TEM: u8 = 0x01;
    pub(super) const RST: std::ops::RangeInclusive<u8> = 0xD0..=0xD7;
    /// Also DHT, JPG and DAC, which are none.
    pub(super) const SOF: std::ops::RangeInclusive<u8> = 0xC0..=0xCF;
    pub(super) const NO_SOF: [u8; 3] = [0xC4, 0xC8, 0xCC];
}

/// Walks the file, and leaves the reader at its beginning.
pub(super) fn examine(file: &mut (impl BufRead + Seek), format: ImageFormat) -> io::Result<Container> {
    let mut found = Container::default();
    file.seek(SeekFrom::Start(0))?;
    let walked = match format {
        ImageFormat::Jpeg => jpeg(file, &mut found),
        _ => png(file, &mut found),
    };
    file.seek(SeekFrom::Start(0))?;
    match walked {
        // The decoder of a PNG notices that itself.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => found.truncated = format == ImageFormat::Jpeg,
        other => other?,
    }
    Ok(found)
}

fn jpeg(file: &mut (impl BufRead + Seek), found: &mut Container) -> io::Result<()> {
    loop {
        match next_marker(file)? {
            marker::EOI => {
                found.before_end = file.stream_position()?.saturating_sub(2);
                break;
            }
            marker::SOI | marker::TEM | 0 => {}
            restart if marker::RST.contains(&restart) => {}
            segment => {
                let mut length = [0; 2];
                file.read_exact(&mut length)?;
                let mut left = i64::from(u16::from_be_bytes(length)).saturating_sub(2).max(0);
                if marker::SOF.contains(&segment) && !marker::NO_SOF.contains(&segment) {
                    // Precision, height, width, number of components.
                    let mut frame = [0; 6];
                    file.read_exact(&mut frame)?;
                    found.cmyk = frame[5] == 4;
                    left -= 6;
                }
                file.seek_relative(left)?;
                // After the header of a scan come its data, which have no length: the next marker ends them.
            }
        }
    }
    // Cameras put further pictures behind the first.
    found.more_pictures = loop {
        match next_marker(file) {
            Ok(marker::SOI) => break true,
            Ok(_) => {}
            Err(_) => break false,
        }
    };
    Ok(())
}

/// Reads up to the next marker; 0 is no marker, but a byte 0xFF of the data.
fn next_marker(file: &mut impl BufRead) -> io::Result<u8> {
    file.skip_until(0xFF)?;
    loop {
        let mut code = [0];
        file.read_exact(&mut code)?;
        if code[0] != 0xFF {
            return Ok(code[0]);
        }
    }
}

fn png(file: &mut (impl BufRead + Seek), found: &mut Container) -> io::Result<()> {
    file.seek_relative(8)?;
    loop {
        let mut header = [0; 8];
        file.read_exact(&mut header)?;
        let [a, b, c, d, kind @ ..] = header;
        match &kind {
            b"acTL" => {
                let mut frames = [0; 4];
                file.read_exact(&mut frames)?;
                found.more_pictures = u32::from_be_bytes(frames) > 1;
                return Ok(());
            }
            b"IDAT" | b"IEND" => return Ok(()),
            // And its check sum.
            _ => file.seek_relative(i64::from(u32::from_be_bytes([a, b, c, d])) + 4)?,
        }
    }
}
