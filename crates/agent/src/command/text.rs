//! Words for people.

use std::time::Duration;

use lifeboat_recovery_policy::record::{End, Left};
use lifeboat_recovery_policy::sign::{Advice, KernelRecovery, Method, Sign, SignKind, Witness};
use lifeboat_recovery_policy::stage::Wait;
use lifeboat_recovery_policy::survey::{Health, Holder, Protection, Spared};

/// Describes a sign and its witness.
pub fn sign(sign: &Sign) -> String {
    let witness = match sign.witness {
        Witness::KernelEvent => "an event of the kernel",
        Witness::KernelLog => "the kernel's log",
        Witness::Probe => "a look at the device",
        Witness::State => "a state that the driver gives",
        Witness::Program => "a program",
    };
    format!("{} ({witness})", kind(&sign.kind))
}

fn kind(kind: &SignKind) -> String {
    match kind {
        SignKind::Wedged { methods, .. } if methods.is_empty() => "wedged, and the driver names no method".into(),
        SignKind::Wedged { methods, .. } => {
            let names: Vec<&str> = methods.iter().map(Method::name).collect();
            format!("wedged, and the driver names {}", names.join(", "))
        }
        SignKind::Pci(KernelRecovery::Began) => "the kernel recovers it".into(),
        SignKind::Pci(KernelRecovery::Succeeded) => "the kernel has recovered it".into(),
        SignKind::Pci(KernelRecovery::Failed) => "the kernel could not recover it".into(),
        SignKind::AllOnes => "configuration space reads all-ones".into(),
        SignKind::Log(fault) => format!("fault {} of {}", fault.code, fault.family),
        SignKind::State { source, state } => format!("{source} says {state}"),
    }
}

/// Describes health.
pub fn health(health: &Health) -> String {
    match health {
        Health::Works => "works".into(),
        Health::Sick(why) => format!("sick: {why}"),
        Health::Unreadable(why) => format!("unknown: {why}"),
    }
}

/// Describes a reason to wait.
pub fn wait(why: Wait) -> &'static str {
    match why {
        Wait::BootGrace => "for the end of the grace after boot",
        Wait::KernelRecovers => "for the kernel's own recovery",
        Wait::Held => "for an operator, who holds the device",
        Wait::Backoff => "for the next recovery's turn (budget)",
        Wait::Approval => "for an operator to approve the step",
        Wait::Journal => "for a journal that can be written",
        Wait::Breaker => "for an operator to close the breaker",
        Wait::Turn => "for another device's recovery",
        Wait::FleetLock => "for the fleet's lock",
        Wait::Holders => "for holders to leave",
        Wait::Unreadable => "for state that can be read",
    }
}

/// Describes the end of an incident.
pub fn end(end: &End) -> String {
    match end {
        End::Healed => "the device works again by itself".into(),
        End::Recovered => "the device is recovered".into(),
        End::Cleared => "an operator has cleared it".into(),
        End::Left(left) => format!("the device is left alone: {}", self::left(left)),
    }
}

fn left(left: &Left) -> String {
    match left {
        Left::Observing(step) => {
            format!(
                "the daemon only observes; the next step would be {} (set mode = \"act\" to permit it)",
                step.name()
            )
        }
        Left::Quarantined => "its budget of recoveries is used up".into(),
        Left::Exhausted => "no step is left".into(),
        Left::NoStep(Advice::Vendor) => {
            "the driver asks for the vendor's procedure, and the policy has no step for it".into()
        }
        Left::NoStep(Advice::Unknown) => "the driver does not know what helps, and the policy says to hold then".into(),
        Left::NoStep(_) => "the policy has no step that fits".into(),
        Left::Protected(duties) => {
            let names: Vec<&str> = duties.iter().copied().map(Protection::name).collect();
            format!("it is protected: {}", names.join(", "))
        }
        Left::DomainInUse(uses) => format!("other devices of the step's domain are in use: {}", uses.join("; ")),
        Left::Unreadable(why) => format!("nothing is done on what cannot be read: {why}"),
        Left::HeldBy(names) => format!("it is held by {}", names.join(", ")),
        Left::NotApproved(step) => format!("nobody has approved {}", step.name()),
        Left::Stuck(step) => format!("a write of {} does not return", step.name()),
    }
}

/// Describes a holder.
pub fn holder(holder: &Holder) -> String {
    let process = holder.pid.map_or_else(String::new, |pid| format!(", process {pid}"));
    let unit = holder.unit.as_ref().map_or_else(String::new, |unit| format!(", {unit}"));
    let spared = match holder.spared {
        None => "",
        Some(Spared::Essential) => ", never ended: the machine needs it",
        Some(Spared::Policy) => ", never ended: the policy says so",
        Some(Spared::Kernel) => ", part of the kernel",
        Some(Spared::Vfio) => ", gives the device to a virtual machine",
    };
    format!("{}{process}{unit}{spared} ({})", holder.name, holder.places.join(", "))
}

/// Describes a duration, such as `90 s` or `5 min`.
pub fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
