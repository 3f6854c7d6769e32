//! The GPU subsystem: what users of a GPU have of it, and what the base calls of that.
//!
//! | module | concept |
//! |---|---|
//! | `table`, `about` | the calls there are, and what can be asked of a driver |
//! | `device`, `handle`, `client` | a device as users see it; an open handle; what its client holds |
//! | `context`, `contexts`, `retained` | address spaces, and what a job keeps of them |
//! | `buffer`, `pages`, `maps`, `dma_buf` | memory: of the device and of the host, mapped and shared |
//! | `queue`, `submit` | jobs |
//! | [`display`] | the screen |
//! | `registers` | the hardware, in the sections of the base |

pub(crate) mod about;
pub(crate) mod buffer;
pub(crate) mod client;
pub(crate) mod context;
pub(crate) mod contexts;
pub(crate) mod device;
pub(crate) mod display;
pub(crate) mod dma_buf;
pub(crate) mod handle;
pub(crate) mod maps;
pub(crate) mod pages;
pub(crate) mod queue;
mod registers;
pub(crate) mod retained;
pub(crate) mod submit;
pub(crate) mod table;

use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::share::Share;
use lifeboat_driver::DriverError;
use lifeboat_lb1::{Info, Lb1Driver, Lb1Pending};

use crate::base::Base;
use crate::gpu::contexts::Contexts;
use crate::gpu::device::Device;
use crate::gpu::display::Display;
use crate::gpu::maps::Maps;
use crate::gpu::submit::Job;
use crate::link::Link;
use crate::subsystem::{Site, Subsystem};
use crate::{ProbeError, ProbeOptions};

/// The GPU side of one binding.
pub(crate) struct Gpu {
    pub(crate) display: Arc<Display>,
    pub(crate) contexts: Contexts,
    /// How many of them one client may hold.
    pub(crate) context_share: Share,
    /// Users' maps of its VRAM.
    pub(crate) maps: Maps,
}

impl Subsystem for Gpu {
    type Driver = Lb1Driver;
    type Device = Device;
    type Job = Job;

    fn check(options: &ProbeOptions) -> Result<(), ProbeError> {
        if options.context_share == Some(0) { Err(ProbeError::NoContextShare) } else { Ok(()) }
    }

    fn contexts(info: &Info) -> usize {
        info.contexts.into()
    }

    fn new(at: &Site<'_, Self>, options: &ProbeOptions) -> Self {
        let Site { ledger, name, link, info } = at;
        let share = options.context_share.and_then(|limit| Share::new(limit.into()));
        Self {
            display: Arc::new(Display::new(ledger, name, options.display_limit)),
            contexts: Contexts::new(info.contexts),
            context_share: share.unwrap_or(Share::quarter_of(info.contexts.into())),
            maps: Maps::new((*link).clone(), info.vram_bytes),
        }
    }

    fn device(base: Arc<Base<Self>>, link: Arc<Link>) -> Device {
        Device::new(base, link)
    }

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
