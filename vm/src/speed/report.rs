//! The figures, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::pace::Flavour;

/// All figures of one guest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Release of the guest's kernel.
    pub kernel: String,
    /// Which kind of kernel.
    pub flavour: Flavour,
    /// Address of our device.
    pub device: &'static str,
    /// Subjects that were measured in the same rounds.
    pub groups: Vec<Group>,
}

/// Figures that are compared with one another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The common topic of the subjects.
    pub title: &'static str,
    /// The subject that the others are compared with.
    pub peer: &'static str,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// Times of a subject, in microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// The subject.
    pub name: &'static str,
    /// Median of the rounds.
    pub median_us: f64,
    /// Shortest of the rounds.
    pub least_us: f64,
    /// Longest of the rounds.
    pub most_us: f64,
    /// Rounds.
    pub rounds: usize,
    /// Median of the rounds' ratios to the peer.
    pub ratio: f64,
}

/// What a subject took, by round.
#[derive(Debug, Clone)]
pub(super) struct Samples {
    name: &'static str,
    microseconds: Vec<f64>,
}

impl Samples {
    pub(super) fn of(name: &'static str) -> Self {
        Self { name, microseconds: Vec::new() }
    }

    /// Adds a round.
    pub(super) fn add(&mut self, took: Duration) {
        self.microseconds.push(took.as_secs_f64() * 1e6);
    }

    /// Adds a round in which the subject was measured several times: the median of these.
    pub(super) fn add_all(&mut self, nanoseconds: &[u64]) {
        let microseconds = |nanoseconds: &u64| Duration::from_nanos(*nanoseconds).as_secs_f64() * 1e6;
        self.microseconds.push(median(&nanoseconds.iter().map(microseconds).collect::<Vec<_>>()));
    }
}

impl Group {
    /// The figures of subjects that were measured in the same rounds, beside the first of them.
    pub(super) fn new<const N: usize>(title: &'static str, samples: &[Samples; N]) -> Self {
        let figure = |subject: &Samples| {
            let rounds = &subject.microseconds;
            let ratios: Vec<f64> = rounds.iter().zip(&samples[0].microseconds).map(|(of, to)| of / to).collect();
            Figure {
                name: subject.name,
                median_us: median(rounds),
                least_us: rounds.iter().copied().fold(f64::INFINITY, f64::min),
                most_us: rounds.iter().copied().fold(0.0, f64::max),
                rounds: rounds.len(),
                ratio: median(&ratios),
            }
        };
        Self { title, peer: samples[0].name, figures: samples.iter().map(figure).collect() }
    }
}

/// The middle one of some numbers, or the mean of the two in the middle; 0 of none.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => 0.0,
        (middle, 0) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        (middle, _) => sorted[middle],
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Linux {}, emulated. Only the ratios mean something: to the first line of each table, round by round.",
            self.kernel
        )?;
        for group in &self.groups {
            let width = group.figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0).max(group.title.len());
            writeln!(f, "\n{:<width$}  {:>10}  {:>21}  {:>6}", group.title, "median", "least to most", "ratio")?;
            for Figure { name, median_us, least_us, most_us, ratio, .. } in &group.figures {
                let range = format!("{least_us:.1} to {most_us:.1}");
                writeln!(f, "{name:<width$}  {median_us:>7.1} µs  {range:>21}  {ratio:>6.2}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(name: &'static str, microseconds: &[f64]) -> Samples {
        Samples { name, microseconds: microseconds.to_vec() }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The third round was disturbed, for both.
        let group = Group::new("calls", &[samples("peer", &[1.0, 2.0, 100.0]), samples("ours", &[3.0, 6.0, 300.0])]);
        assert_eq!(group.peer, "peer");
        assert!((group.figures[0].ratio - 1.0).abs() < 1e-9);
        assert!((group.figures[1].ratio - 3.0).abs() < 1e-9);
        let Figure { median_us, least_us, most_us, rounds, .. } = group.figures[1];
        assert_eq!((rounds, [median_us, least_us, most_us].map(f64::round)), (3, [6.0, 3.0, 300.0]));
    }

    #[test]
    fn a_table_names_every_subject_with_its_ratio() {
        let group = Group::new("calls", &[samples("peer", &[2.0]), samples("ours", &[3.0])]);
        let report =
            Report { kernel: "7.3.4".into(), flavour: Flavour::Stock, device: "0000:01:00.0", groups: vec![group] };
        let text = report.to_string();
        let line = text.lines().find(|line| line.starts_with("ours")).unwrap_or_default();
        assert!(line.contains("3.0 µs") && line.ends_with("1.50"), "{text}");
    }
}
