//! Device core dumps: what a driver saved of its device before it gave up (`/sys/class/devcoredump`).
//!
//! The kernel keeps a dump for five minutes, some drivers for one, and drops a second dump of a device while it keeps
//! the first. **A read can block for as long as the driver likes**: some make the dump only now.

use std::io::{self, Write};
use std::path::{Component, Path};

use rustix::fs::OFlags;

use crate::address::Address;
use crate::system::System;

const CLASS: &str = "class/devcoredump";

/// Dump of a device, such as `devcd3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// Name of the dump.
    pub name: String,
    /// Error, if the device of the dump cannot be told.
    pub unknown: Option<String>,
}

impl Dump {
    /// Returns the path of the data below `/sys`.
    pub(super) fn data(&self) -> String {
        format!("{CLASS}/{}/data", self.name)
    }
}

/// Lists the dumps of the device at `address`, and those whose device cannot be told.
///
/// # Errors
/// Errors of the system. A kernel without such dumps has none, which is no error.
pub fn dumps_of(system: &System, address: Address) -> io::Result<Vec<Dump>> {
    let names = match system.sys.list(CLASS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let mut dumps = Vec::new();
    for name in names.into_iter().filter(|name| name.starts_with("devcd")) {
        match system.sys.link(format!("{CLASS}/{name}/failing_device")) {
            Ok(target) if function(&target) == Some(address) => dumps.push(Dump { name, unknown: None }),
            Ok(_) => {}
            // The dump has expired in the meantime.
            Err(_) if !system.sys.exists(format!("{CLASS}/{name}")) => {}
            Err(error) => dumps.push(Dump { name, unknown: Some(error.to_string()) }),
        }
    }
    Ok(dumps)
}

/// Returns the function that a device's path leads to: the last one, because bridges come before it. The failing
/// device may be the function or something below it, such as its card.
fn function(path: &Path) -> Option<Address> {
    let mut names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => name.to_str()?.parse().ok(),
        _ => None,
    });
    names.next()
}

/// Deletes a dump, so that the kernel keeps the next one of the device. Nothing calls this unless the operator says so.
///
/// # Errors
/// Errors of the system.
pub fn delete_dump(system: &System, dump: &Dump) -> io::Result<()> {
    system.sys.open_file(dump.data(), OFlags::WRONLY)?.write_all(b"1")
}
