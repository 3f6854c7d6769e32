//! The sequence numbers of all rings, and waiting for them.

use lifeboat_lb1::regs;
use parking_lot::{Condvar, Mutex};

/// What rings have reached. One lock for all: a ring waits for another's.
pub(crate) struct Seqnos {
    values: Mutex<[u32; regs::MAX_RINGS as usize]>,
    changed: Condvar,
}

impl Seqnos {
    pub(crate) fn new() -> Self {
        Self { values: Mutex::new([0; regs::MAX_RINGS as usize]), changed: Condvar::new() }
    }

    pub(crate) fn get(&self, ring: u8) -> u32 {
        self.values.lock().get(usize::from(ring)).copied().unwrap_or(0)
    }

    pub(crate) fn set(&self, ring: u8, value: u32) {
        if let Some(slot) = self.values.lock().get_mut(usize::from(ring)) {
            *slot = value;
        }
        self.changed.notify_all();
    }

    /// Waits until the ring is at or past `value`, or until `give_up` says so; [`Seqnos::wake`] makes it ask again.
    pub(crate) fn wait(&self, ring: u8, value: u32, give_up: impl Fn() -> bool) {
        let mut values = self.values.lock();
        while !values.get(usize::from(ring)).is_some_and(|at| has_passed(*at, value)) && !give_up() {
            self.changed.wait(&mut values);
        }
    }

    /// Makes every waiter look again.
    pub(crate) fn wake(&self) {
        drop(self.values.lock());
        self.changed.notify_all();
    }
}

/// Whether `at` is `value` or later, modulo 2^32: less than half the number circle ahead.
fn has_passed(at: u32, value: u32) -> bool {
    at.wrapping_sub(value) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_wraps() {
        assert!(has_passed(5, 5));
        assert!(has_passed(6, 5));
        assert!(!has_passed(4, 5));
        assert!(has_passed(1, u32::MAX));
        assert!(!has_passed(u32::MAX, 1));
    }
}
