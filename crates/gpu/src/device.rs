//! The device's own control and status registers, and what of them takes time: reset and heartbeat.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lifeboat_lb1::regs::{self, device_ctrl, device_status};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::halves::half;

/// Where the device stands between resets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Ready,
    Resetting,
    ResetFailed,
}

/// What began a reset of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResetKind {
    /// The driver, by a register or in configuration space. It counts, and can be made to fail.
    Function,
    /// The bus. It does not count and does not fail: the driver may not even know.
    Bus,
    /// Power came on: another card is there. As for the bus, and VRAM is zero.
    PowerOn,
}

/// How a reset of the device ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResetEnd {
    Done,
    Failed,
    /// It says that it is done, and was none: what could be read before can be read again.
    Lied,
}

pub(crate) struct Control {
    state: Mutex<DeviceState>,
    /// Signalled for the clock thread: a reset was asked for, the display changed, or the card stops. And for whoever
    /// waits for the end of a reset.
    changed: Condvar,
    /// Copy of whether the device is enabled; rings ask for each descriptor.
    enabled: AtomicBool,
}

pub(crate) struct DeviceState {
    pub(crate) phase: Phase,
    pub(crate) stop: bool,
    /// The reset that is under way, or was the last.
    pub(crate) reset: ResetKind,
    heartbeat: Heartbeat,
    liveness: u32,
    scratch: u32,
    /// Liveness and scratch of before the reset that is under way.
    before: (u32, u32),
}

enum Heartbeat {
    /// Counting since.
    Beating(Instant),
    /// Disabled: keeps the last value.
    Still(u32),
    /// By fault injection: keeps its value until reset, enabled or not.
    Stuck(u32),
}

impl Control {
    pub(crate) fn new() -> Self {
        let state = DeviceState { phase: Phase::Ready, stop: false, ..DeviceState::power_on() };
        Self { state: Mutex::new(state), changed: Condvar::new(), enabled: AtomicBool::new(false) }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Acquire)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state.lock().phase
    }

    pub(crate) fn read(&self, register: u64) -> u32 {
        let state = self.state.lock();
        match register {
            regs::DEVICE_CTRL => {
                let enable = if self.is_enabled() { device_ctrl::ENABLE } else { 0 };
                enable | if state.phase == Phase::Resetting { device_ctrl::RESET } else { 0 }
            }
            regs::DEVICE_STATUS => match state.phase {
                Phase::Ready => device_status::READY,
                Phase::Resetting => device_status::RESETTING,
                Phase::ResetFailed => device_status::RESET_FAILED,
            },
            regs::HEARTBEAT => state.heartbeat.read(),
            regs::LIVENESS => state.liveness,
            regs::SCRATCH => state.scratch,
            _ => 0,
        }
    }

    pub(crate) fn set_liveness(&self, written: u32) {
        self.state.lock().liveness = !written;
    }

    pub(crate) fn set_scratch(&self, value: u32) {
        self.state.lock().scratch = value;
    }

    /// Enables or disables the device. `true` if that changed anything; not while a reset is under way or has failed.
    pub(crate) fn set_enabled(&self, enable: bool) -> bool {
        let mut state = self.state.lock();
        if state.phase != Phase::Ready || enable == self.is_enabled() {
            return false;
        }
        self.enabled.store(enable, Ordering::Release);
        state.heartbeat = match (&state.heartbeat, enable) {
            (Heartbeat::Stuck(value), _) => Heartbeat::Stuck(*value),
            (_, true) => Heartbeat::Beating(Instant::now()),
            (heartbeat, false) => Heartbeat::Still(heartbeat.read()),
        };
        true
    }

    /// The heartbeat stops where it is.
    pub(crate) fn stick_heartbeat(&self) {
        let mut state = self.state.lock();
        state.heartbeat = Heartbeat::Stuck(state.heartbeat.read());
    }

    /// Whether a reset is under way.
    pub(crate) fn is_resetting(&self) -> bool {
        self.lock().phase == Phase::Resetting
    }

    /// A reset begins, from now on nothing else works. `false` if one is under way already. `hold` holds the rings, before
    /// the clock thread can see the reset: else it could finish with a ring that is held only afterwards, for ever.
    pub(crate) fn begin_reset(&self, kind: ResetKind, hold: impl FnOnce()) -> bool {
        let mut state = self.state.lock();
        if state.phase == Phase::Resetting {
            return false;
        }
        self.enabled.store(false, Ordering::Release);
        hold();
        let before = (state.liveness, state.scratch);
        *state =
            DeviceState { phase: Phase::Resetting, stop: state.stop, reset: kind, before, ..DeviceState::power_on() };
        true
    }

    /// Makes a reset that is under way one of another kind.
    pub(crate) fn change_reset(&self, kind: ResetKind) {
        self.state.lock().reset = kind;
    }

    /// Wakes the clock thread, for the reset that was begun or for another reason.
    pub(crate) fn wake(&self) {
        drop(self.state.lock());
        self.changed.notify_all();
    }

    pub(crate) fn end_reset(&self, end: ResetEnd) {
        let mut state = self.state.lock();
        state.phase = if end == ResetEnd::Failed { Phase::ResetFailed } else { Phase::Ready };
        if end == ResetEnd::Lied {
            (state.liveness, state.scratch) = state.before;
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }

    /// For the clock thread: its state, under the lock it waits with.
    pub(crate) fn lock(&self) -> MutexGuard<'_, DeviceState> {
        self.state.lock()
    }

    /// Waits for a change, or until `deadline`.
    pub(crate) fn wait(&self, state: &mut MutexGuard<'_, DeviceState>, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => {
                self.changed.wait_until(state, deadline);
            }
            None => self.changed.wait(state),
        }
    }
}

impl DeviceState {
    fn power_on() -> Self {
        Self {
            phase: Phase::Ready,
            stop: false,
            reset: ResetKind::Function,
            heartbeat: Heartbeat::Still(0),
            liveness: regs::LIVENESS_RESET,
            scratch: u32::MAX,
            before: (regs::LIVENESS_RESET, u32::MAX),
        }
    }
}

impl Heartbeat {
    fn read(&self) -> u32 {
        match self {
            // Modulo 2^32, as the register says.
            Self::Beating(since) => half(u64::try_from(since.elapsed().as_millis()).unwrap_or(0), 0),
            Self::Still(value) | Self::Stuck(value) => *value,
        }
    }
}
