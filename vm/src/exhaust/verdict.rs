//! Which answers a step may give, by its class and by what has happened to the device. The errnos are those of
//! `lifeboat_core`.

use lifeboat_core::class::{Class, Entry, Presence, Refusal};
use lifeboat_core::errno::Errno;
use lifeboat_core::fence::FenceError;
use lifeboat_core::wedge::Failure;
use lifeboat_guest::wire::Outcome;

use super::mode::Mode;

/// What is asked of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// An answer of its class.
    Call(Class),
    /// As a call of class Driver that takes new work.
    Work,
    /// The result of a job: 0 or the negative error of its fence.
    Job,
    /// The same, or no result yet.
    JobSoFar,
    /// The state of a `sync_file` of a job whose context is closed: 1 or the negative error of its fence. The job may have been
    /// cancelled before it began.
    Fence,
    /// A number, exactly.
    Number(i64),
    /// Success, whatever happens to the device.
    Success,
    /// Success, or any error of the bus side: binding a device that is lost meanwhile.
    Probe,
}

/// How it stands with the device when the step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Nothing has happened to it.
    Undisturbed,
    /// It may happen at any moment of the step, or has happened and nobody has noticed.
    Meanwhile,
    /// It is lost, and the loss has been announced.
    Afterwards,
}

/// What happens to the device, and whether calls run past the entry check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) mode: Mode,
    pub(super) race: bool,
}

/// The errnos that are right, and whether success is.
struct Verdict {
    success: bool,
    errors: Vec<i32>,
}

/// What is wrong with the answer of a step; `None` if nothing is.
pub(super) fn wrong(expect: Expect, when: When, trouble: Trouble, outcome: &Outcome) -> Option<String> {
    let errno = match outcome {
        Outcome::Failed(failure) => match failure.errno {
            Some(errno) => Some(errno),
            // The guest's own trouble.
            None => return Some(format!("failed: {failure}")),
        },
        _ => None,
    };
    let result = match (expect, outcome) {
        (Expect::Job | Expect::JobSoFar, Outcome::Number(result)) => Some((*result, 0)),
        (Expect::Fence, Outcome::Number(result)) => Some((*result, 1)),
        (Expect::Number(wanted), Outcome::Number(number)) if wanted != *number => {
            return Some(format!("gave {number} instead of {wanted}"));
        }
        _ => None,
    };
    if let Some((result, completed)) = result {
        let mut errors = fences(when, trouble);
        if expect == Expect::Fence {
            errors.push(Errno::from(FenceError::Canceled).code());
        }
        let is_right = result == completed || errors.iter().any(|errno| result == -i64::from(*errno));
        return (!is_right).then(|| format!("ended with {result}"));
    }
    let Verdict { success, errors } = allowed(expect, when, trouble);
    match errno {
        None => (!success).then(|| "succeeded".to_owned()),
        Some(errno) => (!errors.contains(&errno)).then(|| format!("failed: {}", name(errno))),
    }
}

/// The errors that a job's fence may have.
fn fences(when: When, Trouble { mode, .. }: Trouble) -> Vec<i32> {
    let errors: &[FenceError] = match (when, mode) {
        (When::Undisturbed, _) => &[],
        (_, Mode::Gone) => &[FenceError::Lost],
        // The one that hangs is guilty; the others may be lost with its ring.
        (_, Mode::Hang) => &[FenceError::Guilty, FenceError::TimedOut, FenceError::Innocent, FenceError::Canceled],
        // The device seems to hang before it is known to be lost, and a reset may heal it.
        (_, Mode::Silent | Mode::Nonsense) => {
            &[FenceError::Lost, FenceError::Guilty, FenceError::TimedOut, FenceError::Innocent, FenceError::Canceled]
        }
    };
    errors.iter().map(|error| Errno::from(*error).code()).collect()
}

fn allowed(expect: Expect, when: When, trouble: Trouble) -> Verdict {
    let class = match expect {
        Expect::Call(class) => class,
        Expect::Work => return work(when, trouble),
        // Whoever asks in vain is told that the time is over.
        Expect::JobSoFar => return Verdict { success: true, errors: vec![Errno::ETIME.code()] },
        Expect::Probe if when != When::Undisturbed => return Verdict { success: true, errors: probe() },
        _ => return Verdict { success: true, errors: Vec::new() },
    };
    match when {
        When::Undisturbed => Verdict { success: true, errors: Vec::new() },
        When::Meanwhile => Verdict { success: true, errors: refusals(class, trouble) },
        When::Afterwards => match class.entry(Presence::Gone) {
            Entry::Proceed | Entry::Pretend => Verdict { success: true, errors: Vec::new() },
            _ => Verdict { success: trouble.race, errors: refusals(class, trouble) },
        },
    }
}

