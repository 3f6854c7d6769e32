//! The GPU subsystem, as the base drives it.

use std::sync::Arc;
use std::time::Instant;

use lifeboat::subsystem::{Site, Subsystem};
use lifeboat::{Base, Link};
use lifeboat_core::share::Share;
use lifeboat_driver::gpu::{Gpu, Scanout};
use lifeboat_driver::{Driver, DriverError};

use crate::contexts::Contexts;
use crate::device::Device;
use crate::display::{Display, Tenancies};
use crate::drm::{Drm, Has};
use crate::job::Job;
use crate::maps::Maps;
use crate::options::Options;

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
        let Site { ledger, name, link, info, credits } = at;
        let contexts = G::contexts(info);
        let share = options.context_share.and_then(|limit| Share::new(limit.into()));
        let screen = <G::Scanout as Scanout>::SCREEN;
        let has = Has {
            rings: G::rings(info),
            segments: G::segments(info),
            vram: G::vram(info),
            serial: G::serial(info),
            commands: G::most_commands(*credits),
        };
        Self {
            screen: screen.map(|screen| Arc::new(Display::new(ledger, name, screen, options.display_limit))),
            tenancies: Arc::new(Tenancies::new()),
            contexts: Contexts::new(contexts),
            context_share: share.unwrap_or(Share::quarter_of(contexts.into())),
            vram_maps: has.vram.map(|vram| Maps::new((*link).clone(), vram)),
            has,
        }
    }

    fn device(base: Arc<Base<Self>>, link: Arc<Link>) -> Device<G> {
        Device::new(base, link)
    }

    fn retire(&self) {
        self.screen.iter().for_each(|display| display.lose());
        self.contexts.tables.close();
    }

    fn sweep(&self) {
        self.screen.iter().for_each(|display| display.disconnect());
    }

    fn cut(&self) -> usize {
        self.vram_maps.as_ref().map_or(0, Maps::cut)
    }

    fn clear(&self) {
        self.screen.iter().for_each(|display| display.clear());
    }

    /// A reset forgets everything but VRAM.
    fn restore(&self, link: &Link) -> Result<(), DriverError> {
        self.contexts.restore(link)?;
        self.screen.as_ref().map_or(Ok(()), |display| display.restore(link))
    }

    fn interrupt(&self, link: &Link, pending: &<G as Driver>::Pending) -> bool {
        let blanked = link.code(|| G::blanked(pending)).unwrap_or(false);
        let Some(display) = self.screen.as_ref().filter(|_| blanked) else { return true };
        let handled = display.advance(link);
        if !handled {
            display.ask_soon();
        }
        handled
    }

    fn look(&self, link: &Link) -> Option<Instant> {
        self.screen.as_ref()?.look(link)
    }
}
