//! Messages of NVIDIA's driver, which the kernel names no device for: the text does.
//!
//! `NVRM: Xid (PCI:0000:65:00): 79, ...` numbers a fault. On a divided GPU the parenthesis also has `GPU-I:05`. A GPU that is lost
//! before the driver has bound it has no Xid: `NVRM: The NVIDIA GPU 0000:b3:00.0` ... `fallen off the bus`, over several lines, which
//! are one record or several (`kernel-open/nvidia/nv.c` and `src/nvidia/src/kernel/gpu/rc/kernel_rc.c` in NVIDIA's
//! open-gpu-kernel-modules). Both count as Xid 79, because both say the same.

use lifeboat_recovery_policy::sign::LogFault;

use super::class::Class;
use super::pattern;
use crate::address::Address;

/// Family of faults of GPUs.
const XID: &str = "xid";
/// Family of faults of switches.
const SXID: &str = "sxid";
/// Code of a GPU that has fallen off the bus.
const LOST: &str = "79";
/// Code of a line that says which recovery the GPU needs now.
const ACTION: &str = "154";
/// Records after a line that names a GPU within which the lines that belong to it come. Other parts of the kernel may write in
/// between.
const NEAR: u64 = 16;

/// Xids whose class is known (NVIDIA, "Xid Errors", the list of Xids and the "Xid catalog").
static XIDS: &[(u32, Class)] = {
    use Class::{Application, Device, Notice};
    &[
        (13, Application),  // Graphics engine exception: an instruction or an address of a program.
        (31, Application),  // Memory page fault: an address of a program.
        (32, Application),  // Invalid or corrupted push buffer stream.
        (38, Device),       // Driver firmware error.
        (43, Application),  // The engine of a program was reset.
        (45, Application),  // Preemptive cleanup after another fault or a killed program.
        (46, Device),       // GPU stopped processing.
        (48, Device),       // Double bit error of the memory.
        (61, Device),       // Internal microcontroller breakpoint or warning.
        (62, Device),       // Internal microcontroller halt.
        (63, Notice),       // A row of the memory was remapped or a page retired.
        (64, Device),       // The remapping or retirement failed.
        (68, Application),  // Video processor exception.
        (69, Application),  // Graphics engine class error.
        (74, Device),       // NVLink error.
        (79, Device),       // GPU has fallen off the bus.
        (92, Notice),       // High rate of single bit errors.
        (94, Application),  // Contained memory error: only its program is affected.
        (95, Device),       // Uncontained memory error.
        (109, Device),      // Context switch timeout.
        (110, Device),      // Security fault.
        (119, Device),      // Timeout of the GPU's firmware (GSP).
        (120, Device),      // Error of the GPU's firmware (GSP).
        (121, Notice),      // Corrected error of the link to the processor.
        (137, Application), // NVLink privilege error of a program.
        (140, Device),      // Unrecovered memory error.
        (143, Device),      // GPU initialisation error.
        (158, Device),      // Fatal timeout of the GPU.
    ]
};

/// Recovery actions of Xid 154 (`nvmlDeviceGpuRecoveryAction_t` in `nvml.h`). The text after the number differs between drivers.
static ACTIONS: &[&str] = &["none", "reset", "reboot", "drain-p2p", "drain+reset", "bus-reset"];

/// Returns the class of a fault of these families. `None` for others.
pub(super) fn class(fault: &LogFault) -> Option<Class> {
    if fault.family == SXID {
        return Some(Class::Notice);
    }
    if fault.family != XID {
        return None;
    }
    let code = fault.code.as_str();
    if code == ACTION || code.strip_prefix(ACTION).is_some_and(|action| action.starts_with('-')) {
        let none = code.strip_prefix(ACTION).and_then(|action| action.strip_prefix('-')) == Some(ACTIONS[0]);
        return Some(if none { Class::Notice } else { Class::Device });
    }
    let listed = code.parse().ok().and_then(|number: u32| XIDS.iter().find(|(xid, _)| *xid == number));
    Some(listed.map_or(Class::Notice, |(_, class)| *class))
}

