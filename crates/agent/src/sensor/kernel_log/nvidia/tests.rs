use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<(String, String, String)> {
    strings(Reader::default().faults(text, 1))
}

fn strings(faults: Vec<(Address, LogFault)>) -> Vec<(String, String, String)> {
    faults.into_iter().map(|(address, fault)| (address.to_string(), fault.family, fault.code)).collect()
}

fn xids(address: &str, codes: &[&str]) -> Vec<(String, String, String)> {
    codes.iter().map(|code| (address.into(), "xid".into(), (*code).into())).collect()
}

#[test]
fn an_xid_reads_in_every_form() {
    for (text, address, code) in [
        ("NVRM: Xid (PCI:0000:65:00): 79, GPU has fallen off the bus.", "0000:65:00.0", "79"),
        ("NVRM: Xid (0000:03:00): 31, Ch 00000010", "0000:03:00.0", "31"),
        ("NVRM: Xid (PCI:0008:C1:00 GPU-I:05 GPU-CI:01): 13, pid=1, name=x, Graphics Exception", "0008:c1:00.0", "13"),
        ("NVRM: Xid (PCI:0000:0a:00): 119, pid=7, name=a): 79, Timeout after 6s", "0000:0a:00.0", "119"),
        ("NVRM: Xid (PCI:0000:c5:00): 145, RLW_SRC_TRACK Nonfatal XC1 i0 Link 17", "0000:c5:00.0", "145"),
        ("NVRM: Xid (PCI:0000:65:00): 48", "0000:65:00.0", "48"),
    ] {
        assert_eq!(read(text), xids(address, &[code]), "{text}");
    }
}

#[test]
fn a_switch_has_faults_of_its_own() {
    let text = "nvidia-nvswitch3: SXid (PCI:0000:c3:00.0): 20009, Non-fatal, Link 28 RX Short Error Rate";
    assert_eq!(read(text), [("0000:c3:00.0".into(), "sxid".into(), "20009".into())]);
    assert_eq!(read("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): garbled, Fatal"), []);
}

#[test]
fn an_xid_154_names_the_action_by_its_number() {
    let line = |to: &str| {
        read(&format!("NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x0 (None) to {to}"))
    };
    let both = |action: &str| xids("0000:01:00.0", &["154", action]);
    assert_eq!(line("0x1 (GPU Reset Required)"), both("154-reset"));
    assert_eq!(line("0x1 (PF FLR)"), both("154-reset"));
    assert_eq!(line("0x2 (Node Reboot Required)"), both("154-reboot"));
    assert_eq!(line("0x3 (Drain P2P)"), both("154-drain-p2p"));
    assert_eq!(line("0x4 (Drain and Reset)"), both("154-drain+reset"));
    assert_eq!(line("0xc (New)"), both("154-0xc"));
    assert_eq!(line("nothing"), xids("0000:01:00.0", &["154"]));
    let healthy =
        "NVRM: Xid (PCI:0000:01:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)";
    assert_eq!(read(healthy), xids("0000:01:00.0", &["154-none"]), "no need for recovery is no fault 154");
}

#[test]
fn case_13_faults_of_applications_are_told_from_faults_of_devices() {
    let class = |code: &str| class(&fault(XID, code)).unwrap();
    for code in ["13", "31", "43", "45", "69"] {
        assert_eq!(class(code), Class::Application, "{code}");
    }
    for code in ["48", "79", "95", "119", "154", "154-reset", "154-0xc"] {
        assert_eq!(class(code), Class::Device, "{code}");
    }
    for code in ["63", "154-none", "9999", "1540", "odd"] {
        assert_eq!(class(code), Class::Notice, "{code}");
    }
}

#[test]
fn case_14_a_loss_without_an_xid_over_several_lines_of_one_record() {
    for text in [
        "NVRM: The NVIDIA GPU 0000:b3:00.0\nNVRM: (PCI ID: 10de:26b5) installed in this system has\nNVRM: fallen off the bus and is not responding to commands.",
        "NVRM: The NVIDIA GPU 0000:b3:00.0 (PCI ID: 10de:1e07) installed in this\nNVRM: system has fallen off the bus and is not responding to commands.",
        "NVRM: GPU 0000:b3:00.0: GPU has fallen off the bus.",
    ] {
        assert_eq!(read(text), xids("0000:b3:00.0", &["79"]), "{text}");
    }
}

#[test]
fn case_14_a_loss_over_several_records() {
    let mut reader = Reader::default();
    assert_eq!(reader.faults("NVRM: The NVIDIA GPU 0000:b3:00.0", 10), []);
    assert_eq!(reader.faults("e1000 0000:00:19.0: eth0: link up", 11), []);
    assert_eq!(reader.faults("NVRM: (PCI ID: 10de:26b5) installed in this system has", 12), []);
    let lost = "NVRM: fallen off the bus and is not responding to commands.";
    assert_eq!(strings(reader.faults(lost, 13)), xids("0000:b3:00.0", &["79"]));
    assert_eq!(reader.faults(lost, 14), [], "once");
    assert_eq!(reader.faults("NVRM: The NVIDIA GPU 0000:b3:00.0", 100), []);
    assert_eq!(reader.faults(lost, 100 + NEAR + 1), [], "a line far away belongs to nothing");
}

#[test]
fn text_that_does_not_begin_with_the_driver_is_nothing() {
    for text in [
        "usb 1-1: Product: \nNVRM: Xid (PCI:0000:65:00): 79, GPU has fallen off the bus.",
        " NVRM: Xid (PCI:0000:65:00): 79, x",
        "NVRM: Xid (PCI:0000:65): 79, x",
        "NVRM: Xid (PCI:0000:65:00): x",
        "NVRM: GPU at PCI:0000:0a:00: GPU-5d4eaef-812a",
        "NVRM: fallen off the bus",
    ] {
        assert_eq!(read(text), [], "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}", tail in "[0-9a-fx:.(), GPUI\n-]{0,40}", number in any::<u64>()) {
        let mut reader = Reader::default();
        for begin in ["", "NVRM: ", "NVRM: Xid (", "NVRM: Xid (PCI:0000:65:00): ", "nvidia-nvswitch", "NVRM: The NVIDIA GPU "] {
            let _ = reader.faults(&format!("{begin}{text}"), number);
            let _ = reader.faults(&format!("{begin}{tail}"), number);
        }
    }
}
