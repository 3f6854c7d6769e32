//! Submits jobs, and looks whether their results are right.

use fastrand::Rng;
use lifeboat::{Fence, Priority};
use lifeboat_lb1_hosted::command::{Copy, Fill, Work as Command};
use lifeboat_lb1_hosted::{Buffer, Context, Handle, Placement, Queue, Submission};

use super::{Desk, Work};

/// Bytes of a buffer.
const BYTES: u32 = 4096;

struct Bench<'a> {
    desk: &'a Desk<'a>,
    queues: [Queue; 2],
    context: Context,
    host: Buffer,
    commands: [Command; 2],
    handle: Handle,
}

/// A job that is under way: its two halves, and what it computes.
struct UnderWay {
    fill: Fence,
    copy: Fence,
    pattern: u32,
}

pub(super) fn work(desk: &Desk<'_>, random: &mut Rng) {
    while desk.goes_on() {
        // A context may be refused after too many resets; another one is not.
        let Some(bench) = Bench::new(desk) else { continue };
        bench.work(random);
    }
}

impl<'a> Bench<'a> {
    fn new(desk: &'a Desk<'a>) -> Option<Self> {
        let handle = desk.open()?;
        let context = desk.call("create-context", || handle.create_context())?;
        let queue = |ring| desk.call("create-queue", || handle.create_queue(&context, ring, Priority::Normal));
        let queues = [queue(0)?, queue(1)?];
        let buffer = |placement| desk.call("create-buffer", || handle.create_buffer(placement, BYTES.into()));
        let (host, vram) = (buffer(Placement::Host)?, buffer(Placement::Vram)?);
        let map = |buffer| desk.call("map", || handle.map(&context, buffer));
        let (host_va, vram_va) = (map(&host)?, map(&vram)?);
        let fill = Command::Fill(Fill { dst: vram_va, bytes: BYTES.into(), pattern: 0 });
        let copy = Command::Copy(Copy::linear(host_va, vram_va, BYTES));
        Some(Self { desk, queues, context, host, commands: [fill, copy], handle })
    }

    fn work(&self, random: &mut Rng) {
        let mut refused = 0;
        while self.desk.goes_on() && !self.context.reset_stats().banned {
            match self.submit(random) {
                Some(job) => self.check(&job, random),
                None => refused += 1,
            }
            // Enough to see that it stays so; then another handle is tried.
            if refused == 3 {
                return;
            }
        }
    }

    /// One job that writes and one that waits for it and reads, perhaps on the other ring; and some that do nothing.
    fn submit(&self, random: &mut Rng) -> Option<UnderWay> {
        let [Command::Fill(fill), copy] = self.commands else { return None };
        let pattern = random.u32(..);
        let ring = random.usize(..2);
        let fill = self.make(ring, &[Command::Fill(Fill { pattern, ..fill })], &[])?;
        for _ in 0..random.usize(..3) {
            let idle = self.make(random.usize(..2), &[Command::Nop], &[]);
            if let Some(idle) = idle {
                self.desk.round.share(&idle);
            }
        }
        let copied = self.make(random.usize(..2), &[copy], std::slice::from_ref(&fill));
        let Some(copy) = copied else {
            // Whatever has refused the second half, the first one ends.
            let _ = self.desk.settle(&fill, self.alone());
            return None;
        };
        self.desk.round.share(&copy);
        Some(UnderWay { fill, copy, pattern })
    }

    fn make(&self, ring: usize, commands: &[Command], after: &[Fence]) -> Option<Fence> {
        let submission = Submission { after, restartable: true, ..Submission::new(&self.queues[ring], commands) };
        self.desk.call_of("submit", Some(&self.context), || self.handle.submit(&submission))
    }

    fn alone(&self) -> Work<'_> {
        Work { context: Some(&self.context), depends: false }
    }

    /// Waits for it, or first for what comes before it.
    fn check(&self, job: &UnderWay, random: &mut Rng) {
        let filled = random.bool().then(|| self.desk.settle(&job.fill, self.alone()));
        let copied = self.desk.settle(&job.copy, Work { depends: true, ..self.alone() });
        let filled = filled.unwrap_or_else(|| self.desk.settle(&job.fill, self.alone()));
        if copied.is_err() {
            return;
        }
        if filled.is_err() {
            self.desk.wrong(format!("{:?} has succeeded, and what it waits for has not", job.copy));
        }
        let mut bytes = [0; BYTES as usize];
        // What is in host memory stays there, whatever has become of the device since.
        self.desk.call("read-host-buffer", || self.host.read(0, &mut bytes));
        let wrong = bytes.as_chunks::<4>().0.iter().find(|word| **word != job.pattern.to_le_bytes());
        if let Some(wrong) = wrong.filter(|_| !self.desk.round.kind.loses_writes()) {
            let found = u32::from_le_bytes(*wrong);
            self.desk.wrong(format!("{:?} has succeeded, and left {found:#x} instead of {:#x}", job.copy, job.pattern));
        }
    }
}
