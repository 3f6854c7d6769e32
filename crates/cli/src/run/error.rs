//! Why there is no report, and the exit code that follows from it.

use super::destination::DestinationError;
use super::node::NodeError;
use super::picture::PictureError;
use crate::exit::Exit;
use crate::uevents::NobodyListens;

/// What keeps a run from having a result. Its text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The picture cannot be used.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A result cannot be saved where the user wants it.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The user wants events, and nobody receives them.
    #[error(transparent)]
    Events(#[from] NobodyListens),
    /// The device that the user wants cannot be used.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The picture to show and the clients' tiles do not fit into the GPU's memory together.
    #[error("{have} MiB of GPU memory are too few: give --vram {need}, or fewer --clients or smaller --tiles")]
    VramTooSmall {
        /// What `--vram` says.
        have: u64,
        /// The least that is enough.
        need: u64,
    },
    /// The system has no room for the GPU or for a thread.
    #[error("the machine could not be set up: {0}")]
    Machine(#[from] std::io::Error),
    /// The framework refused a call for another reason than loss of the device.
    #[error("a call failed: {0}")]
    Call(#[from] lifeboat::CallError),
}

impl RunError {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Picture(_)
            | Self::VramTooSmall { .. }
            | Self::Events(_)
            | Self::Destination(DestinationError::Unusable { .. }) => Exit::BadInput,
            Self::Node(error) => error.exit(),
            Self::Destination(DestinationError::Write { .. }) | Self::Machine(_) | Self::Call(_) => Exit::Failed,
        }
    }
}
