//! Pictures in memory: RGBA, 8 bits a channel, rows from top to bottom without gaps.
//!
//! A file is refused by its header, before memory is taken for its pixels: neither a picture beyond [`MAX_SIDE`] nor a
//! small file that claims to be huge costs more than reading a few bytes. Its pixels are decoded into the memory in which
//! they stay, and become RGBA there, so that loading needs no second picture.
//!
//! What it is not: colour management. The numbers in the file are the numbers that are filtered.

mod container;
mod entropy;
mod rgba8;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Seek, Write};
use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits,
    RgbaImage,
};

/// Largest width and height in pixels: 256 MiB of pixels at most.
pub const MAX_SIDE: u16 = 8192;

/// Bytes of a pixel.
pub const PIXEL: usize = 4;

/// Largest file. The largest picture takes half as much uncompressed, at the 64 bits a pixel that PNG allows at most.
const MAX_FILE: u64 = 1 << 30;

/// What a decoder may need besides the pixels: a few rows, and metadata, which can be a bomb of its own.
const DECODER_MEMORY: u64 = 64 << 20;

static BUNDLED: &[u8] = include_bytes!("../../assets/lifeboat.png");

/// A picture. Both sides are at least 1 and at most [`MAX_SIDE`].
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: u16,
    height: u16,
    pixels: Vec<u8>,
    /// What of the file is not in the pixels.
    notes: Vec<&'static str>,
}

/// Why a picture cannot be used. The text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct PictureError {
    name: String,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot be read ({0}); give --image the name of a PNG or JPEG file")]
    Unreadable(#[from] io::Error),
    #[error("is not a file; give --image the name of a PNG or JPEG file")]
    NotAFile,
    #[error("has more than {} MiB; save the picture at most {MAX_SIDE} x {MAX_SIDE} pixels large", MAX_FILE >> 20)]
    TooManyBytes,
    #[error("is damaged (it ends before its picture does); save it again or choose another picture")]
    Truncated,
    #[error("is not a PNG or JPEG picture; convert it to one of these")]
    UnknownFormat,
    #[error("has {0} x {1} pixels, more than {MAX_SIDE} x {MAX_SIDE}; scale it down")]
    TooLarge(u32, u32),
    #[error("needs more memory than a picture of {MAX_SIDE} x {MAX_SIDE} pixels may; scale it down")]
    TooMuchMemory,
    #[error("has an unusual kind of pixels; save it as RGB with 8 bits a channel")]
    PixelFormat,
    #[error("is damaged ({}); save it again or choose another picture", crate::usage::one_line(&.0.to_string()))]
    Damaged(ImageError),
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooMuchMemory,
            // A file that ends too early is the picture's fault; other I/O errors are not.
            ImageError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => Self::Unreadable(error),
            error => Self::Damaged(error),
        }
    }
}

impl Picture {
    /// Loads a PNG or JPEG file, turned upright if the file says so.
    ///
    /// # Errors
    /// The file cannot be read, is not such a picture, or is larger than [`MAX_SIDE`].
    #[allow(clippy::unnecessary_debug_formatting)] // quotes the name, and escapes what would break the line
    pub fn load(path: &Path) -> Result<Self, PictureError> {
        open(path).and_then(decode).map_err(|problem| PictureError { name: format!("{path:?}"), problem })
    }

    /// The picture that comes with the command.
    ///
    /// # Errors
    /// Those of [`load`](Self::load); none of them while the tests pass.
    pub fn bundled() -> Result<Self, PictureError> {
        decode(Cursor::new(BUNDLED)).map_err(|problem| PictureError { name: "the bundled picture".to_owned(), problem })
    }

    /// A picture from its pixels; `None` if their number is not what the sides say, or a side is out of range.
    pub fn from_rgba(width: u16, height: u16, pixels: Vec<u8>) -> Option<Self> {
        let allowed = 1..=MAX_SIDE;
        let fits = allowed.contains(&width) && allowed.contains(&height);
        (fits && pixels.len() == bytes(width, height)).then_some(Self { width, height, pixels, notes: Vec::new() })
    }

    /// A transparent black picture of the same size.
    pub fn blank_like(other: &Self) -> Self {
        Self { pixels: vec![0; other.pixels.len()], notes: Vec::new(), width: other.width, height: other.height }
    }

    /// Width in pixels.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Height in pixels.
    pub const fn height(&self) -> u16 {
        self.height
    }

