//! Test that the table of the lifecycle in ARCHITECTURE.md matches the code.
//! `LIFEBOAT_WRITE_TABLE=1 cargo test -p lifeboat-core --test lifecycle` writes the table.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use lifeboat_core::lifecycle::{Action, EventKind, Lifecycle, LifecycleEvent, LifecycleState};
use lifeboat_core::recovery::{Budget, Unready};
use lifeboat_core::unplug::Loss;
use lifeboat_core::Timestamp;

const BEGIN: &str = "<!-- the lifecycle, as the code has it: begin -->\n";
const END: &str = "<!-- the lifecycle: end -->\n";

/// Possible answers to each event in each state. Most pairs have one answer; the answer to a
/// failure depends on the loss and on the number of earlier failures.
type Answers = BTreeMap<(usize, EventKind), BTreeSet<String>>;

fn events(binding: u64) -> Vec<LifecycleEvent> {
    let mut events = vec![
        LifecycleEvent::Inserted,
        LifecycleEvent::Removed,
        LifecycleEvent::Unbind,
        LifecycleEvent::Rebind,
        LifecycleEvent::Stop,
        LifecycleEvent::LinkDown,
        LifecycleEvent::LinkUp,
        LifecycleEvent::Tick,
        LifecycleEvent::Probed,
        LifecycleEvent::Refused,
        LifecycleEvent::Vanished,
        LifecycleEvent::NotReady(Unready::Silent),
        LifecycleEvent::NotReady(Unready::Retry),
        LifecycleEvent::Foreign,
        LifecycleEvent::Cut,
        LifecycleEvent::Ended,
    ];
    events.extend([Loss::FellOff, Loss::Hung, Loss::Replaced].map(|loss| LifecycleEvent::Failed { binding, loss }));
    events
}

fn answer(before: LifecycleState, after: LifecycleState, action: Option<Action>) -> String {
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

/// Returns a text that is equal for machines with equal future behaviour, so that the exploration
/// visits each behaviour once. The text leaves out counters, and classes each moment as at once,
/// soon, later or never.
fn shape(machine: &Lifecycle) -> String {
    let text = format!("{machine:?}");
    let (mut shape, mut rest) = (String::new(), &*text);
    while let Some(at) = ["Timestamp(", "binding: ", "rounds: ", "outages: ", "looks: "]
        .into_iter()
        .filter_map(|name| rest.find(name).map(|at| at + name.len()))
        .min()
    {
        let (before, after) = rest.split_at(at);
        let end = after.find([')', ',', ' ']).unwrap_or(after.len());
        shape.push_str(before);
        if before.ends_with('(') {
            let moment = &after[..end];
            let seconds: Option<f64> = moment.strip_suffix('s').and_then(|number| number.parse().ok());
            shape.push_str(match moment {
                "0ns" => "at once",
                "3600s" => "later",
                _ if seconds.is_some_and(|seconds| seconds > LATER.since_beginning().as_secs_f64()) => "never",
                _ => "soon",
            });
        }
        rest = &after[end..];
    }
    shape.push_str(rest);
    shape
}

/// A moment after the end of every wait.
const LATER: Timestamp = Timestamp::new(Duration::from_secs(3600));

/// Explores every machine that can occur, except for the numbers of its bindings. Each event comes
/// at the beginning of time and again long after it.
fn explore() -> Answers {
    let mut answers = Answers::new();
    let budget = Budget { attempts: 2, grace: Duration::from_secs(100_000) };
    let mut to_do = vec![(Lifecycle::new(budget), Timestamp::default())];
    let mut seen = HashSet::new();
    while let Some((machine, began)) = to_do.pop() {
        if !seen.insert((shape(&machine), began)) {
            continue;
        }
        let times = if began == LATER { vec![LATER] } else { vec![began, LATER] };
        for event in events(machine.binding()).into_iter().filter(|event| machine.state().expects(event.kind())) {
            for now in times.iter().copied() {
                let mut next = machine;
                let action = next.handle(event, now);
                let cell = answers.entry((machine.state().index(), event.kind())).or_default();
                cell.insert(answer(machine.state(), next.state(), action));
                // No deadline lies after the end of time.
                if next.next_deadline().is_none_or(|deadline| deadline <= LATER) || now != LATER {
                    to_do.push((next, now));
                }
            }
        }
    }
    answers
}

fn table(answers: &Answers, kinds: &[EventKind]) -> String {
    let mut text = String::from("| |");
    for kind in kinds {
        write!(text, " {} |", kind.name()).unwrap();
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(kinds.len()));
    text.push('\n');
    for state in LifecycleState::all().filter(|state| kinds.iter().any(|kind| state.expects(*kind))) {
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
    for state in LifecycleState::all() {
        for kind in EventKind::ALL.into_iter().filter(|kind| state.expects(*kind)) {
            assert!(answers.contains_key(&(state.index(), kind)), "{} has no answer in: {state}", kind.name());
        }
    }
    let (outside, completions) = EventKind::ALL.split_at(EventKind::Probed as usize);
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
