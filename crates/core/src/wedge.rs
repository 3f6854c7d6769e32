//! Wedged devices: devices that the driver can no longer repair (chapter "Device Wedging" of the
//! kernel's drm-uapi documentation).
//!
//! The path of every loss takes such a device out of use, up to the cut: DMA is off, every fence
//! has signalled, shared state is clean, and maps lead to nothing. Only then may the driver send
//! the event that asks for help. This order is enforced by a type: a [`WedgeEvent`] is made from a
//! [`Cut`] (WEDGE-1). The device stays present and refuses work until an operator recovers it.
//!
//! ```
//! # use lifeboat_core::unplug::*;
//! # use lifeboat_core::wedge::*;
//! fn wedge<T: Teardown>(bound: Bound<T>) -> (Cut<T>, WedgeEvent) {
//!     let cut = bound.announce(Loss::Wedged(Failure::Hung)).retire().drain().sweep().cut();
//!     let event = WedgeEvent::new(&cut, Methods::UNKNOWN.with(Method::Rebind), None);
//!     (cut, event)
//! }
//! ```

use core::fmt::{self, Write};

use crate::unplug::{Cut, Teardown};

/// Failure that made a device useless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The device answers but makes no progress.
    Hung,
    /// The device's jobs could not be ended, not even by a reset.
    ResetFailed,
    /// The device computes wrong results, and reads other values than a device that is gone.
    Nonsense,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hung => "it hangs",
            Self::ResetFailed => "its reset failed",
            Self::Nonsense => "it answers nonsense",
        })
    }
}

/// Way to recover a device. The order is by side effects on the machine, from the least to the
/// most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Method {
    /// Do nothing: the event is only for statistics.
    None,
    /// Unbind the driver and bind it again.
    Rebind,
    /// Unbind the driver, reset the bus, and bind the driver again.
    BusReset,
    /// Follow the vendor's documentation.
    VendorSpecific,
}

impl Method {
    const ALL: [Self; 4] = [Self::None, Self::Rebind, Self::BusReset, Self::VendorSpecific];

    /// Returns the name of the method in the event.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rebind => "rebind",
            Self::BusReset => "bus-reset",
            Self::VendorSpecific => "vendor-specific",
        }
    }
}

/// Set of recovery methods. The set lists its methods from the least to the most side effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Methods(u8);

impl Methods {
    /// The empty set: no method is known.
    pub const UNKNOWN: Self = Self(0);

    /// Adds a method to the set.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | 1 << method as u8)
    }

    /// Iterates over the methods, from the least to the most side effects.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |method| self.0 & 1 << *method as u8 != 0)
    }

    /// Returns the methods that fit into `bytes` bytes of text, separated by commas. The methods with
    /// the most side effects are left out first, because a list that is cut off in the middle names a
    /// method that does not exist. The kernel's event has room for [`Methods::KERNEL_BYTES`].
    #[must_use]
    pub fn fitting(self, bytes: usize) -> Self {
        let mut fitting = Self::UNKNOWN;
        let mut used = 0;
        for method in self.iter() {
            used += method.name().len() + usize::from(used > 0);
            if used > bytes {
                break;
            }
            fitting = fitting.with(method);
        }
        fitting
    }

    /// Room for the list of methods in the kernel's event, in bytes: `drm_dev_wedged_event` has a
    /// buffer of 32 bytes for `WEDGED=`, the list, and a comma that becomes the zero byte.
    pub const KERNEL_BYTES: usize = 32 - 7 - 1;
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNKNOWN {
            return f.write_str("unknown");
        }
        self.iter().enumerate().try_for_each(|(index, method)| {
            f.write_str(if index == 0 { "" } else { "," })?;
            f.write_str(method.name())
        })
    }
}

/// The process whose work made the device fail, as the event names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task<'a> {
    /// Number of the process.
    pub pid: u32,
    /// Name of the process. The event holds the first 15 bytes at most, as the kernel's tasks do.
    pub name: &'a str,
}

/// Longest name of a task in the event, in bytes.
const TASK_NAME: usize = 15;
/// Size of the longest event in bytes: `WEDGED=` with all methods, `PID=` with the largest number,
/// and `TASK=` with a name, each with its zero byte.
const TEXT: usize = 7 + 36 + 1 + 4 + 10 + 1 + 5 + TASK_NAME + 1;

/// Event of a wedged device: variables as the kernel sends them, each ended by a zero byte. The
/// event is made without allocation and in any context (WEDGE-5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WedgeEvent {
    text: [u8; TEXT],
    len: usize,
}

impl WedgeEvent {
    /// Creates the event of a device that has been cut off.
    pub fn new<T: Teardown>(_proof: &Cut<T>, methods: Methods, task: Option<Task<'_>>) -> Self {
        let mut event = Self { text: [0; TEXT], len: 0 };
        // The write cannot fail: there is room for the longest event, which a test shows.
        let _ = event.write(methods, task);
        event
    }

    fn write(&mut self, methods: Methods, task: Option<Task<'_>>) -> fmt::Result {
        write!(self, "WEDGED={methods}\0")?;
        match task {
            Some(Task { pid, name }) => write!(self, "PID={pid}\0TASK={}\0", shortened(name)),
            None => Ok(()),
        }
    }

    /// Returns the bytes of the event with all zero bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// Iterates over the variables, each in the form `NAME=value`.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.as_bytes()
            .split(|byte| *byte == 0)
            .filter_map(|bytes| core::str::from_utf8(bytes).ok())
            .filter(|text| !text.is_empty())
    }
}

