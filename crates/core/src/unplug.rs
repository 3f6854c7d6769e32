//! The one path that every loss takes: unplug, forced unbind, bus loss, crash beyond repair (LIFE-5).
//!
//! The steps are types. Each consumes the one before, so they cannot be reordered or skipped:
//!
//! ```text
//! Bound ─announce→ Announced ─retire→ Retired ─drain→ Drained ─sweep→ Swept ─cut→ Cut ─release→ ·
//! ```
//!
//! 1. **announce**: opens and calls see the loss; the scheduler takes no more work.
//! 2. **retire**: every pending fence signals ENODEV now, so that whoever waits inside a section wakes. This has to come
//!    before the drain: a section that waits for a fence would otherwise never end (S2 in docs/conformance.md).
//! 3. **drain**: wait for open sections, up to a deadline; sections still open are reported by place and age.
//! 4. **sweep**: fences born while draining are retired too; owed events are delivered.
//! 5. **cut**: a device that answers is shut down by its driver first, with full access (S0); then interrupts off, DMA off,
//!    hardware dropped.
//! 6. **release**: the bus may forget the device.
//!
//! Step 7 of the design, the last user leaving, is an ordinary drop of the device and needs no order.
//!
//! A step that is dropped instead of continued (a panic in the shell) runs the remaining steps: an unplug that has begun
//! ends. A step that panicked is run once more, which is why [steps are idempotent](Teardown); if that panics too, the
//! process aborts.
//!
//! Skipping a step, or taking one twice, does not compile (LIFE-6); this order does:
//!
//! ```
//! # use lifeboat_core::unplug::*;
//! fn unplug<T: Teardown>(bound: Bound<T>) {
//!     let drained = bound.announce(Loss::Unplugged).retire().drain();
//!     drained.sweep().cut().release();
//! }
//! ```

use core::fmt;
use core::marker::PhantomData;

use crate::wedge::Failure;

/// What ended the binding. Only the trigger differs; the path is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The bus reports that the device is no longer there.
    Unplugged,
    /// The device is there, and the binding is ended on request.
    Unbound,
    /// The driver found the device dead before the bus said anything.
    FellOff,
    /// The device is there and cannot be repaired by resets.
    Crashed,
    /// The device is there and answers, and does not go on.
    Hung,
    /// Something is there that answers, and not as this device does.
    Nonsense,
    /// The slot reports that the link to the device is down. What was in flight is lost; the device is bound again when the link
    /// is up.
    LinkDown,
    /// Another device is in its place: of another model, or another one of the same.
    Replaced,
    /// The device has failed too often, and is kept for whoever can help it: the path stops after the cut for so long.
    Wedged(Failure),
}

impl Loss {
    /// What failed, if it is the device that is still there that failed.
    pub const fn failure(self) -> Option<Failure> {
        match self {
            Self::Crashed => Some(Failure::ResetFailed),
            Self::Hung => Some(Failure::Hung),
            Self::Nonsense => Some(Failure::Nonsense),
            Self::Wedged(failure) => Some(failure),
            Self::Unplugged | Self::Unbound | Self::FellOff | Self::LinkDown | Self::Replaced => None,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unplugged => "unplugged",
            Self::Unbound => "unbound",
            Self::FellOff => "fell off the bus",
            Self::Crashed => "crashed",
            Self::Hung => "hung",
            Self::Nonsense => "answered nonsense",
            Self::LinkDown => "link went down",
            Self::Replaced => "replaced by another device",
            Self::Wedged(_) => "wedged",
        })
    }
}

