//! The kernel's log, from `/dev/kmsg`: this boot's lines that are still there, and each new line.
//!
//! | module | concept |
//! |---|---|
//! | [`record`] | form of a record |
//! | `class` | reason to care for a fault |
//! | `pattern` | patterns for messages |
//! | [`table`] | messages of drivers that tell of a fault |
//! | `nvidia` | messages of NVIDIA's driver |
//!
//! Only records that the kernel wrote count, and only by the begin of their text: a name that a user chose can stand further down.
//! For messages of drivers, the kernel must name the same device apart from the text.
//!
//! A wedged event is lost if nobody listens, and the core of DRM writes a line along with each. So a line that is older than the
//! sensor is a sign like the event, with unknown methods, unless the device was bound again after it. The policy looks at the
//! device before it believes that the device is still wedged.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_recovery_policy::sign::{LogFault, Method, SignKind, Witness};
use rustix::fs::OFlags;
use rustix::io::Errno;

pub use class::Class;
pub use record::Record;

use super::report::{Observed, Report};
use super::{Moment, Sensor, states};
use crate::address::Address;
use crate::system::System;

mod class;
mod nvidia;
mod pattern;
pub mod record;
pub mod table;

/// Name of the sensor.
const NAME: &str = "kernel log";
/// Largest record, in bytes (`PRINTK_MESSAGE_MAX` of the kernel is smaller).
const LARGEST: usize = 16 * 1024;
/// Records that one call of `read` takes.
const AT_ONCE: usize = 1024;
/// Names of NVMe controllers that are remembered.
const MOST_NAMES: usize = 4096;

/// Sensor of the kernel's log.
#[derive(Debug)]
pub struct KernelLog<F = File> {
    file: F,
    buffer: Box<[u8]>,
    lines: Lines,
    /// Number of the next record, if none is lost.
    next: Option<u64>,
    /// Wedged devices by lines that are older than the sensor. `None` after the last such line.
    missed: Option<Missed>,
}

/// Signs by lines that are older than the sensor.
#[derive(Debug)]
struct Missed {
    /// Uptime at which the sensor was opened.
    until: Duration,
    wedged: BTreeMap<Address, Report>,
}

impl KernelLog {
    /// Opens the log of `system`, at its oldest record.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn open(system: Arc<System>, now: Moment) -> io::Result<Self> {
        let file = system.dev.open_file("kmsg", OFlags::RDONLY | OFlags::NONBLOCK)?;
        Ok(Self::of(file, system, now))
    }
}

impl<F: Read + AsFd> KernelLog<F> {
    /// Creates the sensor of a file that gives one record a read.
    fn of(file: F, system: Arc<System>, now: Moment) -> Self {
        Self {
            file,
            buffer: vec![0; LARGEST].into_boxed_slice(),
            lines: Lines { system, nvidia: nvidia::Reader::default(), controllers: HashMap::new() },
            next: None,
            missed: Some(Missed { until: now.uptime, wedged: BTreeMap::new() }),
        }
    }

    /// Reports what a record says.
    fn record(&mut self, record: &Record, now: Moment, reports: &mut Vec<Report>) {
        if self.next.is_some_and(|next| next != record.sequence) {
            reports.push(Report::new(now.wall, Observed::Lost { sensor: NAME }));
        }
        self.next = record.sequence.checked_add(1);
        if self.missed.as_ref().is_some_and(|missed| record.uptime > missed.until) {
            self.caught_up(reports);
        }
        if !record.is_kernels() {
            return;
        }
        if let (Some(missed), Some(address)) = (&mut self.missed, initialised(&record.text)) {
            missed.wedged.remove(&address);
        }
        let said = now.wall_at(record.uptime);
        let line = Some(record.sequence);
        for (address, fault) in self.lines.faults(record) {
            let report = |kind| Report { line, ..Report::new(said, Observed::sign(address, kind, Witness::KernelLog)) };
            if let (Some(missed), Some(kind)) = (&mut self.missed, wedged(&fault)) {
                missed.wedged.insert(address, report(kind));
            }
            reports.push(report(SignKind::Log(fault)));
        }
    }

    /// Reports the devices that were wedged before the sensor was opened.
    fn caught_up(&mut self, reports: &mut Vec<Report>) {
        reports.extend(self.missed.take().into_iter().flat_map(|missed| missed.wedged.into_values()));
    }
}

