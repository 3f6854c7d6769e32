//! A client, as a good application is written: it holds on to its work, not to the device.
//!
//! When the device is lost it drops what it had there, waits for the device that returns, and does again what was not
//! done. When a job fails and the device stays, it does that tile again, but not for ever.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lifeboat::core::fence::FenceError;
use lifeboat::{CallError, WaitError};

use super::budget::Budget;
use super::filter::Convolution;
use super::machine::Watch;
use super::picture::Picture;
use super::progress::Progress;
use super::session::{Flight, Landing, Session};
use super::tally::Tally;
use super::timeline::{Outcome, Timeline, Track};
use super::workload::Workload;

/// How often a tile is tried again on a device that is there. Then the run ends, and reports its jobs as lost.
const MAX_FAILURES: u32 = 20;

/// What all clients share.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) watch: &'a Watch,
    pub(super) workload: &'a Workload,
    pub(super) source: &'a Picture,
    pub(super) convolution: &'a Convolution,
    pub(super) budget: &'a Budget,
    pub(super) timeline: &'a Timeline,
    pub(super) progress: &'a Progress,
    /// How long to wait for a device before giving up.
    pub(super) patience: Duration,
}

pub(super) struct Client<'a> {
    around: Surroundings<'a>,
    track: Track,
    pub(super) tally: Tally,
    /// The pixels of one tile, on their way to the output.
    pixels: Vec<u8>,
}

impl<'a> Client<'a> {
    pub(super) fn new(number: u8, around: Surroundings<'a>) -> Self {
        Self { around, track: Track::Client(number), tally: Tally::default(), pixels: Vec::new() }
    }

    /// Works until all is done, the user wants to stop, or there is no device to be had.
    ///
    /// # Errors
    /// What a call says that is not loss of the device. The others stop too then.
    pub(super) fn work(&mut self) -> Result<(), CallError> {
        let Surroundings { watch, workload, source, convolution, budget, timeline, patience, .. } = self.around;
        while !workload.is_over() {
            let began = Instant::now();
            let Some(device) = watch.device(patience, || workload.is_over()) else {
                workload.close();
                break;
            };
            timeline.span(self.track, "waiting for a device", began, Instant::now(), Outcome::Waiting);
            let session = Session::open(&device, source, convolution, budget);
            // The session has its own hold on the device.
            drop(device);
            match session.and_then(|session| self.serve(session)) {
                Err(error) if !error.is_loss() => {
                    workload.close();
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Works on one device, until the work is over or the device is lost.
    fn serve(&mut self, mut session: Session<'a>) -> Result<(), CallError> {
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
    fn land(&mut self, session: &Session<'a>, flight: Flight) -> Result<usize, CallError> {
        let Surroundings { workload, timeline, progress, .. } = self.around;
        let began = flight.began;
        let landing = Session::land(flight, &mut self.tally);
        if timeline.is_on() {
            timeline.span(self.track, landing.item.to_string(), began, Instant::now(), outcome(&landing));
        }
        let slot = landing.slot;
        if landing.done {
            session.download(&landing, &mut self.pixels)?;
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
        Ok(slot)
    }
}

fn outcome(landing: &Landing) -> Outcome {
    match landing.error {
        _ if landing.done => Outcome::Done,
        None | Some(WaitError::Failed(FenceError::Lost)) => Outcome::Lost,
        Some(_) => Outcome::Faulted,
    }
}
