//! Answering on the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::{REQUEST_LIMIT, Reply, Request, Status, Trigger, WitnessReport};
use crate::bay::Bay;
use crate::listen::Listener;
use crate::shutdown::Stopper;

/// Connections at a time; further ones are told to come back.
const CONNECTIONS: usize = 16;
/// How long a connection may be silent, or leave an answer unread.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct ControlListener {
    listener: Listener,
    bay: Arc<Bay>,
    stopper: Stopper,
}

impl ControlListener {
    pub(crate) fn new(listener: Listener, bay: Arc<Bay>, stopper: Stopper) -> Self {
        Self { listener, bay, stopper }
    }

    /// Answers until the end.
    pub(crate) fn run(self) {
        let mut connections: Vec<JoinHandle<()>> = Vec::new();
        while !self.stopper.is_stopped() {
            let accepted = self.listener.socket.accept();
            connections.retain(|connection| !connection.is_finished());
            let started = accepted.and_then(|(stream, _)| {
                stream.set_read_timeout(Some(IDLE_LIMIT))?;
                stream.set_write_timeout(Some(IDLE_LIMIT))?;
                if connections.len() >= CONNECTIONS {
                    let message = "too many control connections".to_owned();
                    return answer(&stream, &Reply::Error { message }).map(|()| None);
                }
                let (bay, stopper) = (Arc::clone(&self.bay), self.stopper.clone());
                let talk = move || {
                    if let Err(error) = talk(&stream, &bay, &stopper) {
                        debug!(%error, "control connection lost");
                    }
                };
                thread::Builder::new().name("lb1-control".to_owned()).spawn(talk).map(Some)
            });
            match started {
                Ok(connection) => connections.extend(connection),
                Err(_) if self.stopper.is_stopped() => break,
                Err(error) => {
                    warn!(%error, "control connection not accepted");
                    self.stopper.pause(ACCEPT_PAUSE);
                }
            }
        }
        for connection in connections {
            // One that panicked has said so.
            let _ = connection.join();
        }
    }
}

/// Answers on one connection until it is closed, or falls silent.
fn talk(stream: &UnixStream, bay: &Bay, stopper: &Stopper) -> io::Result<()> {
    let Some(_watched) = stopper.watch_stream(stream)? else { return Ok(()) };
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        (&mut reader).take(REQUEST_LIMIT).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            // What follows is the rest of the same line, or nothing.
            let message = format!("a request is one line of less than {REQUEST_LIMIT} bytes");
            return answer(stream, &Reply::Error { message });
        }
        match serde_json::from_slice(&line) {
            Ok(request) => {
                answer(stream, &carry_out(&request, bay))?;
                if request == Request::Stop {
                    stopper.stop();
                    return Ok(());
                }
            }
            Err(error) => answer(stream, &Reply::Error { message: format!("not a request: {error}") })?,
        }
    }
}

fn answer(mut stream: &UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn carry_out(request: &Request, bay: &Bay) -> Reply {
    match *request {
        Request::Status => Reply::Status(status(bay)),
        Request::Witness => {
            let (violations, count) = bay.violations();
            let violations = violations.iter().map(ToString::to_string).collect();
            Reply::Witness(WitnessReport { count: count as u64, violations })
        }
        Request::Inject { at: Some(Trigger::Access(0) | Trigger::Job(0) | Trigger::Reset(0)), .. } => {
            Reply::Error { message: "a trigger counts from 1".to_owned() }
        }
        Request::Inject { fault, at } => {
            info!(?fault, ?at, "inject");
            bay.inject(fault.into(), at.map(Into::into));
            Reply::Done
        }
        Request::Replace => match bay.replace() {
            Ok(()) => Reply::Done,
            Err(error) => Reply::Error { message: format!("the card could not be replaced: {error}") },
        },
        Request::Stop => Reply::Done,
    }
}

fn status(bay: &Bay) -> Status {
    let card = bay.card();
    Status {
        present: card.is_present(),
        card: bay.card_number(),
        attached: bay.is_attached(),
        clients: bay.clients(),
        mappings: bay.mappings() as u64,
        vectors: bay.connected_vectors() as u64,
        heartbeat: card.heartbeat(),
        violations: bay.violations().1 as u64,
        counters: card.counters().into(),
    }
}