impl<F: Read + AsFd + Send> Sensor for KernelLog<F> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.file.as_fd()]
    }

    fn next_deadline(&self) -> Option<Duration> {
        None
    }

    fn read(&mut self, now: Moment, reports: &mut Vec<Report>) -> io::Result<()> {
        for _ in 0..AT_ONCE {
            let read = self.file.read(&mut self.buffer);
            match read.map_err(|error| (Errno::from_io_error(&error), error)) {
                Ok(0) | Err((Some(Errno::AGAIN), _)) => {
                    self.caught_up(reports);
                    break;
                }
                Ok(bytes) => {
                    // Bytes that are no record have no number, so the next record shows the gap.
                    if let Ok(record) = Record::parse(&self.buffer[..bytes]) {
                        self.record(&record, now, reports);
                    }
                }
                // The kernel has overwritten records that were not read yet, and goes on with the oldest that it has.
                Err((Some(Errno::PIPE), _)) => {
                    self.next = None;
                    reports.push(Report::new(now.wall, Observed::Lost { sensor: NAME }));
                }
                // A record that the buffer has no room for is skipped, and the next record shows the gap.
                Err((Some(Errno::INTR | Errno::INVAL), _)) => {}
                Err((_, error)) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reader of lines, with what it has to know of earlier lines.
#[derive(Debug)]
struct Lines {
    system: Arc<System>,
    nvidia: nvidia::Reader,
    /// Functions of NVMe controllers, by the line that the driver writes when it binds one. A controller that has died may have no
    /// name in sysfs any more.
    controllers: HashMap<String, Address>,
}

impl Lines {
    /// Returns the faults that a record of the kernel tells of.
    fn faults(&mut self, record: &Record) -> Vec<(Address, LogFault)> {
        let nvidia = self.nvidia.faults(&record.text, record.sequence);
        if !nvidia.is_empty() {
            return nvidia;
        }
        let Some((driver, device, message)) = device_message(&record.text) else { return Vec::new() };
        if record.subsystem.as_deref() == Some("nvme") {
            return self.controller(driver, device, message).into_iter().collect();
        }
        let Some(address) = record.function().filter(|function| device.parse() == Ok(*function)) else {
            return Vec::new();
        };
        let found = table::FAMILIES.iter().find_map(|family| Some((family, family.find(driver, message)?)));
        found.map(|(family, message)| (address, fault(family, message))).into_iter().collect()
    }

    fn controller(&mut self, driver: &str, name: &str, message: &str) -> Option<(Address, LogFault)> {
        if let Some(function) = message.strip_prefix("pci function ") {
            if self.controllers.len() < MOST_NAMES {
                self.controllers.insert(name.into(), function.trim_end().parse().ok()?);
            }
            return None;
        }
        let message = table::NVME_FAMILY.find(driver, message)?;
        let address = self.controllers.get(name).copied().or_else(|| states::controller(&self.system, name))?;
        Some((address, fault(&table::NVME_FAMILY, message)))
    }
}

/// Returns the class of a fault. A fault that no table has is a notice.
pub fn class(fault: &LogFault) -> Class {
    if let Some(class) = nvidia::class(fault) {
        return class;
    }
    let families = table::FAMILIES.iter().chain([&table::NVME_FAMILY]);
    let mut messages = families.filter(|family| family.name == fault.family).flat_map(|family| family.messages);
    messages.find(|message| message.code == fault.code).map_or(Class::Notice, |message| message.class)
}

fn fault(family: &table::Family, message: &table::Message) -> LogFault {
    LogFault { family: family.name.into(), code: message.code.into() }
}

/// Splits `DRIVER DEVICE: MESSAGE`, the form of `dev_printk`.
fn device_message(text: &str) -> Option<(&str, &str, &str)> {
    let (driver, rest) = text.split_once(' ')?;
    let (device, message) = rest.split_once(": ")?;
    Some((driver, device, message))
}

/// Returns the sign that a wedged event was, by the line that goes along with it. The line does not say which methods the event named.
fn wedged(fault: &LogFault) -> Option<SignKind> {
    if fault.family != table::DRM_FAMILY {
        return None;
    }
    let methods = match fault.code.as_str() {
        table::WEDGED => Vec::new(),
        table::WEDGED_NONE => vec![Method::None],
        _ => return None,
    };
    Some(SignKind::Wedged { methods, task: None })
}

/// Returns the function of a device that DRM has registered: `[drm] Initialized xe 1.1.0 for 0000:03:00.0 on minor 1`
/// (`drm_dev_register` in `drivers/gpu/drm/drm_drv.c`). Some kernels put the device's name before it.
fn initialised(text: &str) -> Option<Address> {
    let message = device_message(text).map_or(text, |(_, _, message)| message);
    let message = [text, message].into_iter().find_map(|text| text.strip_prefix("[drm] Initialized "))?;
    let (_, device) = message.split_once(" for ")?;
    device.split_once(" on minor ")?.0.parse().ok()
}

#[cfg(test)]
mod tests;
