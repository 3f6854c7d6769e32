//! Misbehaviour on demand.
//!
//! A fault takes effect at once (removal, a spurious message), or lasts for a while ([`lasting`]), or is armed and taken
//! by the next event it is about (the next done interrupt, the next reset). A [`Trigger`] puts off all of them to a chosen
//! moment.

mod lasting;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

pub use lasting::Lasts;
use lasting::nanos;
pub(crate) use lasting::{Condition, Conditions, GARBAGE};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The card is pulled out.
    Remove,
    /// The next descriptor of a job that a ring begins never ends, as with the command `HANG`.
    /// Commands of the driver's own are part of no job.
    Hang,
    /// The next descriptor of a job that a ring begins faults with
    /// [`fault::INJECTED`](lifeboat_lb1::regs::fault::INJECTED).
    JobFault,
    /// The next done interrupt is lost: neither is its status bit set nor a message sent.
    LostInterrupt,
    /// A message of vector 0 with no status bit set.
    SpuriousInterrupt,
    /// Every following command takes this much longer, until a device reset.
    Slow(Duration),
    /// The heartbeat stands still, until a device reset.
    StuckHeartbeat,
    /// The next reset, of a ring or of the device, fails.
    FailedReset,
    /// The next reset of the device takes this much longer, possibly longer than a device may take.
    SlowReset(Duration),
    /// The link to the card is down for this long; see [`Card::link_down`](crate::Card::link_down). A slot reports both ends.
    LinkDown(Duration),
    /// Every register reads 0xbadf1235. Writes arrive, and VRAM is as it was.
    Garbage(Lasts),
    /// Both BARs read all-ones and writes to them are lost. Configuration space answers, and the card goes on.
    SilentBars(Lasts),
    /// Configuration space reads all-ones and writes to it are lost. The BARs answer, and the card goes on.
    SilentConfig(Lasts),
    /// The display stands still: no vertical blank begins, no flip takes effect, and neither is reported. Unless it lasts
    /// for a time, it also ends when the display is turned off.
    StuckScanout(Lasts),
    /// The next reset, of a ring or of the device, says that it is done, and was none. What it was to reset takes nothing
    /// up any more until a reset of the device that is one; a device keeps its other registers.
    LyingReset,
    /// Every register read takes this much longer, until a device reset.
    SlowReads(Duration),
    /// The next register read takes this much longer.
    StalledRead(Duration),
    /// No message is sent. Status bits are set all the same.
    NoInterrupts(Lasts),
    /// Messages of vector 0 without a reason, one right after the other.
    InterruptStorm(Lasts),
    /// What is written to the tail of any ring is lost.
    DeadDoorbell(Lasts),
    /// Another card is in the place of this one, after power-on, and the slot has reported nothing.
    Swap(Swap),
}

/// What a card is [swapped](Fault::Swap) for. Its serial number is another one in both cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// One of another model: [`SWAPPED_DEVICE_ID`](crate::SWAPPED_DEVICE_ID) in configuration space, and in the register `ID`
    /// its complement.
    Model,
    /// One with half the VRAM, in whole pages, at least one.
    Size,
}

/// When it goes wrong. All counts begin with 1 for the next one after [`Card::schedule`](crate::Card::schedule); 0 is
/// taken as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Right before the n-th access of the driver is served.
    Access(u64),
    /// When a ring begins the n-th job. [`Fault::Hang`] and [`Fault::JobFault`] hit that very job.
    Job(u64),
    /// When the n-th reset begins, of a ring or of the device, a function-level reset included.
    /// [`Fault::FailedReset`], [`Fault::LyingReset`] and [`Fault::SlowReset`] hit that very reset.
    Reset(u64),
}

/// Called once when a planned fault happens, by whatever thread it happens on, possibly inside a driver's access: it must
/// not block.
pub type OnFault = Box<dyn FnOnce() + Send>;

/// The kinds of events that triggers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TriggerEvent {
    Access,
    Job,
    Reset,
}

/// Faults that are taken by the next event they are about, and how many of each wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Armed {
    Hang,
    JobFault,
    LostInterrupt,
    FailedReset,
    LyingReset,
}

#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) conditions: Conditions,
    planned: Mutex<Vec<Planned>>,
    /// The smallest access number that is planned, so that an access need not look; `NEVER` if none is.
    next_access: AtomicNever,
    armed: Mutex<[u32; Armed::LyingReset as usize + 1]>,
    slow_nanos: AtomicU64,
    slow_reset_nanos: AtomicU64,
    slow_read_nanos: AtomicU64,
    stalled_read_nanos: AtomicU64,
}

struct Planned {
    event: TriggerEvent,
    at: u64,
    fault: Fault,
    tell: Option<OnFault>,
}

impl Faults {
    /// Plans `fault` for when the count of `event`s reaches `at`.
    pub(crate) fn plan(&self, event: TriggerEvent, at: u64, fault: Fault, tell: Option<OnFault>) {
        let mut planned = self.planned.lock();
        planned.push(Planned { event, at, fault, tell });
        self.next_access.set(&planned);
    }

