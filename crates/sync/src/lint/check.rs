//! Rules that need no graph: the things that a thread must not do, given what it holds.
//!
//! The kernel's counterparts are `might_sleep()` and `lockdep_assert_held()`.

use std::fmt;
use std::panic::Location;

use super::deliver::{self, Finding};
use super::held::{self, Entry, Held, What};
use super::hooks::{self, SectionKind};
use super::wait::{self, For};
use super::{FENCE, ReportKind, enabled};

/// Declares that the following code may block, whether or not it blocks this time. `what` completes
/// the sentence "... may block".
///
/// The lint reports the call inside a non-sleeping section, in an [`interrupt`](super::interrupt())
/// or [`reclaim`](super::reclaim()) context, and under a short lock
/// ([`Mutex::new`](super::Mutex::new)).
///
/// # Examples
/// ```
/// use lifeboat_sync::lint::{self, Reaction, ReportKind};
///
/// fn read_firmware() {
///     lint::might_block("reading the firmware");
/// }
/// lint::force(Reaction::Keep);
/// read_firmware();
/// assert!(lint::take_reports().is_empty());
/// lint::interrupt(read_firmware);
/// assert_eq!(lint::take_reports()[0].kind, ReportKind::Blocking);
/// ```
#[track_caller]
#[inline]
pub fn might_block(what: &'static str) {
    if enabled() {
        blocking(format_args!("{what}"), Location::caller(), None);
    }
}

/// Declares that the thread waits for a fence now. This counts as a call that [might
/// block](might_block). In addition the lint reports the wait
///
/// - inside a section of a gate (GATE-5): an unplug waits for the section, and the code that
///   signals the fence may wait for the unplug. Leave the section, wait, and enter again; the entry
///   then fails if the device is gone.
/// - on a path that [signals](super::signalling) fences,
/// - under a lock that such a path takes.
///
/// A bus callback's proof is no such section: the bus itself unplugs, so the callback does not wait
/// for its own proof.
///
/// # Examples
/// ```
/// use lifeboat_sync::lint;
///
/// fn wait(/* fence: &Fence */) {
///     lint::fence_wait();
///     // ... sleep until it is signalled
/// }
/// # wait();
/// ```
#[track_caller]
#[inline]
pub fn fence_wait() {
    if enabled() {
        fence_wait_at(Location::caller());
    }
}

fn fence_wait_at(place: &'static Location<'static>) {
    blocking(format_args!("waiting for a fence"), place, None);
    let gate = held::with(|thread| thread.find(|held| held.what == What::Section(SectionKind::Gate))).flatten();
    if let Some(gate) = gate {
        deliver::report(gate.finding(ReportKind::FenceWaitInSection, place), || {
            let message = format!(
                "a fence is waited for inside a section of `{}`, which began at {}. An unplug waits for that section, and the fence may wait \
                 for the unplug. Leave the section before the wait and enter it again after.",
                gate.name(),
                gate.place
            );
            (message, vec![deliver::backtrace_here()])
        });
    }
    wait::before(&FENCE, For::Fence, place, None);
}

/// Declares that the thread accesses a register of a device now. The lint reports an access on a
/// thread that has no open section of any kind.
///
/// # Examples
/// ```
/// use lifeboat_sync::lint;
///
/// fn read32(/* bar: &Bar, offset: usize */) -> u32 {
///     lint::register_access();
///     0
/// }
/// # lint::force(lint::Reaction::Keep);
/// read32();
/// assert_eq!(lint::take_reports()[0].kind, lint::ReportKind::NoSection);
/// ```
#[track_caller]
#[inline]
pub fn register_access() {
    if enabled() {
        register_access_at(Location::caller());
    }
}

fn register_access_at(place: &'static Location<'static>) {
    let section = |held: &Held| matches!(held.what, What::Section(_));
    let none = held::with(|thread| thread.find(section).is_none()).unwrap_or(false);
    if none && !hooks::movable_open() {
        let finding = Finding { kind: ReportKind::NoSection, here: place, other: None, classes: (0, 0) };
        deliver::report(finding, || {
            let message = "a register is accessed outside of any section, so the device can be gone at this moment. Go through the \
                           device's gate or revocable."
                .to_owned();
            (message, vec![deliver::backtrace_here()])
        });
    }
}

/// Reports the place if this thread holds anything, other than `except`, that forbids blocking.
/// `what` names the operation at the place, which may block.
pub(super) fn blocking(what: fmt::Arguments<'_>, place: &'static Location<'static>, except: Option<Entry>) {
    let Some(held) = held::with(|thread| thread.forbids_blocking(except)).flatten() else { return };
    deliver::report(held.finding(ReportKind::Blocking, place), || {
        let (name, there) = (held.name(), held.place);
        let why = match held.what {
            What::Interrupt => format!("this is an interrupt context, since {there}. Hand the work to a thread"),
            What::Reclaim => {
                format!("this is a reclaim context, since {there}. Give up what can be had without waiting")
            }
            What::Section(_) => format!(
                "the non-sleeping section of `{name}` that began at {there} is open: a revoke would wait as long. Leave it \
                 first, or use a gate"
            ),
            _ => format!(
                "the short lock `{name}` is held, taken at {there}. Release it first, or make it a sleeping one \
                 (`Mutex::sleeping`)"
            ),
        };
        (format!("{what} may block, but {why}."), vec![deliver::backtrace_here()])
    });
}
