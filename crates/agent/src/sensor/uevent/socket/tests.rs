//! Tests with a real socket, in a network namespace of their own.

use std::io::IoSlice;
use std::process::Command;

use lifeboat_recovery_policy::sign::{Method, SignKind};
use lifeboat_recovery_policy::time::Timestamp;
use nix::libc::ucred;
use nix::sys::socket::{ControlMessage, UnixCredentials};

use super::*;
use crate::sensor::namespaces;

const NOW: Moment = Moment { wall: Timestamp::from_millis(1), uptime: Duration::ZERO };
const WEDGED: &[u8] = b"change@/devices/pci0000:00/0000:00:02.0/drm/card0\0ACTION=change\0\
    DEVPATH=/devices/pci0000:00/0000:00:02.0/drm/card0\0SUBSYSTEM=drm\0WEDGED=rebind\0SEQNUM=1\0";

/// Opens the socket of a forger. The address is that of the kernel and of the group.
fn forger() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    socket::socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkKObjectUEvent).unwrap()
}

fn send(socket: &OwnedFd, groups: u32, credentials: Option<UnixCredentials>) -> nix::Result<usize> {
    let to = NetlinkAddr::new(0, groups);
    let control: Vec<ControlMessage<'_>> =
        credentials.as_ref().map(ControlMessage::ScmCredentials).into_iter().collect();
    socket::sendmsg(socket.as_raw_fd(), &[IoSlice::new(WEDGED)], &control, MsgFlags::empty(), Some(&to))
}

/// Reads everything that has arrived.
fn drained(sensor: &mut UeventSocket) -> Vec<Report> {
    let mut reports = Vec::new();
    sensor.read(NOW, &mut reports).unwrap();
    reports
}

#[test]
fn agent_6_forged_events_are_dropped() {
    namespaces::run(module_path!(), "forge_every_kind");
}

#[test]
#[ignore = "runs in namespaces of its own, started by agent_6_forged_events_are_dropped"]
fn forge_every_kind() {
    let mut sensor = UeventSocket::open().unwrap();
    let forger = forger();
    // A message to the group reaches the kernel as well, which sends it on with port 0 and the forger's process.
    send(&forger, KERNEL_GROUP, None).unwrap();
    assert_eq!(drained(&mut sensor), []);
    assert_eq!(sensor.received(), Received { forged: 2, ..Received::default() });

    // A message to the kernel alone arrives with port 0.
    send(&forger, 0, None).unwrap();
    assert_eq!(drained(&mut sensor), []);
    assert_eq!(sensor.received(), Received { forged: 3, ..Received::default() });

    // Nobody can send the credentials of the kernel.
    let kernel = UnixCredentials::from(ucred { pid: 0, uid: 0, gid: 0 });
    assert!(send(&forger, 0, Some(kernel)).is_err());

    // A message of udev's group, and one to this very socket.
    send(&forger, 2, None).unwrap();
    let port = socket::getsockname::<NetlinkAddr>(sensor.socket.as_raw_fd()).unwrap().pid();
    socket::sendto(forger.as_raw_fd(), WEDGED, &NetlinkAddr::new(port, 0), MsgFlags::empty()).unwrap();
    assert_eq!(drained(&mut sensor), []);
    assert_eq!(sensor.received(), Received { forged: 5, ..Received::default() });

    // The kernel's own event about a device of this namespace counts, and an event that a process asked for does not.
    let mounted = Command::new("mount").args(["-t", "sysfs", "sysfs", "/sys"]).status().unwrap();
    assert!(mounted.success());
    std::fs::write("/sys/class/net/lo/uevent", "change").unwrap();
    assert_eq!(drained(&mut sensor), []);
    assert_eq!(sensor.received(), Received { forged: 5, synthetic: 1, ..Received::default() });
}

#[test]
fn agent_16_case_18_an_overflow_is_a_resync_and_the_socket_works_on() {
    namespaces::run(module_path!(), "overflow");
}

#[test]
#[ignore = "runs in namespaces of its own, started by agent_16_case_18_an_overflow_is_a_resync_and_the_socket_works_on"]
fn overflow() {
    let mut sensor = UeventSocket::with_buffer(4096).unwrap();
    let forger = forger();
    for round in 1..=3 {
        for _ in 0..1000 {
            // The kernel tells a sender of the overflow as well.
            let _ = send(&forger, KERNEL_GROUP, None);
        }
        let reports = drained(&mut sensor);
        assert_eq!(reports, [Report::new(NOW.wall, Observed::Lost { sensor: NAME })], "once a flood");
        assert_eq!(sensor.received().lost, round);
        assert!(drained(&mut sensor).is_empty(), "there is nothing more, and no spin");
    }
    let before = sensor.received().forged;
    send(&forger, 0, None).unwrap();
    assert!(drained(&mut sensor).is_empty());
    assert_eq!(sensor.received().forged, before + 1, "the socket still receives");
}

/// Judges `bytes` as a message that arrived.
fn judged(bytes: &[u8], cut: bool, by_kernel: bool) -> (Option<Observed>, Received) {
    let mut sensor = UeventSocket::open().unwrap();
    sensor.buffer[..bytes.len()].copy_from_slice(bytes);
    let observed = sensor.judge(&Datagram { bytes: bytes.len(), cut, by_kernel });
    (observed, sensor.received())
}

#[test]
fn a_message_of_the_kernel_is_observed() {
    let (observed, received) = judged(WEDGED, false, true);
    let kind = SignKind::Wedged { methods: vec![Method::Rebind], task: None };
    assert_eq!(observed, Some(Observed::sign("0000:00:02.0".parse().unwrap(), kind, Witness::KernelEvent)));
    assert_eq!(received, Received { observed: 1, ..Received::default() });
}

#[test]
fn a_message_that_was_cut_is_a_loss_and_one_of_another_form_is_counted() {
    let (observed, received) = judged(WEDGED, true, true);
    assert_eq!(observed, Some(Observed::Lost { sensor: NAME }));
    assert_eq!(received.lost, 1);
    let (observed, received) = judged(b"libudev\0", false, true);
    assert_eq!((observed, received.malformed), (None, 1));
    let (observed, received) = judged(WEDGED, false, false);
    assert_eq!((observed, received.forged), (None, 1));
}
