//! What the scheduler costs in events, and users who submit, wait and sleep side by side.

use super::mock::{Counts, Spec};
use super::*;

const JOBS: usize = 1000;

/// A thousand jobs of a millisecond, one on the ring at a time, behind one that blocks it: first as one queue, then as
/// two that depend on each other in turn. Nothing but the jobs may take time, and each job costs a fixed number of
/// calls, however many wait behind it.
fn overhead(queues: usize, dependencies: usize) {
    let mut mock = Mock::new(JOBS + 1, 1, 1);
    let queues = mock.queues(queues);
    let mut last = None;
    for number in 0..=JOBS {
        let spec = if number == 0 { Spec::blocking() } else { job(1000) };
        last = Some(mock.submit(queues[number % queues.len()], spec.after(last.filter(|_| dependencies > 0))));
    }
    assert_eq!(mock.started.len(), 1);
    mock.counts = Counts { submissions: mock.counts.submissions, ..Counts::default() };
    let begin = mock.now;
    assert_eq!(mock.advance(0, 1), 1);
    while let Some((at, ring)) = mock.next_completion() {
        mock.now = at;
        mock.advance(ring, 1);
    }
    assert_eq!(mock.now, begin.plus(Duration::from_secs(1)), "ideal");
    assert_eq!(starts(&mock), (0..=JOBS).collect::<Vec<_>>());
    let expected = Counts {
        submissions: JOBS + 1,
        dependencies,
        completions: JOBS + 1,
        // Run, signal, release, and that there is no more; the first had been run.
        polls: 4 * JOBS + 3,
        runs: JOBS,
        signals: JOBS + 1,
        releases: JOBS + 1,
    };
    assert_eq!(mock.counts, expected);
    mock.assert_all_done();
}

#[test]
fn drm_sched_scheduler_queue_overhead() {
    overhead(1, 0);
}

#[test]
fn drm_sched_scheduler_ping_pong() {
    overhead(2, JOBS);
}

/// One who submits some jobs, waits for the last (if `sync`), sleeps, and begins again. Times in microseconds.
#[derive(Debug, Clone, Copy)]
struct Params {
    priority: Priority,
    jobs: u64,
    job: u64,
    sleep: u64,
    sync: bool,
}

const fn client(priority: Priority, jobs: u64, job: u64, sleep: u64, sync: bool) -> Params {
    Params { priority, jobs, job, sleep, sync }
}

#[derive(Debug)]
struct Client {
    params: Params,
    queue: usize,
    cycles: u64,
    /// Cycles that are over, and how long the longest wait was beyond the job's own time.
    cycle: u64,
    latency: Duration,
    began: Timestamp,
    /// The job it waits for, or when it wakes.
    last: Option<usize>,
    wakes: Option<Timestamp>,
}

impl Client {
    /// `seconds` of work and sleep, if it were alone.
    fn new(mock: &mut Mock, params: Params, seconds: u64) -> Self {
        let queue = mock.queue(0, params.priority);
        let cycles = (seconds * 1_000_000).div_ceil(params.jobs * params.job + params.sleep);
        let (began, wakes) = (mock.now, Some(mock.now));
        Self { params, queue, cycles, cycle: 0, latency: Duration::ZERO, began, last: None, wakes }
    }

    /// Does what it can do now.
    fn step(&mut self, mock: &mut Mock) {
        loop {
            if let Some(at) = self.wakes.filter(|at| *at <= mock.now && self.cycle < self.cycles) {
                (self.began, self.wakes) = (at, None);
                for _ in 0..self.params.jobs {
                    self.last = Some(mock.submit(self.queue, job(self.params.job)));
                }
            }
            let ended = self.last.and_then(|job| mock.end_of(job));
            if self.wakes.is_some() || self.params.sync && ended.is_none() {
                return;
            }
            if let Some(ended) = ended {
                let alone = self.began.plus(Duration::from_micros(self.params.jobs * self.params.job));
                let latency = ended.since_beginning().checked_sub(alone.since_beginning()).unwrap();
                self.latency = self.latency.max(latency);
            }
            self.cycle += 1;
            self.wakes = Some(mock.now.plus(Duration::from_micros(self.params.sleep)));
        }
    }

    fn is_over(&self) -> bool {
        self.cycle == self.cycles
    }

    fn done(&self, mock: &Mock) -> Option<Timestamp> {
        self.last.and_then(|job| mock.end_of(job))
    }
}

/// Until all are done; `each` sees every moment at which something happens.
fn play(mock: &mut Mock, clients: &mut [Client], mut each: impl FnMut(&[Client])) {
    loop {
        for client in clients.iter_mut().filter(|client| !client.is_over()) {
            client.step(mock);
        }
        each(clients);
        let wakes = clients.iter().filter(|client| !client.is_over()).filter_map(|client| client.wakes);
        let Some(next) = wakes.chain(mock.next_completion().map(|(at, _)| at)).min() else { return };
        mock.run_until(next);
    }
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
    for (pair, credits) in pairs.into_iter().flat_map(|pair| [(pair, 1), (pair, 2)]) {
        let mut mock = Mock::new(1024, 1, credits);
        let mut clients = pair.map(|params| Client::new(&mut mock, params, 1));
        play(&mut mock, &mut clients, |_| {});
        for (own, other) in [(0, 1), (1, 0)] {
            let (client, params, other) = (&clients[own], clients[own].params, clients[other].params);
            if params.sync && params.jobs == 1 && params.priority <= other.priority {
                // What is on the ring, and one turn of an equal.
                let ahead = u64::from(credits) + u64::from(params.priority == other.priority);
                let bound = Duration::from_micros(ahead * other.job);
                assert!(client.latency <= bound, "{params:?} waited {:?} for {other:?}", client.latency);
            }
        }
        if pair.iter().all(|params| !params.sync && params.sleep == 0) {
            let ends = [0, 1].map(|own| clients[own].done(&mock).unwrap());
            // Turn by turn after what had filled the ring before the other came, or all of one, with a turn of the other
            // now and then, and then the rest of that: with nothing between.
            let lower = (125 - u64::from(credits)) / u64::from(PASSES);
            let first = if pair[0].priority == pair[1].priority { 249 - u64::from(credits) } else { 125 + lower };
            assert_eq!(ends, [micros(first * 8000), micros(250 * 8000)], "{pair:?}");
        }
        mock.assert_all_done();
    }
}

#[test]
fn drm_sched_scheduler_many_clients() {
    for count in [2, 3, 7, 13, 31] {
        let mut mock = Mock::new(4 * count, 1, 1);
        let params = client(Priority::Normal, 4, 1000, 0, true);
        let mut clients: Vec<Client> = (0..count).map(|_| Client::new(&mut mock, params, 1)).collect();
        play(&mut mock, &mut clients, |clients| {
            let cycles = clients.iter().map(|client| client.cycle);
            assert!(cycles.clone().max().unwrap() - cycles.min().unwrap() <= 1, "of {count}, one lags behind");
        });
        assert_eq!(mock.now, micros(1_000_000 * count as u64), "the ring was never idle");
        // Four turns of all, and one that the ring had begun when it came back.
        let cycle = Duration::from_millis(4 * count as u64 + 1);
        let longest = clients.iter().map(|client| client.latency + Duration::from_millis(4)).max();
        assert!(longest <= Some(cycle), "of {count}, one waited {longest:?}");
        mock.assert_all_done();
    }
}