/// What the shell does at each step. None may block without a limit; after a loss of the hardware none may wait for it.
///
/// **Steps are idempotent.** A step that panicked is run once more, from its beginning. So each can be called again after
/// it has ended, or after any part of it, before the next step; it then does what is left, and what its doc says is true
/// afterwards holds. Nothing is done twice that may be done once only: fences signal once, and events are delivered once.
pub trait Teardown {
    /// Step 1. After it no new work is accepted.
    fn announce(&mut self, loss: Loss);
    /// Step 2. After it every fence that was pending has signalled.
    fn retire(&mut self);
    /// Step 3. Waits for open sections, up to the shell's deadline, and keeps the list of holdouts.
    fn drain(&mut self);
    /// Step 4. After it every fence and owed event of this binding has been delivered.
    fn sweep(&mut self);
    /// Step 5. First of all, a device that answers is shut down by its driver, which has full access until then: registers,
    /// interrupts, DMA. A device that does not answer is asked nothing. After the step the device reaches no memory and
    /// raises no interrupt, and nobody here reaches the device.
    fn cut(&mut self);
    /// Step 6. After it the bus may forget the device.
    fn release(&mut self);
}

/// A point on the path; the parameter says which. Use the aliases.
#[must_use = "an unplug that has begun must be carried through; dropping it runs the remaining steps"]
pub struct Step<T: Teardown, P: Phase> {
    // `None` only in what `next` and `release` leave behind for the drop.
    shell: Option<T>,
    phase: PhantomData<P>,
}

/// The binding is in place and nothing has begun.
pub type Bound<T> = Step<T, phase::Bound>;
/// Step 1 is done.
pub type Announced<T> = Step<T, phase::Announced>;
/// Step 2 is done.
pub type Retired<T> = Step<T, phase::Retired>;
/// Step 3 is done.
pub type Drained<T> = Step<T, phase::Drained>;
/// Step 4 is done.
pub type Swept<T> = Step<T, phase::Swept>;
/// Step 5 is done.
pub type Cut<T> = Step<T, phase::Cut>;

/// The phases, as types without values.
pub mod phase {
    /// See [`super::Bound`].
    pub enum Bound {}
    /// See [`super::Announced`].
    pub enum Announced {}
    /// See [`super::Retired`].
    pub enum Retired {}
    /// See [`super::Drained`].
    pub enum Drained {}
    /// See [`super::Swept`].
    pub enum Swept {}
    /// See [`super::Cut`].
    pub enum Cut {}
}

/// A phase knows the steps that are still to come. Sealed: the path has no other stations.
pub trait Phase: sealed::Sealed {
    #[doc(hidden)]
    fn finish<T: Teardown>(shell: &mut T);
}

mod sealed {
    pub trait Sealed {}
}

/// Each phase finishes by its own step and then whatever the next phase has left.
macro_rules! phases {
    ($($phase:ident: |$shell:ident| $step:expr, then $next:ident;)*) => {$(
        impl sealed::Sealed for phase::$phase {}
        impl Phase for phase::$phase {
            fn finish<T: Teardown>($shell: &mut T) {
                $step;
                <phase::$next as Phase>::finish($shell);
            }
        }
    )*};
}

phases! {
    Bound: |shell| shell.announce(Loss::Unbound), then Announced;
    Announced: |shell| shell.retire(), then Retired;
    Retired: |shell| shell.drain(), then Drained;
    Drained: |shell| shell.sweep(), then Swept;
    Swept: |shell| shell.cut(), then Cut;
}

impl sealed::Sealed for phase::Cut {}
impl Phase for phase::Cut {
    fn finish<T: Teardown>(shell: &mut T) {
        shell.release();
    }
}

impl<T: Teardown, P: Phase> Step<T, P> {
    fn at(shell: Option<T>) -> Self {
        Self { shell, phase: PhantomData }
    }

    /// Performs one step and stands at the next station.
    fn next<N: Phase>(mut self, step: impl FnOnce(&mut T)) -> Step<T, N> {
        if let Some(shell) = self.shell.as_mut() {
            // If the step panics, `self` is dropped in its old phase and the step runs again: steps are idempotent.
            step(shell);
        }
        Step::at(self.shell.take())
    }
}

impl<T: Teardown> Bound<T> {
    /// Takes charge of a binding. From here on it can only end by the whole path.
    pub fn new(shell: T) -> Self {
        Self::at(Some(shell))
    }

