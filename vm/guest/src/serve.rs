//! Reads calls, carries each out in a thread of its own, writes the answers.

use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::operation::carry_out;
use crate::session::Session;
use crate::wire::{Answer, Call, FromGuest, MAX_LINE, Request};

/// Why serving ended before anybody asked for it.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port failed.
    #[error("the port failed: {0}")]
    Port(#[from] io::Error),
    /// The runner closed the port without asking for the end.
    #[error("the runner has gone")]
    RunnerGone,
    /// The other side does not keep to the protocol; going on would only confuse.
    #[error("this is not a call: {0}")]
    NotACall(#[source] serde_json::Error),
}

/// Serves until the runner asks for the end, which it does with [`Request::PowerOff`].
///
/// # Errors
/// A port that fails or ends, or a line that is no call.
pub fn serve(mut port_in: impl BufRead, port_out: impl Write + Send + 'static, kernel: &str) -> Result<(), ServeError> {
    let port_out = Arc::new(Mutex::new(port_out));
    let session = Arc::new(Session::default());
    send(&port_out, &FromGuest::Hello { kernel: kernel.to_owned() })?;
    let mut line = Vec::new();
    loop {
        line.clear();
        port_in.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(ServeError::RunnerGone);
        }
        let call: Call = serde_json::from_slice(&line).map_err(ServeError::NotACall)?;
        if call.request == Request::PowerOff {
            return Ok(send(&port_out, &FromGuest::Answer(measure(&session, &call)))?);
        }
        let (port_out, session) = (Arc::clone(&port_out), Arc::clone(&session));
        // A port that fails here fails in the loop above as well, which says so.
        thread::spawn(move || send(&port_out, &FromGuest::Answer(measure(&session, &call))));
    }
}

fn measure(session: &Session, call: &Call) -> Answer {
    let started = Instant::now();
    let outcome = carry_out(session, &call.request);
    Answer { id: call.id, micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX), outcome }
}

fn send(port: &Mutex<impl Write>, message: &FromGuest) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
    port.write_all(&line)?;
    port.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use std::io::BufReader;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;
    use crate::wire::{Condition, Outcome};

    struct Runner {
        port: BufReader<UnixStream>,
        served: thread::JoinHandle<Result<(), ServeError>>,
    }

    impl Runner {
        fn start() -> Self {
            let (runner, guest) = UnixStream::pair().unwrap();
            runner.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let port_in = BufReader::new(guest.try_clone().unwrap());
            let served = thread::spawn(move || serve(port_in, guest, "7.3.4"));
            let mut runner = Self { port: BufReader::new(runner), served };
            assert_eq!(runner.receive(), FromGuest::Hello { kernel: "7.3.4".into() });
            runner
        }

        fn send(&mut self, text: &str) {
            self.port.get_mut().write_all(text.as_bytes()).unwrap();
            self.port.get_mut().write_all(b"\n").unwrap();
        }

        fn call(&mut self, id: u64, request: Request) {
            self.send(&serde_json::to_string(&Call { id, request }).unwrap());
        }

        fn receive(&mut self) -> FromGuest {
            let mut line = String::new();
            self.port.read_line(&mut line).unwrap();
            serde_json::from_str(&line).unwrap()
        }

        fn answer(&mut self) -> Answer {
            match self.receive() {
                FromGuest::Answer(answer) => answer,
                FromGuest::Hello { .. } => panic!("one greeting is enough"),
            }
        }
    }

    #[test]
    fn a_slow_call_does_not_hold_up_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flag").to_str().unwrap().to_owned();
        let mut runner = Runner::start();
        runner.call(1, Request::Await { path: path.clone(), until: Condition::Exists, limit_ms: 10_000 });
        runner.call(2, Request::Ping);
        assert_eq!(runner.answer().id, 2);
        std::fs::write(&path, "").unwrap();
        let slow = runner.answer();
        assert_eq!((slow.id, slow.outcome), (1, Outcome::Text(String::new())));
        assert!(slow.micros > 0);
    }

    #[test]
    fn power_off_is_answered_and_ends_the_service() {
        let mut runner = Runner::start();
        runner.call(7, Request::PowerOff);
        assert_eq!(runner.answer().id, 7);
        runner.served.join().unwrap().unwrap();
    }

    #[test]
    fn what_is_no_call_ends_the_service() {
        let mut runner = Runner::start();
        runner.send("echo hello");
        assert!(matches!(runner.served.join().unwrap(), Err(ServeError::NotACall(_))));
        let mut runner = Runner::start();
        runner.send(&"[".repeat(MAX_LINE + 1));
        assert!(matches!(runner.served.join().unwrap(), Err(ServeError::NotACall(_))));
    }

    #[test]
    fn a_runner_that_leaves_ends_the_service() {
        let Runner { port, served } = Runner::start();
        drop(port);
        assert!(matches!(served.join().unwrap(), Err(ServeError::RunnerGone)));
    }
}
