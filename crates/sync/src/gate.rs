//! Gates: sections that may sleep, for whole operations on a live device.
//!
//! A gate that has been [shut](Gate::shut) refuses entry, and [draining](Gate::drain) waits for the
//! open sections. The two steps are separate because an unplug works in between: it signals fences,
//! so that sections which wait for a fence can end (S2 in docs/conformance.md).
//!
//! Gates are independent: a section of one gate never delays the drain of another (GATE-3).
//! Sections nest. They are allowed in interrupt handlers and reclaim callbacks, where the code
//! inside must not block (GATE-6). Entering never waits for another section. It takes a lock for a
//! moment at the first entry of a reader, and at the first entry after the reader was idle during a
//! revoke.

use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use crate::lint::{self, Class, hooks::SectionKind};
use crate::slot::Place;
use crate::turnstile::{Owner, Ticket, Turnstile};
use crate::{Holdouts, Reader, Stay, reader};

const ON_THREAD: Owner = Owner::OnThread(SectionKind::Gate);

/// Gate around the operations on a device; see the [module documentation](self).
///
/// # Examples
/// ```
/// use lifeboat_sync::Gate;
/// use std::time::Duration;
///
/// let gate = Gate::new();
/// let section = gate.enter().expect("the device is there");
/// gate.shut();
/// assert!(gate.enter().is_none());
/// let holdouts = gate.drain(Duration::from_millis(1)).unwrap_err();
/// assert_eq!(holdouts.iter().count(), 1);
/// drop(section);
/// assert!(gate.drain(Duration::from_millis(1)).is_ok());
/// ```
#[derive(Debug)]
pub struct Gate(Turnstile);

/// Open section of a thread. Dropping it ends the section, which must happen on the same thread:
///
/// ```compile_fail,E0277
/// # use lifeboat_sync::Gate;
/// let gate = Gate::new();
/// let section = gate.enter();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(section));
/// });
/// ```
#[derive(Debug)]
#[must_use = "the section ends where this is dropped"]
pub struct Section<'a> {
    gate: &'a Gate,
    ticket: Ticket,
    on_this_thread: PhantomData<*const ()>,
}

/// Open section of a [`Reader`]. It may be held across `.await` and dropped on any thread.
#[derive(Debug)]
#[must_use = "the section ends where this is dropped"]
pub struct TaskSection<'a> {
    gate: &'a Gate,
    ticket: Ticket,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// Creates an open gate.
    pub fn new() -> Self {
        Self::with_class(&lint::GATE)
    }

    /// Creates an open gate with its own class for the [lint].
    pub fn with_class(class: &'static Class) -> Self {
        Self(Turnstile::new(class))
    }

    /// Begins a section of this thread. Returns `None` if the gate is shut.
    #[inline]
    #[track_caller]
    pub fn enter(&self) -> Option<Section<'_>> {
        match self.0.enter(reader::cached(), Location::caller(), ON_THREAD) {
            Some(ticket) => Some(Section { gate: self, ticket, on_this_thread: PhantomData }),
            None => self.refuse(),
        }
    }

    /// Runs `f` inside a section of this thread. Returns `None` if the gate is shut.
    ///
    /// Prefer this function to [`Gate::enter`], because the section of a closure cannot be leaked.
    #[inline]
    #[track_caller]
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let location = Location::caller();
        let Some(place) = self.0.enter_fast(reader::cached(), location) else { return self.run_slowly(location, f) };
        let _leave = LeaveFast(self, place);
        Some(f())
    }

    #[cold]
    fn run_slowly<R>(&self, location: &'static Location<'static>, f: impl FnOnce() -> R) -> Option<R> {
        let Some(ticket) = self.0.enter_slowly(reader::cached(), location, ON_THREAD) else { return self.refuse() };
        let _section = Section { gate: self, ticket, on_this_thread: PhantomData };
        Some(f())
    }

    #[cold]
    fn refuse<R>(&self) -> Option<R> {
        self.0.left(|| ());
        None
    }

    /// Begins a section of `reader`. Returns `None` if the gate is shut. Use it in asynchronous
    /// tasks:
    ///
    /// ```
    /// # use lifeboat_sync::{Gate, Reader};
    /// # async fn transfer() {}
    /// # fn spawn(_task: impl Future + Send) {}
    /// async fn request(gate: &Gate) -> Option<()> {
    ///     let reader = Reader::new("request");
    ///     let _section = gate.enter_with(&reader)?;
    ///     transfer().await; // may continue on another thread
    ///     Some(())
    /// }
    /// spawn(request(&Gate::new()));
    /// ```
    #[inline]
    #[track_caller]
    pub fn enter_with<'a>(&'a self, reader: &'a Reader) -> Option<TaskSection<'a>> {
        match self.0.enter(Some(reader.slot()), Location::caller(), Owner::Carried) {
            Some(ticket) => Some(TaskSection { gate: self, ticket }),
            None => self.refuse(),
        }
    }

    pub(crate) fn turnstile(&self) -> &Turnstile {
        &self.0
    }

    /// Returns the open sections, for a watchdog that compares them with the result of an earlier
    /// scan.
    pub fn stays(&self) -> Vec<Stay> {
        self.0.stays()
    }

    /// Tells whether the gate is shut.
    pub fn is_shut(&self) -> bool {
        self.0.is_shut()
    }

    /// Shuts the gate for ever, without waiting. Shutting again has no effect.
    pub fn shut(&self) {
        self.0.shut();
    }

    /// Shuts the gate and waits until no section is open. Several threads may call this, and
    /// repeatedly. [`Gate::drain_async`] does the same without blocking.
    ///
    /// # Errors
    /// The sections that are still open when `limit` has passed. A call from inside a section of
    /// the same gate always fails.
    #[track_caller]
    pub fn drain(&self, limit: Duration) -> Result<(), Holdouts> {
        self.0.wait(limit, || ())
    }
}

