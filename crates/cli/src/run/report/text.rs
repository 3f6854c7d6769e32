//! The report as text: first in sentences for whoever sees it for the first time, then the numbers, then the verdict.

use std::fmt;

use super::{BuiltIn, RunReport, Verdict};

/// Width of the column of labels.
const LABEL: usize = 12;

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.verdict();
        self.task(f)?;
        for note in &self.picture.notes {
            writeln!(f, "Note: of the picture, {note}.")?;
        }
        writeln!(f, "\nWhat happened")?;
        for sentence in self.story() {
            writeln!(f, "  {sentence}")?;
        }
        self.fates(f)?;
        writeln!(f, "\nIn numbers")?;
        for (label, value) in self.numbers() {
            writeln!(f, "  {label:LABEL$}{value}")?;
        }
        self.faults_found(f)?;
        match (verdict, &self.built_in) {
            // Into a driver and a device that are not of this process nobody here looks.
            (Verdict::Kept, None) => writeln!(f, "\nOK: nothing was lost, and every fence signalled."),
            (verdict, _) => writeln!(f, "\n{verdict}"),
        }
    }
}

impl RunReport {
    fn task(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let picture = &self.picture;
        writeln!(
            f,
            "{} over {} ({} x {} pixels), {}, by {} in tiles of {} pixels; {}",
            self.filter,
            crate::usage::one_line(&picture.source),
            picture.width,
            picture.height,
            times(self.repeat.into()),
            counted(self.clients.into(), "client"),
            self.tile,
            match (&self.device, &self.built_in) {
                (Some(device), _) => format!("on {}", crate::usage::one_line(device)),
                (None, Some(inside)) => format!("seed {}", inside.seed),
                (None, None) => "on the built-in GPU".to_owned(),
            },
        )
    }

    fn story(&self) -> Vec<String> {
        let mut story = self.device_story();
        let failed: u64 = self.fences.by_error.values().sum();
        story.push(match failed {
            0 if self.jobs.submitted == 0 => "No job was submitted.".to_owned(),
            0 => "Every job that was submitted came to its end the first time.".to_owned(),
            _ => format!(
                "{} ended in an error; each waiter was told at once what had become of its job.",
                counted(failed, "job")
            ),
        });
        if self.jobs.resubmitted > 0 {
            story.push(format!("The clients submitted {} again.", counted(self.jobs.resubmitted, "job")));
        }
        if self.jobs.lost > 0 {
            story.push(format!(
                "{} never done.",
                counted(self.jobs.lost, "job") + if self.jobs.lost == 1 { " was" } else { " were" }
            ));
        }
        let waited_for = if self.built_in.is_some() { "a job or a flip" } else { "a job" };
        story.push(format!("Nobody waited longer than {} for {waited_for}.", span(self.longest_wait_us)));
        story.push(self.output_story());
        story
    }

    /// One line for each fault that was asked for.
    fn fates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.faults.is_empty() {
            writeln!(f, "\nFaults")?;
        }
        let width = self.faults.iter().map(|fate| fate.fault.len()).max().unwrap_or(0);
        self.faults.iter().try_for_each(|fate| writeln!(f, "  {:width$}  {fate}", fate.fault))
    }

    fn numbers(&self) -> Vec<(&'static str, String)> {
        let (jobs, fences) = (&self.jobs, &self.fences);
        let errors: Vec<_> =
            fences.by_error.iter().map(|(name, count)| format!("{name} {}", grouped(*count))).collect();
        let errors = if errors.is_empty() { String::new() } else { format!("; with an error: {}", errors.join(", ")) };
        let mut rows = vec![
            (
                "Jobs",
                format!(
                    "{} submitted, {} completed, {} submitted again, {} lost",
                    grouped(jobs.submitted),
                    grouped(jobs.completed),
                    grouped(jobs.resubmitted),
                    grouped(jobs.lost)
                ),
            ),
            ("Fences", format!("{} created, {} signalled{errors}", grouped(fences.created), grouped(fences.signalled))),
        ];
        if self.unplugs > 0 {
            let took = self.built_in.as_ref().map_or_else(String::new, |inside| {
                let (median, max) = (span(inside.unplug_us.median), span(inside.unplug_us.max));
                format!("took {median} (median), {max} (longest); ")
            });
            rows.push(("Unplug", format!("{took}{:.2} s without a GPU", self.outage_seconds)));
        }
        if let Some(path) = &self.saved {
            rows.push(("Saved", crate::usage::one_line(path)));
        }
        if let Some(path) = &self.not_saved {
            let path = crate::usage::one_line(path);
            rows.push(("Saved", format!("nothing, since the picture is not known to be right; {path} is as it was")));
        }
        if !self.dumps.is_empty() {
            rows.push(("Dumps", crate::usage::one_line(&self.dumps.join(", "))));
        }
        if let Some(lost @ 1..) = self.events_lost {
            rows.push(("Events", format!("{lost} did not arrive")));
        }
        if let Some(inside) = &self.built_in {
            let on_screen = match inside.scanout_matches {
                Some(true) => "; the screen shows the result",
                Some(false) => "; the screen shows SOMETHING ELSE",
                None => "",
            };
            rows.push(("Display", format!("{} flips{on_screen}", grouped(inside.flips))));
        }
        rows.push(("Time", format!("{:.2} s", self.seconds)));
        rows.push(("Speed", format!("{:.1} Mpixel/s while there was a GPU", self.mpixel_per_s)));
        if let Some(bytes) = self.peak_memory_bytes {
            rows.push(("Memory", format!("{} MiB at most", bytes.div_ceil(1 << 20))));
        }
        rows
    }

    /// What is only there when something went wrong.
    fn faults_found(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(BuiltIn { handles_open_at_end, leaks, witness_violations, .. }) = &self.built_in else {
            return Ok(());
        };
        if *handles_open_at_end > 0 || !leaks.is_empty() {
            writeln!(f, "\nNot given back")?;
            let handles = (*handles_open_at_end > 0).then_some(("open handles", handles_open_at_end));
            for (name, count) in handles.into_iter().chain(leaks.iter().map(|(name, count)| (name.as_str(), count))) {
                writeln!(f, "  {:LABEL$}{count}", format!("{name}  "))?;
            }
        }
        if !witness_violations.is_empty() {
            writeln!(f, "\nRules broken by the driver, as the GPU saw it")?;
        }
        witness_violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))
    }
}

/// `1 job`, `2,000 jobs`.
pub(super) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `once`, `twice`, `3 times`.
pub(super) fn times(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{} times", grouped(n)),
    }
}

/// A number with a comma after each three digits.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds in the unit that suits them.
#[allow(clippy::cast_precision_loss)] // shown with three digits
fn span(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} \u{b5}s"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 2, 3000].map(times), ["0 times", "once", "twice", "3,000 times"]);
        assert_eq!([7, 1_234, 201_700, 2_500_000].map(span), ["7 \u{b5}s", "1.2 ms", "202 ms", "2.50 s"]);
        assert_eq!([1, 2].map(|n| counted(n, "job")), ["1 job", "2 jobs"]);
    }
}
