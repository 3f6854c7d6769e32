//! Verification: whether a device works again, in a process apart.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lifeboat_recovery_policy::survey::Health;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::disposable;
use crate::inventory::bus::Inventory;
use crate::inventory::config;
use crate::inventory::function::Function;
use crate::survey::health;
use crate::survey::question::Eyes;
use crate::system::System;

/// Name of the hidden command that verifies.
pub const COMMAND: &str = "verify";

/// Device to verify, and the proof that the operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Root of the system: `/` is this machine.
    pub root: PathBuf,
    /// Address of the device, as sysfs writes it.
    pub device: String,
    /// Driver that must be bound, if it is known.
    pub driver: Option<String>,
    /// Whether the nodes of the device must open.
    pub node: bool,
    /// Program that must end with 0. It is given the address in `LIFEBOAT_DEVICE`.
    pub probe: Option<PathBuf>,
}

/// Verifies, in a process of the program `program`, within `limit`.
pub fn ask(program: &Path, asked: &Asked, limit: Duration) -> Health {
    let arguments = match serde_json::to_string(asked) {
        Ok(json) => [OsString::from(COMMAND), OsString::from(json)],
        Err(error) => return Health::Unreadable(error.to_string()),
    };
    match disposable::ask(&program.into(), &arguments, limit) {
        Ok(answer) => serde_json::from_slice(&answer)
            .unwrap_or_else(|error| Health::Unreadable(format!("the verification's answer cannot be read: {error}"))),
        // A device that holds its verification up does not work, but nobody can tell how it is.
        Err(error) => Health::Unreadable(error.to_string()),
    }
}

/// Verifies here: the hidden command.
pub fn answer(json: &str) -> Health {
    let verified =
        serde_json::from_str::<Asked>(json).map_err(|error| error.to_string()).and_then(|asked| here(&asked));
    verified.unwrap_or_else(Health::Unreadable)
}

fn here(asked: &Asked) -> Result<Health, String> {
    let system = System::open(&asked.root).map_err(|error| error.to_string())?;
    let address: Address = asked.device.parse().map_err(|error: crate::address::NoAddress| error.to_string())?;
    let inventory = Inventory::read(&system).map_err(|error| error.to_string())?;
    let Some(function) = inventory.function(address) else { return Ok(Health::Sick("it is not on the bus".into())) };
    let probe = |function: &Function| proof(&system, function, asked);
    Ok(health::look(&system, function, &Eyes { config: &config::read_here, probe: &probe }))
}

fn proof(system: &System, function: &Function, asked: &Asked) -> Health {
    match (&function.driver, &asked.driver) {
        (None, _) => return Health::Sick("no driver is bound".into()),
        (Some(bound), Some(wanted)) if bound != wanted => {
            return Health::Sick(format!("{bound} is bound, and not {wanted}"));
        }
        _ => {}
    }
    if asked.node {
        // The first one to open a primary node becomes its master, so only the others are opened.
        let harmless = |name: &str| name.starts_with("dri/renderD") || name.starts_with("accel/");
        for node in function.below.nodes.iter().filter(|node| harmless(&node.name)) {
            let flags = OFlags::RDWR | OFlags::NONBLOCK;
            if let Err(error) = system.dev.open_file(&node.name, flags) {
                return Health::Sick(format!("/dev/{} does not open: {error}", node.name));
            }
        }
    }
    let Some(program) = &asked.probe else { return Health::Works };
    let status = Command::new(program)
        .env_clear()
        .env("LIFEBOAT_DEVICE", &asked.device)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Health::Works,
        Ok(status) => Health::Sick(format!("{} says so ({status})", program.display())),
        Err(error) => Health::Unreadable(format!("{} cannot be run: {error}", program.display())),
    }
}
