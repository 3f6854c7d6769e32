//! The display: what is shown, and the flip that is on its way.
//!
//! A flip is answered exactly once (KMS-3): by the interrupt that reports it, by the worker that asks when none comes,
//! by the sweep of an unplug that catches it in mid-flight, or at once if the device is already gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::class::Refusal;
use lifeboat_lb1::DriverError;
use lifeboat_sync::lint::Mutex;

use crate::buffer::{self, Buffer};
use crate::calls::{Arguments, Bound};
use crate::device::{Device, Users};
use crate::fence::{Fence, Unsignalled};
use crate::link::Link;
use crate::{CallError, Placement, locks};

pub(crate) struct Display(Mutex<State>);

impl Default for Display {
    fn default() -> Self {
        Self(Mutex::new(&locks::DISPLAY, State::default()))
    }
}

#[derive(Default)]
struct State {
    size: Option<(u16, u16)>,
    shown: Option<Arc<buffer::Shared>>,
    pending: Option<Pending>,
    /// Shown before; freed by the next call rather than by an interrupt handler.
    replaced: Option<Arc<buffer::Shared>>,
    /// The device has been cut off: nothing is shown, or kept for it.
    dark: bool,
}

/// A flip that has not been answered.
struct Pending {
    fence: Unsignalled,
    buffer: Arc<buffer::Shared>,
    /// When to ask about it if no interrupt has come.
    ask_at: Instant,
}

/// How long to wait for a flip's interrupt: several vertical blanks.
const FLIP_LIMIT: Duration = Duration::from_millis(100);

/// Arguments of `mode-set`: an RGBA8 picture, rows without gaps.
pub(crate) struct Show<'a> {
    pub(crate) buffer: &'a Buffer,
    pub(crate) width: u16,
    pub(crate) height: u16,
}

/// Arguments of `page-flip`: a picture of the same size.
pub(crate) struct Flip<'a>(pub(crate) &'a Buffer);

impl Arguments<Device> for Show<'_> {
    fn check(&self, users: &Users) -> Result<(), CallError> {
        users.owns(&self.buffer.0.device)?;
        offset_of(self.buffer, (self.width, self.height)).map(drop)
    }
}

impl Arguments<Device> for Flip<'_> {
    fn check(&self, users: &Users) -> Result<(), CallError> {
        users.owns(&self.0.0.device)
    }
}

/// Shows an RGBA8 picture, rows without gaps, at once.
pub(crate) fn show(bound: &Bound<'_, Device>, arguments: Show<'_>) -> Result<(), CallError> {
    let Show { buffer, width, height } = arguments;
    let offset = offset_of(buffer, (width, height))?;
    let mut state = bound.users().display.0.lock();
    if state.pending.is_some() {
        return Err(CallError::Busy("a flip is pending; wait for it"));
    }
    let pitch = u32::from(width) * 4;
    let shown = bound.registers(|lb1, _| lb1.show(offset, pitch, width, height));
    shown.map_err(|_| Refusal::Gone)?;
    state.size = Some((width, height));
    let replaced = (state.shown.replace(buffer.0.clone()), state.replaced.take());
    drop(state);
    drop(replaced);
    Ok(())
}

/// Shows another picture of the same size from the next vertical blank on.
pub(crate) fn flip(
    bound: Option<&Bound<'_, Device>>,
    users: &Users,
    Flip(buffer): Flip<'_>,
) -> Result<Fence, CallError> {
    let mut state = users.display.0.lock();
    let size = state.size.ok_or(CallError::Invalid("nothing is shown yet; show a picture first"))?;
    let offset = offset_of(buffer, size)?;
    let Some(bound) = bound else { return Ok(Fence::signalled(Ok(()))) };
    if state.pending.is_some() {
        return Err(CallError::Busy("a flip is pending; wait for it"));
    }
    let (fence, unsignalled) = users.flips.fence();
    // Owed before the hardware hears of it: whatever happens from here on, the sweep or the interrupt finds it.
    let ask_at = Instant::now() + FLIP_LIMIT;
    state.pending = Some(Pending { fence: unsignalled, buffer: buffer.0.clone(), ask_at });
    let replaced = state.replaced.take();
    let asked = bound.registers(|lb1, _| lb1.flip(offset));
    drop(state);
    drop(replaced);
    if asked.is_err() {
        // The device is gone, perhaps so long that nobody sweeps any more.
        users.display.complete_flip();
    }
    // The worker looks when it is due.
    users.scheduler.events().nudge();
    Ok(fence)
}

fn offset_of(buffer: &Buffer, (width, height): (u16, u16)) -> Result<u64, CallError> {
    if buffer.placement() != Placement::Vram {
        return Err(CallError::Invalid("only a buffer in VRAM can be shown"));
    }
    let needed = u64::from(width) * u64::from(height) * 4;
    if needed == 0 || buffer.size() < needed {
        return Err(CallError::Invalid("the buffer is smaller than the picture, or the picture is empty"));
    }
    buffer.0.vram_offset().ok_or(CallError::Invalid("only a buffer in VRAM can be shown"))
}

impl Display {
    /// The flip took effect, or never will.
    pub(crate) fn complete_flip(&self) {
        let mut state = self.0.lock();
        let Some(Pending { fence, buffer, .. }) = state.pending.take() else { return };
        if state.dark {
            drop(state);
            drop(buffer);
        } else {
            state.replaced = state.shown.replace(buffer);
            drop(state);
        }
        fence.signal();
    }

    /// Asks the hardware about a flip whose interrupt has not come in time, so that a lost one delays and is no hang.
    /// Says when to look again.
    pub(crate) fn look(&self, link: &Link) -> Option<Instant> {
        let ask_at = self.0.lock().pending.as_ref()?.ask_at;
        if ask_at > Instant::now() {
            return Some(ask_at);
        }
        if link.registers(|lb1, _| lb1.flip_pending()) == Ok(false) {
            self.complete_flip();
            return None;
        }
        let mut state = self.0.lock();
        let pending = state.pending.as_mut()?;
        pending.ask_at = Instant::now() + FLIP_LIMIT;
        Some(pending.ask_at)
    }

    /// After a reset of the device: shows again what was shown, and asks again for the flip that was on its way.
    pub(crate) fn restore(&self, link: &Link) -> Result<(), DriverError> {
        let state = self.0.lock();
        let offset = |buffer: &buffer::Shared| buffer.vram_offset().ok_or(DriverError::NoSuchThing);
        let (Some((width, height)), Some(shown)) = (state.size, &state.shown) else { return Ok(()) };
        let shown = offset(shown)?;
        link.registers(|lb1, _| lb1.show(shown, u32::from(width) * 4, width, height))?;
        match &state.pending {
            Some(pending) => {
                let next = offset(&pending.buffer)?;
                link.registers(|lb1, _| lb1.flip(next))
            }
            None => Ok(()),
        }
    }

    /// Nothing is shown any more, and no flip is pending. The size stays: a flip after loss is still judged by it.
    pub(crate) fn clear(&self) {
        let mut state = self.0.lock();
        state.dark = true;
        let buffers = (state.shown.take(), state.replaced.take());
        drop(state);
        drop(buffers);
        // Of a call that the drain gave up waiting for. Those that come later see that there are no registers.
        self.complete_flip();
    }
}
