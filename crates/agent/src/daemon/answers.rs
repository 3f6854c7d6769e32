//! Answers: the results of questions that threads of their own ask, and the descriptor that says that there are some.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, mpsc};

use rustix::event::{EventfdFlags, eventfd};

/// Receiver of answers.
#[derive(Debug)]
pub(super) struct Answers<T> {
    receiver: mpsc::Receiver<T>,
    sender: mpsc::Sender<T>,
    bell: Arc<OwnedFd>,
}

/// Sender of one answer, for a thread.
#[derive(Debug, Clone)]
pub(super) struct Reply<T> {
    sender: mpsc::Sender<T>,
    bell: Arc<OwnedFd>,
}

impl<T: Send + 'static> Answers<T> {
    /// Creates a receiver.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        Ok(Self { receiver, sender, bell })
    }

    /// Asks a question on a thread of its own. A question that is never answered costs that thread.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn ask(&self, name: &str, question: impl FnOnce() -> T + Send + 'static) -> io::Result<()> {
        let reply = Reply { sender: self.sender.clone(), bell: Arc::clone(&self.bell) };
        std::thread::Builder::new().name(name.into()).spawn(move || reply.give(question()))?;
        Ok(())
    }

    /// Returns the descriptor that is readable while there are answers.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Returns the next answer, if there is one.
    pub(super) fn take(&self) -> Option<T> {
        let answer = self.receiver.try_recv().ok();
        if answer.is_none() {
            // Silence the bell, and look once more: an answer may have come in between.
            let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
            return self.receiver.try_recv().ok();
        }
        answer
    }
}

impl<T> Reply<T> {
    fn give(self, answer: T) {
        // The daemon is gone if nobody receives, and a bell that cannot take more has rung.
        let _ = self.sender.send(answer);
        let _ = rustix::io::write(&*self.bell, &1_u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn rings(answers: &Answers<u32>, wait: Duration) -> bool {
        let mut bell = [PollFd::from_borrowed_fd(answers.bell(), PollFlags::IN)];
        poll(&mut bell, Timespec::try_from(wait).ok().as_ref()).is_ok_and(|ready| ready > 0)
    }

    #[test]
    fn the_bell_rings_for_answers_and_is_silent_after() -> io::Result<()> {
        let answers = Answers::new()?;
        assert!(!rings(&answers, Duration::ZERO));
        for number in 0..3 {
            answers.ask("test", move || number)?;
        }
        let mut got = Vec::new();
        while got.len() < 3 {
            assert!(rings(&answers, Duration::from_mins(1)), "an answer is lost: {got:?}");
            got.extend(std::iter::from_fn(|| answers.take()));
        }
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2]);
        assert!(!rings(&answers, Duration::ZERO));
        Ok(())
    }
}
