//! Which promises of docs/conformance.md need no proof yet. This list is the only one, and CI holds it to be true: a promise that is
//! not in it must be kept, and one that is in it must have no test.

use serde::Deserialize;

/// Promises whose code is still to be written, and what they wait for.
const TO_COME: &[(&str, &[&str])] = &[];

/// What of `lifeboat conformance --json` is needed here.
#[derive(Deserialize)]
struct Answer {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    result: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Pass,
    Fail,
    Missing,
}

/// Judges the answer of `lifeboat conformance --json`; gives a line for people.
///
/// # Errors
/// What is not as it should be, in one line.
pub(super) fn judge(json: &str) -> Result<String, String> {
    judge_with(json, TO_COME)
}

fn judge_with(json: &str, to_come: &[(&str, &[&str])]) -> Result<String, String> {
    let answer: Answer =
        serde_json::from_str(json).map_err(|error| format!("the results are not readable: {error}"))?;
    let to_come: Vec<_> = to_come.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
    let mut wrong: Vec<_> = answer.rows.iter().filter_map(|row| complaint(row, &to_come)).collect();
    let unknown = to_come.iter().filter(|id| !answer.rows.iter().any(|row| row.id == **id));
    wrong.extend(unknown.map(|id| format!("{id} is to come and not in the table")));
    if answer.rows.is_empty() {
        wrong.push("there are no promises".to_owned());
    }
    if wrong.is_empty() {
        let kept = answer.rows.len() - to_come.len();
        Ok(format!("{kept} of {} promises are kept, {} are to come", answer.rows.len(), to_come.len()))
    } else {
        Err(wrong.join("; "))
    }
}

fn complaint(row: &Row, to_come: &[&str]) -> Option<String> {
    let Row { id, result } = row;
    match (result, to_come.contains(&id.as_str())) {
        (Verdict::Pass, false) | (Verdict::Missing, true) => None,
        (Verdict::Missing, false) => Some(format!("{id} has no test")),
        (Verdict::Fail, _) => Some(format!("{id} is not kept")),
        (Verdict::Pass, true) => {
            Some(format!("{id} has a test by now: take it from the list in xtask/src/ci/promises.rs"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TO_COME: &[(&str, &[&str])] = &[("sailing", &["SAIL-1", "SAIL-2"])];

    fn judge(json: &str) -> Result<String, String> {
        judge_with(json, TO_COME)
    }

    /// Two promises that must be kept, and all that are to come; with other results for some.
    fn judged(others: &[(&str, &str)]) -> Result<String, String> {
        let kept = ["GATE-1", "GATE-2"].map(|id| (id, "pass"));
        let to_come = TO_COME.iter().flat_map(|(_, ids)| ids.iter().map(|id| (*id, "missing")));
        let rows: Vec<_> = kept
            .into_iter()
            .chain(to_come)
            .map(|(id, result)| {
                let result = others.iter().find(|(other, _)| *other == id).map_or(result, |(_, other)| other);
                serde_json::json!({"id": id, "promise": "x", "test": null, "result": result, "ms": 0})
            })
            .collect();
        judge(&serde_json::json!({"rows": rows, "summary": {}}).to_string())
    }

    #[test]
    fn nothing_may_be_to_come() {
        let kept = r#"{"rows":[{"id":"GATE-1","result":"pass"}]}"#;
        assert_eq!(judge_with(kept, &[]).unwrap(), "1 of 1 promises are kept, 0 are to come");
        assert!(judge_with(r#"{"rows":[]}"#, &[]).is_err());
    }

    #[test]
    fn all_is_well_if_nothing_is_missing_but_what_is_to_come() {
        assert!(judged(&[]).unwrap().starts_with("2 of "));
    }

    #[test]
    fn whatever_is_not_as_the_list_says_fails() {
        let known = TO_COME[0].1[0];
        for (others, says) in [
            (&[("GATE-1", "fail")][..], "GATE-1 is not kept"),
            (&[("GATE-2", "missing")], "GATE-2 has no test"),
            (&[(known, "pass")], "has a test by now"),
            (&[(known, "fail")], "is not kept"),
        ] {
            assert!(judged(others).unwrap_err().contains(says));
        }
        assert_eq!(judged(&[("GATE-1", "fail"), ("GATE-2", "missing")]).unwrap_err().matches(';').count(), 1);
        assert!(judge(r#"{"rows":[]}"#).unwrap_err().contains("not in the table"));
        assert!(judge("").is_err());
    }
}
