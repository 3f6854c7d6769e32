//! A made-up recording of a run in which a job hangs and the device is pulled out: for tests and to look at.

use std::time::Duration;

use super::{MarkKind, Outcome, Recording, Timeline, Track};

const UNPLUG: u64 = 1_600_000;
const REPLUG: u64 = 1_803_000;
const HANG: u64 = 700_000;
const END: u64 = 4_000_000;

pub(super) fn recording() -> Recording {
    let mut random = fastrand::Rng::with_seed(5);
    let timeline = Timeline::start();
    let at = |us: u64| timeline.origin + Duration::from_micros(us);
    for client in 1..=4 {
        // Two jobs of each client are under way at a time.
        for _ in 0..2 {
            let mut now = random.u64(0..2_000);
            while now < END {
                let length = random.u64(3_000..9_000);
                let mut end = now + length;
                let mut outcome = Outcome::Done;
                if now < UNPLUG && end > UNPLUG {
                    (end, outcome) = (UNPLUG + 130 + random.u64(0..40), Outcome::Lost);
                } else if client == 2 && now < HANG && end > HANG {
                    (end, outcome) = (HANG + 120_000, Outcome::Faulted);
                }
                timeline.span(Track::Client(client), format!("tile {}", random.u16(0..28)), at(now), at(end), outcome);
                now = end + random.u64(20..300);
                if outcome == Outcome::Done && (UNPLUG..REPLUG).contains(&now) {
                    (now, outcome) = (UNPLUG + 150, Outcome::Lost);
                }
                if outcome == Outcome::Lost {
                    timeline.span(Track::Client(client), "reopen", at(now), at(REPLUG + 900), Outcome::Waiting);
                    now = REPLUG + 1_000;
                }
            }
        }
    }
    for ring in 0..2 {
        let mut now = 500;
        while now < END {
            let mut end = now + random.u64(800..1_900);
            let mut outcome = Outcome::Done;
            if now < UNPLUG && end > UNPLUG {
                (end, outcome) = (UNPLUG, Outcome::Lost);
            } else if ring == 1 && now < HANG && end > HANG {
                (end, outcome) = (HANG + 119_500, Outcome::Faulted);
            }
            timeline.span(Track::Ring(ring), "convolve", at(now), at(end), outcome);
            now = end + random.u64(5..60);
            if (UNPLUG..REPLUG).contains(&now) {
                now = REPLUG + 1_200;
            }
        }
    }
    timeline.span(Track::Device, "card0", at(0), at(UNPLUG), Outcome::Present);
    timeline.span(Track::Device, "card1", at(REPLUG + 800), at(END), Outcome::Present);
    timeline.span(Track::Unplug, "ring reset", at(HANG + 119_500), at(HANG + 120_100), Outcome::Step);
    let mut now = UNPLUG + 40;
    for (step, length) in
        [("announce", 25), ("retire", 80), ("drain", 140), ("sweep", 30), ("cut", 55), ("release", 60)]
    {
        timeline.span(Track::Unplug, step, at(now), at(now + length), Outcome::Step);
        now += length;
    }
    timeline.mark("hang@job:217", at(HANG), MarkKind::Fault);
    timeline.mark("unplug@40%", at(UNPLUG), MarkKind::Unplug);
    timeline.mark("replug", at(REPLUG), MarkKind::Replug);
    timeline.finish()
}
