//! Surroundings of the machine: a card, the driver that is bound to it, and a user. Each is as
//! small as the promises of an unplug allow.

use lifeboat_core::unplug::{Bound, Loss, Teardown};
use lifeboat_core::wedge;

/// State of the device as its users see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Presence {
    Live,
    Gone,
    Wedged,
}

/// A device, from its probe on.
#[allow(clippy::struct_excessive_bools)] // independent of one another, and all of them needed
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Device {
    pub(crate) card: u8,
    pub(crate) presence: Presence,
    /// Whether interrupts and DMA are on and the driver reaches the registers.
    pub(crate) reached: bool,
    /// Whether a call is in a section.
    pub(crate) in_section: bool,
    /// Whether a fence has not signalled yet.
    pub(crate) pending: bool,
    /// Number of times that the driver has reported a loss.
    pub(crate) reported: u8,
    /// Whether the device was told that it is wedged.
    pub(crate) told: bool,
}

impl Device {
    pub(crate) fn new(card: u8) -> Self {
        Self {
            card,
            presence: Presence::Live,
            reached: true,
            in_section: false,
            pending: false,
            reported: 0,
            told: false,
        }
    }
}

/// Progress of an unplug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Progress {
    Begun,
    Announced,
    Retired,
    Drained,
    Swept,
    Cut,
    Released,
}

/// Takes the next real step ([`lifeboat_core::unplug`]) on a device of the model. The steps before
/// `from` are skipped.
pub(crate) fn step(device: &mut Device, from: Progress, loss: Loss) -> Progress {
    let mut stage = Stage { device, only: from };
    let bound = Bound::new(&mut stage);
    let cut = bound.announce(loss).retire().drain().sweep().cut();
    let event = matches!(loss, Loss::Wedged(_)).then(|| wedge::WedgeEvent::new(&cut, wedge::Methods::UNKNOWN, None));
    // A wedging leaves this step out. `only` makes sure that nothing happens here in that case.
    cut.release();
    if from == Progress::Swept && event.is_some() {
        device.told = true;
    }
    match from {
        Progress::Begun => Progress::Announced,
        Progress::Announced => Progress::Retired,
        Progress::Retired => Progress::Drained,
        Progress::Drained => Progress::Swept,
        Progress::Swept => Progress::Cut,
        Progress::Cut | Progress::Released => Progress::Released,
    }
}

/// Runs all steps of an unplug, but only the step that follows `only` has an effect.
struct Stage<'a> {
    device: &'a mut Device,
    only: Progress,
}

impl Stage<'_> {
    fn at(&mut self, progress: Progress, act: impl FnOnce(&mut Device)) {
        if self.only == progress {
            act(self.device);
        }
    }
}

impl Teardown for &mut Stage<'_> {
    fn announce(&mut self, loss: Loss) {
        let presence = if matches!(loss, Loss::Wedged(_)) { Presence::Wedged } else { Presence::Gone };
        self.at(Progress::Begun, |device| device.presence = presence);
    }

    fn retire(&mut self) {
        self.at(Progress::Announced, |device| device.pending = false);
    }

    // The wait is part of the model, in `Situation::may_go_on`.
    fn drain(&mut self) {}

    fn sweep(&mut self) {
        self.at(Progress::Drained, |device| device.pending = false);
    }

    fn cut(&mut self) {
        self.at(Progress::Swept, |device| device.reached = false);
    }

    fn release(&mut self) {
        self.at(Progress::Cut, |device| device.presence = Presence::Gone);
    }
}
