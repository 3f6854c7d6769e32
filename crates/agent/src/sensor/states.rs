//! Conditions that drivers state in sysfs: of NVMe controllers (`state`) and of xe devices (`survivability_mode`). No read of these
//! files waits or touches the device (`nvme_sysfs_show_state` in `drivers/nvme/host/sysfs.c`, `survivability_mode_show` in
//! `drivers/gpu/drm/xe/xe_survivability_mode.c`).
//!
//! A state that passes by itself, such as `resetting`, is reported at each look like any other. The policy says how many looks
//! in a row count.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_recovery_policy::sign::{SignKind, Witness};

use super::report::{Observed, Report};
use super::{Moment, Sensor, device_path};
use crate::address::Address;
use crate::system::System;

/// Characters of a state that are reported.
const LONGEST: usize = 32;

/// Sensor of stated conditions.
#[derive(Debug)]
pub struct States {
    system: Arc<System>,
    period: Duration,
    due: Duration,
}

impl States {
    /// Creates the sensor, which looks at once and then every `period`.
    pub fn new(system: Arc<System>, period: Duration) -> Self {
        Self { system, period, due: Duration::ZERO }
    }

    fn controllers(&self) -> Vec<(Address, SignKind)> {
        let found = names(&self.system, "class/nvme").into_iter().filter_map(|name| {
            let state = self.system.sys.text(format!("class/nvme/{name}/state")).ok()?;
            let address = controller(&self.system, &name).filter(|_| state != "live")?;
            Some((address, kind("nvme", &state)))
        });
        found.collect()
    }

    /// Looks for xe devices that only wait for new firmware. The file is there as long as the device is in that mode.
    fn survivors(&self) -> Vec<(Address, SignKind)> {
        let found = names(&self.system, "bus/pci/drivers/xe").into_iter().filter_map(|name| {
            let address: Address = name.parse().ok()?;
            let mode = self.system.sys.text(format!("bus/pci/devices/{address}/survivability_mode")).ok()?;
            Some((address, kind("xe", &format!("survivability-{}", mode.to_lowercase()))))
        });
        found.collect()
    }
}

impl Sensor for States {
    fn name(&self) -> &'static str {
        "states"
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    fn next_deadline(&self) -> Option<Duration> {
        Some(self.due)
    }

    fn read(&mut self, now: Moment, reports: &mut Vec<Report>) -> io::Result<()> {
        if now.uptime < self.due {
            return Ok(());
        }
        self.due = now.uptime + self.period;
        let found = self.controllers().into_iter().chain(self.survivors());
        reports
            .extend(found.map(|(address, kind)| Report::new(now.wall, Observed::sign(address, kind, Witness::State))));
        Ok(())
    }
}

/// Returns the PCI function of an NVMe controller, such as `nvme0`. `None` for one at a network.
pub fn controller(system: &System, name: &str) -> Option<Address> {
    // The name comes from a line of the log, and must not lead anywhere else.
    let plain = name.strip_prefix("nvme")?;
    if plain.is_empty() || !plain.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let place = system.sys.link(format!("class/nvme/{name}")).ok()?;
    device_path::function(&place.to_string_lossy())
}

/// Lists a folder. A machine without the subsystem has none.
fn names(system: &System, folder: &str) -> Vec<String> {
    system.sys.list(folder).unwrap_or_default()
}

fn kind(source: &str, state: &str) -> SignKind {
    SignKind::State { source: source.into(), state: state.chars().take(LONGEST).collect() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use lifeboat_recovery_policy::time::Timestamp;

    use super::super::tree::Tree;
    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Moment {
        Moment { wall: Timestamp::from_millis(seconds * 1000), uptime: Duration::from_secs(seconds) }
    }

    fn read(sensor: &mut States, seconds: u64) -> Vec<(String, SignKind)> {
        let mut reports = Vec::new();
        sensor.read(at(seconds), &mut reports).unwrap();
        let signs = reports.into_iter().map(|report| match report.observed {
            Observed::Sign { address, sign } => {
                assert_eq!((sign.witness, report.said), (Witness::State, at(seconds).wall));
                (address.to_string(), sign.kind)
            }
            other => panic!("{other:?}"),
        });
        signs.collect()
    }

    #[test]
    fn a_controller_that_is_not_live_is_reported_at_each_look() {
        let tree = Tree::new().function("0000:03:00.0", None).function("0000:04:00.0", None);
        tree.controller("nvme0", "0000:03:00.0", "live");
        tree.controller("nvme1", "0000:04:00.0", "dead");
        let mut sensor = States::new(Arc::new(tree.system()), PERIOD);
        let dead = [("0000:04:00.0".to_owned(), kind("nvme", "dead"))];
        assert_eq!(read(&mut sensor, 5), dead);
        assert_eq!(sensor.next_deadline(), Some(Duration::from_secs(15)));
        assert_eq!(read(&mut sensor, 14), [], "no look before the period is over");
        tree.controller("nvme0", "0000:03:00.0", "resetting");
        tree.controller("nvme1", "0000:04:00.0", "live");
        assert_eq!(read(&mut sensor, 15), [("0000:03:00.0".to_owned(), kind("nvme", "resetting"))]);
    }

    #[test]
    fn case_17_survivability_is_what_the_driver_states_and_no_more() {
        let tree = Tree::new().function("0000:03:00.0", None);
        let driver = tree.path().join("sys/bus/pci/drivers/xe");
        fs::create_dir_all(&driver).unwrap();
        symlink("../../devices/0000:03:00.0", driver.join("0000:03:00.0")).unwrap();
        // Another tool's opinion and a configuration are no state of the device.
        tree.write("0000:03:00.0/survivability_info/fdo_mode", b"enabled\n");
        let mut sensor = States::new(Arc::new(tree.system()), PERIOD);
        assert_eq!(read(&mut sensor, 0), []);
        tree.write("0000:03:00.0/survivability_mode", b"Runtime\n");
        assert_eq!(read(&mut sensor, 10), [("0000:03:00.0".to_owned(), kind("xe", "survivability-runtime"))]);
    }

    #[test]
    fn a_name_from_the_log_leads_nowhere_else() {
        let tree = Tree::new().function("0000:03:00.0", None);
        tree.controller("nvme0", "0000:03:00.0", "live");
        let system = tree.system();
        assert_eq!(controller(&system, "nvme0"), "0000:03:00.0".parse().ok());
        for name in ["nvme", "nvme1", "nvme0/../../../../../bus/pci/devices/0000:03:00.0"] {
            assert_eq!(controller(&system, name), None, "{name}");
        }
    }
}
