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
| ID | promise | source |
|---|---|---|
| LIFE-2 | Understands. | K |
";

fn id(text: &str) -> Id {
    text.parse().unwrap()
}

#[test]
fn rows_come_in_order_and_as_plain_text() {
    let table: Table = SMALL.parse().unwrap();
    let [first, second, third] = table.promises() else { panic!("{table:?}") };
    assert_eq!(first.id, id("LIFE-1"));
    assert_eq!(first.text, "Four lifetimes are four types; a | b is no cell.");
    assert_eq!((first.hosted, first.kernel, first.source.as_str()), (true, true, "S1, P"));
    assert_eq!((second.text.as_str(), second.hosted, second.kernel), ("A proof token.", true, false));
    assert_eq!((third.hosted, third.kernel, third.source.as_str()), (false, false, "K"));
    assert_eq!(table.groups(), ["LIFE", "GATE"]);
    assert_eq!(table.get(&id("gate-10")), Some(second));
    assert_eq!(table.get(&id("GATE-1")), None);
}

#[test]
fn what_is_wrong_with_a_document_is_said() {
    for (from, to, says) in [
        ("GATE-10", "GATE10", "\"GATE10\" is not an ID like GATE-4"),
        ("GATE-10", "LIFE-1", "two rows for LIFE-1"),
        ("| H |", "| H, K |", "\"H,\""),
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
    assert_eq!((life.hosted, life.kernel, life.source.as_str()), (true, true, "K"));
    assert!(!table.get(&id("AGENT-1")).unwrap().hosted);
    for promise in table.promises() {
        assert!(!promise.text.contains(['`', '*', '|']) && !promise.source.is_empty(), "{promise:?}");
    }
}
