//! Plugging and unplugging on the root port, the ways a device really comes and goes.
//!
//! Four kinds of loss, and a driver must survive all of them: orderly ([`unplug`]), by surprise with an event ([`pull`]),
//! silent ([`silence`]), and by the device itself, which the GPU's server does.

use std::time::Duration;

use qapi::qmp;
use serde_json::{Value, json};

use crate::guest::qmp::{QemuEvent, Qmp, QmpError, Since};

/// The slot that tests plug into: the address of what is in it.
pub const SLOT: &str = "0000:01:00.0";

/// The second slot, for guests that have one: what is in it stays.
pub const SECOND_SLOT: &str = "0000:02:00.0";

/// The root port above it.
pub const PORT: &str = "0000:00:01.0";

/// Slot control in the root port's configuration space: its PCI Express capability is at 0x54, slot control at 0x18 in it.
pub const SLOT_CONTROL_AT: u64 = 0x6c;

/// Bits of slot control that are all set when the guest is through with a card: power off, power indicator off.
pub const SLOT_IS_OFF: u16 = 0x0700;

/// `CONFIG_ADDRESS` for the slot-control register of the root port: bus 0, device 1, register 0x6c (its PCI Express
/// capability at 0x54, slot control at 0x18 in it).
const SLOT_CONTROL: u32 = 0x8000_086c;
/// Slot control with the guest's interrupts enabled, power off, power indicator off: QEMU takes the device away.
const POWER_OFF: u32 = 0x07d1;
/// Power and its indicator on, as a slot in use has them: that the indicator goes off is then the guest's doing.
const POWER_ON: u32 = 0x01f1;

/// Plugs a device in. `properties` are those of QEMU's device.
///
/// # Errors
/// QEMU refuses; the slot may be taken.
pub fn plug(monitor: &Qmp, driver: &str, id: &str, properties: &[(&str, Value)]) -> Result<(), QmpError> {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    monitor.execute(&qmp::device_add::new(driver, id.to_owned(), "rp1".to_owned(), properties)).map(drop)
}

/// Asks the guest to let go of a device, as a person who pushes the button does. [`unplugged`] waits for the end.
///
/// # Errors
/// QEMU refuses.
pub fn unplug(monitor: &Qmp, id: &str) -> Result<Since, QmpError> {
    let since = monitor.now();
    monitor.execute(&qmp::device_del { id: id.to_owned() })?;
    Ok(since)
}

/// Waits until QEMU has destroyed a device.
///
/// # Errors
/// It does not within the limit.
pub fn unplugged(monitor: &Qmp, since: Since, id: &str, limit: Duration) -> Result<(), QmpError> {
    let deleted = |event: &QemuEvent| event.name == "DEVICE_DELETED" && event.data.get("device") == Some(&json!(id));
    monitor.wait_for(since, &format!("the end of {id}"), limit, deleted).map(drop)
}

/// Pulls the card out of the slot, without asking. Only for a guest with native hotplug, whose port sees it.
///
/// The port's power is cut behind the guest's back while it stands still, so that from its point of view the card is gone
/// between two instructions.
///
/// # Errors
/// QEMU refuses.
pub fn pull(monitor: &Qmp) -> Result<Since, QmpError> {
    let since = monitor.now();
    monitor.execute(&qmp::stop {})?;
    monitor.human(&format!("o/w 0xcf8 {SLOT_CONTROL:#x}"))?;
    // 16 bits: the upper half of the register is status, whose bits a write clears.
    monitor.human(&format!("o/h 0xcfc {POWER_OFF:#x}"))?;
    monitor.human(&format!("o/h 0xcfc {POWER_ON:#x}"))?;
    monitor.execute(&qmp::cont {})?;
    Ok(since)
}

/// Makes a device fall silent: configuration space reads all-ones, and the bus says nothing.
///
/// # Errors
/// QEMU refuses.
pub fn silence(monitor: &Qmp, id: &str) -> Result<(), QmpError> {
    let path = format!("/machine/peripheral/{id}");
    monitor.execute(&qmp::qom_set { path, property: "realized".to_owned(), value: json!(false) }).map(drop)
}
