//! Events of a bus in the form in which the kernel tells of a DRM device: so a program that waits for a wedged device can be
//! tried on a bus in a process.
//!
//! A message is what `NETLINK_KOBJECT_UEVENT` carries (`lib/kobject_uevent.c`): `action@path`, then variables, each ended by a
//! zero byte. A Unix datagram socket takes the place of the netlink socket, and each message is one datagram.
//!
//! ```
//! # use lifeboat::{Bus, Event, Module, Uevents};
//! # fn tell(bus: &Bus, socket: &std::path::Path) -> std::io::Result<()> {
//! let mut uevents = Uevents::connect(socket)?;
//! for event in bus.subscribe() {
//!     if let Err(error) = uevents.send(&event) {
//!         eprintln!("an event is lost: {error}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt::Write;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_core::minor::Minor;
use lifeboat_core::recovery::{GivenUp, Remedy};

use crate::Event;

/// How long a listener that is busy is waited for. The kernel would not wait at all.
const PATIENCE: Duration = Duration::from_secs(1);
/// The kernel's number for DRM devices.
const MAJOR: u32 = 226;

/// Sends the events of a bus to whoever listens at a path.
#[derive(Debug)]
pub struct Uevents {
    path: PathBuf,
    /// To who listened there last time.
    socket: Option<UnixDatagram>,
    sent: u64,
}

impl Uevents {
    /// To the datagram socket at `path`.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), socket: Some(connected(path)?), sent: 0 })
    }

    /// Tells of an event, if it is one that the kernel would tell of: a device was added, has changed by being wedged, was
    /// removed, or is left alone. A new listener at the same path is found. Waits up to a second for one that is busy.
    ///
    /// # Errors
    /// If nobody listens, or not fast enough. The event is lost then; its number (`SEQNUM`) is missing in the sequence.
    pub fn send(&mut self, event: &Event) -> io::Result<()> {
        let Some(message) = message(event, self.sent + 1) else { return Ok(()) };
        self.sent += 1;
        match self.socket.as_ref().map(|socket| socket.send(message.as_bytes())) {
            Some(Ok(_)) => return Ok(()),
            // It is there, and busy.
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            Some(Err(_)) | None => self.socket = None,
        }
        let socket = connected(&self.path)?;
        socket.send(message.as_bytes())?;
        self.socket = Some(socket);
        Ok(())
    }
}

fn connected(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(path)?;
    Ok(socket)
}

/// What is said of an event.
fn message(event: &Event, number: u64) -> Option<String> {
    let (action, minor, location, told) = match event {
        Event::Added { minor, location } => ("add", *minor, location, None),
        Event::Removed { report } => ("remove", report.minor, &report.location, None),
        Event::Wedged { minor, location, event, .. } => ("change", *minor, location, Some(event)),
        Event::LeftAlone { location, why, helps, .. } => return Some(left_alone(location, *why, helps, number)),
        // A kernel has no event of a probe that failed, and tells of dumps as devices of another subsystem.
        Event::ProbeFailed { .. } | Event::Dumped { .. } => return None,
    };
    let path = device_path(location, minor);
    let mut text = format!("{action}@{path}\0ACTION={action}\0DEVPATH={path}\0SUBSYSTEM=drm\0");
    for variable in told.iter().flat_map(|event| event.variables()) {
        text.push_str(variable);
        text.push('\0');
    }
    // Writing to a string does not fail.
    let _ = write!(text, "MAJOR={MAJOR}\0MINOR={minor}\0DEVNAME=dri/card{minor}\0DEVTYPE=drm_minor\0SEQNUM={number}\0");
    Some(text)
}

/// A device that is left alone has no DRM device any more, so the event is of the PCI function. Its first variables are those of
/// the kernel for a device whose error recovery has failed (`pci_uevent_ers`); `LEFT_ALONE` says what would help, as `WEDGED` does.
fn left_alone(location: &str, why: GivenUp, helps: &[Remedy], number: u64) -> String {
    let path = function_path(location);
    let location = printable(location);
    let helps: Vec<&str> = helps.iter().map(|remedy| remedy.name()).collect();
    format!(
        "change@{path}\0ACTION=change\0DEVPATH={path}\0SUBSYSTEM=pci\0ERROR_EVENT=FAILED_RECOVERY\0DEVICE_ONLINE=0\0\
         LEFT_ALONE={}\0REASON={}\0PCI_SLOT_NAME={location}\0SEQNUM={number}\0",
        helps.join(","),
        why.name(),
    )
}

/// A zero would end the variable.
fn printable(location: &str) -> String {
    location.replace(|c: char| c.is_control(), "?")
}

/// Where the kernel would have the device: on the root bus that its location names.
fn device_path(location: &str, minor: Minor) -> String {
    format!("{}/drm/card{minor}", function_path(location))
}

fn function_path(location: &str) -> String {
    let location = printable(location);
    match location.rsplit_once(':') {
        Some((bus, _)) => format!("/devices/pci{bus}/{location}"),
        None => format!("/devices/{location}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_the_kernel_has_them() {
        assert_eq!(device_path("0000:01:00.0", Minor(7)), "/devices/pci0000:01/0000:01:00.0/drm/card7");
        assert_eq!(device_path("somewhere", Minor(0)), "/devices/somewhere/drm/card0");
        assert_eq!(device_path("x\0WEDGED=none", Minor(0)), "/devices/x?WEDGED=none/drm/card0");
    }
}
