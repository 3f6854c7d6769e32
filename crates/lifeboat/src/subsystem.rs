//! What a kind of device adds to the base: the hooks that an unplug, a reset, an interrupt and the
//! worker call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use lifeboat_driver::{self as driver, Driver, DriverError};

use crate::base::Base;
use crate::ledger::Ledger;
use crate::link::Link;

/// What the users of one kind of device have of it, beyond jobs. One per binding.
///
/// What has a body here may be left out: a subsystem that does nothing is one, and every promise of
/// the base holds for its devices.
///
/// None of the hooks may wait for users, or hold a lock across an access to the device.
pub trait Subsystem: Sized + Send + Sync + 'static {
    /// The driver of its devices.
    type Driver: Driver;

    /// A device, as users open it.
    type Device: Clone + Send + Sync + 'static;

    /// What a job keeps alive for the hardware, and what the driver is to write.
    type Job: Job<Self::Driver>;

    /// How its devices are to be served; said when the driver is
    /// [registered](crate::Module::register).
    type Options: Send + Sync + 'static;

    /// Refuses options before a device is touched.
    ///
    /// # Errors
    /// A sentence that names the option and says what it should be.
    fn check(options: &Self::Options) -> Result<(), &'static str> {
        let _ = options;
        Ok(())
    }

    /// Contexts of the scheduler: users who are held responsible for resets.
    fn contexts(info: &<Self::Driver as Driver>::Info) -> usize {
        let _ = info;
        0
    }

    /// The subsystem's part of a device that is about to be brought up. Touches nothing of it. The one
    /// place besides the hooks where a subsystem may run code of its driver without [`Link::code`]: a
    /// probe is watched as a whole.
    fn new(at: &Site<'_, Self>, options: &Self::Options) -> Self;

    /// The device for users. `link` is its way to the hardware. Runs no code of the driver.
    fn device(base: Arc<Base<Self>>, link: Arc<Link>) -> Self::Device;

    /// The device is lost: answers everything that is owed to users, besides the fences of jobs,
    /// and whatever is asked for from now on. Waits for nobody. Called several times.
    fn retire(&self) {}

    /// Nobody is in a call on the device any more: tells users what they have lost. Once.
    fn sweep(&self) {}

    /// The device starts no transfer any more: takes from users what leads to its memory. Says how
    /// many ways there were.
    fn cut(&self) -> usize {
        0
    }

    /// The hardware has been cut off: drops what was kept for it.
    fn clear(&self) {}

    /// The device has been reset, and works: gives back to it what users have set up. The rings
    /// start afterwards.
    ///
    /// # Errors
    /// Those of the driver; then the reset has failed.
    fn restore(&self, link: &Link) -> Result<(), DriverError> {
        let _ = link;
        Ok(())
    }

    /// An interrupt has come. `false` if the worker is to be nudged.
    fn interrupt(&self, link: &Link, pending: &<Self::Driver as Driver>::Pending) -> bool {
        let _ = (link, pending);
        true
    }

    /// The worker's round. Says when the next is due.
    fn look(&self, link: &Link) -> Option<Instant> {
        let _ = link;
        None
    }
}

/// Where a subsystem's part of a device is to be.
pub struct Site<'a, S: Subsystem> {
    /// Counts its objects.
    pub ledger: &'a Ledger,
    /// What the device is called.
    pub name: &'a str,
    /// The way to its hardware.
    pub link: &'a Arc<Link>,
    /// What the driver has read of it.
    pub info: <S::Driver as Driver>::Info,
    /// Credits that a job may take whichever ring it comes to, in what [`Driver::cost`] counts.
    pub credits: u32,
}

/// A job of a subsystem.
pub trait Job<D: Driver>: Send + Sync + 'static {
    /// The job, as the driver gives it to a ring.
    fn work(&self) -> D::Work<'_>;

    /// The notes of whoever gives it to a ring.
    fn notes(&self) -> &Notes;

    /// What a dump says of it.
    fn about(&self) -> AboutJob;
}

/// The job of a subsystem without jobs: there is none.
#[derive(Debug)]
pub enum NoJob {}

impl<D: Driver> Job<D> for NoJob {
    fn work(&self) -> D::Work<'_> {
        match *self {}
    }

    fn notes(&self) -> &Notes {
        match *self {}
    }

    fn about(&self) -> AboutJob {
        match *self {}
    }
}

/// What a dump says of a job.
#[derive(Debug, Clone, Copy)]
pub struct AboutJob {
    /// Number of the context that it belongs to.
    pub context: u8,
    /// How many commands it has.
    pub commands: u32,
    /// When it was submitted.
    pub submitted: Instant,
}

/// Where a job is in its ring. Written by the worker alone.
#[derive(Debug, Default)]
pub struct Notes {
    /// Where it begins, once it was written.
    begins: AtomicU32,
    /// Where its ring was when the job was looked at last; until then, where it begins.
    seen: AtomicU32,
}

impl Notes {
    /// The job was written.
    pub(crate) fn written(&self, begins: driver::Place) {
        self.begins.store(begins.0, Relaxed);
        self.seen.store(begins.0, Relaxed);
    }

    pub(crate) fn begins(&self) -> driver::Place {
        driver::Place(self.begins.load(Relaxed))
    }

    /// Its ring is there now. Whether that is elsewhere than at the last look.
    pub(crate) fn moves(&self, to: driver::Place) -> bool {
        self.seen.swap(to.0, Relaxed) != to.0
    }
}
