//! Sensors: sources of signs that something is wrong with a device.
//!
//! A sensor polls its descriptors or waits for its deadline, and turns text from others into [`Report`]s. A sensor decides nothing:
//! the policy says which signs count.
//!
//! | module | concept |
//! |---|---|
//! | [`report`] | output of every sensor |
//! | [`coalesce`] | bounded queue between the sensors and the policy |
//! | [`device_path`] | PCI functions in a path of sysfs |
//! | [`uevent`] | events of the kernel, from a netlink socket |
//! | [`injection`] | events of programs, from a datagram socket |
//! | [`kernel_log`] | lines of `/dev/kmsg` |
//! | [`sleep`] | devices that sleep, which no probe may wake |
//! | [`probe`] | looks at devices, each in a process that can be abandoned |
//! | [`states`] | conditions that drivers state in sysfs |

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use lifeboat_recovery_policy::time::Timestamp;

pub use report::{FunctionChange, Node, Observed, Report};

pub mod coalesce;
pub mod device_path;
pub mod injection;
pub mod kernel_log;
pub mod probe;
pub mod report;
pub mod sleep;
pub mod states;
pub mod uevent;

#[cfg(test)]
mod namespaces;
#[cfg(test)]
mod tree;

/// Moment, on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time of the policy.
    pub wall: Timestamp,
    /// `CLOCK_MONOTONIC`. The kernel's log counts in this way: time in suspend is left out.
    pub uptime: Duration,
}

impl Moment {
    /// Returns the time of the policy at which the uptime was `uptime`. A suspend in between makes the result too late.
    pub fn wall_at(self, uptime: Duration) -> Timestamp {
        let ago = self.uptime.saturating_sub(uptime).as_millis();
        Timestamp::from_millis(self.wall.as_millis().saturating_sub(u64::try_from(ago).unwrap_or(u64::MAX)))
    }
}

/// Source of reports.
///
/// Lost events are a report ([`Observed::Lost`]) and no error.
pub trait Sensor: Send {
    /// Returns the name, for messages.
    fn name(&self) -> &'static str;

    /// Returns the descriptors to poll. The sensor wants to be read when one of them is readable.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;

    /// Returns the uptime at which the sensor wants to be read although no descriptor is readable.
    fn next_deadline(&self) -> Option<Duration>;

    /// Appends what has been found since the last call. Never waits, and does a bounded amount of work: descriptors stay
    /// readable while there is more.
    ///
    /// # Errors
    /// Errors of the system after which the sensor cannot go on. The caller closes the sensor, waits, opens another and
    /// resyncs.
    fn read(&mut self, now: Moment, reports: &mut Vec<Report>) -> io::Result<()>;
}
