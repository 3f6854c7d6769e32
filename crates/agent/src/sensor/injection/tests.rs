use lifeboat::{Event, Uevents};
use lifeboat_core::minor::Minor;
use lifeboat_core::recovery::{GivenUp, Remedy};
use lifeboat_recovery_policy::sign::{KernelRecovery, Method, SignKind};
use lifeboat_recovery_policy::time::Timestamp;

use super::*;
use crate::sensor::report::{Node, Observed};

const NOW: Moment = Moment { wall: Timestamp::from_millis(7), uptime: Duration::ZERO };

fn bind(users: Vec<u32>) -> (tempfile::TempDir, PathBuf, InjectionSocket) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    let sensor = InjectionSocket::bind(&path, users).unwrap();
    (folder, path, sensor)
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn read(sensor: &mut InjectionSocket) -> Vec<Observed> {
    let mut reports = Vec::new();
    sensor.read(NOW, &mut reports).unwrap();
    reports.into_iter().map(|report| report.observed).collect()
}

#[test]
fn the_events_of_lifeboat_run_are_understood() {
    let (_folder, path, mut sensor) = bind(vec![own()]);
    let mut uevents = Uevents::connect(&path).unwrap();
    let location = "0000:01:00.0".to_owned();
    uevents.send(&Event::Added { minor: Minor(7), location: location.clone() }).unwrap();
    let helps = &[Remedy::Rebind];
    uevents.send(&Event::LeftAlone { minor: None, location, why: GivenUp::Link, helps }).unwrap();

    let address = "0000:01:00.0".parse().unwrap();
    let node = Node { name: "dri/card7".into(), major: 226, minor: 7 };
    let failed = SignKind::Pci(KernelRecovery::Failed);
    let expected = [
        Observed::Node { address, node, present: true, witness: Witness::Program },
        Observed::sign(address, failed, Witness::Program),
    ];
    assert_eq!(read(&mut sensor), expected);
    assert_eq!(read(&mut sensor), []);
    assert_eq!(sensor.refused(), 0);
}

#[test]
fn a_wedged_device_of_a_program_is_a_sign_by_the_program() {
    let (_folder, path, mut sensor) = bind(vec![own()]);
    let card = "/devices/pci0000:01/0000:01:00.0/drm/card7";
    let message = format!("change@{card}\0ACTION=change\0DEVPATH={card}\0SUBSYSTEM=drm\0WEDGED=rebind,bus-reset\0");
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(message.as_bytes(), &path).unwrap();
    let kind = SignKind::Wedged { methods: vec![Method::Rebind, Method::BusReset], task: None };
    assert_eq!(read(&mut sensor), [Observed::sign("0000:01:00.0".parse().unwrap(), kind, Witness::Program)]);
}

#[test]
fn agent_6_datagrams_of_other_users_and_of_other_forms_are_refused() {
    let message = b"remove@/devices/pci0000:01/0000:01:00.0\0ACTION=remove\0DEVPATH=/devices/pci0000:01/0000:01:00.0\0SUBSYSTEM=pci\0";
    let (_folder, path, mut sensor) = bind(vec![own() + 1]);
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(message, &path).unwrap();
    assert_eq!((read(&mut sensor), sensor.refused()), (vec![], 1));

    sensor.users = vec![own()];
    sender.send_to(message, &path).unwrap();
    assert_eq!((read(&mut sensor).len(), sensor.refused()), (1, 1), "the same datagram of an allowed user counts");
    let large = [message, &vec![b'x'; LARGEST][..]].concat();
    for other in [&b""[..], b"remove", &large] {
        sender.send_to(other, &path).unwrap();
    }
    assert_eq!((read(&mut sensor), sensor.refused()), (vec![], 4));
}

#[test]
fn the_file_is_the_owners_and_goes_with_the_sensor() {
    let (_folder, path, sensor) = bind(vec![own()]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(InjectionSocket::bind(&path, vec![own()]).is_err(), "a path that is taken stays as it is");
    assert!(path.exists());
    drop(sensor);
    assert!(!path.exists());
}

#[test]
fn a_socket_that_a_killed_daemon_has_left_is_replaced_and_a_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    drop(UnixDatagram::bind(&path).unwrap());
    assert!(path.exists(), "the file outlives its socket");
    let mut sensor = InjectionSocket::bind(&path, vec![own()]).unwrap();
    assert_eq!(read(&mut sensor), []);
    let file = folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    assert!(InjectionSocket::bind(&file, vec![own()]).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}
