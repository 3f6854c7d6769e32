//! Meaning of an event: the observation that a message is, if it is about a PCI function at all.

use lifeboat_recovery_policy::sign::{KernelRecovery, Method, SignKind, Task, Witness};

use super::message::Message;
use crate::address::Address;
use crate::sensor::device_path;
use crate::sensor::report::{FunctionChange, Node, Observed};

/// Characters of the value of `WEDGED` if the kernel's buffer was too small: 32 bytes with `WEDGED=` and the final zero, less the
/// last character, which the kernel takes for a comma (`drm_dev_wedged_event` in `drivers/gpu/drm/drm_drv.c`).
const CUT_OFF: usize = 32 - "WEDGED=".len() - 1 - 1;
/// Names of methods that are read of one event, and characters of a name. The kernel's buffer has room for fewer; a program's
/// datagram has not.
const MOST_METHODS: usize = 16;
const LONGEST_NAME: usize = 32;

/// Returns the observation that an event is. `None` if the event is about nothing that the daemon follows.
pub fn observe(message: &Message<'_>, witness: Witness) -> Option<Observed> {
    if message.is_synthetic() {
        return None;
    }
    let address = device_path::function(message.path())?;
    let subsystem = message.get("SUBSYSTEM")?;
    match (message.action(), &*subsystem) {
        ("change", "drm") => wedged(message).map(|kind| Observed::sign(address, kind, witness)),
        ("change", "pci") => changed(message).map(|kind| Observed::sign(address, kind, witness)),
        (action, "pci") => function(message, action, address, witness),
        ("add", subsystem) => node(message, subsystem, true, address, witness),
        ("remove", subsystem) => node(message, subsystem, false, address, witness),
        _ => None,
    }
}

fn wedged(message: &Message<'_>) -> Option<SignKind> {
    let methods = methods(&message.get("WEDGED")?);
    let task = message.number("PID").zip(message.get("TASK"));
    let task = task.map(|(pid, name)| Task { pid, name: name.chars().take(LONGEST_NAME).collect() });
    Some(SignKind::Wedged { methods, task })
}

fn methods(value: &str) -> Vec<Method> {
    let names = value.split(',').filter(|name| !matches!(*name, "" | "unknown")).take(MOST_METHODS);
    let mut methods: Vec<Method> =
        names.map(|name| Method::from_name(&name.chars().take(LONGEST_NAME).collect::<String>())).collect();
    if value.len() == CUT_OFF
        && let Some(last) = methods.last_mut()
        && let Some(whole) = completed(last)
    {
        *last = whole;
    }
    methods
}

/// Completes a name that the kernel's buffer has cut off, if only one name begins so.
fn completed(method: &Method) -> Option<Method> {
    let Method::Other(begin) = method else { return None };
    let known = [Method::None, Method::Rebind, Method::BusReset, Method::VendorSpecific];
    let mut candidates = known.into_iter().filter(|method| method.name().starts_with(begin.as_str()));
    candidates.next().filter(|_| candidates.next().is_none())
}

/// Returns the sign of a changed PCI function: an error of the bus (`pci_uevent_ers` in `drivers/pci/pci-driver.c`) or a recovery
/// of the ivpu driver (`drivers/accel/ivpu/ivpu_pm.c`).
fn changed(message: &Message<'_>) -> Option<SignKind> {
    if let Some(event) = message.get("ERROR_EVENT") {
        return Some(match &*event {
            "BEGIN_RECOVERY" => SignKind::Pci(KernelRecovery::Began),
            "SUCCESSFUL_RECOVERY" => SignKind::Pci(KernelRecovery::Succeeded),
            "FAILED_RECOVERY" => SignKind::Pci(KernelRecovery::Failed),
            other => state("pci", other),
        });
    }
    let event = message.get("IVPU_PM_EVENT")?;
    Some(state("ivpu", &event))
}

fn state(source: &str, state: &str) -> SignKind {
    let state = state.chars().take(LONGEST_NAME).collect::<String>().to_lowercase();
    SignKind::State { source: source.into(), state }
}

fn function(message: &Message<'_>, action: &str, address: Address, witness: Witness) -> Option<Observed> {
    let change = match action {
        "add" => FunctionChange::Added,
        "remove" => FunctionChange::Removed,
        "bind" => FunctionChange::Bound,
        "unbind" => FunctionChange::Unbound,
        _ => return None,
    };
    // Other devices of the subsystem, such as services of a port, lie below a function.
    let itself = device_path::below_function(message.path())?.is_empty();
    itself.then_some(Observed::Function { address, change, witness })
}

/// Returns the node that came or went. Nodes of the function itself lie in the folder of their subsystem, such as `drm/card0`;
/// whatever lies deeper belongs to something behind the function, such as a disk at a controller.
fn node(message: &Message<'_>, subsystem: &str, present: bool, address: Address, witness: Witness) -> Option<Observed> {
    let below = device_path::below_function(message.path())?;
    let [folder, _] = below[..] else { return None };
    if folder != subsystem {
        return None;
    }
    let node = Node {
        name: message.get("DEVNAME")?.into_owned(),
        major: message.number("MAJOR")?,
        minor: message.number("MINOR")?,
    };
    Some(Observed::Node { address, node, present, witness })
}

#[cfg(test)]
mod tests;