    /// Bytes from one row to the next.
    pub fn pitch(&self) -> usize {
        usize::from(self.width) * PIXEL
    }

    /// All pixels.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// What of the file is not in the pixels, in words.
    pub fn notes(&self) -> &[&'static str] {
        &self.notes
    }

    /// All pixels, to be changed.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// Writes the picture as PNG.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_png(&self, out: impl Write) -> io::Result<()> {
        let (width, height) = (self.width.into(), self.height.into());
        let written = PngEncoder::new(out).write_image(&self.pixels, width, height, ExtendedColorType::Rgba8);
        written.map_err(|error| match error {
            ImageError::IoError(error) => error,
            error => io::Error::other(error),
        })
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} x {})", self.width, self.height)
    }
}

fn bytes(width: u16, height: u16) -> usize {
    usize::from(width) * usize::from(height) * PIXEL
}

fn open(path: &Path) -> Result<BufReader<File>, Problem> {
    // Asked before opening: opening a FIFO would wait for its writer.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(Problem::NotAFile);
    }
    // JPEG files are read into memory as a whole.
    if metadata.len() > MAX_FILE {
        return Err(Problem::TooManyBytes);
    }
    Ok(BufReader::new(File::open(path)?))
}

fn decode(file: impl BufRead + Seek) -> Result<Picture, Problem> {
    let reader = ImageReader::new(file).with_guessed_format()?;
    let Some(format @ (ImageFormat::Png | ImageFormat::Jpeg)) = reader.format() else {
        return Err(Problem::UnknownFormat);
    };
    let mut file = reader.into_inner();
    let container = container::examine(&mut file, format)?;
    let mut reader = ImageReader::with_format(&mut file, format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER_MEMORY);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let small = |side: u32| u16::try_from(side).ok().filter(|side| (1..=MAX_SIDE).contains(side));
    let (Some(width), Some(height)) = (small(width), small(height)) else {
        return Err(Problem::TooLarge(width, height));
    };
    // After the header was read: what is no picture at all, or too large, has been refused as that.
    if container.truncated {
        return Err(Problem::Truncated);
    }
    let color = decoder.color_type();
    let notes = [
        (color.bytes_per_pixel() > color.channel_count(), "16 bits a channel were rounded to 8"),
        (container.more_pictures, "it holds several pictures: only the first is used"),
        (container.cmyk, "four colours of print became red, green and blue"),
    ];
    let orientation = decoder.orientation()?;
    let filled = usize::from(width) * usize::from(height) * usize::from(color.bytes_per_pixel());
    let mut pixels = vec![0; filled.max(bytes(width, height))];
    decoder.read_image(&mut pixels[..filled])?;
    if format == ImageFormat::Jpeg && entropy::is_cut(&mut file, container.before_end, limits, &pixels[..filled])? {
        return Err(Problem::Truncated);
    }
    let pixels = rgba8::in_place(pixels, color, bytes(width, height)).ok_or(Problem::PixelFormat)?;
    let picture = upright(width, height, pixels, orientation).ok_or(Problem::PixelFormat)?;
    let notes = notes.into_iter().filter(|(applies, _)| *applies).map(|(_, note)| note).collect();
    Ok(Picture { notes, ..picture })
}

/// Turns the picture as a camera noted it was held.
fn upright(width: u16, height: u16, pixels: Vec<u8>, orientation: Orientation) -> Option<Picture> {
    if orientation == Orientation::NoTransforms {
        return Picture::from_rgba(width, height, pixels);
    }
    let mut image = DynamicImage::ImageRgba8(RgbaImage::from_raw(width.into(), height.into(), pixels)?);
    image.apply_orientation(orientation);
    let (width, height) = (u16::try_from(image.width()).ok()?, u16::try_from(image.height()).ok()?);
    Picture::from_rgba(width, height, image.into_rgba8().into_raw())
}

/// Where the picture of a run comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The picture that comes with the command.
    Bundled,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// What `--image` says.
    pub fn new(image: Option<&Path>) -> Self {
        image.map_or(Self::Bundled, |path| Self::File(path.to_owned()))
    }

    /// Loads the picture.
    ///
    /// # Errors
    /// Those of [`Picture::load`].
    pub fn load(&self) -> Result<Picture, PictureError> {
        match self {
            Self::Bundled => Picture::bundled(),
            Self::File(path) => Picture::load(path),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bundled => f.write_str("bundled picture"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests;
