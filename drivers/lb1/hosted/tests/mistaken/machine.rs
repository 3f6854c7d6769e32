//! A subsystem of jobs and nothing else, with the driver that makes mistakes or a sound one, on a card.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use lifeboat_core::fence::FenceError;
use lifeboat_core::sched::Priority;
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::Watch;
use lifeboat_gpu::{Card, Config, Fault, Slot};
use lifeboat_lb1::command::{ContextId, Work};
use lifeboat_lb1::{Commands, Lb1Driver};
use lifeboat_pci::Function;

use lifeboat::sched::{NewJob, RingIndex};
use lifeboat::subsystem::{AboutJob, Notes, Site, Subsystem};
use lifeboat::{Base, Binding, Fence, Link, Listeners, Module, Policy, WaitError};

use crate::driver::{Armed, At, Mistaken, NONSENSE, PANICS};

pub(crate) const LONG: Duration = Duration::from_secs(30);
/// Held by the test that runs.
static TURN: Mutex<()> = Mutex::new(());

/// With the driver that makes mistakes.
pub(crate) struct Plain;
/// With one that makes none.
pub(crate) struct Sound;

pub(crate) struct Job {
    pub(crate) work: [Work; 1],
    pub(crate) notes: Notes,
}

/// A subsystem of jobs and nothing else, over a driver.
macro_rules! plain {
    ($plain:ident, $driver:ty) => {
        impl lifeboat::subsystem::Job<$driver> for Job {
            fn work(&self) -> Commands<'_> {
                Commands { context: ContextId(0), work: &self.work }
            }

            fn notes(&self) -> &Notes {
                &self.notes
            }

            fn about(&self) -> AboutJob {
                AboutJob { context: 0, commands: 1, submitted: std::time::Instant::now() }
            }
        }

        impl Subsystem for $plain {
            type Driver = $driver;
            type Device = Arc<Base<Self>>;
            type Job = Job;
            type Options = ();

            fn new(_: &Site<'_, Self>, &(): &()) -> Self {
                Self
            }

            fn device(base: Arc<Base<Self>>, _: Arc<Link>) -> Arc<Base<Self>> {
                base
            }
        }
    };
}

plain!(Plain, Mistaken);
plain!(Sound, Lb1Driver);

/// How jobs have ended: a short one on the first ring, and one on the second that hangs.
pub(crate) struct Ended {
    pub(crate) short: Result<(), FenceError>,
    pub(crate) hung: Result<(), FenceError>,
}

pub(crate) fn submit<S: Subsystem<Job = Job>>(base: &Base<S>, ring: u8, work: Work) -> Fence {
    let queue = base.scheduler().queue(RingIndex(ring), Priority::Normal).unwrap();
    let job = Arc::new(Job { work: [work], notes: Notes::default() });
    let fence = queue.submit(NewJob { cost: 2, ..NewJob::new(job) }).unwrap();
    // A queue that is dropped cancels what has not begun.
    fence.on_signal(move |_| drop(queue));
    fence
}

pub(crate) fn options() -> Policy {
    Policy {
        job_timeout: Duration::from_millis(100),
        extensions: 2,
        watch: Watch { period: Duration::from_millis(20), stalls: 3 },
        ..Policy::default()
    }
}

/// Sends each loss that the driver reports.
pub(crate) fn telling(lost: mpsc::Sender<Loss>) -> Listeners {
    Listeners::none().on_loss(move |loss| lost.send(loss).unwrap())
}

pub(crate) fn plugged() -> (Arc<Card>, Arc<dyn Function>) {
    let (card, slot) = in_slot("0000:01:00.0");
    (card, slot.function().unwrap())
}

pub(crate) fn in_slot(location: &str) -> (Arc<Card>, Arc<Slot>) {
    let slot = Slot::new(location);
    let card = Card::new(Config::default()).unwrap();
    slot.insert(card.clone()).unwrap();
    (card, slot)
}

pub(crate) fn device<S: Subsystem>(binding: &Binding) -> S::Device {
    binding.device().unwrap()
}

/// Runs a device whose driver makes a mistake from the moment that it is bound, until the driver
/// has reported this loss, or if none is expected, until both jobs have ended. Then unplugs it.
pub(crate) fn bound(at: At, nonsense: bool, expected: Option<Loss>) -> Ended {
    let (card, function) = plugged();
    let mut module = Module::new();
    module.register::<Plain>(());
    let (lost, told) = mpsc::channel();
    let binding = module.probe(&function, &options(), telling(lost)).unwrap();
    let base = device::<Plain>(&binding);
    if matches!(at, At::ResetDevice | At::ResetDeviceStep) {
        card.inject(Fault::FailedReset);
    }
    let armed = Armed::new(at, if nonsense { NONSENSE } else { PANICS });
    let hung = submit(&base, 1, Work::Hang);
    let short = submit(&base, 0, Work::Nop);
    if expected.is_some() {
        assert_eq!(told.recv_timeout(LONG).ok(), expected, "{at:?}");
    } else {
        for fence in [&hung, &short] {
            assert_ne!(fence.wait(LONG), Err(WaitError::TimedOut), "{at:?}");
        }
    }
    let report = binding.unplug(expected.unwrap_or(Loss::Unbound)).expect("the unplug returns");
    assert!(report.threads_held.is_none() && report.registers_held.is_none(), "{at:?}: {report:?}");
    let ended = |fence: &Fence| fence.status().unwrap_or_else(|| panic!("{at:?}: a fence has not signalled"));
    let jobs = Ended { short: ended(&short), hung: ended(&hung) };
    drop((short, hung, base, binding));
    drop(armed);
    module.unload().unwrap_or_else(|holders| panic!("{at:?}: {holders}"));
    jobs
}

pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
