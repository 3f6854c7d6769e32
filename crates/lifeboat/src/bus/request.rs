//! What was asked of a bus, and what comes of it.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use lifeboat_sync::lint;

use crate::RequestError;

/// A request to a [`Bus`](super::Bus), which goes on whether or not anybody waits for its answer.
#[derive(Debug)]
#[must_use = "the answer says what comes of the request"]
pub struct Request<T>(Receiver<Result<T, RequestError>>);

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
