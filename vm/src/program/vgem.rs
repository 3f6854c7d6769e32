//! Fences of vgem's, which a program signals when it likes: fences of another driver's, for jobs that wait.

use std::cell::Cell;

use lifeboat_uapi::{COMMAND_BASE, Direction, ioctl_number};

use crate::guest::agent::AgentError;
use crate::program::Program;
use crate::program::file::File;
use crate::program::refused;
use crate::suite::failure::{Failure, expect};

/// `struct drm_mode_create_dumb`: height, width, bits per pixel, flags, handle, pitch, size.
const CREATE_DUMB: u32 = 0xc020_64b2;
/// `DRM_IOCTL_VGEM_FENCE_ATTACH`: handle, flags, fence, reserved.
const ATTACH: u32 = ioctl_number(Direction::InOut, COMMAND_BASE + 1, 16);
/// `DRM_IOCTL_VGEM_FENCE_SIGNAL`: fence, reserved.
const SIGNAL: u32 = ioctl_number(Direction::In, COMMAND_BASE + 2, 8);
/// The fence writes the buffer.
const WRITE: u32 = 1;
/// Signalled too late: vgem does it by itself after ten seconds.
const ETIMEDOUT: i32 = 110;

/// A buffer of vgem's, and the fences on it.
#[derive(Debug)]
pub struct Vgem<'a> {
    program: &'a Program<'a>,
    file: File<'a>,
    buffer: u32,
    exported: u32,
    /// Whether the last fence was signalled, and that in time.
    in_time: Cell<Option<bool>>,
}

/// A fence that has not been signalled.
#[derive(Debug, Clone, Copy)]
pub struct VgemFence {
    number: u32,
    /// Its `sync_file`, by its number in the program.
    pub sync_file: i32,
}

impl<'a> Vgem<'a> {
    /// Opens vgem's node, and makes a buffer.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open(program: &'a Program<'a>, node: &str) -> Result<Self, AgentError> {
        let file = program.open(node)?;
        let buffer = create_dumb(&file)?;
        let exported = file.export(buffer)?;
        Ok(Self { program, file, buffer, exported, in_time: Cell::new(None) })
    }

    /// Makes a fence.
    ///
    /// # Errors
    /// The last one has not been signalled.
    pub fn fence(&self) -> Result<VgemFence, AgentError> {
        self.in_time.set(None);
        let made = self.file.raw(ATTACH, &[self.buffer, WRITE, 0, 0].map(u32::to_le_bytes).concat())?;
        let sync_file = self.program.writers_of(self.exported)?;
        Ok(VgemFence { number: word(&made, 2), sync_file: self.program.number_of(sync_file)? })
    }

    /// Signals the last fence. vgem may have done that before.
    ///
    /// # Errors
    /// The fence was signalled by us before.
    pub fn signal(&self, fence: VgemFence) -> Result<(), Failure> {
        let signalled = self.file.raw(SIGNAL, &[fence.number, 0].map(u32::to_le_bytes).concat());
        self.in_time.set(Some(signalled.is_ok()));
        if signalled.is_ok() {
            return Ok(());
        }
        let errno = refused(signalled)?;
        expect(errno == ETIMEDOUT, || format!("vgem's fence is not signalled: errno {errno}"))
    }

    /// Whether the last fence was pending until we signalled it, which is now if it was not before.
    ///
    /// # Errors
    /// There is no such fence.
    pub fn was_in_time(&self, fence: VgemFence) -> Result<bool, Failure> {
        if self.in_time.get().is_none() {
            self.signal(fence)?;
        }
        Ok(self.in_time.get() == Some(true))
    }
}

/// A small `dumb` buffer of a card; gives its handle.
///
/// # Errors
/// The kernel refuses.
pub fn create_dumb(file: &File<'_>) -> Result<u32, AgentError> {
    let dumb = [64_u32, 64, 32, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
    Ok(word(&file.raw(CREATE_DUMB, &dumb)?, 4))
}

/// A word of a structure, 0 beyond its end.
fn word(bytes: &[u8], index: usize) -> u32 {
    bytes.chunks_exact(4).nth(index).map_or(0, |word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}
