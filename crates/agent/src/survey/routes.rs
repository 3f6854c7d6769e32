//! Default routes: the interfaces that lead out of the machine.

use std::collections::BTreeSet;
use std::io;

use crate::system::System;

/// Flag of a route that is in use.
const UP: u32 = 0x1;
/// Flag of a route that drops packets.
const REJECT: u32 = 0x200;

/// Reads the interfaces with a default route in the namespace of process 1: the daemon itself may be shut into one
/// without any interface.
///
/// # Errors
/// Errors of the system; or the daemon's sysfs shows interfaces of another namespace than that of process 1.
pub fn interfaces(system: &System) -> io::Result<BTreeSet<String>> {
    let spaces = ["self", "1"].map(|process| system.proc.link(format!("{process}/ns/net")).ok());
    if let [Some(own), Some(first)] = spaces
        && own != first
    {
        return Err(io::Error::other("the network namespace is not that of process 1"));
    }
    let mut interfaces = BTreeSet::new();
    for (file, parse) in [("route", v4 as fn(&str) -> Option<&str>), ("ipv6_route", v6)] {
        interfaces.extend(read(system, file)?.lines().filter_map(parse).map(str::to_owned));
    }
    Ok(interfaces)
}

fn read(system: &System, file: &str) -> io::Result<String> {
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    match system.proc.text(format!("1/net/{file}")) {
        Err(error) if missing(&error) => match system.proc.text(format!("net/{file}")) {
            // A kernel without that protocol.
            Err(error) if missing(&error) => Ok(String::new()),
            text => text,
        },
        text => text,
    }
}

/// Returns the interface of a line of `/proc/net/route`, if it is a default route.
fn v4(line: &str) -> Option<&str> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [interface, destination, _, flags, _, _, _, mask, ..] = fields.as_slice() else { return None };
    (*destination == "00000000" && *mask == "00000000" && is_used(flags)).then_some(interface)
}

/// Returns the interface of a line of `/proc/net/ipv6_route`, if it is a default route.
fn v6(line: &str) -> Option<&str> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [destination, length, _, _, _, _, _, _, flags, interface] = fields.as_slice() else { return None };
    let any = destination.bytes().all(|digit| digit == b'0') && *length == "00";
    (any && is_used(flags)).then_some(interface)
}

fn is_used(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & UP != 0 && flags & REJECT == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_default_routes_that_are_used_count() {
        assert_eq!(v4("eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"), Some("eth0"));
        assert_eq!(v4("eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0"), None);
        assert_eq!(v4("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"), None);
        let zero = "0".repeat(32);
        let gateway = "fd000000000000000000000000000001";
        let line = |flags| format!("{zero} 00 {zero} 00 {gateway} 00000400 00000002 00000000 {flags}     eth0");
        assert_eq!(v6(&line("00000003")), Some("eth0"));
        assert_eq!(v6(&line("00200200")), None);
        assert_eq!(v6(""), None);
    }
}
