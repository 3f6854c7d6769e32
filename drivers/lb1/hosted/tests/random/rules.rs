//! Which answers a call may give: by its documentation, by its class, and by what is wrong with its arguments.

use lifeboat::CallError;
use lifeboat::core::class::Class;
use lifeboat::core::errno::Errno;
use lifeboat_lb1_hosted::CALLS;

/// What is known of the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arguments {
    Right,
    /// They are refused with EINVAL, if not the call itself for loss.
    Wrong,
    /// Whether they are right depends on more than is kept track of here.
    Unknown,
}

impl Arguments {
    pub(crate) fn wrong_if(wrong: bool) -> Self {
        if wrong { Self::Wrong } else { Self::Right }
    }

    /// Wrong for certain, or nobody knows.
    pub(crate) fn surely_wrong_if(wrong: bool) -> Self {
        if wrong { Self::Wrong } else { Self::Unknown }
    }
}

/// The errors that the documentation of a call names.
fn documented(call: &str) -> &'static [Errno] {
    use Errno::{EAGAIN, EBUSY, ECANCELED, EDQUOT, EINVAL, ENODEV, ENOMEM, ENXIO};
    match call {
        "open" => &[ENXIO],
        "create-context" => &[ENODEV, EDQUOT, ENOMEM],
        "create-queue" | "create-buffer" | "map" | "import" => &[ENODEV, EINVAL, ENOMEM],
        "move-queue" | "read-host-buffer" | "write-host-buffer" | "unmap" => &[EINVAL],
        "read-vram-buffer" | "write-vram-buffer" => &[ENODEV, EINVAL],
        "mmap" | "export" | "queue-vblank" => &[EINVAL, ENOMEM],
        "submit" => &[ENODEV, EINVAL, EAGAIN, ECANCELED],
        "mode-set" => &[ENODEV, EINVAL, EBUSY],
        "page-flip" | "atomic" => &[EINVAL, EBUSY, ENOMEM],
        _ => &[],
    }
}

/// Holds an answer to the rules. `gone` says whether the loss had been announced when the call was made.
pub(crate) fn judge<T>(call: &str, arguments: Arguments, gone: bool, answer: &Result<T, CallError>) {
    let class = CALLS.iter().find(|info| info.name == call).expect("a call of the table").class;
    let error = answer.as_ref().err().map(|error| error.errno());
    let told = format!("{call}, arguments {arguments:?}, after loss: {gone}, answered {error:?}");
    match error {
        Some(errno) => assert!(documented(call).contains(&errno), "{told}: its documentation does not name that"),
        None => assert_ne!(arguments, Arguments::Wrong, "{told}"),
    }
    let refused = match (class, call) {
        (_, "submit") | (Class::Device, _) => Errno::ENODEV,
        (Class::Open, _) => Errno::ENXIO,
        _ => Errno::EINVAL,
    };
    match (error, arguments) {
        // Arguments are looked at first where a class does not refuse.
        (Some(Errno::EINVAL), Arguments::Wrong | Arguments::Unknown) if !(gone && class == Class::Device) => {}
        (Some(Errno::EINVAL), _) => panic!("{told}"),
        (Some(error), Arguments::Wrong) => assert_eq!(error, refused, "{told}"),
        _ if gone && refused != Errno::EINVAL => assert_eq!(error, Some(refused), "{told}"),
        _ => {}
    }
}