/// Reader of the driver's lines. Lines that belong together may be records of their own.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// GPU that the last line was about, and the number of its record.
    last: Option<(Address, u64)>,
}

impl Reader {
    /// Returns the faults that a record tells of. A record begins with the driver's name: a line further down in the text of
    /// somebody else may be anything.
    pub(super) fn faults(&mut self, text: &str, sequence: u64) -> Vec<(Address, LogFault)> {
        if let Some(rest) = text.strip_prefix("nvidia-nvswitch") {
            return switch(rest).into_iter().collect();
        }
        let Some(rest) = text.strip_prefix("NVRM: ") else { return Vec::new() };
        if let Some(rest) = rest.strip_prefix("Xid (") {
            return xid(rest);
        }
        let lost = text.contains("fallen off the bus");
        let named = ["The NVIDIA GPU ", "GPU "].iter().find_map(|begin| gpu(rest.strip_prefix(begin)?));
        let near = self.last.filter(|(_, line)| sequence.saturating_sub(*line) <= NEAR).map(|(address, _)| address);
        if let Some(address) = named {
            self.last = Some((address, sequence));
        }
        let Some(address) = named.or(near).filter(|_| lost) else { return Vec::new() };
        self.last = None;
        vec![(address, fault(XID, LOST))]
    }
}

fn fault(family: &str, code: impl Into<String>) -> LogFault {
    LogFault { family: family.into(), code: code.into() }
}

/// Parses the rest of `NVRM: Xid (`.
fn xid(rest: &str) -> Vec<(Address, LogFault)> {
    let Some((address, number, message)) = numbered(rest) else { return Vec::new() };
    if number.to_string() != ACTION {
        return vec![(address, fault(XID, number.to_string()))];
    }
    let Some(action) = action(message) else { return vec![(address, fault(XID, ACTION))] };
    let specific = (address, fault(XID, format!("{ACTION}-{action}")));
    // The number alone stands for any action that is needed.
    if action == ACTIONS[0] { vec![specific] } else { vec![(address, fault(XID, ACTION)), specific] }
}

/// Parses the rest of `nvidia-nvswitch`, such as `0: SXid (PCI:0000:c3:00.0): 20009, Non-fatal, Link 28 ...`.
fn switch(rest: &str) -> Option<(Address, LogFault)> {
    let (address, number, _) = numbered(pattern::strip(rest, "#: SXid (")?)?;
    Some((address, fault(SXID, number.to_string())))
}

/// Parses `PCI:0000:65:00): 79, MESSAGE`.
fn numbered(rest: &str) -> Option<(Address, u32, &str)> {
    let (place, rest) = rest.split_once("): ")?;
    let place = place.split_whitespace().next()?;
    let address = gpu(place.strip_prefix("PCI:").unwrap_or(place))?;
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    Some((address, rest[..end].parse().ok()?, rest[end..].trim_start_matches([',', ' '])))
}

/// Parses an address at the begin of a text. The function may be missing.
fn gpu(text: &str) -> Option<Address> {
    let end = text.find(|character: char| !matches!(character, '0'..='9' | 'a'..='f' | 'A'..='F' | ':' | '.'));
    let text = text[..end.unwrap_or(text.len())].trim_end_matches([':', '.']);
    text.parse().or_else(|_| format!("{text}.0").parse()).ok()
}

/// Returns the action in `GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)`.
fn action(message: &str) -> Option<String> {
    let (_, to) = message.strip_prefix("GPU recovery action changed from ")?.rsplit_once(" to 0x")?;
    let end = to.find(|character: char| !character.is_ascii_hexdigit()).unwrap_or(to.len());
    let number = u32::from_str_radix(&to[..end], 16).ok()?;
    let known = usize::try_from(number).ok().and_then(|number| ACTIONS.get(number));
    Some(known.map_or_else(|| format!("{number:#x}"), |action| (*action).into()))
}

#[cfg(test)]
mod tests;
