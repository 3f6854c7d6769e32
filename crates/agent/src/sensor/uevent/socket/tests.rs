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

/// Sends the event to the kernel's port and to `groups`, with or without forged credentials.
fn send(socket: &OwnedFd, bytes: &[u8], groups: u32, credentials: Option<UnixCredentials>) -> nix::Result<usize> {
    let to = NetlinkAddr::new(0, groups);
    let control: Vec<ControlMessage<'_>> =
        credentials.as_ref().map(ControlMessage::ScmCredentials).into_iter().collect();
    socket::sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::empty(), Some(&to))
}

/// Returns the event as a request to the kernel, which sends it on to everybody (`uevent_net_rcv_skb`).
fn request() -> Vec<u8> {
    let length = u32::try_from(16 + WEDGED.len()).unwrap();
    let (kind, flags) = (16_u16, 1_u16);
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], WEDGED].concat()
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
    // A message to the group arrives with the port of the forger.
    send(&forger, WEDGED, KERNEL_GROUP, None).unwrap();
    assert_eq!(drained(&mut sensor), []);
    assert_eq!(sensor.received(), Received { forged: 1, ..Received::default() });

    // The kernel sends a request on with a port of 0. The credentials are the forger's.
    send(&forger, &request(), 0, None).unwrap();
    let datagram = sensor.receive().unwrap().unwrap();
    assert_eq!(datagram.sender, Some((0, KERNEL_GROUP)));
    assert_eq!(datagram.process, Some(std::process::id().cast_signed()));
    assert_eq!(Message::parse(&sensor.buffer[..datagram.bytes]).unwrap().get("WEDGED").as_deref(), Some("rebind"));
    assert_eq!(sensor.judge(&datagram), None);
    assert_eq!(sensor.received(), Received { forged: 2, ..Received::default() });

    // Nobody can send the credentials of the kernel.
    let kernel = UnixCredentials::from(ucred { pid: 0, uid: 0, gid: 0 });
    assert!(send(&forger, &request(), 0, Some(kernel)).is_err());

    // A message of udev's group does not arrive, and a message to this very socket is no event.
    send(&forger, WEDGED, 2, None).unwrap();
    let port = socket::getsockname::<NetlinkAddr>(sensor.socket.as_raw_fd()).unwrap().pid();
    socket::sendto(forger.as_raw_fd(), WEDGED, &NetlinkAddr::new(port, 0), MsgFlags::empty()).unwrap();
    assert_eq!(drained(&mut sensor), []);
    assert_eq!(sensor.received(), Received { forged: 3, ..Received::default() });

    // The kernel's own event about a device of this namespace counts, and an event that a process asked for does not.
    let mounted = Command::new("mount").args(["-t", "sysfs", "sysfs", "/sys"]).status().unwrap();
    assert!(mounted.success());
    std::fs::write("/sys/class/net/lo/uevent", "change").unwrap();
    assert_eq!(drained(&mut sensor), []);
    assert_eq!(sensor.received(), Received { forged: 3, synthetic: 1, ..Received::default() });
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
            let _ = send(&forger, WEDGED, KERNEL_GROUP, None);
        }
        let reports = drained(&mut sensor);
        assert_eq!(reports, [Report::new(NOW.wall, Observed::Lost { sensor: NAME })], "once a flood");
        assert_eq!(sensor.received().lost, round);
        assert!(drained(&mut sensor).is_empty(), "there is nothing more, and no spin");
    }
    let before = sensor.received().forged;
    send(&forger, &request(), 0, None).unwrap();
    assert!(drained(&mut sensor).is_empty());
    assert_eq!(sensor.received().forged, before + 1, "the socket still receives");
}

/// Judges `bytes` as a message that arrived.
fn judged(bytes: &[u8], cut: bool, by_kernel: bool) -> (Option<Observed>, Received) {
    let mut sensor = UeventSocket::open().unwrap();
    sensor.buffer[..bytes.len()].copy_from_slice(bytes);
    let process = Some(i32::from(!by_kernel));
    let observed = sensor.judge(&Datagram { bytes: bytes.len(), cut, sender: Some((0, KERNEL_GROUP)), process });
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

#[test]
fn agent_6_a_message_of_another_group_or_port_is_not_the_kernels() {
    for sender in [None, Some((0, 2)), Some((7, KERNEL_GROUP)), Some((0, 0))] {
        let datagram = Datagram { bytes: 0, cut: false, sender, process: Some(0) };
        assert!(!datagram.is_kernels(), "{sender:?}");
    }
    assert!(Datagram { bytes: 0, cut: false, sender: Some((0, KERNEL_GROUP)), process: Some(0) }.is_kernels());
}
