use proptest::prelude::*;

use super::*;
use crate::tree::Tree;

fn line(name: &str) -> String {
    format!("77 ({name}) Z 1 77 77 1025 77 4194560 {}987654 1 2\n", "0 ".repeat(12))
}

#[test]
fn names_end_at_the_last_bracket() {
    for name in ["cat", "a b", "a) S 1 2 (b", ")", "\n) R", ""] {
        let stat = Stat::parse(line(name).as_bytes()).unwrap();
        assert_eq!((stat.name.as_str(), stat.state, stat.start), (name, 'Z', 987_654));
        assert_eq!(stat.terminal, (4, 1));
        assert!(stat.is_on_console());
    }
}

#[test]
fn terminals_of_the_network_are_no_console() {
    let text = line("sh").replace(" 1025 ", " 34816 ");
    let stat = Stat::parse(text.as_bytes()).unwrap();
    assert_eq!(stat.terminal, (136, 0));
    assert!(!stat.is_on_console());
}

#[test]
fn case_26_a_number_that_was_given_to_another_process_is_not_the_same() {
    let tree = Tree::new();
    let process = tree.process(300, "holder");
    let system = System::open(tree.root()).unwrap();
    let start = Stat::read(&system, 300).unwrap().unwrap().start;
    assert!(is_same(&system, 300, start).unwrap());
    process.stat("holder", 'S', 0, start + 1);
    assert!(!is_same(&system, 300, start).unwrap());
    tree.remove("proc/300");
    assert!(!is_same(&system, 300, start).unwrap());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Stat::parse(&bytes);
    }

    #[test]
    fn any_name_is_read_back(name in "[^\0]{0,15}") {
        prop_assert_eq!(Stat::parse(line(&name).as_bytes()).map(|stat| stat.name), Some(name));
    }
}
