//! One case, run with different numbers of items.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// Rounds of each run. The median of them counts: an interruption does not move it.
const ROUNDS: usize = 3;

/// Something that users can make more of.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Runs it with so many items.
    pub(crate) run: fn(usize) -> Sample,
}

/// What all items of one run have cost.
pub(crate) struct Sample {
    took: Duration,
    /// Bytes that stayed, where everything has been withdrawn.
    left: Option<i64>,
}

/// The figures of one case.
pub(crate) struct Row {
    name: &'static str,
    /// Numbers of items, and nanoseconds an item.
    ns: Vec<(usize, f64)>,
    /// Bytes an item.
    left: Option<f64>,
}

impl Sample {
    /// What was measured by the case itself.
    pub(crate) fn took(took: Duration) -> Self {
        Self { took, left: None }
    }

    /// What `work` takes. What it has made stays.
    pub(crate) fn of(work: impl FnOnce()) -> Self {
        let began = Instant::now();
        work();
        Self::took(began.elapsed())
    }

    /// What `work` takes, and what it leaves of this thread's memory although it withdraws all that
    /// it made.
    pub(crate) fn withdrawn(work: impl FnOnce()) -> Self {
        let mut took = Duration::ZERO;
        let memory = allocation_counter::measure(|| {
            let began = Instant::now();
            work();
            took = began.elapsed();
        });
        Self { took, left: Some(memory.bytes_current) }
    }
}

impl Case {
    pub(crate) fn measure(&self, counts: &[usize]) -> Row {
        let mut row = Row { name: self.name, ns: Vec::new(), left: None };
        for &count in counts {
            let mut samples: Vec<_> = (0..ROUNDS).map(|_| (self.run)(count)).collect();
            samples.sort_by_key(|sample| sample.took);
            let median = &samples[ROUNDS / 2];
            row.ns.push((count, each(median.took.as_nanos(), count)));
            row.left = median.left.map(|left| each(left.unsigned_abs().into(), count).copysign(sign(left)));
        }
        row
    }
}

#[allow(clippy::cast_precision_loss)] // three figures are shown
fn each(total: u128, count: usize) -> f64 {
    total as f64 / count as f64
}

fn sign(number: i64) -> f64 {
    if number < 0 { -1.0 } else { 1.0 }
}

impl Row {
    /// What an item costs among the most, divided by what it costs among the fewest.
    fn growth(&self) -> f64 {
        match (self.ns.first(), self.ns.last()) {
            (Some((_, few)), Some((_, many))) => many / few,
            _ => f64::NAN,
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let items: Vec<_> = self.ns.iter().map(|(count, _)| count).collect();
        let ns: Vec<_> = self.ns.iter().map(|(_, ns)| ns).collect();
        serde_json::json!({ "name": self.name, "items": items, "ns": ns, "growth": self.growth(), "left": self.left })
    }
}

/// For people.
pub(crate) fn table(counts: &[usize], rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}", "ns an item, of");
    // Writing to a string does not fail.
    for count in counts {
        let _ = write!(text, " {count:>9}");
    }
    text.push_str("   growth  bytes left\n");
    for row in rows {
        let _ = write!(text, "{:width$}", row.name);
        for (_, ns) in &row.ns {
            let _ = write!(text, " {ns:>9.0}");
        }
        let left = row.left.map_or_else(|| "-".to_owned(), |left| format!("{left:.0}"));
        let _ = writeln!(text, " {:>8.2} {left:>11}", row.growth());
    }
    text
}
