//! Groups failures into incidents, so that a dump is taken once per incident, before the first
//! reset (WEDGE-4).
//!
//! One failure leads to the next: a ring hangs, the reset of the ring fails, the reset of the
//! device fails, and the device is given up and wedged. The state at the first failure explains all
//! of them; later states are shaped by the resets.
//!
//! An incident begins with the first failure. It ends when the device works again, that is, when a
//! job completes after a successful reset. The end of the binding ends the incident, too. A job
//! counts from the moment its completion is reported. So a job that another ring completed during
//! the reset may end the incident.

/// State of the incident of a device, if there is an incident.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Incident {
    under_way: bool,
    /// Number of jobs completed when the last reset succeeded. `None` if a failure has followed.
    mended: Option<u64>,
}

impl Incident {
    /// Creates the state of a device that works.
    pub const fn none() -> Self {
        Self { under_way: false, mended: None }
    }

    /// Reports a failure. `completed` is the number of jobs that the device has completed so far.
    ///
    /// Returns `true` if the failure begins an incident: then the caller must take the dump now,
    /// before any reset.
    #[must_use = "if true, the state is to be kept before anything is reset"]
    pub fn failed(&mut self, completed: u64) -> bool {
        let works_again = self.mended.take().is_some_and(|then| completed > then);
        let new = !self.under_way || works_again;
        self.under_way = true;
        new
    }

    /// Reports a reset that succeeded. `completed` is as in [`Incident::failed`].
    pub fn mended(&mut self, completed: u64) {
        self.mended = self.under_way.then_some(completed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wedge_4_a_ladder_of_resets_is_one_incident() {
        let mut incident = Incident::none();
        assert!(incident.failed(7), "the ring hangs");
        assert!(!incident.failed(7), "its reset fails");
        assert!(!incident.failed(9), "so does the device's, whatever another ring has done meanwhile");
        assert!(!incident.failed(9), "it is given up");
    }

    #[test]
    fn wedge_4_an_incident_ends_when_a_job_completes_after_a_reset_that_succeeded() {
        let mut incident = Incident::none();
        incident.mended(3);
        assert!(incident.failed(5), "a reset without a failure opens nothing");
        incident.mended(5);
        assert!(!incident.failed(5), "it has done nothing since");
        assert!(!incident.failed(6), "and the success before this failure counts no more");
        incident.mended(6);
        assert!(incident.failed(7));
        assert!(!incident.failed(8), "nothing was reset since");
    }
}
