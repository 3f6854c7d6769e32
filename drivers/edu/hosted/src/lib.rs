//! `edu` in a process: what its users can ask of it, and how that ends. One thing at a time.
#![forbid(unsafe_code)]

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lifeboat::calls::{Arguments, Bound, Call, Callee, Entrance, Key, Reach};
use lifeboat::core::class::{Presence, Refusal};
use lifeboat::core::fence::FenceError;
use lifeboat::driver::{DriverError, Io};
use lifeboat::subsystem::{NoJob, Site, Subsystem};
use lifeboat::{Base, CallError, Fence, Hardware, Link, Mapped, Minor, Timeline, Unsignalled};
use lifeboat_edu::{Edu, Ended};
use lifeboat_pci::HostMemory;
use lifeboat_sync::lint::{Class, Mutex};

static WAITING: Class = Class::new("edu.waiting");
/// How long the device may take.
const LIMIT: Duration = Duration::from_secs(2);
/// When the device is asked if no interrupt has come.
const LOOK: Duration = Duration::from_millis(100);

/// An `edu`. Cheap to clone; lives as long as anyone holds it.
#[derive(Clone)]
pub struct Device(Arc<Base<Service>>);

/// What the device was asked for. The fence signals when it has done that, or never will.
pub struct Answer {
    /// Signals at the end.
    pub fence: Fence,
    /// The factorial; or of a transfer any number.
    pub value: Arc<OnceLock<u32>>,
}

/// What users of one device wait for.
pub struct Service {
    link: Arc<Link>,
    timeline: Timeline,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    asked: Option<Asked>,
    /// Memory that the device may still reach, though nobody waits for that any more (SCHED-2).
    reached: Vec<Mapped>,
    is_lost: bool,
}

/// What the device does now, and who waits for it.
struct Asked {
    promise: Unsignalled,
    value: Arc<OnceLock<u32>>,
    /// When it had been asked.
    since: Option<Instant>,
    memory: Option<Mapped>,
}

struct Factorial(u32);
struct Transfer<'a>(bool, &'a Arc<HostMemory>);

impl Arguments<Device> for Factorial {
    fn check(&self, _: &Base<Service>) -> Result<(), CallError> {
        Ok(())
    }
}

impl Arguments<Device> for Transfer<'_> {
    fn check(&self, _: &Base<Service>) -> Result<(), CallError> {
        let fits = self.1.size() <= Edu::BUFFER_BYTES.into();
        if fits { Ok(()) } else { Err(CallError::Invalid("a transfer has at most 4096 bytes")) }
    }
}

