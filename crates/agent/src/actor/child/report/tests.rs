use proptest::prelude::*;

use super::*;

fn lines(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| serde_json::to_string(line).unwrap().into_bytes().into_iter().chain([b'\n'])).collect()
}

fn whole() -> Vec<Line> {
    let ending = Ending { outcome: Outcome::Succeeded, unrestored: vec!["power/control".into()] };
    vec![
        Line::Progress(Progress::Begins(0)),
        Line::Progress(Progress::Done(0)),
        Line::Progress(Progress::Begins(1)),
        Line::Progress(Progress::Failed { operation: 1, errno: Some(16), error: "busy".into() }),
        Line::Progress(Progress::Ended(ending)),
    ]
}

#[test]
fn agent_14_a_report_torn_at_any_byte_is_refused_ambiguous_or_whole() {
    let text = lines(&whole());
    let first = lines(&whole()[..1]).len();
    for length in 0..=text.len() {
        let outcome = Reported::parse(&text[..length]).ending("signal: 9").outcome;
        match outcome {
            Outcome::Undone(_) => panic!("only a daemon can tell that a step was not begun"),
            Outcome::Refused(_) => assert!(length < first, "{length}"),
            Outcome::Ambiguous(_) => assert!((first..text.len()).contains(&length), "{length}"),
            Outcome::Succeeded => assert_eq!(length, text.len()),
            Outcome::Failed(text) => panic!("{text}"),
        }
    }
}

#[test]
fn the_place_at_which_a_process_vanished_is_told() {
    let place = |count| Reported::parse(&lines(&whole()[..count])).ending("signal: 9").outcome;
    assert_eq!(place(1), Outcome::Ambiguous("the process vanished in operation 1: signal: 9".into()));
    assert_eq!(place(2), Outcome::Ambiguous("the process vanished after operation 1: signal: 9".into()));
    assert_eq!(place(3), Outcome::Ambiguous("the process vanished in operation 2: signal: 9".into()));
}

#[test]
fn a_damaged_report_is_never_taken_for_nothing_done() {
    let reported = Reported::parse(b"nonsense\n");
    assert!(reported.damaged);
    assert!(matches!(reported.ending("exit status: 0").outcome, Outcome::Ambiguous(_)));
}

proptest! {
    #[test]
    fn any_report_is_survived(bytes: Vec<u8>) {
        let _ = Reported::parse(&bytes).ending("");
    }
}
