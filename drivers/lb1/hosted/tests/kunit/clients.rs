//! What a job costs beside its own work, and users who submit, wait and sleep side by side.
//!
//! How long somebody waits is counted in jobs of others, since this machine's own time says little.

use std::thread;
use std::time::Duration;

use lifeboat_lb1_hosted::Placement;
use lifeboat_lb1_hosted::command::{Copy, GpuVa, Work};

use crate::rig::{Job, Lane};
use crate::*;

const JOBS: usize = 1000;

/// A thousand jobs behind one that blocks the ring, one queue or two that depend on each other in turn. However many
/// wait, each costs the same few register accesses.
fn overhead(queues: usize, chained: bool) {
    let rig = Rig::with(Options { entries: 1024, ..Options::default() });
    let lanes = rig.lanes(queues);
    let mut jobs = vec![rig.block(&lanes[0])];
    for number in 1..=JOBS {
        let spec = Spec { after: jobs.last().filter(|_| chained), ..Spec::default() };
        jobs.push(rig.submit(&lanes[number % queues], &spec));
    }
    let before = rig.machine.card().counters();
    rig.all_done(&jobs);
    let after = rig.machine.card().counters();
    assert_eq!(after.jobs - before.jobs, JOBS as u64, "each ran once");
    // One to ring the doorbell. An interrupt takes two for the sources and two for each ring; it may come in two parts.
    let accesses = after.accesses - before.accesses;
    assert!(accesses <= (1 + 2 * 4) * (JOBS as u64 + 1), "{accesses} accesses for {JOBS} jobs");
    assert!(after.interrupts_sent - before.interrupts_sent <= JOBS as u64 + 1);
    rig.all_done_in_order(&jobs);
    drop((lanes, jobs));
    rig.finish();
}

#[test]
fn drm_sched_scheduler_queue_overhead() {
    overhead(1, false);
}

#[test]
fn drm_sched_scheduler_ping_pong() {
    overhead(2, true);
}

/// One who submits some jobs, waits for the last (if `sync`), sleeps, and begins again. In microseconds of the kernel's
/// case; here all of it is as much shorter as [`SHORTER`] says.
#[derive(Debug, Clone, Copy)]
struct Params {
    priority: Priority,
    jobs: u32,
    job: u32,
    sleep: u32,
    sync: bool,
}

const SHORTER: u32 = 20;
/// What the model copies in a microsecond, about.
const BYTES_PER_US: u32 = 2000;
/// Of work and sleep for each client, before it is made shorter.
const TOTAL: u32 = 400_000;

const fn client(priority: Priority, jobs: u32, job: u32, sleep: u32, sync: bool) -> Params {
    Params { priority, jobs, job, sleep, sync }
}

/// What a client saw: its jobs, each with the number of jobs that had begun when it was in its queue.
type Seen = Vec<(Job, usize)>;

impl Params {
    /// Where the copies go that take the job's time: as far as one reaches, and then again.
    fn work(self, scratch: GpuVa) -> Vec<Work> {
        let mut left = self.job / SHORTER * BYTES_PER_US;
        let mut copies = vec![];
        while left > 0 {
            let bytes = left.min(SCRATCH / 2);
            copies.push(Work::Copy(Copy::linear(GpuVa(scratch.0 + u64::from(SCRATCH / 2)), scratch, bytes)));
            left -= bytes;
        }
        copies
    }

    fn cycles(self) -> u32 {
        TOTAL.div_ceil(self.jobs * self.job + self.sleep)
    }

    fn play(self, rig: &Rig, lane: &Lane, credits: u32, work: &[Work]) -> Seen {
        let mut seen = vec![];
        for _ in 0..self.cycles() {
            for _ in 0..self.jobs {
                let job = rig.submit(lane, &Spec { credits, then: work, ..Spec::default() });
                seen.push((job, rig.hold.begun()));
            }
            if let Some((last, _)) = seen.last().filter(|_| self.sync) {
                assert_eq!(last.fence.wait(LONG), Ok(()));
            }
            // This is what the client does, and nobody relies on it.
            thread::sleep(Duration::from_micros((self.sleep / SHORTER).into()));
        }
        seen
    }
}

const SCRATCH: u32 = 1 << 20;

/// So many jobs each of a client and of one with a lower priority, who has a turn when he was passed by 16 times.
fn by_priority(each: usize) -> Vec<usize> {
    let (mut turns, mut passed, mut left) = (vec![], 0, [each; 2]);
    while turns.len() < 2 * each {
        let turn = usize::from(passed == 16 && left[1] > 0 || left[0] == 0);
        passed = if turn == 0 { passed + 1 } else { 0 };
        left[turn] -= 1;
        turns.push(turn);
    }
    turns
}

