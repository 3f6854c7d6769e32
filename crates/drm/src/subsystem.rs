//! The GPU subsystem, as the base drives it.

use std::sync::Arc;
use std::time::Instant;

use lifeboat::subsystem::{Site, Subsystem};
use lifeboat::{Base, CallError, Link};
use lifeboat_core::share::Share;
use lifeboat_driver::gpu::{Gpu, Scanout};
use lifeboat_driver::{Driver, DriverError};

use crate::contexts::Contexts;
use crate::device::Device;
use crate::display::{Display, Tenancies};
use crate::maps::Maps;
use crate::options::Options;
use crate::submit::Job;

/// The GPU side of one binding: a driver `G`, plugged into the base.
pub struct Drm<G: Gpu> {
    /// `None` for a GPU without a screen.
    display: Option<Arc<Display<G::Scanout>>>,
    pub(crate) tenancies: Arc<Tenancies>,
    pub(crate) contexts: Contexts<G>,
    /// How many of them one client may hold.
    pub(crate) context_share: Share,
    /// Users' maps of its VRAM; `None` for a GPU without.
    maps: Option<Maps>,
}

impl<G: Gpu> Drm<G> {
    /// Its screen.
    ///
    /// # Errors
    /// EOPNOTSUPP if it has none.
    pub(crate) fn display(&self) -> Result<&Arc<Display<G::Scanout>>, CallError> {
        self.display.as_ref().ok_or(CallError::Unsupported("this GPU has no screen"))
    }

    /// Users' maps of its VRAM.
    ///
    /// # Errors
    /// EOPNOTSUPP if it has none.
    pub(crate) fn maps(&self) -> Result<&Maps, CallError> {
        self.maps.as_ref().ok_or(NO_VRAM)
    }
}

/// What a GPU without video memory answers.
pub(crate) const NO_VRAM: CallError = CallError::Unsupported("this GPU has no video memory; use host memory");

impl<G: Gpu> Subsystem for Drm<G> {
    type Driver = G;
    type Device = Device<G>;
    type Job = Job<G>;
    type Options = Options;

    fn check(options: &Options) -> Result<(), &'static str> {
        options.check()
    }

    fn contexts(info: &G::Info) -> usize {
        G::contexts(info).into()
    }

    fn new(at: &Site<'_, Self>, options: &Options) -> Self {
        let Site { ledger, name, link, info } = at;
        let contexts = G::contexts(info);
        let share = options.context_share.and_then(|limit| Share::new(limit.into()));
        let screen = <G::Scanout as Scanout>::SCREEN;
        Self {
            display: screen.map(|screen| Arc::new(Display::new(ledger, name, screen, options.display_limit))),
            tenancies: Arc::new(Tenancies::new()),
            contexts: Contexts::new(contexts),
            context_share: share.unwrap_or(Share::quarter_of(contexts.into())),
            maps: G::vram(info).map(|vram| Maps::new((*link).clone(), vram)),
        }
    }

    fn device(base: Arc<Base<Self>>, link: Arc<Link>) -> Device<G> {
        Device::new(base, link)
    }

    fn retire(&self) {
        self.display.iter().for_each(|display| display.lose());
        self.contexts.tables.close();
    }

    fn sweep(&self) {
        self.display.iter().for_each(|display| display.disconnect());
    }

    fn cut(&self) -> usize {
        self.maps.as_ref().map_or(0, Maps::cut)
    }

    fn clear(&self) {
        self.display.iter().for_each(|display| display.clear());
    }

    /// A reset forgets everything but VRAM.
    fn restore(&self, link: &Link) -> Result<(), DriverError> {
        self.contexts.restore(link)?;
        self.display.as_ref().map_or(Ok(()), |display| display.restore(link))
    }

    fn interrupt(&self, link: &Link, pending: &<G as Driver>::Pending) -> bool {
        let Some(display) = self.display.as_ref().filter(|_| G::blanked(pending)) else { return true };
        let handled = display.advance(link);
        if !handled {
            display.ask_soon();
        }
        handled
    }

    fn look(&self, link: &Link) -> Option<Instant> {
        self.display.as_ref()?.look(link)
    }
}