lifeboat::calls! {
    /// What users can ask of an `edu`.
    pub const CALLS for Device {
        0x40 "factorial": Device(Factorial) -> Answer = factorial;
        0x41 "transfer": Device(Transfer<'_>) -> Answer = transfer;
    }
}

fn factorial(bound: &Bound<'_, Device>, Factorial(number): Factorial) -> Result<Answer, CallError> {
    begin(bound.users(), None, |io| Edu::compute(io, number))
}

fn transfer(bound: &Bound<'_, Device>, Transfer(to_memory, memory): Transfer<'_>) -> Result<Answer, CallError> {
    let mapped = bound.users().subsystem().link.map(memory.clone()).map_err(|_| Refusal::Gone)?;
    let (iova, bytes) = (mapped.iova, u32::try_from(memory.size()).unwrap_or(Edu::BUFFER_BYTES));
    begin(bound.users(), Some(mapped), |io| Edu::transfer(io, to_memory, iova, bytes))
}

impl Device {
    /// Computes the factorial of `number`, modulo 2^32.
    ///
    /// # Errors
    /// ENODEV after loss, EBUSY while the device does something else.
    pub fn factorial(&self, number: u32) -> Result<Answer, CallError> {
        Factorial(number).make(&Entrance::new(self))
    }

    /// Copies memory into the device's buffer, or the buffer into memory.
    ///
    /// # Errors
    /// As [`Device::factorial`], and EINVAL for more than 4096 bytes.
    pub fn transfer(&self, to_memory: bool, memory: &Arc<HostMemory>) -> Result<Answer, CallError> {
        Transfer(to_memory, memory).make(&Entrance::new(self))
    }
}

fn begin(
    base: &Base<Service>,
    memory: Option<Mapped>,
    start: impl FnOnce(&Io<'_>) -> Result<(), DriverError>,
) -> Result<Answer, CallError> {
    let service = base.subsystem();
    let (fence, promise) = service.timeline.fence();
    let value = Arc::<OnceLock<u32>>::default();
    let next = Asked { promise, value: value.clone(), since: None, memory };
    service.ask(next)?;
    match service.link.io(start) {
        Ok(()) => service.asked(),
        Err(_) => service.end(Err(FenceError::Lost)),
    }
    // The worker looks if no interrupt comes.
    base.scheduler().events().nudge();
    Ok(Answer { fence, value })
}

impl Callee for Device {
    type Users = Base<Service>;
    type Hardware = Hardware;

    fn users(&self) -> &Base<Service> {
        &self.0
    }

    fn reach(&self, _: Key) -> &Reach<Hardware> {
        &self.0.subsystem().link
    }
}

impl Device {
    /// Its number.
    pub fn minor(&self) -> Minor {
        self.0.minor()
    }

    /// Where it is, or was, plugged in.
    pub fn location(&self) -> &str {
        self.0.location()
    }

    /// How it stands with the device.
    pub fn presence(&self) -> Presence {
        self.0.subsystem().link.presence()
    }
}

impl Service {
    fn ask(&self, next: Asked) -> Result<(), CallError> {
        let mut waiting = self.waiting.lock();
        let refusal = match *waiting {
            Waiting { is_lost: true, .. } => Refusal::Gone.into(),
            Waiting { asked: Some(_), .. } => CallError::Busy("the device does something else"),
            Waiting { .. } => {
                waiting.asked = Some(next);
                return Ok(());
            }
        };
        drop(waiting);
        if let Some(mapped) = next.memory {
            self.link.unmap(mapped.iova);
        }
        Err(refusal)
    }

    /// The device has been asked: from now on its answer counts.
    fn asked(&self) {
        if let Some(asked) = &mut self.waiting.lock().asked {
            asked.since = Some(Instant::now());
        }
    }

    /// Ends what the device was asked for. Memory stays until the device has done that, or is stopped.
    fn end(&self, result: Result<u32, FenceError>) {
        let mut waiting = self.waiting.lock();
        let Some(Asked { promise, value, memory, .. }) = waiting.asked.take() else { return };
        waiting.reached.extend(memory);
        let left = if result.is_ok() { std::mem::take(&mut waiting.reached) } else { Vec::new() };
        drop(waiting);
        for mapped in left {
            self.link.unmap(mapped.iova);
        }
        promise.end(result.map(|number| {
            value.get_or_init(|| number);
        }));
    }
}

impl Subsystem for Service {
    type Driver = Edu;
    type Device = Device;
    type Job = NoJob;
    type Options = ();

    fn new(at: &Site<'_, Self>, &(): &()) -> Self {
        let timeline = Timeline::new(at.ledger, at.name, "edu");
        Self { link: at.link.clone(), timeline, waiting: Mutex::new(&WAITING, Waiting::default()) }
    }

    fn device(base: Arc<Base<Self>>, _: Arc<Link>) -> Device {
        Device(base)
    }

    fn retire(&self) {
        self.waiting.lock().is_lost = true;
        self.end(Err(FenceError::Lost));
    }

    fn clear(&self) {
        let reached = std::mem::take(&mut self.waiting.lock().reached);
        drop(reached);
    }

    fn interrupt(&self, link: &Link, _: &Ended) -> bool {
        self.look(link);
        true
    }

    fn look(&self, link: &Link) -> Option<Instant> {
        let since = self.waiting.lock().asked.as_ref()?.since?;
        // Read before the device is asked: what it had not done by then is overdue.
        let is_overdue = since.elapsed() > LIMIT;
        match link.io(Edu::result) {
            Ok(Some(number)) => self.end(Ok(number)),
            Ok(None) if is_overdue => self.end(Err(FenceError::TimedOut)),
            Ok(None) => return Some(Instant::now() + LOOK),
            // The unplug answers.
            Err(_) => {}
        }
        None
    }
}
