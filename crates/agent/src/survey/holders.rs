//! Holders of a function: processes and kernel modules.

use lifeboat_recovery_policy::survey::{Holder, Holders};

use crate::inventory::function::Function;
use crate::survey::duties::Machine;
use crate::survey::{modules, spared};
use crate::system::System;

/// Number of places that are named of each holder.
const PLACES: usize = 16;

/// Kinds of holders that no process can see.
const UNKNOWABLE: [&str; 4] = [
    "descriptors on their way through sockets",
    "files registered with io_uring",
    "buffers exported as dma-buf",
    "mount namespaces without a process",
];

/// Returns the holders of a function.
pub fn of(system: &System, machine: &Machine, function: &Function, never_end: &[String]) -> Holders {
    let mut holders = Holders {
        found: Vec::new(),
        unknowable: UNKNOWABLE.map(str::to_owned).to_vec(),
        unreadable: machine.scan.unreadable.clone(),
    };
    for used in machine.scan.uses(function.address) {
        holders.found.push(Holder {
            pid: Some(used.process.pid),
            start: used.process.stat.start,
            name: used.process.stat.name.clone(),
            unit: used.process.membership.unit.clone(),
            places: used.places.iter().take(PLACES).cloned().collect(),
            spared: spared::reason(used, &machine.sessions, never_end),
        });
    }
    match modules::of(system, function) {
        Ok(modules) => {
            holders.found.extend(modules.holders);
            holders.unknowable.extend(modules.count);
        }
        Err(error) => {
            holders.unreadable.get_or_insert(format!("kernel modules: {error}"));
        }
    }
    if machine.framebuffer == Some(function.address) {
        holders.unknowable.push("fbcon: the kernel draws its console, and leaves when the driver is unbound".into());
    }
    if !machine.scan.stale.is_empty() {
        let pids: Vec<String> = machine.scan.stale.iter().map(u32::to_string).collect();
        let pids = pids.join(", ");
        holders.unknowable.push(format!("descriptors of graphics devices that are gone, in processes {pids}"));
    }
    holders
}
