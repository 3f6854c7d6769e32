//! The compositor of a run: shows the picture as it stands, by flipping between two buffers on the GPU's scanout.

use std::time::Duration;

use lifeboat::CallError;
use lifeboat_gpu::Slot;
use lifeboat_lb1_hosted::{Buffer, Device, Handle, Placement};

use super::machine::Watch;
use crate::run::budget::PAGE;
use crate::run::picture::{PIXEL, Picture};
use crate::run::tally::Tally;
use crate::run::workload::Workload;

/// The longest side of what is shown. Larger pictures are shown smaller, so that two of them fit beside the tiles.
const LONGEST_SIDE: u16 = 1024;

/// A picture as it is shown: every n-th pixel of every n-th row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Preview {
    every: u16,
    width: u16,
    height: u16,
}

impl Preview {
    pub(super) fn of(picture: &Picture) -> Self {
        let (width, height) = (picture.width(), picture.height());
        let every = width.max(height).div_ceil(LONGEST_SIDE).max(1);
        Self { every, width: width.div_ceil(every), height: height.div_ceil(every) }
    }

    fn bytes(self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * PIXEL as u64
    }

    /// Bytes of the two buffers that are flipped between.
    pub(super) fn bytes_of_two(self) -> u64 {
        2 * self.bytes().next_multiple_of(PAGE)
    }

    fn draw(self, picture: &Picture) -> Vec<u8> {
        let every = usize::from(self.every);
        let mut drawn = Vec::with_capacity(picture.pixels().len() / (every * every) + picture.pitch());
        for row in picture.pixels().chunks(picture.pitch()).step_by(every) {
            // Whole pixels at a time: this runs while the clients wait to deliver their tiles.
            for pixel in row.chunks_exact(PIXEL).step_by(every) {
                drawn.extend_from_slice(pixel);
            }
        }
        drawn
    }
}

/// What has been shown.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) flips: u64,
    /// The last picture that was flipped to, as far as its flip completed.
    last: Option<Vec<u8>>,
}

impl Shown {
    /// Whether the scanout shows what was flipped to last; `None` if nothing was, or there is no device.
    pub(super) fn is_on_screen(&self, slot: &Slot) -> Option<bool> {
        let shown = slot.card()?.picture()?;
        self.last.as_ref().map(|last| *last == shown.pixels)
    }
}

/// Two buffers on one device, and the turn they take.
struct Screen {
    buffers: [Buffer; 2],
    front: usize,
    handle: Handle,
}

impl Screen {
    fn open(device: &Device, preview: Preview) -> Result<Self, CallError> {
        let handle = device.open()?;
        let buffer = || handle.create_buffer(Placement::Vram, preview.bytes());
        let screen = Self { buffers: [buffer()?, buffer()?], front: 0, handle };
        let mode = screen.handle.resources().mode(preview.width, preview.height);
        screen.handle.set_mode(Some((&screen.buffers[0], mode)))?;
        Ok(screen)
    }

    fn flip(&mut self, pixels: &[u8], tally: &mut Tally) -> Result<bool, CallError> {
        let back = 1 - self.front;
        self.buffers[back].write(0, pixels)?;
        let fence = self.handle.flip(&self.buffers[back], None)?;
        tally.created();
        let completed = tally.wait(|limit| fence.wait(limit)).is_ok();
        self.front = back;
        Ok(completed)
    }
}

/// Shows the output after each round, until the work is over.
///
/// # Errors
/// What a call says that is not loss of the device.
pub(super) fn present(watch: &Watch, workload: &Workload, tally: &mut Tally) -> Result<Shown, CallError> {
    let preview = workload.with_output(Preview::of);
    let mut shown = Shown::default();
    let mut screen: Option<Screen> = None;
    let mut rounds = 0;
    while let Some(now) = workload.wait_for_round(rounds) {
        rounds = now;
        let pixels = workload.with_output(|output| preview.draw(output));
        match show(&mut screen, watch, preview, &pixels, tally) {
            Ok(true) => {
                shown.flips += 1;
                shown.last = Some(pixels);
            }
            // No device now: the next round will be shown on the next one.
            Ok(false) => screen = None,
            Err(error) if error.is_loss() => screen = None,
            Err(error) => {
                workload.close();
                return Err(error);
            }
        }
    }
    Ok(shown)
}

fn show(
    screen: &mut Option<Screen>,
    watch: &Watch,
    preview: Preview,
    pixels: &[u8],
    tally: &mut Tally,
) -> Result<bool, CallError> {
    if screen.as_ref().is_none_or(|screen| !screen.handle.is_live()) {
        let Some(device) = watch.device(Duration::ZERO, || true) else { return Ok(false) };
        *screen = Some(Screen::open(&device, preview)?);
    }
    screen.as_mut().map_or(Ok(false), |screen| screen.flip(pixels, tally))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_picture_is_shown_smaller_and_a_small_one_as_it_is() {
        let picture = Picture::from_rgba(3, 2, (0..24).collect()).unwrap();
        let preview = Preview::of(&picture);
        assert_eq!(preview, Preview { every: 1, width: 3, height: 2 });
        assert_eq!(preview.draw(&picture), picture.pixels());

        let wide = Picture::from_rgba(2049, 2, vec![7; 2049 * 2 * 4]).unwrap();
        let preview = Preview::of(&wide);
        assert_eq!(preview, Preview { every: 3, width: 683, height: 1 });
        assert_eq!(preview.draw(&wide).len() as u64, preview.bytes());
    }
}
