//! What a program hears that waits for wedged devices.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use lifeboat::core::recovery::Budget;
use lifeboat::core::vitals::Watch;
use lifeboat::{Bus, Event, Minor, Policy, Uevents};
use lifeboat_gpu::{Card, Config, Fault, Slot};
use machine::{LONG, assert_lint_is_silent};

const WATCH: Watch = Watch { period: Duration::from_millis(20), stalls: 3 };

fn listen(path: &Path) -> UnixDatagram {
    let listener = UnixDatagram::bind(path).unwrap();
    listener.set_read_timeout(Some(LONG)).unwrap();
    listener
}

fn heard(listener: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 2048];
    let length = listener.recv(&mut bytes).unwrap();
    let text = std::str::from_utf8(&bytes[..length]).unwrap();
    text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
}

#[test]
fn wedge_3_the_event_of_a_wedged_device_reaches_a_socket_in_the_kernels_form() {
    let mut bus = Bus::new(
        lifeboat_lb1_hosted::module(),
        Policy { watch: WATCH, recovery: Budget { attempts: 0, grace: LONG }, ..Policy::default() },
    );
    let events = bus.subscribe();
    let slot = Slot::new("0000:01:00.0");
    let card = Card::new(Config::default()).unwrap();
    slot.insert(card.clone()).unwrap();
    bus.attach(&slot).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("uevents");
    assert!(Uevents::connect(&path).is_err(), "nobody listens");
    let listener = listen(&path);
    let mut uevents = Uevents::connect(&path).unwrap();
    let next = || loop {
        match events.recv_timeout(LONG).unwrap() {
            // Of that the kernel tells elsewhere.
            Event::Dumped { .. } => {}
            event => return event,
        }
    };

    let added = next();
    let Event::Added { minor, .. } = added else { panic!("{added:?}") };
    drop(listener);
    assert!(uevents.send(&added).is_err(), "nobody listens any more");
    // Another listener at the same place.
    std::fs::remove_file(&path).unwrap();
    let listener = listen(&path);
    card.inject(Fault::StuckHeartbeat);
    uevents.send(&next()).unwrap();
    let device = format!("/devices/pci0000:01/0000:01:00.0/drm/card{minor}");
    let common = |action: &str| [format!("{action}@{device}"), format!("ACTION={action}"), format!("DEVPATH={device}")];
    let node = |number| {
        let (minor, name) = (format!("MINOR={minor}"), format!("DEVNAME=dri/card{minor}"));
        ["MAJOR=226".to_owned(), minor, name, "DEVTYPE=drm_minor".to_owned(), format!("SEQNUM={number}")]
    };
    let subsystem = "SUBSYSTEM=drm".to_owned();
    let wedged = [&common("change")[..], &[subsystem.clone(), "WEDGED=rebind,bus-reset".to_owned()], &node(2)].concat();
    assert_eq!(heard(&listener), wedged, "the first was lost, and its number tells");

    slot.remove();
    uevents.send(&next()).unwrap();
    assert_eq!(heard(&listener), [&common("remove")[..], &[subsystem], &node(3)].concat());
    bus.shutdown().unwrap();
    assert_lint_is_silent();
}

#[test]
fn recov_4_the_event_of_a_device_that_is_left_alone_reaches_a_socket_in_the_kernels_form() {
    use lifeboat::core::recovery::GivenUp;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("uevents");
    let listener = listen(&path);
    let mut uevents = Uevents::connect(&path).unwrap();
    for (why, helps) in [(GivenUp::Recoveries, "rebind,bus-reset,replace"), (GivenUp::Link, "bus-reset,reseat,replace")]
    {
        let location = "0000:01:00.0\0WEDGED=none".to_owned();
        uevents.send(&Event::LeftAlone { minor: Some(Minor(7)), location, why, helps: why.remedies() }).unwrap();
        let told = heard(&listener);
        let device = "/devices/pci0000:01/0000:01:00.0?WEDGED=none";
        assert_eq!(told[0], format!("change@{device}"));
        let reason = if why == GivenUp::Link { "link" } else { "recoveries" };
        let variables = [
            "ACTION=change".to_owned(),
            format!("DEVPATH={device}"),
            "SUBSYSTEM=pci".to_owned(),
            "ERROR_EVENT=FAILED_RECOVERY".to_owned(),
            "DEVICE_ONLINE=0".to_owned(),
            format!("LEFT_ALONE={helps}"),
            format!("REASON={reason}"),
            "PCI_SLOT_NAME=0000:01:00.0?WEDGED=none".to_owned(),
        ];
        assert_eq!(told[1..9], variables);
        assert!(told[9].starts_with("SEQNUM=") && told.len() == 10, "{told:?}");
    }
}
