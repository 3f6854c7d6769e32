//! What a handle is told: its flips and vertical blanks, and that the screen is gone.
//!
//! Room for an event is set aside when it is promised, so that an interrupt handler delivers it
//! without memory. A handle that never asks for one has room for the hotplug alone.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use lifeboat::CallError;
use lifeboat_sync::deadline::deadline_after;
use lifeboat_sync::lint::{Condvar, Mutex};
use rustix::event::{EventfdFlags, eventfd};

use super::listeners::Place;
use crate::locks;

/// Events of one handle that are promised or unread. As many as a kernel's DRM file has room for.
const LIMIT: usize = 128;
/// The one hotplug there can be: nobody asks for it, and an unplug must tell it without memory
/// (WEDGE-5).
const HOTPLUG: usize = 1;

/// Something that happened on the display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisplayEvent {
    /// A flip or commit has taken effect, or has ended otherwise: its fence says how. Also if the device was lost on the
    /// way.
    Flip {
        /// As given by the user.
        token: u64,
        /// The vertical blank since which the picture is shown; the last one if it is not.
        sequence: u64,
    },
    /// A vertical blank that was waited for has begun, or the device was lost on the way, or none came: its fence says so.
    Vblank {
        /// As given by the user.
        token: u64,
        /// Its number. Goes up by one with each blank while the display is on, and never back.
        sequence: u64,
    },
    /// A screen was connected or disconnected; a device that is lost has none any more (KMS-1).
    Hotplug {
        /// Whether there is one now.
        connected: bool,
    },
}

/// Which event is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Flip,
    Vblank,
}

/// The events of one handle.
pub(super) struct EventQueue {
    state: Mutex<QueueState>,
    arrived: Condvar,
}

struct QueueState {
    unread: VecDeque<DisplayEvent>,
    promised: usize,
    /// Nobody will read any more.
    closed: bool,
    /// Readable while there is something to read.
    descriptor: Option<OwnedFd>,
}

/// The owner's end of a queue: closed when it is dropped. Events that come later go nowhere.
pub(crate) struct Mailbox {
    queue: Arc<EventQueue>,
    /// Until the screen goes.
    _place: Option<Place>,
}

/// An event that somebody is owed. Dropped, it is not owed any more: for calls that fail.
pub(super) struct Promise {
    queue: Arc<EventQueue>,
    source: Source,
    token: u64,
}

/// The events of a handle, to be read. They survive the loss of the device.
#[derive(Clone, Copy)]
pub struct Events<'a>(&'a EventQueue);

impl EventQueue {
    pub(super) fn new() -> Self {
        let state =
            QueueState { unread: VecDeque::with_capacity(HOTPLUG), promised: 0, closed: false, descriptor: None };
        Self { state: Mutex::new(&locks::EVENTS, state), arrived: Condvar::new() }
    }

    /// Adds an event for which there is room.
    pub(super) fn post(&self, event: DisplayEvent) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        state.unread.push_back(event);
        if state.unread.len() == 1 {
            state.set_readable();
        }
        drop(state);
        self.arrived.notify_all();
    }
}

impl QueueState {
    /// How many events the memory must hold if another one is promised; an error if that would be
    /// too many.
    fn room_for_another(&self) -> Result<usize, CallError> {
        let events = self.unread.len() + self.promised;
        if events < LIMIT {
            Ok(events + 1 + HOTPLUG)
        } else {
            Err(CallError::Exhausted("room for events; read those that have come"))
        }
    }

    fn take(&mut self) -> Option<DisplayEvent> {
        let event = self.unread.pop_front()?;
        if let (true, Some(descriptor)) = (self.unread.is_empty(), &self.descriptor) {
            // Takes the count back, which makes it unreadable.
            if let Err(error) = rustix::io::read(descriptor, &mut [0; 8]) {
                tracing::error!(%error, "an eventfd could not be read");
            }
        }
        Some(event)
    }

    fn set_readable(&self) {
        let Some(descriptor) = &self.descriptor else { return };
        // It cannot be full: it is written only when it was empty.
        if let Err(error) = rustix::io::write(descriptor, &1_u64.to_ne_bytes()) {
            tracing::error!(%error, "an eventfd could not be told of an event");
        }
    }
}

impl Mailbox {
    /// For a handle that is told nothing of a screen: there is none.
    pub(crate) fn unplaced() -> Self {
        Self::new(Arc::new(EventQueue::new()), None)
    }

    pub(super) fn new(queue: Arc<EventQueue>, place: Option<Place>) -> Self {
        Self { queue, _place: place }
    }

    /// Sets room aside for an event.
    pub(super) fn promise(&self, source: Source, token: u64) -> Result<Promise, CallError> {
        let mut larger = VecDeque::new();
        loop {
            let mut state = self.queue.state.lock();
            let needed = state.room_for_another()?;
            if state.unread.capacity() < needed && larger.capacity() >= needed {
                larger.extend(state.unread.drain(..));
                std::mem::swap(&mut state.unread, &mut larger);
            }
            if state.unread.capacity() >= needed {
                state.promised += 1;
                return Ok(Promise { queue: self.queue.clone(), source, token });
            }
            // Interrupt handlers take the lock; memory is asked for without it. Twice as much as is
            // needed, so that it is asked for seldom. Another thread may have promised meanwhile:
            // then once more, seven times at most.
            drop(state);
            let room = (2 * needed).min(LIMIT + HOTPLUG);
            larger = VecDeque::new();
            larger.try_reserve_exact(room).map_err(|_| CallError::Exhausted("memory for events"))?;
        }
    }

