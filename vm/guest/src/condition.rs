//! When [`Request::Await`](crate::wire::Request::Await) may stop waiting.

use crate::wire::Condition;

impl Condition {
    /// Whether the condition holds for a path that has these contents, or does not exist.
    ///
    /// What exists but cannot be read as text (a directory) has empty contents.
    pub fn holds(&self, contents: Option<&str>) -> bool {
        match (self, contents) {
            (Self::Absent, found) => found.is_none(),
            (_, None) => false,
            (Self::Exists, Some(_)) => true,
            (Self::Is(wanted), Some(text)) => text.trim() == wanted,
            (Self::IsOneOf(wanted), Some(text)) => wanted.iter().any(|wanted| text.trim() == wanted),
            (Self::Contains(wanted), Some(text)) => text.contains(wanted.as_str()),
            (Self::LinesAtLeast(count), Some(text)) => text.lines().count() >= *count,
            (Self::CounterAtLeast { name, value }, Some(text)) => {
                counter(text, name).is_some_and(|found| found >= *value)
            }
        }
    }
}

/// The value of a counter in a text of lines `name value`.
pub fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == name).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_is_told_from_emptiness() {
        assert!(Condition::Absent.holds(None));
        assert!(!Condition::Absent.holds(Some("")));
        assert!(Condition::Exists.holds(Some("")));
        assert!(!Condition::Exists.holds(None));
        assert!(!Condition::Contains(String::new()).holds(None));
    }

    #[test]
    fn contents_are_compared_without_the_newline_that_sysfs_adds() {
        assert!(Condition::Is("gone".into()).holds(Some("gone\n")));
        assert!(!Condition::Is("gone".into()).holds(Some("gone soon\n")));
        assert!(Condition::Contains("soon".into()).holds(Some("gone soon\n")));
    }

    #[test]
    fn one_of_several_is_enough() {
        let either = Condition::IsOneOf(vec!["removed".into(), "wedged".into()]);
        assert!(either.holds(Some("wedged\n")));
        assert!(!either.holds(Some("ready\n")));
        assert!(!either.holds(None));
    }

    #[test]
    fn lines_are_counted() {
        assert!(Condition::LinesAtLeast(2).holds(Some("a\nb\n")));
        assert!(!Condition::LinesAtLeast(3).holds(Some("a\nb\n")));
    }

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let text = "jobs 3\njobs_completed 12\n";
        assert_eq!(counter(text, "jobs"), Some(3));
        assert_eq!(counter(text, "jobs_completed"), Some(12));
        assert_eq!(counter(text, "job"), None);
        let at_least = |value| Condition::CounterAtLeast { name: "jobs_completed".into(), value };
        assert!(at_least(12).holds(Some(text)));
        assert!(!at_least(13).holds(Some(text)));
    }
}
