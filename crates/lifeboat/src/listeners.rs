//! Functions that are told what the driver finds out about one device.

use std::fmt;

use lifeboat_core::unplug::Loss;

/// Tells the bus side that the driver found the device lost. Must not block.
pub(crate) type ReportLoss = Box<dyn Fn(Loss) + Send + Sync>;
/// Tells that there is a dump to be taken. Must not block.
pub(crate) type ReportDump = Box<dyn Fn() + Send + Sync>;

/// Functions that are told what the driver finds out about one device: for a binding without a [`Bus`](crate::Bus), which
/// has listeners of its own. They are called on threads of the driver, and must not block.
pub struct Listeners {
    pub(crate) loss: ReportLoss,
    pub(crate) dump: ReportDump,
}

impl Listeners {
    /// Nobody listens: a loss is only logged.
    pub fn none() -> Self {
        let loss = |loss| tracing::error!(%loss, "nobody listens for device loss");
        Self { loss: Box::new(loss), dump: Box::new(|| {}) }
    }

    /// Calls `loss` once if the driver finds the device lost. The binding is then the callee's to
    /// [unplug](crate::Binding::unplug), outside of `loss`.
    #[must_use]
    pub fn on_loss(self, loss: impl Fn(Loss) + Send + Sync + 'static) -> Self {
        Self { loss: Box::new(loss), ..self }
    }

    /// Calls `dump` when a dump was captured while the device is bound: [`Binding::take_dumps`](crate::Binding::take_dumps)
    /// gives that dump. A dump that is captured because the binding ends or is wedged is not told: whoever ends the
    /// binding takes the dump afterwards.
    #[must_use]
    pub fn on_dump(self, dump: impl Fn() + Send + Sync + 'static) -> Self {
        Self { dump: Box::new(dump), ..self }
    }
}

impl Default for Listeners {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").finish_non_exhaustive()
    }
}
