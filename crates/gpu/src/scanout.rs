//! The display: what is shown, vertical blanks, flips.
//!
//! Time is handed in; the clock thread (`sequencer`) calls at each vertical blank.

use std::time::{Duration, Instant};

use lifeboat_lb1::regs::{self, irq};
use parking_lot::Mutex;

use crate::halves::PAGE_MASK;

/// Time from one vertical blank to the next: 60 pictures a second.
const PERIOD: Duration = Duration::from_micros(16_666);

/// Where the picture that is being shown lies in VRAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanout {
    /// Offset of the first pixel, in bytes.
    pub base: u32,
    /// Bytes from one row to the next.
    pub pitch: u32,
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// A copy of what is being shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Where it came from.
    pub scanout: Scanout,
    /// RGBA8, row by row without gaps.
    pub pixels: Vec<u8>,
}

impl Scanout {
    /// Whether all of the picture lies within VRAM; nothing else is shown.
    fn fits(&self, vram_bytes: u64) -> bool {
        let row = u64::from(self.width) * 4;
        let (Some(rows_before_last), true) = (u64::from(self.height).checked_sub(1), row > 0) else { return false };
        u64::from(self.pitch) >= row
            && u64::from(self.base) + rows_before_last * u64::from(self.pitch) + row <= vram_bytes
    }
}

#[derive(Default)]
pub(crate) struct ScanoutUnit {
    state: Mutex<ScanoutState>,
}

#[derive(Default)]
struct ScanoutState {
    base: u32,
    pitch: u32,
    size: u32,
    flip: Option<u32>,
    enable: bool,
    /// When the next blank begins; `None` while the display is off.
    next: Option<Instant>,
    /// Blanks since the display was enabled.
    blanks: u32,
}

impl ScanoutUnit {
    pub(crate) fn reset(&self) {
        *self.state.lock() = ScanoutState::default();
    }

    pub(crate) fn read(&self, register: u64) -> u32 {
        let state = self.state.lock();
        match register {
            regs::SCANOUT_CTRL => u32::from(state.enable),
            regs::SCANOUT_BASE => state.base,
            regs::SCANOUT_PITCH => state.pitch,
            regs::SCANOUT_SIZE => state.size,
            regs::FLIP_BASE => state.flip.unwrap_or(state.base),
            regs::FLIP_STATUS => u32::from(state.flip.is_some()),
            regs::VBLANK_COUNT => state.blanks,
            _ => 0,
        }
    }

    /// Turns the display on or off; it is on while the device is `running` as well. A pending flip is dropped.
    pub(crate) fn set_enabled(&self, enable: bool, running: bool) {
        let mut state = self.state.lock();
        if enable != state.enable {
            state.enable = enable;
            state.blanks = if enable { 0 } else { state.blanks };
            state.flip = None;
            state.run(running);
        }
    }

    /// Writes a register other than [`regs::SCANOUT_CTRL`].
    pub(crate) fn write(&self, register: u64, value: u32) {
        let mut state = self.state.lock();
        match register {
            regs::SCANOUT_BASE => state.base = value & PAGE_MASK,
            regs::SCANOUT_PITCH => state.pitch = value,
            regs::SCANOUT_SIZE => state.size = value,
            regs::FLIP_BASE if state.enable => state.flip = Some(value & PAGE_MASK),
            _ => {}
        }
    }

    /// The device was enabled or disabled.
    pub(crate) fn set_running(&self, running: bool) {
        self.state.lock().run(running);
    }

    /// When the next vertical blank begins.
    pub(crate) fn next_blank(&self) -> Option<Instant> {
        self.state.lock().next
    }

    /// Begins a vertical blank if it is time, unless the scanout is stuck; says which interrupts that raises.
    pub(crate) fn blank(&self, now: Instant, stuck: bool) -> u32 {
        let mut state = self.state.lock();
        let Some(due) = state.next.filter(|due| *due <= now) else { return 0 };
        // A clock that fell behind (a busy machine) skips blanks instead of catching up in a burst.
        let next = due + PERIOD;
        state.next = Some(if next <= now { now + PERIOD } else { next });
        if stuck {
            return 0;
        }
        state.blanks = state.blanks.wrapping_add(1);
        match state.flip.take() {
            Some(base) => {
                state.base = base;
                irq::VBLANK | irq::FLIP
            }
            None => irq::VBLANK,
        }
    }

    /// What is shown: nothing while the display is off or the picture does not lie within VRAM.
    pub(crate) fn shown(&self, vram_bytes: u64) -> Option<Scanout> {
        let state = self.state.lock();
        state.next?;
        let [w0, w1, h0, h1] = state.size.to_le_bytes();
        let scanout = Scanout {
            base: state.base,
            pitch: state.pitch,
            width: u16::from_le_bytes([w0, w1]),
            height: u16::from_le_bytes([h0, h1]),
        };
        scanout.fits(vram_bytes).then_some(scanout)
    }
}

impl ScanoutState {
    fn run(&mut self, running: bool) {
        let on = running && self.enable;
        if on != self.next.is_some() {
            self.next = on.then(|| Instant::now() + PERIOD);
        }
    }
}