    /// Step 1.
    pub fn announce(self, loss: Loss) -> Announced<T> {
        self.next(|shell| shell.announce(loss))
    }
}

impl<T: Teardown> Announced<T> {
    /// Step 2.
    pub fn retire(self) -> Retired<T> {
        self.next(T::retire)
    }
}

impl<T: Teardown> Retired<T> {
    /// Step 3.
    pub fn drain(self) -> Drained<T> {
        self.next(T::drain)
    }
}

impl<T: Teardown> Drained<T> {
    /// Step 4.
    pub fn sweep(self) -> Swept<T> {
        self.next(T::sweep)
    }
}

impl<T: Teardown> Swept<T> {
    /// Step 5.
    pub fn cut(self) -> Cut<T> {
        self.next(T::cut)
    }
}

impl<T: Teardown> Cut<T> {
    /// Step 6. The shell is dropped.
    pub fn release(mut self) {
        if let Some(mut shell) = self.shell.take() {
            shell.release();
        }
    }
}

impl<T: Teardown, P: Phase> Drop for Step<T, P> {
    fn drop(&mut self) {
        if let Some(shell) = self.shell.as_mut() {
            P::finish(shell);
        }
    }
}

/// Each step leads to the next one only:
///
/// ```
/// # use lifeboat_core::unplug::*;
/// fn drain<T: Teardown>(bound: Bound<T>) -> Drained<T> {
///     bound.announce(Loss::Unplugged).retire().drain()
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat_core::unplug::*;
/// fn drain<T: Teardown>(bound: Bound<T>) -> Drained<T> {
///     bound.announce(Loss::Unplugged).drain()
/// }
/// ```
/// ```compile_fail,E0599
/// # use lifeboat_core::unplug::*;
/// fn cut<T: Teardown>(bound: Bound<T>) -> Cut<T> {
///     bound.announce(Loss::Unplugged).retire().drain().cut()
/// }
/// ```
#[cfg(doctest)]
mod life_6_no_step_is_skipped {}

/// A step that has been taken cannot be taken again:
///
/// ```
/// # use lifeboat_core::unplug::*;
/// fn announce<T: Teardown>(bound: Bound<T>) {
///     let _announced = bound.announce(Loss::Unplugged);
/// }
/// ```
/// ```compile_fail,E0382
/// # use lifeboat_core::unplug::*;
/// fn announce<T: Teardown>(bound: Bound<T>) {
///     let _announced = bound.announce(Loss::Unplugged);
///     let _again = bound.announce(Loss::Unplugged);
/// }
/// ```
#[cfg(doctest)]
mod life_6_no_step_is_taken_twice {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    use super::*;

