//! The table of the lifecycle in ARCHITECTURE.md is what the code does. `LIFEBOAT_WRITE_TABLE=1 cargo test -p lifeboat-core
//! --test lifecycle` writes it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use lifeboat_core::lifecycle::{Action, Event, Kind, Lifecycle, State};
use lifeboat_core::recovery::Budget;
use lifeboat_core::unplug::Loss;
use lifeboat_core::Timestamp;

const BEGIN: &str = "<!-- the lifecycle, as the code has it: begin -->\n";
const END: &str = "<!-- the lifecycle: end -->\n";

/// The answers there are to an event in a state. Mostly one; a failure's depends on what it was, and on how often.
type Answers = BTreeMap<(usize, Kind), BTreeSet<String>>;

fn events(binding: u64) -> Vec<Event> {
    let mut events = vec![
        Event::Inserted,
        Event::Removed,
        Event::Unbind,
        Event::Rebind,
        Event::Stop,
        Event::Probed,
        Event::Refused,
        Event::Vanished,
        Event::Cut,
        Event::Ended,
    ];
    events.extend([Loss::FellOff, Loss::Hung].map(|loss| Event::Failed { binding, loss }));
    events
}

fn answer(before: State, after: State, action: Option<Action>) -> String {
    let does = match action {
        None => "",
        Some(Action::Probe { .. }) => " (probe)",
        Some(Action::Unplug(_)) => " (unplug)",
        Some(Action::Wedge(_)) => " (wedge)",
    };
    if before == after && action.is_none() {
        "·".into()
    } else {
        format!("{after}{does}")
    }
}

/// Every machine that can come to pass, but for the number of its binding.
fn explore() -> Answers {
    let now = Timestamp::new(Duration::ZERO);
    let mut answers = Answers::new();
    let mut to_do = vec![Lifecycle::new(Budget { attempts: 1, grace: Duration::from_secs(1) })];
    let mut seen = HashSet::new();
    while let Some(machine) = to_do.pop() {
        // What differs in its number only is explored once.
        if !seen.insert(format!("{machine:?}").split("binding: ").next().unwrap().to_owned()) {
            continue;
        }
        for event in events(machine.binding()).into_iter().filter(|event| machine.state().expects(event.kind())) {
            let mut next = machine;
            let action = next.handle(event, now);
            let cell = answers.entry((machine.state().index(), event.kind())).or_default();
            cell.insert(answer(machine.state(), next.state(), action));
            to_do.push(next);
        }
    }
    answers
}

fn table(answers: &Answers, kinds: &[Kind]) -> String {
    let mut text = String::from("| |");
    for kind in kinds {
        write!(text, " {} |", kind.name()).unwrap();
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(kinds.len()));
    text.push('\n');
    for state in State::all().filter(|state| kinds.iter().any(|kind| state.expects(*kind))) {
        write!(text, "| **{state}** |").unwrap();
        for kind in kinds {
            let cell =
                answers.get(&(state.index(), *kind)).map(|cell| cell.iter().cloned().collect::<Vec<_>>().join(" or "));
            write!(text, " {} |", cell.unwrap_or_default()).unwrap();
        }
        text.push('\n');
    }
    text
}

#[test]
fn recov_3_the_table_in_the_documentation_is_what_the_code_does() {
    let answers = explore();
    for state in State::all() {
        for kind in Kind::ALL.into_iter().filter(|kind| state.expects(*kind)) {
            assert!(answers.contains_key(&(state.index(), kind)), "{} has no answer in: {state}", kind.name());
        }
    }
    let (outside, completions) = Kind::ALL.split_at(Kind::Probed as usize);
    let tables = format!("{}\n{}", table(&answers, outside), table(&answers, completions));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the table's place");
    let (old, after) = rest.split_once(END).expect("the table's end");
    if std::env::var_os("LIFEBOAT_WRITE_TABLE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{tables}{END}{after}")).unwrap();
    } else {
        assert!(
            old == tables,
            "ARCHITECTURE.md is not what the code does; LIFEBOAT_WRITE_TABLE=1 writes it:\n{tables}"
        );
    }
}
