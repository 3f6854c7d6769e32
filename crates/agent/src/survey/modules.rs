//! Kernel modules that hold the driver of a function.

use std::io;

use lifeboat_recovery_policy::survey::{Holder, Spared};

use crate::inventory::function::Function;
use crate::system::System;

/// Holders in the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modules {
    /// Modules that use the driver's module and are no driver below the function.
    pub holders: Vec<Holder>,
    /// Use count of the driver's module, in words: it has no names, and one module serves all devices of its driver.
    pub count: Option<String>,
}

/// Reads the modules that hold the driver of a function.
///
/// A module with a driver of the auxiliary bus (RDMA on a network card), or with one that is bound below the function,
/// lets go when the function's driver is unbound: it is no holder. Of any other (`nvidia_peermem`) nobody knows which
/// device it uses.
///
/// # Errors
/// Errors of the system.
pub fn of(system: &System, function: &Function) -> io::Result<Modules> {
    let Some(module) = &function.module else { return Ok(Modules::default()) };
    let names = match system.sys.list(format!("module/{module}/holders")) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let total = names.len();
    let lets_go = |name: &str| function.below.modules.contains(name) || is_auxiliary(system, name);
    let holders = names.into_iter().filter(|name| !lets_go(name)).map(|name| Holder {
        pid: None,
        start: 0,
        places: vec![format!("module {module}")],
        name,
        unit: None,
        spared: Some(Spared::Kernel),
    });
    let count = system.sys.text(format!("module/{module}/refcnt")).ok();
    let count = count.and_then(|text| text.parse::<u64>().ok()).filter(|&count| count > 0);
    Ok(Modules {
        holders: holders.collect(),
        count: count.map(|count| format!("module {module} is in use {count} times, {total} of them by other modules")),
    })
}

/// Tells whether a module has a driver of the auxiliary bus: `module/mlx5_ib/drivers/auxiliary:mlx5_ib.rdma`.
fn is_auxiliary(system: &System, module: &str) -> bool {
    let drivers = system.sys.list(format!("module/{module}/drivers")).unwrap_or_default();
    drivers.iter().any(|driver| driver.starts_with("auxiliary:"))
}
