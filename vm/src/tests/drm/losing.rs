//! The ways in which a program's device is lost, and how it returns.

use std::fmt;

use lifeboat_gpu_server::control::Fault;
use lifeboat_guest::wire::Condition;

use crate::card::hotplug::{self, SLOT};
use crate::guest::qmp::{QmpError, Since};
use crate::pace;
use crate::suite::bench::{Bench, CARD, Card};
use crate::suite::failure::Failure;
use crate::suite::judge;
use crate::tests::loss::{plug_again, pull};

/// A way to lose the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The driver is unbound.
    Unbind,
    /// The bus is told to forget the device.
    SysfsRemove,
    /// Somebody asks the slot for it.
    Unplug,
    /// It is pulled out. Only with native hotplug.
    Pull,
    /// It reads all-ones, without an event.
    FallOff,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unbind => "unbinding",
            Self::SysfsRemove => "removal through sysfs",
            Self::Unplug => "orderly unplug",
            Self::Pull => "pulling it out",
            Self::FallOff => "falling off the bus",
        })
    }
}

/// What ACPI hotplug can do.
pub const ACPI_WAYS: [Way; 4] = [Way::Unbind, Way::SysfsRemove, Way::Unplug, Way::FallOff];
/// What native hotplug adds.
pub const NATIVE_WAYS: [Way; 2] = [Way::Unplug, Way::Pull];

impl Way {
    /// Loses the device. The loss has been announced when this returns.
    ///
    /// # Errors
    /// It cannot be lost this way, or nobody notices.
    pub fn lose(self, bench: &Bench<'_>) -> Result<(), Failure> {
        let device = format!("/sys/bus/pci/devices/{SLOT}");
        match self {
            Self::Unbind => bench.driver().unbind().map(drop).map_err(Failure::from),
            Self::SysfsRemove => bench
                .machine
                .agent
                .write(&format!("{device}/remove"), "1", pace::DRIVER)
                .map(drop)
                .map_err(Failure::from),
            Self::Unplug => {
                let since = ask_for_it(bench)?;
                bench.unplugged(since)?;
                Ok(bench.machine.agent.wait_until(&device, Condition::Absent, pace::HOTPLUG).map(drop)?)
            }
            Self::Pull => pull(bench),
            Self::FallOff => {
                bench.gpu()?.inject(Fault::Gone, None)?;
                Ok(bench.driver().is_lost()?)
            }
        }
    }

    /// Brings the device back, and waits until it works.
    ///
    /// # Errors
    /// It does not come back.
    pub fn bring_back(self, bench: &Bench<'_>) -> Result<(), Failure> {
        let driver = bench.driver();
        match self {
            Self::Unbind => drop(driver.bind()?),
            Self::SysfsRemove => drop(bench.machine.agent.write("/sys/bus/pci/rescan", "1", pace::DRIVER)?),
            Self::Pull => plug_again(bench)?,
            Self::Unplug => {
                bench.plug(Card::Gpu)?;
                let device = format!("/sys/bus/pci/devices/{SLOT}");
                bench.machine.agent.wait_until(&device, Condition::Exists, pace::HOTPLUG)?;
            }
            Self::FallOff => {
                driver.unbind()?;
                bench.gpu()?.replace()?;
                driver.bind()?;
            }
        }
        driver.works(1)
    }
}

/// Asks the slot for its card.
///
/// Plugging presses the button as well, and now and then the guest sees that when the card is there already: then it is about
/// to let go of the card by itself, and QEMU refuses to ask once more.
fn ask_for_it(bench: &Bench<'_>) -> Result<Since, Failure> {
    let since = bench.machine.monitor.now();
    match hotplug::unplug(&bench.machine.monitor, CARD) {
        Err(QmpError::Refused { .. }) => Ok(since),
        asked => Ok(asked?),
    }
}

/// Carries a case out: afterwards the device works again, the guest answers, and its log is clean.
///
/// # Errors
/// The case fails, or the kernel complains.
pub fn case(
    bench: &mut Bench<'_>,
    way: Way,
    body: impl FnOnce(&mut Bench<'_>, Way) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let before = bench.machine.console.len();
    let named = |failure: Failure| Failure::Unexpected(format!("lost by {way}: {failure}"));
    bench.machine.agent.mark(&format!("lifeboat-vm: {way}"))?;
    body(bench, way).map_err(named)?;
    way.bring_back(bench).map_err(named)?;
    bench.machine.agent.ping().map_err(Failure::from).map_err(named)?;
    let log = bench.machine.console.since(before);
    judge::of_this_kernel(bench.flavour(), log, &[]).map_err(Failure::from).map_err(named)
}
