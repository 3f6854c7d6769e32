use super::*;

const SMALL: &str = r"# Promises

| term | meaning |
|---|---|
| gate | a section that may sleep |

## Lives
| ID | promise | proof | source |
|---|---|---|---|
| LIFE-1 | Four *lifetimes* are `four` **types**; `a \| b` is no cell. | H K | S1, P |
| GATE-10 | A [proof](x.md) token. | H | P |

## Others
| ID | case | proof | source |
|---|---|---|---|
| LIFE-2 | Understands. | agent (no test yet) | K |
";

fn kinds(promise: &Promise) -> Vec<&'static str> {
    promise.claims.iter().map(|claim| claim.kind.word()).collect()
}

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

#[test]
fn rows_come_in_order_and_as_plain_text() {
    let table: Table = SMALL.parse().unwrap();
    let [first, second, third] = table.promises() else { panic!("{table:?}") };
    assert_eq!(first.id, id("LIFE-1"));
    assert_eq!(first.text, "Four lifetimes are four types; a | b is no cell.");
    assert_eq!((kinds(first), first.source.as_str()), (vec!["H", "K"], "S1, P"));
    assert_eq!((second.text.as_str(), kinds(second)), ("A proof token.", vec!["H"]));
    assert_eq!((kinds(third), third.source.as_str()), (vec!["agent"], "K"));
    assert!(!first.is_case && third.is_case && third.claims[0].untested);
    assert_eq!(table.groups(), ["LIFE", "GATE"]);
    assert_eq!(table.get(&id("gate-10")), Some(second));
    assert_eq!(table.get(&id("GATE-1")), None);
}

#[test]
fn a_guest_is_asked_for_unless_there_is_nothing_to_ask() {
    let table: Table = "| ID | promise | proof |\n|---|---|---|\n\
         | A-1 | a | H K |\n| A-2 | b | K |\n| A-3 | c | guest (no test yet) |\n| A-4 | d | H K (no test yet) |\n"
        .parse()
        .unwrap();
    let shown = |columns| {
        let both = |promise: &Promise| (promise.in_process().is_some(), promise.in_guest(columns).is_some());
        table.promises().iter().map(both).collect::<Vec<_>>()
    };
    assert_eq!(shown(Columns::InProcess), [(true, false), (false, false), (false, true), (true, false)]);
    assert_eq!(shown(Columns::InProcessAndGuest), [(true, true), (false, true), (false, true), (true, true)]);
}

#[test]
fn what_is_wrong_with_a_document_is_said() {
    for (from, to, says) in [
        ("GATE-10", "GATE10", "\"GATE10\" is not an ID like GATE-4"),
        ("GATE-10", "LIFE-1", "two rows for LIFE-1"),
        ("| H |", "| H, K |", "GATE-10 is to be proven by \"H, K\""),
        ("| H |", "| |", "GATE-10 is to be proven by \"\""),
        ("(no test yet)", "(later)", "LIFE-2 is to be proven by \"agent (later)\""),
        ("A [proof](x.md) token.", "", "GATE-10 promises nothing"),
        ("| ID |", "| name |", "no table"),
    ] {
        assert!(SMALL.contains(from));
        let error = SMALL.replace(from, to).parse::<Table>().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn an_id_is_a_word_and_a_number() {
    assert_eq!(id("kms-3").to_string(), "KMS-3");
    assert_eq!((id("GATE-10").group(), id("GATE-10") == id("GATE-1")), ("GATE", false));
    for text in ["", "GATE", "GATE-", "-4", "GATE-x", "GATE-4-5", "GATE 4", "G4-4", "GATE-+4"] {
        assert!(text.parse::<Id>().is_err(), "{text:?}");
    }
}

#[test]
fn the_documents_table_is_in_order() {
    let table = Table::built_in().unwrap();
    assert!(table.promises().len() > 50);
    let life = table.get(&id("LIFE-4")).unwrap();
    assert!(life.text.starts_with("A device that returns is a new device"), "{}", life.text);
    assert_eq!((kinds(life), life.source.as_str()), (vec!["H", "K"], "K"));
    for (group, kind, number) in [("AGENT", "agent", 23), ("VFIO", "guest", 5), ("CASE", "agent", 42)] {
        let of_group: Vec<_> = table.promises().iter().filter(|promise| promise.id.group() == group).collect();
        let numbers: Vec<_> = of_group.iter().map(|promise| promise.id.to_string()).collect();
        assert_eq!(numbers, (1..=number).map(|number| format!("{group}-{number}")).collect::<Vec<_>>());
        assert!(of_group.iter().all(|promise| kinds(promise).contains(&kind) && promise.is_case == (group == "CASE")));
    }
    for promise in table.promises() {
        assert!(!promise.text.contains(['`', '*', '|']) && !promise.source.is_empty(), "{promise:?}");
    }
}
