//! The drivers that can be put to the proof. Another one is a module here, and a line in [`Driver`].

mod edu;
mod lb1;

use clap::ValueEnum;

pub use edu::Edu;
pub use lb1::Lb1;

/// A driver that can be put to the proof.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    /// The GPU of this project: rings, memory, a display.
    #[default]
    Lb1,
    /// QEMU's educational device: no rings, one interrupt, DMA.
    Edu,
}