#[test]
fn drm_sched_scheduler_two_clients() {
    use Priority::{High, Low, Normal};
    let pairs = [
        // normal and normal, normal and low, high and normal, high and low
        [client(Normal, 1, 8000, 0, false), client(Normal, 1, 8000, 0, false)],
        [client(Normal, 1, 8000, 0, false), client(Low, 1, 8000, 0, false)],
        [client(High, 1, 8000, 0, false), client(Normal, 1, 8000, 0, false)],
        [client(High, 1, 8000, 0, false), client(Low, 1, 8000, 0, false)],
        // 50 and 50, 50 and 50 low, 50 high and 50
        [client(Normal, 1, 1500, 1500, true), client(Normal, 1, 2500, 2500, true)],
        [client(Normal, 1, 1500, 1500, true), client(Low, 1, 2500, 2500, true)],
        [client(High, 1, 1500, 1500, true), client(Normal, 1, 2500, 2500, true)],
        // low hog and interactive, heavy and interactive, very heavy and interactive
        [client(Low, 3, 2500, 500, false), client(Normal, 1, 500, 10_000, true)],
        [client(Normal, 3, 2500, 2500, true), client(Normal, 1, 1000, 9000, true)],
        [client(Normal, 4, 50_000, 1, true), client(Normal, 1, 1000, 9000, true)],
    ];
    for (pair, at_once) in pairs.into_iter().flat_map(|pair| [(pair, 1), (pair, 2)]) {
        two_clients(pair, at_once);
    }
}

fn two_clients(pair: [Params; 2], at_once: u32) {
    let rig = Rig::with(Options { entries: 1024, ..Options::default() });
    let buffer = rig.handle.create_buffer(Placement::Vram, SCRATCH.into()).unwrap();
    let scratch = rig.handle.map(&rig.space.context, &buffer).unwrap();
    let lanes = pair.map(|params| rig.lane(0, params.priority));
    let blocker = rig.lane(0, Priority::High);
    let never_idle = pair.iter().all(|params| !params.sync && params.sleep == 0);
    let first = rig.block(&blocker);
    if !never_idle {
        // Only those who never wait are to have their queues full before any of it begins.
        rig.hold.open();
    }
    let credits = rig.credits_of(at_once);
    let seen: Vec<Seen> = thread::scope(|scope| {
        let rig = &rig;
        let play = |(params, lane): (Params, &Lane)| params.play(rig, lane, credits, &params.work(scratch));
        let clients = pair.into_iter().zip(&lanes).map(|client| scope.spawn(move || play(client)));
        let clients: Vec<_> = clients.collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    rig.all_done(seen.iter().flatten().map(|(job, _)| job));
    let log = rig.log();
    assert_eq!(log.len(), 1 + seen.iter().map(Vec::len).sum::<usize>());
    let place = |job: &Job| log.iter().position(|number| *number == job.number).unwrap();
    for (own, other) in [(0, 1), (1, 0)] {
        let (params, other) = (pair[own], pair[other]);
        let places: Vec<usize> = seen[own].iter().map(|(job, _)| place(job)).collect();
        assert!(places.is_sorted(), "{params:?} out of order");
        if params.sync && params.jobs == 1 && params.priority <= other.priority {
            // What is on the ring, and one turn of an equal.
            let ahead = at_once as usize + usize::from(params.priority == other.priority);
            for (place, (_, begun)) in places.into_iter().zip(&seen[own]) {
                assert!(place <= begun + ahead, "{params:?} waited for {} of {other:?}", place - begun);
            }
        }
    }
    if never_idle {
        let turns: Vec<usize> =
            log[1..].iter().map(|number| usize::from(seen[0].iter().all(|(job, _)| job.number != *number))).collect();
        let each = seen[0].len();
        if pair[0].priority == pair[1].priority {
            // Turn by turn, whoever was the first.
            assert!(turns.windows(2).all(|turn| turn[0] != turn[1]), "{pair:?}: {turns:?}");
        } else {
            assert_eq!(turns, by_priority(each), "{pair:?}");
        }
    }
    drop((lanes, blocker, first, seen, buffer));
    rig.finish();
}

/// Each submits four jobs, waits for the last, and begins again.
#[test]
fn drm_sched_scheduler_many_clients() {
    const EACH: usize = 4;
    for count in [2, 3, 7, 13, 31] {
        let rig = Rig::with(Options { entries: 1024, ..Options::default() });
        let lanes = rig.lanes(count);
        let spec = Spec { credits: rig.credits_of(1), ..Spec::default() };
        let cycle = |lane: &Lane| (0..EACH).map(|_| rig.submit(lane, &spec)).collect::<Vec<Job>>();
        // All are ready before the ring is: they take turns.
        let first = rig.block(&lanes[0]);
        let jobs: Vec<Vec<Job>> = lanes.iter().map(cycle).collect();
        rig.all_done(jobs.iter().flatten());
        let by_turns = (0..EACH).flat_map(|turn| jobs.iter().map(move |jobs| jobs[turn].number));
        assert_eq!(rig.log(), std::iter::once(first.number).chain(by_turns).collect::<Vec<_>>(), "of {count}");
        // As they come: nobody waits for more than a turn of each of the others for each job of its own, behind what
        // was on the ring.
        let cycles = if count > 10 { 3 } else { 10 };
        let seen: Vec<Vec<(u32, usize)>> = thread::scope(|scope| {
            let play = |lane| {
                let each = |_| {
                    let last = cycle(lane).pop().unwrap();
                    let begun = rig.hold.begun();
                    assert_eq!(last.fence.wait(LONG), Ok(()));
                    (last.number, begun)
                };
                (0..cycles).map(each).collect()
            };
            let clients: Vec<_> = lanes.iter().map(|lane| scope.spawn(move || play(lane))).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        let log = rig.log();
        assert_eq!(log.len(), 1 + count * EACH * (1 + cycles));
        for (number, begun) in seen.into_iter().flatten() {
            let place = log.iter().position(|other| *other == number).unwrap();
            assert!(place <= begun + 1 + count * EACH, "of {count}, one waited for {}", place - begun);
        }
        drop((lanes, first, jobs));
        rig.finish();
    }
}