/// Ends the section when dropped, even if the code inside panics.
struct LeaveFast<'a>(&'a Gate, &'static Place);

impl Drop for LeaveFast<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.leave_fast(self.1, || ());
    }
}

impl Drop for Section<'_> {
    #[inline]
    fn drop(&mut self) {
        self.gate.0.leave(self.ticket, || ());
    }
}

impl Drop for TaskSection<'_> {
    #[inline]
    fn drop(&mut self) {
        self.gate.0.leave(self.ticket, || ());
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn gate_7_holdouts_are_named_by_place_age_and_thread() {
        let gate = Gate::new();
        std::thread::scope(|scope| {
            let (entered, wait_entered) = std::sync::mpsc::channel();
            let (leave, wait_leave) = std::sync::mpsc::channel::<()>();
            let gate = &gate;
            std::thread::Builder::new()
                .name("slow reader".into())
                .spawn_scoped(scope, move || {
                    let _section = gate.enter().unwrap();
                    entered.send(line!() - 1).unwrap();
                    let _ = wait_leave.recv_timeout(LONG);
                })
                .unwrap();
            let line = wait_entered.recv_timeout(LONG).unwrap();
            gate.shut();
            let holdouts = gate.drain(Duration::from_millis(5)).unwrap_err();
            let holdout = holdouts.iter().next().unwrap();
            assert_eq!(
                (holdout.place.file(), holdout.place.line(), holdout.thread.as_str()),
                (file!(), line, "slow reader")
            );
            assert!(holdout.age >= Duration::from_millis(5));
            drop(leave);
            gate.drain(LONG).unwrap();
        });
    }

    #[test]
    fn gate_7_a_task_is_named_too() {
        let (gate, reader) = (Gate::new(), Reader::new("request 7"));
        let section = gate.enter_with(&reader).unwrap();
        let holdouts = gate.drain(Duration::ZERO).unwrap_err();
        assert_eq!(holdouts.iter().next().unwrap().thread, "request 7");
        std::thread::scope(|scope| {
            scope.spawn(move || drop(section));
        });
        gate.drain(Duration::ZERO).unwrap();
    }

    #[test]
    fn gate_3_one_gate_does_not_wait_for_another() {
        let (stuck, other) = (Gate::new(), Gate::new());
        let _section = stuck.enter().unwrap();
        other.shut();
        other.drain(Duration::ZERO).unwrap();
    }

    #[test]
    fn sections_nest_deeper_than_a_slot_and_end_in_any_order() {
        let gate = Gate::new();
        let mut sections: Vec<_> = (0..10).map(|_| gate.enter().unwrap()).collect();
        gate.shut();
        for at in [3, 0, 7, 5, 0, 2, 1, 2, 0] {
            drop(sections.remove(at));
            assert_eq!(gate.drain(Duration::ZERO).unwrap_err().iter().count(), sections.len());
        }
        sections.clear();
        gate.drain(Duration::ZERO).unwrap();
    }

    #[test]
    fn life_6_a_forgotten_section_is_a_holdout_also_after_its_thread() {
        let gate = std::sync::Arc::new(Gate::new());
        let forgetful = gate.clone();
        std::thread::spawn(move || std::mem::forget(forgetful.enter())).join().unwrap();
        assert_eq!(gate.drain(Duration::ZERO).unwrap_err().iter().count(), 1);
        // The forgotten section has kept its slot, so other readers do not use it.
        std::thread::scope(|scope| {
            scope.spawn(|| Gate::new().drain(Duration::ZERO).unwrap());
        });
    }

    #[test]
    fn a_section_can_be_entered_at_the_end_of_a_thread() {
        struct AtTheEnd(std::sync::Arc<Gate>, std::sync::mpsc::Sender<bool>);
        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                self.1.send(self.0.enter().is_some()).unwrap();
            }
        }
        thread_local!(static LATE: std::cell::RefCell<Option<AtTheEnd>> = const { std::cell::RefCell::new(None) });

        let gate = std::sync::Arc::new(Gate::new());
        let (sender, receiver) = std::sync::mpsc::channel();
        let on_thread = gate.clone();
        std::thread::spawn(move || {
            // This thread-local is registered before the reader of the thread, and so dropped after
            // it.
            LATE.with(|late| *late.borrow_mut() = Some(AtTheEnd(on_thread.clone(), sender)));
            drop(on_thread.enter());
        })
        .join()
        .unwrap();
        assert!(receiver.recv().unwrap());
        gate.drain(Duration::ZERO).unwrap();
    }

    #[test]
    fn who_waits_is_woken_by_the_last_section() {
        let gate = Gate::new();
        std::thread::scope(|scope| {
            let section = gate.enter().unwrap();
            let waiter = scope.spawn(|| gate.drain(LONG));
            while !gate.is_shut() {
                std::thread::yield_now();
            }
            drop(section);
            waiter.join().unwrap().unwrap();
        });
    }
}
