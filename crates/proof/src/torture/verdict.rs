//! Which answers are right, by the class of the call and how it stands with the device. Time decides nothing here: a device
//! may be lost at any moment, but not come back; so what was known before the call and after it is all there is to know.

use lifeboat::CallError;
use lifeboat::calls::CallInfo;
use lifeboat::core::class::{Class, Presence};
use lifeboat::core::errno::Errno;
use lifeboat::core::wedge::Failure;

use super::round::Standing;

/// What must hold for an answer to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    /// If the device is lost, or will be found lost.
    IfLost,
    /// If the context has caused too many resets.
    IfBanned,
    Wrong,
}

/// Judges the answer of a call. `before` is how it stood when the call was made.
pub(super) fn judge(calls: &[CallInfo], call: &str, before: Standing, answer: Result<(), CallError>) -> Verdict {
    let Some(class) = calls.iter().find(|info| info.name == call).map(|info| info.class) else { return Verdict::Wrong };
    // New work needs the device; what else is the driver's own goes on without.
    let needs_device = class == Class::Device || call == "submit";
    match answer {
        Ok(()) => match before {
            Standing::Live => Verdict::Right,
            _ if needs_device => Verdict::Wrong,
            // Who asks why it is wedged may open it; it may be gone since.
            Standing::Announced(Presence::Gone) | Standing::Cut(Presence::Gone) if class == Class::Open => {
                Verdict::Wrong
            }
            _ => Verdict::Right,
        },
        Err(error) if error.is_banned() => {
            if call == "submit" {
                Verdict::IfBanned
            } else {
                Verdict::Wrong
            }
        }
        Err(error) if error.is_loss() => {
            let fits = match (class, before, error.errno()) {
                (Class::Open, _, Errno::ENXIO) => true,
                (_, Standing::Live, errno) => {
                    needs_device && [Errno::ENODEV, Errno::ETIME, Errno::ECANCELED].contains(&errno)
                }
                // A wedged one may be gone since.
                (_, Standing::Announced(presence) | Standing::Cut(presence), errno) => {
                    needs_device && (errno == Errno::ENODEV || Some(errno) == reason(presence))
                }
            };
            if fits { Verdict::IfLost } else { Verdict::Wrong }
        }
        Err(error) => {
            let fits = match (class, error.errno()) {
                // More than the display can show, or unread events. Cut off, it shows everything.
                (Class::Complete, Errno::EBUSY) => !matches!(before, Standing::Cut(_)),
                (Class::Complete, Errno::ENOMEM) => true,
                // The display has one lease at a time.
                (Class::Device, Errno::EBUSY) => {
                    ["mode-set", "create-lease", "factorial", "transfer"].contains(&call) && before == Standing::Live
                }
                (Class::Driver, Errno::EAGAIN) => call == "submit" && before == Standing::Live,
                _ => false,
            };
            if fits { Verdict::Right } else { Verdict::Wrong }
        }
    }
}

/// What a wedged device refuses work with.
fn reason(presence: Presence) -> Option<Errno> {
    match presence {
        Presence::Wedged(Failure::Hung) => Some(Errno::ETIME),
        Presence::Wedged(Failure::ResetFailed) => Some(Errno::ECANCELED),
        Presence::Wedged(Failure::Nonsense) => Some(Errno::EPROTO),
        Presence::Live | Presence::Gone => None,
    }
}

#[cfg(test)]
mod tests {
    use lifeboat::core::class::Refusal;

    use lifeboat_lb1_hosted::CALLS;

    use super::*;

    fn judge(call: &str, before: Standing, answer: Result<(), CallError>) -> Verdict {
        super::judge(CALLS, call, before, answer)
    }

    const GONE: Standing = Standing::Announced(Presence::Gone);
    const HUNG: Standing = Standing::Cut(Presence::Wedged(Failure::Hung));

    fn refused(refusal: Refusal) -> Result<(), CallError> {
        Err(CallError::Refused(refusal))
    }

    #[test]
    fn call_5_what_is_right_depends_on_the_device() {
        for call in CALLS {
            assert_eq!(judge(call.name, Standing::Live, Ok(())), Verdict::Right, "{}", call.name);
            let refuses = matches!(call.class, Class::Device | Class::Open) || call.name == "submit";
            assert_eq!(judge(call.name, GONE, Ok(())) == Verdict::Wrong, refuses, "{}", call.name);
            let needs_device = call.class == Class::Device || call.name == "submit";
            let gone = judge(call.name, GONE, refused(Refusal::Gone));
            assert_eq!(gone == Verdict::IfLost, needs_device, "{}", call.name);
            // ETIME, and nothing else, of one that hangs.
            let hung = |refusal| judge(call.name, HUNG, refused(refusal)) == Verdict::IfLost;
            assert_eq!(hung(Refusal::Wedged(Failure::Hung)), needs_device, "{}", call.name);
            assert!(!hung(Refusal::Wedged(Failure::ResetFailed)), "{}", call.name);
        }
        assert_eq!(judge("open", HUNG, Ok(())), Verdict::Right);
        assert_eq!(judge("open", GONE, refused(Refusal::Vanished)), Verdict::IfLost);
        assert_eq!(judge("dance", Standing::Live, Ok(())), Verdict::Wrong);
    }

    #[test]
    fn errors_that_have_nothing_to_do_with_loss_are_wrong_but_where_clients_provoke_them() {
        let busy = Err(CallError::Busy("a flip is pending"));
        assert_eq!(judge("page-flip", Standing::Live, busy), Verdict::Right);
        assert_eq!(judge("page-flip", Standing::Cut(Presence::Gone), busy), Verdict::Wrong);
        assert_eq!(judge("map", Standing::Live, busy), Verdict::Wrong);
        assert_eq!(judge("version", Standing::Live, Err(CallError::Invalid("x"))), Verdict::Wrong);
        // Every client has one context at a time, and its share is more.
        assert_eq!(judge("create-context", Standing::Live, Err(CallError::OverShare("x"))), Verdict::Wrong);
    }
}