    /// Whether an access trigger is due at access number `count`. Cheap: every access asks.
    pub(crate) fn access_due(&self, count: u64) -> bool {
        count >= self.next_access.0.load(Ordering::Acquire)
    }

    /// Takes the planned faults that are due when the count of `event`s is `count`, and tells who wants to know.
    pub(crate) fn due(&self, event: TriggerEvent, count: u64) -> Vec<Fault> {
        let mut planned = self.planned.lock();
        let due: Vec<Planned> = planned.extract_if(.., |plan| plan.event == event && plan.at <= count).collect();
        self.next_access.set(&planned);
        drop(planned);
        let happens = |plan: Planned| {
            plan.tell.into_iter().for_each(|tell| tell());
            plan.fault
        };
        due.into_iter().map(happens).collect()
    }

    /// Arms a fault for the next event it is about.
    pub(crate) fn arm(&self, fault: Armed) {
        let mut armed = self.armed.lock();
        let count = &mut armed[fault as usize];
        *count = count.saturating_add(1);
    }

    /// Takes one armed fault, if there is one.
    pub(crate) fn take(&self, fault: Armed) -> bool {
        let mut armed = self.armed.lock();
        let count = &mut armed[fault as usize];
        let taken = *count > 0;
        *count = count.saturating_sub(1);
        taken
    }

    pub(crate) fn set_slow(&self, by: Duration) {
        self.slow_nanos.store(nanos(by), Ordering::Relaxed);
    }

    pub(crate) fn arm_slow_reset(&self, by: Duration) {
        self.slow_reset_nanos.store(nanos(by), Ordering::Relaxed);
    }

    /// How much longer the reset takes that begins now.
    pub(crate) fn take_slow_reset(&self) -> Duration {
        Duration::from_nanos(self.slow_reset_nanos.swap(0, Ordering::Relaxed))
    }

    pub(crate) fn set_slow_reads(&self, by: Duration) {
        self.slow_read_nanos.store(nanos(by), Ordering::Relaxed);
    }

    pub(crate) fn arm_stalled_read(&self, by: Duration) {
        self.stalled_read_nanos.store(nanos(by), Ordering::Relaxed);
    }

    /// How much longer the register read takes that is under way.
    pub(crate) fn take_slow_read(&self) -> Duration {
        let slow = self.slow_read_nanos.load(Ordering::Relaxed);
        // Looked at first: every read asks.
        let stalled = match self.stalled_read_nanos.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.stalled_read_nanos.swap(0, Ordering::Relaxed),
        };
        Duration::from_nanos(slow.saturating_add(stalled))
    }

    /// Ends what lasts until a reset of the device.
    pub(crate) fn end_by_reset(&self) {
        self.set_slow(Duration::ZERO);
        self.set_slow_reads(Duration::ZERO);
        self.conditions.end_by_reset();
    }

    /// Ends what is wrong with a card that is there no more.
    pub(crate) fn end_by_swap(&self) {
        self.end_by_reset();
        self.arm_stalled_read(Duration::ZERO);
        self.arm_slow_reset(Duration::ZERO);
        *self.armed.lock() = Default::default();
        self.conditions.end_by_swap();
    }

    /// How much longer each command takes.
    pub(crate) fn slow(&self) -> Duration {
        Duration::from_nanos(self.slow_nanos.load(Ordering::Relaxed))
    }
}

/// A count that is `u64::MAX` as long as nothing is planned.
struct AtomicNever(AtomicU64);

impl Default for AtomicNever {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl AtomicNever {
    fn set(&self, planned: &[Planned]) {
        let accesses = planned.iter().filter(|plan| plan.event == TriggerEvent::Access).map(|plan| plan.at);
        self.0.store(accesses.min().unwrap_or(u64::MAX), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_due_once_and_at_its_count() {
        let faults = Faults::default();
        let told = std::sync::Arc::new(AtomicU64::new(0));
        let tell = std::sync::Arc::clone(&told);
        let tell: OnFault = Box::new(move || {
            tell.fetch_add(1, Ordering::Relaxed);
        });
        faults.plan(TriggerEvent::Access, 3, Fault::Remove, Some(tell));
        faults.plan(TriggerEvent::Job, 1, Fault::Hang, None);
        assert!(!faults.access_due(2));
        assert!(faults.access_due(3));
        assert_eq!(told.load(Ordering::Relaxed), 0);
        assert_eq!(faults.due(TriggerEvent::Access, 3), [Fault::Remove]);
        assert_eq!(told.load(Ordering::Relaxed), 1);
        assert!(!faults.access_due(u64::MAX - 1));
        assert_eq!(faults.due(TriggerEvent::Job, 1), [Fault::Hang]);
        assert_eq!(faults.due(TriggerEvent::Job, 1), []);
    }

    #[test]
    fn an_armed_fault_is_taken_once() {
        let faults = Faults::default();
        assert!(!faults.take(Armed::Hang));
        faults.arm(Armed::Hang);
        assert!(!faults.take(Armed::JobFault));
        assert!(faults.take(Armed::Hang));
        assert!(!faults.take(Armed::Hang));
    }
}