    pub(crate) fn events(&self) -> Events<'_> {
        Events(&self.queue)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.closed = true;
        // Promises keep the queue, and nothing more.
        let left = (std::mem::take(&mut state.unread), state.descriptor.take());
        drop(state);
        drop(left);
    }
}

impl Promise {
    /// It has happened.
    pub(super) fn deliver(self, sequence: u64) {
        let token = self.token;
        self.queue.post(match self.source {
            Source::Flip => DisplayEvent::Flip { token, sequence },
            Source::Vblank => DisplayEvent::Vblank { token, sequence },
        });
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.queue.state.lock().promised -= 1;
    }
}

impl Events<'_> {
    /// The next event, if one has come.
    pub fn try_next(&self) -> Option<DisplayEvent> {
        self.0.state.lock().take()
    }

    /// The next event; `None` if none has come within `limit`. To be called outside of sections, as
    /// [`Fence::wait`](lifeboat::Fence::wait).
    #[track_caller]
    pub fn wait(&self, limit: Duration) -> Option<DisplayEvent> {
        let deadline = deadline_after(limit);
        let mut state = self.0.state.lock();
        loop {
            if let Some(event) = state.take() {
                return Some(event);
            }
            if self.0.arrived.wait_until(&mut state, deadline).timed_out() {
                return state.take();
            }
        }
    }

    /// A descriptor that is readable while there is an event to read: for `poll`, `epoll` and event loops. Only to be
    /// polled; reading events makes it unreadable. All that are asked for of one handle are the same; when the handle is
    /// closed they stay as they are.
    ///
    /// # Errors
    /// If the system has no descriptor left.
    pub fn eventfd(&self) -> io::Result<OwnedFd> {
        let mut state = self.0.state.lock();
        if let Some(descriptor) = &state.descriptor {
            return descriptor.try_clone();
        }
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let copy = descriptor.try_clone()?;
        state.descriptor = Some(descriptor);
        if !state.unread.is_empty() {
            state.set_readable();
        }
        Ok(copy)
    }
}

impl fmt::Debug for Events<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("unread", &self.0.state.lock().unread.len()).finish()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn mailbox() -> Mailbox {
        Mailbox::new(Arc::new(EventQueue::new()), None)
    }

    fn readable(descriptor: &OwnedFd) -> bool {
        let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn the_descriptor_is_readable_while_there_is_something_to_read() {
        let mailbox = mailbox();
        let events = mailbox.events();
        let early = mailbox.promise(Source::Vblank, 1).unwrap();
        early.deliver(10);
        let descriptor = events.eventfd().unwrap();
        assert!(readable(&descriptor), "an event from before it was made");
        mailbox.promise(Source::Flip, 2).unwrap().deliver(11);
        assert_eq!(events.try_next(), Some(DisplayEvent::Vblank { token: 1, sequence: 10 }));
        assert!(readable(&descriptor));
        assert_eq!(events.wait(Duration::ZERO), Some(DisplayEvent::Flip { token: 2, sequence: 11 }));
        assert!(!readable(&descriptor));
        mailbox.queue.post(DisplayEvent::Hotplug { connected: false });
        assert!(readable(&events.eventfd().unwrap()) && readable(&descriptor), "they are the same");
        assert_eq!((events.try_next(), events.try_next()), (Some(DisplayEvent::Hotplug { connected: false }), None));
    }

    #[test]
    fn there_is_room_for_every_event_that_is_promised_and_never_more_memory() {
        let mailbox = mailbox();
        let room = || mailbox.queue.state.lock().unread.capacity();
        assert!(room() < 8, "nothing is promised yet");
        let mut promises = Vec::new();
        for token in 0..LIMIT as u64 {
            promises.push(mailbox.promise(Source::Flip, token).unwrap());
            assert!(room() > promises.len(), "the hotplug has room, too");
        }
        let before = room();
        let full = |mailbox: &Mailbox| matches!(mailbox.promise(Source::Flip, 0), Err(CallError::Exhausted(_)));
        assert!(full(&mailbox));
        for promise in promises {
            promise.deliver(1);
        }
        mailbox.queue.post(DisplayEvent::Hotplug { connected: false });
        assert!(full(&mailbox), "unread");
        assert_eq!(room(), before);
        while mailbox.events().try_next().is_some() {}
        drop(mailbox.promise(Source::Flip, 0).unwrap());
        assert_eq!(mailbox.queue.state.lock().promised, 0);
    }

    #[test]
    fn events_of_a_closed_handle_go_nowhere() {
        let mailbox = mailbox();
        let descriptor = mailbox.events().eventfd().unwrap();
        let promise = mailbox.promise(Source::Flip, 1).unwrap();
        let queue = Arc::downgrade(&mailbox.queue);
        drop(mailbox);
        promise.deliver(1);
        assert!(queue.upgrade().is_none() && !readable(&descriptor));
    }
}
