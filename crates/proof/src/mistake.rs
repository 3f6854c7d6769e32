//! Mistakes of a driver (DRV-3): the one list of them, for [`exhaust`](crate::exhaust) and [`torture`](crate::torture).

use clap::ValueEnum;
use serde::Serialize;

/// A mistake of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mistake {
    /// Its code panics in the middle of a function.
    DriverPanics,
    /// Its code does not return from a function, for much longer than it may take.
    DriverStuck,
}