    /// Writes down its steps; breaks once, at `breaks_at`.
    struct Shell<'a> {
        steps: &'a mut Vec<&'static str>,
        breaks_at: Option<&'static str>,
    }

    impl Shell<'_> {
        fn did(&mut self, step: &'static str) {
            self.steps.push(step);
            if self.breaks_at == Some(step) {
                self.breaks_at = None;
                panic!("the shell broke at {step}");
            }
        }
    }

    impl Teardown for Shell<'_> {
        fn announce(&mut self, _: Loss) {
            self.did("announce");
        }
        fn retire(&mut self) {
            self.did("retire");
        }
        fn drain(&mut self) {
            self.did("drain");
        }
        fn sweep(&mut self) {
            self.did("sweep");
        }
        fn cut(&mut self) {
            self.did("cut");
        }
        fn release(&mut self) {
            self.did("release");
        }
    }

    /// A shell that does every step twice, as after a panic at the very end of each.
    struct Twice<T>(T);

    impl<T: Teardown> Teardown for Twice<T> {
        fn announce(&mut self, loss: Loss) {
            (0..2).for_each(|_| self.0.announce(loss));
        }
        fn retire(&mut self) {
            (0..2).for_each(|_| self.0.retire());
        }
        fn drain(&mut self) {
            (0..2).for_each(|_| self.0.drain());
        }
        fn sweep(&mut self) {
            (0..2).for_each(|_| self.0.sweep());
        }
        fn cut(&mut self) {
            (0..2).for_each(|_| self.0.cut());
        }
        fn release(&mut self) {
            (0..2).for_each(|_| self.0.release());
        }
    }

    /// A shell over the scheduler, as small as it can be: what a step owes, it does as often as it is asked.
    #[derive(Default)]
    struct Owes {
        loss: Option<Loss>,
        fences: u32,
        signalled: u32,
        shut_down: u32,
        reaches_memory: bool,
        released: bool,
    }

    impl Teardown for &mut Owes {
        fn announce(&mut self, loss: Loss) {
            self.loss.get_or_insert(loss);
        }
        fn retire(&mut self) {
            self.signalled += core::mem::take(&mut self.fences);
        }
        fn drain(&mut self) {}
        fn sweep(&mut self) {
            self.retire();
        }
        fn cut(&mut self) {
            if core::mem::take(&mut self.reaches_memory) {
                self.shut_down += 1;
            }
        }
        fn release(&mut self) {
            self.released = true;
        }
    }

    #[test]
    fn life_7_steps_that_are_done_twice_do_what_steps_do_that_are_done_once() {
        let mut owes = Owes { fences: 3, reaches_memory: true, ..Owes::default() };
        let twice = Bound::new(Twice(&mut owes));
        twice.announce(Loss::FellOff).retire().drain().sweep().cut().release();
        assert_eq!((owes.loss, owes.fences, owes.signalled), (Some(Loss::FellOff), 0, 3));
        assert_eq!((owes.shut_down, owes.reaches_memory, owes.released), (1, false, true));
    }

    #[test]
    fn life_7_every_step_may_be_done_twice_and_the_next_follows() {
        let mut steps = Vec::new();
        let shell = Twice(Shell { steps: &mut steps, breaks_at: None });
        Bound::new(shell).announce(Loss::Unplugged).retire().drain().sweep().cut().release();
        let twice: Vec<_> = ALL.iter().flat_map(|step| [*step; 2]).collect();
        assert_eq!(steps, twice);
    }

    #[test]
    fn life_7_whichever_step_panics_is_run_again() {
        for broken in &ALL[..5] {
            let mut steps = Vec::new();
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let shell = Shell { steps: &mut steps, breaks_at: Some(broken) };
                Bound::new(shell).announce(Loss::Unplugged).retire().drain().sweep().cut().release();
            }));
            assert!(result.is_err());
            let expected: Vec<_> = ALL.iter().flat_map(|step| vec![*step; 1 + usize::from(step == broken)]).collect();
            assert_eq!(steps, expected);
        }
    }

    const ALL: [&str; 6] = ["announce", "retire", "drain", "sweep", "cut", "release"];

    #[test]
    fn life_6_the_path_runs_every_step_once_and_in_order() {
        let mut steps = Vec::new();
        let shell = Shell { steps: &mut steps, breaks_at: None };
        Bound::new(shell).announce(Loss::Unplugged).retire().drain().sweep().cut().release();
        assert_eq!(steps, ALL);
    }

    #[test]
    fn life_6_a_dropped_step_runs_the_rest() {
        let mut steps = Vec::new();
        drop(Bound::new(Shell { steps: &mut steps, breaks_at: None }));
        assert_eq!(steps, ALL);
        steps.clear();
        drop(Bound::new(Shell { steps: &mut steps, breaks_at: None }).announce(Loss::Crashed).retire());
        assert_eq!(steps, ALL);
    }

    #[test]
    fn a_step_that_panics_is_run_again_and_the_rest_follows() {
        let mut steps = Vec::new();
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let shell = Shell { steps: &mut steps, breaks_at: Some("drain") };
            Bound::new(shell).announce(Loss::Unplugged).retire().drain().sweep().cut().release();
        }));
        assert!(broken.is_err());
        assert_eq!(steps, ["announce", "retire", "drain", "drain", "sweep", "cut", "release"]);
    }
}
