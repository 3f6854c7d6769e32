//! What was asked of a bus, and what comes of it.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use lifeboat_core::minor::Minor;
use lifeboat_sync::lint;
use thiserror::Error;

use crate::ProbeError;

/// A request to a [`Bus`](super::Bus), which goes on whether or not anybody waits for its answer.
#[derive(Debug)]
#[must_use = "the answer says what comes of the request"]
pub struct Request<T>(Receiver<Result<T, RequestError>>);

/// Why a request to a bus came to nothing. Its errno is in [`Errno::from`](lifeboat_core::errno::Errno).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The bus watches no slot of this name.
    #[error("the bus has no slot of this name; attach it first")]
    NoSuchSlot,
    /// No device of this number is bound, because there never was one, it is gone, or it is just being recovered.
    #[error("no device {0} is bound; ask for its slot")]
    NoSuchDevice(Minor),
    /// What is in the slot is bound already, perhaps wedged: as the device of this number.
    #[error("the slot is bound as device {0}; rebind or unbind it")]
    AlreadyBound(Minor),
    /// Nothing is in the slot.
    #[error("the slot is empty; plug something in")]
    Empty,
    /// The link of the slot went down before the device was bound. It is bound when the link is up again.
    #[error("the link is down; the device is bound when it is up again")]
    LinkDown,
    /// The device could not be bound.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Another request has ended this one: the device was unbound meanwhile.
    #[error("the device was unbound meanwhile")]
    Overridden,
    /// There was no answer within the given time. The request goes on.
    #[error("the bus has not answered in time; the request goes on")]
    TimedOut,
    /// The bus was stopped.
    #[error("the bus was stopped")]
    Stopped,
}

/// Answers a request. Dropped without an answer, it says that the bus was stopped.
pub(super) struct Reply<T>(Sender<Result<T, RequestError>>);

impl<T> Request<T> {
    /// A request, and the way to answer it.
    pub(super) fn new() -> (Self, Reply<T>) {
        let (sender, receiver) = mpsc::channel();
        (Self(receiver), Reply(sender))
    }

    /// A request that is answered already.
    pub(super) fn refused(error: RequestError) -> Self {
        let (request, reply) = Self::new();
        reply.answer(Err(error));
        request
    }

    /// Waits for the answer, at most `limit`. Not to be called in a section.
    ///
    /// # Errors
    /// Each [`RequestError`]; [`RequestError::TimedOut`] after `limit`.
    #[track_caller]
    pub fn wait(self, limit: Duration) -> Result<T, RequestError> {
        lint::might_block("the wait for an answer of a bus");
        match self.0.recv_timeout(limit) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(RequestError::TimedOut),
            Err(RecvTimeoutError::Disconnected) => Err(RequestError::Stopped),
        }
    }
}

impl<T> Reply<T> {
    pub(super) fn answer(self, answer: Result<T, RequestError>) {
        // Nobody may be waiting.
        let _ = self.0.send(answer);
    }
}
