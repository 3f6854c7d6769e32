//! The GPU subsystem: what users of a GPU have of it beyond jobs, as the base calls it.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_driver::DriverError;
use lifeboat_lb1::{Lb1Driver, Lb1Pending};

use crate::contexts::Contexts;
use crate::display::Display;
use crate::link::Link;
use crate::maps::Maps;
use crate::submit::Job;
use crate::subsystem::Subsystem;

/// The GPU side of one binding.
pub(crate) struct Gpu {
    pub(crate) display: Arc<Display>,
    pub(crate) contexts: Contexts,
    /// Users' maps of its VRAM.
    pub(crate) maps: Maps,
}

impl Subsystem for Gpu {
    type Driver = Lb1Driver;
    type Job = Job;

    fn retire(&self) {
        self.display.lose();
        self.contexts.tables.close();
    }

    fn sweep(&self) {
        self.display.disconnect();
    }

    fn cut(&self) -> usize {
        self.maps.cut()
    }

    fn clear(&self) {
        self.display.clear();
    }

    /// A reset forgets everything but VRAM.
    fn restore(&self, link: &Link) -> Result<(), DriverError> {
        self.contexts.restore(link)?;
        self.display.restore(link)
    }

    fn interrupt(&self, link: &Link, pending: &Lb1Pending) -> bool {
        let handled = !pending.blanked() || self.display.advance(link);
        if !handled {
            self.display.ask_soon();
        }
        handled
    }

    fn look(&self, link: &Link) -> Option<Instant> {
        self.display.look(link)
    }
}
