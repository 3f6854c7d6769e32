//! What became of a fault that was asked for.

use std::fmt;

use serde::Serialize;

/// One fault, and whether it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// As it was asked for.
    pub fault: String,
    /// Whether a device has met it.
    pub fired: bool,
    /// Where it was met.
    pub at: Option<Place>,
    /// What its trigger counts, singular and plural, and how many of these the busiest device had; `None` for a share of the work.
    #[serde(skip)]
    pub counts: Option<(&'static str, &'static str, u64)>,
}

/// A moment in the life of a device, as the device counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Which device: 1 is the first that was plugged in.
    pub device: u32,
    /// Accesses of the driver to this device so far.
    pub access: u64,
    /// Jobs that this device has begun so far.
    pub job: u64,
    /// Resets of this device so far.
    pub reset: u64,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.at, self.counts) {
            (Some(Place { device, access, job, reset }), counts) => {
                match counts {
                    Some(("job", ..)) => write!(f, "fired at job {job}, access {access}")?,
                    Some(("reset", ..)) => write!(f, "fired at reset {reset}, access {access}")?,
                    _ => write!(f, "fired at access {access}, job {job}")?,
                }
                if device > 1 { write!(f, " of device {device}") } else { Ok(()) }
            }
            (None, Some((one, _, 1))) => write!(f, "never came: no device had more than 1 {one}"),
            (None, Some((_, many, most))) => write!(f, "never came: no device had more than {most} {many}"),
            (None, None) => f.write_str("never came: the work was over"),
        }
    }
}