impl fmt::Write for WedgeEvent {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.text.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl fmt::Debug for WedgeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables()).finish()
    }
}

/// Returns the longest part of a name that has room. The part ends at the border of a character and
/// before the first zero byte.
fn shortened(name: &str) -> &str {
    let name = name.split('\0').next().unwrap_or_default();
    let mut end = name.len().min(TASK_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Before the cut, no event can be made:
///
/// ```compile_fail,E0308
/// # use lifeboat_core::unplug::*;
/// # use lifeboat_core::wedge::*;
/// fn wedge<T: Teardown>(bound: Bound<T>) -> WedgeEvent {
///     let swept = bound.announce(Loss::Wedged(Failure::Hung)).retire().drain().sweep();
///     WedgeEvent::new(&swept, Methods::UNKNOWN, None)
/// }
/// ```
///
/// After the cut, the event can be made:
///
/// ```
/// # use lifeboat_core::unplug::*;
/// # use lifeboat_core::wedge::*;
/// fn wedge<T: Teardown>(bound: Bound<T>) -> WedgeEvent {
///     let swept = bound.announce(Loss::Wedged(Failure::Hung)).retire().drain().sweep();
///     WedgeEvent::new(&swept.cut(), Methods::UNKNOWN, None)
/// }
/// ```
#[cfg(doctest)]
mod wedge_1_the_event_comes_after_the_cut {}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;
    use std::vec::Vec;

    use super::*;
    use crate::unplug::{Bound, Loss};

    struct Nothing;

    impl Teardown for Nothing {
        fn announce(&mut self, _: Loss) {}
        fn retire(&mut self) {}
        fn drain(&mut self) {}
        fn sweep(&mut self) {}
        fn cut(&mut self) {}
        fn release(&mut self) {}
    }

    fn event(methods: Methods, task: Option<Task<'_>>) -> WedgeEvent {
        let announced = Bound::new(Nothing).announce(Loss::Wedged(Failure::Hung));
        WedgeEvent::new(&announced.retire().drain().sweep().cut(), methods, task)
    }

    #[test]
    fn wedge_3_methods_are_listed_from_the_least_to_the_most_in_every_combination() {
        for bits in 0..16_u8 {
            let chosen: Vec<Method> = Method::ALL.into_iter().filter(|method| bits & 1 << *method as u8 != 0).collect();
            // The methods are added in the wrong order.
            let methods = chosen.iter().rev().fold(Methods::UNKNOWN, |methods, method| methods.with(*method));
            let names: Vec<&str> = chosen.iter().map(|method| method.name()).collect();
            let expected = if bits == 0 { "unknown".to_string() } else { names.join(",") };
            assert_eq!(methods.to_string(), expected);
            assert_eq!(chosen.iter().fold(methods, |methods, method| methods.with(*method)), methods, "added twice");
            let event = event(methods, None);
            assert_eq!(event.as_bytes(), std::format!("WEDGED={expected}\0").as_bytes(), "never truncated");
        }
    }

    #[test]
    fn wedge_3_a_list_that_has_no_room_loses_whole_methods_from_its_end() {
        let all = Method::ALL.iter().fold(Methods::UNKNOWN, |methods, method| methods.with(*method));
        for bits in 0..16_u8 {
            let chosen = Method::ALL.into_iter().filter(|method| bits & 1 << *method as u8 != 0);
            let methods = chosen.fold(Methods::UNKNOWN, Methods::with);
            let list: Vec<Method> = methods.iter().collect();
            for room in 0..40 {
                let fitting = methods.fitting(room);
                let kept: Vec<Method> = fitting.iter().collect();
                assert_eq!(kept, list[..kept.len()], "the least side effects are kept");
                assert!(kept.is_empty() || fitting.to_string().len() <= room);
                let next = list.get(kept.len()).map(|method| fitting.with(*method).to_string().len());
                assert!(next.is_none_or(|longer| longer > room), "no method is left out without need");
            }
        }
        assert_eq!(all.fitting(Methods::KERNEL_BYTES).to_string(), "none,rebind,bus-reset");
        let vendor = Methods::UNKNOWN.with(Method::Rebind).with(Method::VendorSpecific);
        assert_eq!(vendor.fitting(Methods::KERNEL_BYTES), vendor);
    }

    #[test]
    fn wedge_3_process_and_task_come_together_and_there_is_room_for_the_longest() {
        let all = Method::ALL.iter().fold(Methods::UNKNOWN, |methods, method| methods.with(*method));
        let longest = event(all, Some(Task { pid: u32::MAX, name: "a-name-that-is-longer-than-a-task's" }));
        let variables: Vec<&str> = longest.variables().collect();
        assert_eq!(
            variables,
            ["WEDGED=none,rebind,bus-reset,vendor-specific", "PID=4294967295", "TASK=a-name-that-is-"]
        );
        assert_eq!(longest.len, TEXT, "and none to waste");
        let odd = event(Methods::UNKNOWN, Some(Task { pid: 1, name: "fourteen-bytes\u{e9}" }));
        assert_eq!(odd.variables().last(), Some("TASK=fourteen-bytes"), "no half characters");
        let hostile = event(Methods::UNKNOWN, Some(Task { pid: 1, name: "x\0WEDGED=none" }));
        assert_eq!(hostile.variables().count(), 3);
        assert_eq!(std::format!("{odd:?}"), r#"["WEDGED=unknown", "PID=1", "TASK=fourteen-bytes"]"#);
    }
}