/// New work. It is taken as long as the loss has not been announced.
fn work(when: When, trouble: Trouble) -> Verdict {
    let errors = match when {
        When::Undisturbed => Vec::new(),
        _ => refusals(Class::Device, trouble),
    };
    Verdict { success: when != When::Afterwards, errors }
}

/// How a call of this class may be refused.
fn refusals(class: Class, Trouble { mode, race }: Trouble) -> Vec<i32> {
    // A hang costs no device.
    if !mode.costs_the_device() {
        return Vec::new();
    }
    let Entry::Refuse(gone) = class.entry(Presence::Gone) else { return Vec::new() };
    let mut errors = vec![Errno::from(gone).code()];
    match class {
        // The kernel says by itself that there is no such node, or no longer.
        Class::Open => errors.extend([Errno::ENOENT.code(), Errno::ENODEV.code()]),
        _ if mode != Mode::Gone => {
            let failures = [Failure::Hung, Failure::ResetFailed, Failure::Nonsense];
            errors.extend(failures.map(|failure| Errno::from(Refusal::Wedged(failure)).code()));
        }
        _ => {}
    }
    // Past the check a call finds out by itself what there is no more: memory that the device lent.
    if race && class == Class::Device {
        errors.push(Errno::ENOMEM.code());
    }
    errors
}

/// What binding a lost device may end with: all that the driver says of a device that it cannot use.
fn probe() -> Vec<i32> {
    /// A device that answers wrongly: probe alone says so.
    const EIO: i32 = 5;
    vec![Errno::ENODEV.code(), Errno::ETIME.code(), Errno::EPROTO.code(), Errno::ETIMEDOUT.code(), EIO]
}

/// The name of an errno, if the core has it.
fn name(errno: i32) -> String {
    rustix::io::Errno::from_raw_os_error(errno).to_string()
}

#[cfg(test)]
mod tests {
    use lifeboat_guest::wire;

    use super::*;

    const ENODEV: i32 = 19;

    fn failed(errno: i32) -> Outcome {
        Outcome::Failed(wire::Failure { errno: Some(errno), message: String::new() })
    }

    fn is_right(expect: Expect, when: When, mode: Mode, race: bool, outcome: &Outcome) -> bool {
        wrong(expect, when, Trouble { mode, race }, outcome).is_none()
    }

    #[test]
    fn call_4_what_is_right_depends_on_the_class_and_on_what_has_happened() {
        let (always, device) = (Expect::Call(Class::Always), Expect::Call(Class::Device));
        for when in [When::Undisturbed, When::Meanwhile, When::Afterwards] {
            assert!(is_right(always, when, Mode::Gone, false, &Outcome::Done));
            assert!(!is_right(always, when, Mode::Gone, true, &failed(ENODEV)));
            let lost = when != When::Undisturbed;
            assert_eq!(is_right(device, when, Mode::Gone, false, &failed(ENODEV)), lost);
            assert_eq!(is_right(device, when, Mode::Gone, false, &Outcome::Done), when != When::Afterwards);
            assert!(is_right(device, when, Mode::Gone, true, &Outcome::Done));
            assert!(!is_right(Expect::Work, When::Afterwards, Mode::Gone, true, &Outcome::Done));
        }
        assert!(!is_right(device, When::Meanwhile, Mode::Hang, false, &failed(ENODEV)), "a hang costs no device");
        assert!(!is_right(device, When::Meanwhile, Mode::Gone, false, &failed(5)), "EIO is no answer of a call");
        assert!(is_right(Expect::Call(Class::Open), When::Afterwards, Mode::Gone, false, &failed(2)));
    }

    #[test]
    fn call_4_a_fence_ends_with_an_error_that_fits() {
        let ended = |when, mode, result| is_right(Expect::Job, when, mode, false, &Outcome::Number(result));
        assert!(ended(When::Meanwhile, Mode::Gone, 0) && ended(When::Meanwhile, Mode::Gone, -19));
        assert!(!ended(When::Meanwhile, Mode::Gone, -62) && ended(When::Meanwhile, Mode::Hang, -62));
        assert!(!ended(When::Meanwhile, Mode::Hang, -19) && !ended(When::Undisturbed, Mode::Hang, -62));
        assert!(is_right(Expect::Fence, When::Afterwards, Mode::Gone, false, &Outcome::Number(-19)));
        assert!(!is_right(Expect::Fence, When::Afterwards, Mode::Gone, false, &Outcome::Number(0)), "it is pending");
        assert!(
            !is_right(Expect::Job, When::Afterwards, Mode::Gone, false, &failed(62)),
            "the wait is over, the job not"
        );
        assert!(is_right(Expect::JobSoFar, When::Meanwhile, Mode::Gone, false, &failed(62)));
    }
}
