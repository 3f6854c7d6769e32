//! A handle, and the display events that its owner is to get.

use std::collections::HashMap;
use std::time::Duration;

use lifeboat::core::errno::Errno;
use lifeboat::{CallError, Fence};
use lifeboat_lb1_hosted::{DisplayEvent, Handle};

use super::LIMIT;

/// Events of one handle that may be promised or unread.
const ROOM: usize = 128;
/// Events that are being delivered at a moment, by different threads, or that nobody has asked for.
const SLACK: usize = 4;

/// What kind of event was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    Flip,
    Vblank,
}

pub(crate) struct Client {
    pub(crate) handle: Handle,
    /// How often each event is still to come.
    owed: HashMap<(Asked, u64), usize>,
    unplugged: usize,
}

impl Client {
    pub(crate) fn new(handle: Handle) -> Self {
        Self { handle, owed: HashMap::new(), unplugged: 0 }
    }

    /// A call was answered that, if it succeeded, owes this event.
    pub(crate) fn asked(&mut self, asked: Asked, token: u64, answer: &Result<Fence, CallError>) {
        let outstanding: usize = self.owed.values().sum();
        match answer {
            Ok(_) => {
                assert!(outstanding < ROOM, "an event was promised for which there is no room");
                *self.owed.entry((asked, token)).or_default() += 1;
            }
            Err(error) if error.errno() == Errno::ENOMEM => {
                assert!(outstanding + SLACK >= ROOM, "{error}, but only {outstanding} events are promised or unread");
            }
            Err(_) => {}
        }
    }

    /// Reads what has come: nothing but what is owed.
    pub(crate) fn read_events(&mut self) {
        while let Some(event) = self.handle.events().try_next() {
            self.came(event);
        }
    }

    fn came(&mut self, event: DisplayEvent) {
        let which = match event {
            DisplayEvent::Flip { token, .. } => (Asked::Flip, token),
            DisplayEvent::Vblank { token, .. } => (Asked::Vblank, token),
            DisplayEvent::Hotplug { connected } => {
                assert!(!connected && !self.handle.is_live(), "the screen went, the device did not");
                self.unplugged += 1;
                assert_eq!(self.unplugged, 1, "the screen went more than once");
                return;
            }
            other => panic!("an event that nothing is known of: {other:?}"),
        };
        let left = self.owed.get_mut(&which).filter(|left| **left > 0);
        *left.unwrap_or_else(|| panic!("{event:?} came without being owed")) -= 1;
    }

    /// The device has been lost, and every fence has signalled: every event has come, and the end of the screen comes.
    pub(crate) fn expect_all(&mut self) {
        self.read_events();
        let missing: Vec<_> = self.owed.iter().filter(|(_, left)| **left > 0).collect();
        assert!(missing.is_empty(), "events have not come: {missing:?}");
        while self.unplugged == 0 {
            let event = self.handle.events().wait(LIMIT).expect("the end of the screen is told");
            self.came(event);
        }
        assert_eq!(self.handle.events().wait(Duration::ZERO), None);
    }
}
