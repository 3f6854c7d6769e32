//! What the driver of a GPU adds: address spaces, commands, video memory, a screen.

use core::fmt;
use core::ops::Range;

use lifeboat_pci::Iova;

use crate::{Driver, DriverError, Io};

/// A driver of a GPU. What a GPU lacks is left out: a GPU without video memory says so in
/// [`vram`](Self::vram), one without a screen takes [`NoScanout`] as its [`Scanout`].
///
/// Its functions are called as those of [`Driver`]: inside a section, and never to wait.
pub trait Gpu: Driver {
    /// Page of its contexts' address spaces in bytes, a power of two.
    ///
    /// Offsets in video memory are multiples of it. Host memory is given at multiples of
    /// [`lifeboat_pci::PAGE_SIZE`], whatever the GPU's page is.
    const PAGE: u64;

    /// The pages of a context's address space that may be mapped. Without page 0, so that address 0
    /// is never valid.
    const ADDRESSES: Range<u64>;

    /// A command, as users give it.
    type Command: Copy + fmt::Debug + Send + Sync + 'static;

    /// What it shows pictures with.
    type Scanout: Scanout;

    /// Contexts of the device.
    fn contexts(info: &Self::Info) -> u8;

    /// Segments of each context's address table.
    fn segments(info: &Self::Info) -> u8;

    /// Video memory of the device; `None` if it has none.
    fn vram(info: &Self::Info) -> Option<Vram>;

    /// Serial number of the device; 0 if it has none.
    fn serial(info: &Self::Info) -> u32;

    /// The most commands that a job may have on a ring with so many credits.
    fn most_commands(credits: u32) -> u32;

    /// Checks a command's arguments against their stated ranges. What is mapped where is checked by
    /// the device, when the command runs.
    ///
    /// # Errors
    /// [`InvalidArgument`], with the first one that is out of range.
    fn check(command: &Self::Command) -> Result<(), InvalidArgument>;

    /// Bytes of a command as a process hands it to the kernel. The device's reference has the layout.
    const COMMAND_BYTES: usize;

    /// Decodes a command that a process handed to the kernel, and checks it as [`Gpu::check`] does.
    /// Accepts one encoding of each command: bits without a meaning must be 0. O(1).
    ///
    /// # Errors
    /// [`InvalidArgument`]: `bytes` is not [`Gpu::COMMAND_BYTES`] long (`length`), no command of users
    /// has this code (`opcode`), a bit without a meaning is set (`reserved`), or the first argument
    /// that is out of range.
    fn decode(bytes: &[u8]) -> Result<Self::Command, InvalidArgument>;

    /// A job of these commands, which use the addresses of a context.
    fn work(context: ContextId, commands: &[Self::Command]) -> Self::Work<'_>;

