//! How long things may take.
//!
//! A limit says when something is broken, not how fast it should be: it is generous, and a slower kernel gets more. Nothing
//! here is waited for in full unless the test fails, except [`QUIET`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Firmware, kernel, `/init`. 3 s on the stock kernel, three times that when the machine is busy.
pub const BOOT: Duration = Duration::from_secs(90);
/// A command of QEMU's monitor; one answer of the guest to something that does not wait.
pub const COMMAND: Duration = Duration::from_secs(30);
/// An event of the bus to take its effect. Native hot-unplug waits 5 s for a person to change their mind.
pub const HOTPLUG: Duration = Duration::from_secs(40);
/// A probe with its self-test, or a removal, seen from outside.
pub const DRIVER: Duration = Duration::from_secs(30);
/// Work that a program does until its device is lost: longer than any test needs until then.
pub const WORK: Duration = Duration::from_secs(150);
/// A scan of all memory for what nothing refers to. A second or two on an idle host.
pub const SCAN: Duration = Duration::from_secs(30);
/// QEMU to end, once told; the GPU's server likewise.
pub const SHUTDOWN: Duration = Duration::from_secs(20);

/// After the module was unloaded nothing may happen for this long, and the guest must still answer. Other drivers were
/// seen to panic ten seconds after their hot-unplug test had "passed", with work that ran late; what runs late in our
/// module runs within its longest timer, a second. The one deliberate wait of the runner.
pub const QUIET: Duration = Duration::from_secs(3);

/// What kind of kernel the guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// As Debian ships it.
    Stock,
    /// With KASAN and lockdep: several times slower.
    Debug,
}

impl Flavour {
    /// The limit for this kernel.
    pub fn limit(self, limit: Duration) -> Duration {
        match self {
            Self::Stock => limit,
            Self::Debug => limit * 4,
        }
    }
}
