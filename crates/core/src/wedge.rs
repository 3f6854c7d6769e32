//! A device that the driver cannot help any more: wedged (the kernel's chapter "Device Wedging" in drm-uapi).
//!
//! The path of every loss takes the device out of use, up to the cut: DMA is off, every fence has signalled,
//! state that others see is clean, maps lead to nothing. Only then is the event sent that asks for help, and that
//! order is a type: an [`Event`] is made of a [`Cut`] (WEDGE-1). The device stays there, refusing work, until an
//! operator recovers it.
//!
//! ```
//! # use lifeboat_core::unplug::*;
//! # use lifeboat_core::wedge::*;
//! fn wedge<T: Teardown>(bound: Bound<T>) -> (Cut<T>, Event) {
//!     let cut = bound.announce(Loss::Wedged(Failure::Hung)).retire().drain().sweep().cut();
//!     let event = Event::new(&cut, Methods::UNKNOWN.with(Method::Rebind), None);
//!     (cut, event)
//! }
//! ```

use core::fmt::{self, Write};

use crate::unplug::{Cut, Teardown};

/// The failure that made a device useless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The device answers, and does not go on.
    Hung,
    /// Its jobs could not be ended, not even by a reset.
    ResetFailed,
    /// It answers nonsense: not what it should compute, and not what a device that is gone reads.
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

/// A way to bring a device back. The order is that of side effects on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Method {
    /// Nothing needs to be done: the event is for statistics.
    None,
    /// Unbind the driver and bind it again.
    Rebind,
    /// The same, with a reset of the bus in between.
    BusReset,
    /// The steps in the vendor's documentation.
    VendorSpecific,
}

impl Method {
    const ALL: [Self; 4] = [Self::None, Self::Rebind, Self::BusReset, Self::VendorSpecific];

    /// Its name in the event.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rebind => "rebind",
            Self::BusReset => "bus-reset",
            Self::VendorSpecific => "vendor-specific",
        }
    }
}

/// Any combination of ways. Written, they are in their order, whatever the order in which they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Methods(u8);

impl Methods {
    /// No way is known.
    pub const UNKNOWN: Self = Self(0);

    /// Adds a way.
    #[must_use]
    pub const fn with(self, method: Method) -> Self {
        Self(self.0 | 1 << method as u8)
    }

    /// The ways, from the least side effects to the most.
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |method| self.0 & 1 << *method as u8 != 0)
    }
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

/// The process whose work the device failed at: number and name, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task<'a> {
    /// The process.
    pub pid: u32,
    /// Its name. Of a long one the event has the first 15 bytes, as the kernel's tasks have.
    pub name: &'a str,
}

/// Bytes of a task's name.
const TASK_NAME: usize = 15;
/// `WEDGED=` and all methods, `PID=` and the largest number, `TASK=` and a name, each with its zero.
const TEXT: usize = 7 + 36 + 1 + 4 + 10 + 1 + 5 + TASK_NAME + 1;

/// The event of a wedged device: variables as the kernel sends them, each ended by a zero byte. Made
/// without allocation, in any context (WEDGE-5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event {
    text: [u8; TEXT],
    len: usize,
}

impl Event {
    /// The event of a device that has been cut off.
    pub fn new<T: Teardown>(_proof: &Cut<T>, methods: Methods, task: Option<Task<'_>>) -> Self {
        let mut event = Self { text: [0; TEXT], len: 0 };
        // There is room for the longest of each; a test says so.
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

    /// The bytes, zeroes included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// The variables, `NAME=value` each.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.as_bytes()
            .split(|byte| *byte == 0)
            .filter_map(|bytes| core::str::from_utf8(bytes).ok())
            .filter(|text| !text.is_empty())
    }
}

impl fmt::Write for Event {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.text.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables()).finish()
    }
}

/// The part of a name that has room, in whole characters, without a byte that would end it early.
fn shortened(name: &str) -> &str {
    let name = name.split('\0').next().unwrap_or_default();
    let mut end = name.len().min(TASK_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Before the cut there is nothing to make the event of:
///
/// ```compile_fail,E0308
/// # use lifeboat_core::unplug::*;
/// # use lifeboat_core::wedge::*;
/// fn wedge<T: Teardown>(bound: Bound<T>) -> Event {
///     let swept = bound.announce(Loss::Wedged(Failure::Hung)).retire().drain().sweep();
///     Event::new(&swept, Methods::UNKNOWN, None)
/// }
/// ```
///
/// After it there is:
///
/// ```
/// # use lifeboat_core::unplug::*;
/// # use lifeboat_core::wedge::*;
/// fn wedge<T: Teardown>(bound: Bound<T>) -> Event {
///     let swept = bound.announce(Loss::Wedged(Failure::Hung)).retire().drain().sweep();
///     Event::new(&swept.cut(), Methods::UNKNOWN, None)
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

    fn event(methods: Methods, task: Option<Task<'_>>) -> Event {
        let announced = Bound::new(Nothing).announce(Loss::Wedged(Failure::Hung));
        Event::new(&announced.retire().drain().sweep().cut(), methods, task)
    }

    #[test]
    fn wedge_3_methods_are_listed_from_the_least_to_the_most_in_every_combination() {
        for bits in 0..16_u8 {
            let chosen: Vec<Method> = Method::ALL.into_iter().filter(|method| bits & 1 << *method as u8 != 0).collect();
            // Added in the wrong order.
            let methods = chosen.iter().rev().fold(Methods::UNKNOWN, |methods, method| methods.with(*method));
            let names: Vec<&str> = chosen.iter().map(|method| method.name()).collect();
            let expected = if bits == 0 { "unknown".to_string() } else { names.join(",") };
            assert_eq!(methods.to_string(), expected);
            let event = event(methods, None);
            assert_eq!(event.as_bytes(), std::format!("WEDGED={expected}\0").as_bytes(), "never truncated");
        }
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
    }
}
