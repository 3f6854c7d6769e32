//! The GPU side of one binding, as the calls and the base both have it.

use std::sync::Arc;

use lifeboat::CallError;
use lifeboat_core::share::Share;
use lifeboat_driver::gpu::{Gpu, Vram};

use crate::contexts::Contexts;
use crate::display::{Display, Tenancies};
use crate::maps::Maps;

/// The GPU side of one binding: a driver `G`, plugged into the base.
pub struct Drm<G: Gpu> {
    /// `None` for a GPU without a screen.
    pub(crate) screen: Option<Arc<Display<G::Scanout>>>,
    pub(crate) tenancies: Arc<Tenancies>,
    pub(crate) contexts: Contexts,
    /// How many of them one client may hold.
    pub(crate) context_share: Share,
    /// Users' maps of its VRAM; `None` for a GPU without.
    pub(crate) vram_maps: Option<Maps>,
    pub(crate) has: Has,
}

/// What the GPU has. Asked of its driver at probe, and of nobody afterwards.
pub(crate) struct Has {
    pub(crate) rings: u8,
    /// Segments of a context.
    pub(crate) segments: u8,
    pub(crate) vram: Option<Vram>,
    pub(crate) serial: u32,
    /// Most commands of one job.
    pub(crate) commands: u32,
}

impl<G: Gpu> Drm<G> {
    /// Its screen.
    ///
    /// # Errors
    /// EOPNOTSUPP if it has none.
    pub(crate) fn display(&self) -> Result<&Arc<Display<G::Scanout>>, CallError> {
        self.screen.as_ref().ok_or(CallError::Unsupported("this GPU has no screen"))
    }

    /// Users' maps of its VRAM.
    ///
    /// # Errors
    /// EOPNOTSUPP if it has none.
    pub(crate) fn maps(&self) -> Result<&Maps, CallError> {
        self.vram_maps.as_ref().ok_or(NO_VRAM)
    }
}

/// What a GPU without video memory answers.
pub(crate) const NO_VRAM: CallError = CallError::Unsupported("this GPU has no video memory; use host memory");
