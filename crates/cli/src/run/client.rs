//! A client, as a good application is written: it holds on to its work, not to the device.
//!
//! When the device is lost it drops what it had there, waits for the device that returns, and does again what was not
//! done. When a job fails and the device stays, it does that tile again, but not for ever.

use std::collections::VecDeque;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use lifeboat::WaitError;
use lifeboat::core::fence::FenceError;

use super::budget::Budget;
use super::devices::{Devices, Opened, Refused};
use super::error::RunError;
use super::filter::Convolution;
use super::picture::Picture;
use super::progress::Progress;
use super::session::{Flight, Landing, Session};
use super::tally::Tally;
use super::timeline::{Outcome, Timeline, Track};
use super::workload::Workload;

/// How often a tile is tried again on a device that is there. Then the run ends, and reports its jobs as lost.
const MAX_FAILURES: u32 = 20;

/// What all clients share.
pub(super) struct Surroundings<'a, D> {
    pub(super) devices: &'a D,
    pub(super) workload: &'a Workload,
    pub(super) source: &'a Picture,
    pub(super) convolution: &'a Convolution,
    pub(super) budget: &'a Budget,
    pub(super) timeline: &'a Timeline,
    pub(super) progress: &'a Progress,
    /// How long to wait for a device before giving up.
    pub(super) patience: Duration,
}

struct Client<'a, D> {
    around: &'a Surroundings<'a, D>,
    track: Track,
    tally: Tally,
    /// The pixels of one tile, on their way to the output.
    pixels: Vec<u8>,
}

/// Has `count` clients work, each on a thread of its own, until all is done, the user wants to stop, or there is no device to be
/// had.
///
/// # Errors
/// Error of a call, other than the loss of the device. The other clients stop then, too.
pub(super) fn work_all<D: Devices>(count: u8, around: &Surroundings<'_, D>) -> Result<Tally, RunError> {
    thread::scope(|scope| {
        let client = |number| {
            thread::Builder::new().name(format!("client {number}")).spawn_scoped(scope, move || {
                let mut client =
                    Client { around, track: Track::Client(number), tally: Tally::default(), pixels: Vec::new() };
                client.work().map(|()| client.tally)
            })
        };
        let clients: Vec<_> = (1..=count).map(client).collect();
        if clients.iter().any(Result::is_err) {
            // Clients that were started must not wait for the others.
            around.workload.close();
        }
        let tallies: Result<Vec<_>, RunError> = clients.into_iter().map(|client| joined(client?)).collect();
        Ok(tallies?.into_iter().fold(Tally::default(), Tally::plus))
    })
}

/// Result of a thread; a panic of it goes on here.
pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl<'a, D: Devices> Client<'a, D> {
    fn work(&mut self) -> Result<(), RunError> {
        let Surroundings { devices, workload, source, convolution, budget, timeline, patience, .. } = *self.around;
        while !workload.is_over() {
            let began = Instant::now();
            let session = match devices.open(patience, &|| workload.is_over()) {
                Ok(None) => {
                    workload.close();
                    break;
                }
                Ok(Some(device)) => {
                    timeline.span(self.track, "waiting for a device", began, Instant::now(), Outcome::Waiting);
                    Session::begin(device, source, convolution, budget)
                }
                Err(refused) => Err(refused),
            };
            let served = match session {
                Ok(session) => self.serve(session),
                Err(Refused::Failed(error)) => Err(error),
                // The next device, or the next context, may serve.
                Err(Refused::Lost | Refused::Banned) => Ok(()),
            };
            if let Err(error) = served {
                workload.close();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Works on one device, until the work is over or the device is lost.
    fn serve(&mut self, mut session: Session<'a, D::Opened>) -> Result<(), RunError> {
        let workload = self.around.workload;
        let mut flights = VecDeque::new();
        let mut free: Vec<usize> = (0..session.depth()).collect();
        loop {
            while let Some(slot) = free.pop() {
                // With nothing under way there is time to wait for what others may bring back.
                let item = if flights.is_empty() { workload.take() } else { workload.try_take() };
                let Some(item) = item else {
                    free.push(slot);
                    break;
                };
                flights.push_back(session.submit(item, slot, &mut self.tally)?);
            }
            let Some(flight) = flights.pop_front() else { return Ok(()) };
            let slot = self.land(&session, flight)?;
            if !session.is_live() {
                return flights.into_iter().try_for_each(|flight| self.land(&session, flight).map(drop));
            }
            free.push(slot);
        }
    }

    /// Waits for a tile, and delivers its pixels or brings it back.
    fn land(
        &mut self,
        session: &Session<'a, D::Opened>,
        flight: Flight<<D::Opened as Opened>::Fence>,
    ) -> Result<usize, RunError> {
        let Surroundings { workload, timeline, progress, .. } = *self.around;
        let began = flight.began;
        let mut landing = session.land(flight, &mut self.tally);
        if landing.done {
            match session.download(&landing, &mut self.pixels) {
                Ok(()) => {}
                Err(Refused::Failed(error)) => return Err(error),
                // The jobs were done, but nobody will see their result.
                Err(Refused::Lost | Refused::Banned) => landing.done = false,
            }
        }
        if timeline.is_on() {
            timeline.span(self.track, landing.item.to_string(), began, Instant::now(), outcome(&landing));
        }
        if landing.done {
            workload.finish(&landing.item, &self.pixels);
            progress.tiles_done(1);
        } else {
            let mut item = landing.item;
            // A loss is nobody's fault; a job that fails again and again will not get better.
            item.failures += u32::from(landing.error.is_some() && session.is_live());
            let hopeless = item.failures >= MAX_FAILURES;
            workload.bring_back(item);
            if hopeless {
                workload.close();
            }
        }
        Ok(landing.slot)
    }
}

fn outcome(landing: &Landing) -> Outcome {
    match landing.error {
        _ if landing.done => Outcome::Done,
        None | Some(WaitError::Failed(FenceError::Lost)) => Outcome::Lost,
        Some(_) => Outcome::Faulted,
    }
}

#[cfg(test)]
mod tests;