    /// Puts a segment into effect. The slot must be clear.
    ///
    /// # Errors
    /// [`DriverError::NoSuchThing`] if there is no such context or slot, [`DriverError::Bus`].
    fn set_segment(io: &Io<'_>, context: ContextId, slot: u8, segment: &Segment) -> Result<(), DriverError>;

    /// Takes a segment out of effect.
    ///
    /// # Errors
    /// As [`Gpu::set_segment`].
    fn clear_segment(io: &Io<'_>, context: ContextId, slot: u8) -> Result<(), DriverError>;

    /// Whether a flip took effect, or a vertical blank began.
    fn blanked(pending: &Self::Pending) -> bool;
}

/// The circuit that shows pictures: one screen, one picture at a time, in video memory. A picture is
/// RGBA8, its rows without gaps.
pub trait Scanout: 'static {
    /// What is true of its screen on every device; `None` for a GPU that shows nothing. No other item
    /// is used then.
    const SCREEN: Option<Screen>;

    /// Shows a picture at once.
    ///
    /// # Errors
    /// [`DriverError::NoSuchThing`] if no picture can begin there, [`DriverError::Bus`].
    fn show(io: &Io<'_>, picture: Picture) -> Result<(), DriverError>;

    /// Shows another picture of the same size, which begins at `offset`, from the next vertical
    /// blank on; an interrupt reports that.
    ///
    /// # Errors
    /// As [`Scanout::show`].
    fn flip(io: &Io<'_>, offset: u64) -> Result<(), DriverError>;

    /// Shows nothing any more. There are no vertical blanks then.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    fn turn_off(io: &Io<'_>) -> Result<(), DriverError>;

    /// Where the picture that is shown begins; `None` while nothing is shown.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    fn showing(io: &Io<'_>) -> Result<Option<u64>, DriverError>;

    /// Whether a flip has been asked for and has not taken effect.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    fn flip_pending(io: &Io<'_>) -> Result<bool, DriverError>;

    /// Vertical blanks since something was shown at first, modulo 2^32.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    fn vblank_count(io: &Io<'_>) -> Result<u32, DriverError>;

    /// Has vertical blanks raise an interrupt, or no longer. A blank that began before reports
    /// nothing.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    fn watch_vblanks(io: &Io<'_>, on: bool) -> Result<(), DriverError>;
}

/// What is true of the screen of a kind of GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// The one refresh rate, in pictures per thousand seconds.
    pub refresh_millihertz: u32,
    /// Most pixels in a row, and most rows.
    pub max_side: u16,
}

/// A picture in video memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Where it begins, in bytes; a multiple of [`Gpu::PAGE`].
    pub offset: u64,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
}

impl Picture {
    /// From one row to the next, in bytes.
    #[must_use]
    pub const fn pitch(self) -> u32 {
        self.width as u32 * 4
    }
}

/// The scanout of a GPU that shows nothing.
#[derive(Debug, Clone, Copy)]
pub enum NoScanout {}

impl Scanout for NoScanout {
    const SCREEN: Option<Screen> = None;

    fn show(_: &Io<'_>, _: Picture) -> Result<(), DriverError> {
        Err(DriverError::NoSuchThing)
    }

    fn flip(_: &Io<'_>, _: u64) -> Result<(), DriverError> {
        Err(DriverError::NoSuchThing)
    }

    fn turn_off(_: &Io<'_>) -> Result<(), DriverError> {
        Err(DriverError::NoSuchThing)
    }

    fn showing(_: &Io<'_>) -> Result<Option<u64>, DriverError> {
        Ok(None)
    }

    fn flip_pending(_: &Io<'_>) -> Result<bool, DriverError> {
        Ok(false)
    }

    fn vblank_count(_: &Io<'_>) -> Result<u32, DriverError> {
        Ok(0)
    }

    fn watch_vblanks(_: &Io<'_>, _: bool) -> Result<(), DriverError> {
        Ok(())
    }
}

/// Memory of the device that the processor reaches through a BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vram {
    /// The BAR, which begins with the first byte of it.
    pub bar: u8,
    /// Size in bytes.
    pub bytes: u64,
}

/// Number of a context of the hardware: the address table that a command uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub u8);

/// An address in a context's own address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GpuVa(pub u64);

/// Memory behind a segment.
///
/// Exhaustive on purpose: a driver that overlooked a kind of memory would reach another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Byte offset in video memory, a multiple of [`Gpu::PAGE`].
    Vram(u64),
    /// Host memory, by the address that the device uses, a multiple of
    /// [`lifeboat_pci::PAGE_SIZE`].
    Host(Iova),
}

/// A stretch of a context's address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First address, a multiple of [`Gpu::PAGE`].
    pub va: GpuVa,
    /// Length in pages.
    pub pages: u32,
    /// Whether commands may write.
    pub writable: bool,
    /// The memory.
    pub target: Target,
}

/// An argument of a command that is outside its stated range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidArgument(
    /// The argument, as the reference of the device names it.
    pub &'static str,
);

impl fmt::Display for InvalidArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argument `{}` is outside its stated range", self.0)
    }
}

impl core::error::Error for InvalidArgument {}
