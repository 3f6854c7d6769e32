use proptest::prelude::*;

use super::*;

#[test]
fn a_line_with_optional_fields_and_spaces_is_read() {
    let line = r"36 35 98:0 /mnt1 /mnt\040two rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue";
    let mount = Mount::parse(line).unwrap();
    assert_eq!((mount.device, mount.point.as_str(), mount.source.as_str()), ((98, 0), "/mnt two", "/dev/root"));
    assert_eq!(Mount::parse("36 35 98:0 / /"), None);
}

#[test]
fn a_file_lies_on_the_innermost_mount() {
    let on = |minor, point: &str| Mount { device: (259, minor), point: point.into(), source: "none".into() };
    let mounts = Mounts {
        list: [on(1, "/"), on(2, "/var"), on(3, "/var/lib2")].into(),
        files: ["/var/lib/swap".to_owned()].into(),
        ..Mounts::default()
    };
    let stack = |minor| Stack {
        devices: [(crate::system::DeviceNumber { block: true, major: 259, minor }, Vec::new())].into(),
    };
    assert_eq!([1, 2, 3].map(|minor| mounts.has_swap(&stack(minor))), [false, true, false]);
}

#[test]
fn escapes_are_replaced_and_other_strokes_are_kept() {
    assert_eq!(unescape(r"a\040b\134c\09\"), "a b\\c\\09\\");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(line in any::<String>()) {
        let _ = (Mount::parse(&line), unescape(&line));
    }
}
