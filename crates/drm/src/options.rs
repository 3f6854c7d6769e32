//! How the users of a GPU are served.

use std::time::Duration;

/// Options for every GPU of a driver, said when the driver is
/// [registered](lifeboat::Module::register).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many contexts one client, an open [`Handle`](crate::Handle), may hold: beyond that it is
    /// refused with EDQUOT, so that others find some (SCHED-9). At least 1; more than the device
    /// has is no limit. Default: a quarter of the device's.
    pub context_share: Option<u16>,
    /// How long the hardware may take to report a flip or a vertical blank. After it the display is
    /// turned off and on, and waiters get the real outcome (KMS-5). Default 1 s. Values below ten
    /// frames count as ten frames.
    pub display_limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { context_share: None, display_limit: Duration::from_secs(1) }
    }
}

impl Options {
    /// Whether they can be.
    ///
    /// # Errors
    /// A sentence for whoever has set them.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match self.context_share {
            Some(0) => {
                Err("a context_share of 0 would let no client have a context; take at least 1, or None for a quarter")
            }
            _ => Ok(()),
        }
    }
}
