//! The driver of LB1 but for one function, which makes the mistake of the test that runs.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::SeqCst};

use lifeboat_core::fence::Seqno;
use lifeboat_core::health::Verdict;
use lifeboat_core::sched::Began;
use lifeboat_driver::{Driver, DriverError, Facts, Identity, Io, Progress, RingReport, RingShape, Sequence, Step};
use lifeboat_lb1::{Commands, Info, Lb1Driver, Lb1Pending, Ring};
use lifeboat_pci::DmaMemory;

use crate::blocks;

/// A function of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum At {
    Nowhere,
    Info,
    Rings,
    RingShape,
    RingCredits,
    Ring,
    BringUp,
    BringUpStep,
    ResetRing,
    ResetRingStep,
    ResetRingOverdue,
    ResetDevice,
    ResetDeviceStep,
    ShutDown,
    ShutDownStep,
    Run,
    Progress,
    Place,
    Began,
    Fault,
    Pending,
    PendingRings,
    Presence,
    Computes,
    Heartbeat,
    Identify,
    Read,
}

/// The mistake of the test that runs. The driver's functions are told nothing of whose they are.
static MISTAKE: AtomicU8 = AtomicU8::new(At::Nowhere as u8);
/// What kind of mistake.
static KIND: AtomicU8 = AtomicU8::new(0);
pub(crate) const PANICS: u8 = 0;
pub(crate) const NONSENSE: u8 = 1;
pub(crate) const BLOCKS: u8 = 2;
/// Whether the device has no heartbeat, as far as the driver says.
pub(crate) static NO_HEARTBEAT: AtomicBool = AtomicBool::new(false);
/// How often a device was asked to compute.
pub(crate) static COMPUTATIONS: AtomicU32 = AtomicU32::new(0);
/// Panics or blocks here if that is the mistake; `true` if it is nonsense.
fn here(at: At) -> bool {
    if MISTAKE.load(SeqCst) != at as u8 {
        return false;
    }
    match KIND.load(SeqCst) {
        NONSENSE => true,
        BLOCKS => {
            blocks::until_let_go();
            false
        }
        _ => panic!("a mistake of the driver: {at:?}"),
    }
}

pub(crate) enum Mistaken {}

/// A sequence of LB1's with mistakes in it.
struct Steps<S> {
    inner: S,
    step: At,
    overdue: Option<At>,
}

impl<S: Sequence<Output = ()>> Sequence for Steps<S> {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        // Nonsense is to go on for ever, and so is what is to be overdue.
        let never_ends = here(self.step) || self.overdue.is_some_and(|at| MISTAKE.load(SeqCst) == at as u8);
        if never_ends { Ok(Step::Next) } else { self.inner.step(io) }
    }

    fn overdue(&self) -> DriverError {
        self.overdue.map(here);
        self.inner.overdue()
    }
}

fn steps<S>(inner: S, step: At, overdue: Option<At>) -> Steps<S> {
    Steps { inner, step, overdue }
}

pub(crate) struct Pending(Lb1Pending);

impl lifeboat_driver::Pending for Pending {
    fn rings(&self) -> impl Iterator<Item = RingReport> {
        let nonsense = here(At::PendingRings);
        let far = (0..1000).fold(Seqno::ZERO, |seqno, _| seqno.next());
        // Without an end.
        let wrong = std::iter::repeat(RingReport { ring: 200, progress: Progress::Stopped(far) });
        self.0.rings().chain(wrong.take(if nonsense { usize::MAX } else { 0 }))
    }
}

/// What nobody can have answered.
const NONE: u32 = u32::MAX;

impl Driver for Mistaken {
    const FACTS: Facts = Lb1Driver::FACTS;

    type Info = Info;
    type Ring<M: DmaMemory> = Ring<M>;
    type Work<'a> = Commands<'a>;
    type Fault = lifeboat_lb1::Fault;
    type Pending = Pending;

    fn info(io: &Io<'_>) -> Result<Info, DriverError> {
        if here(At::Info) {
            return Err(DriverError::Impossible("a mistake"));
        }
        Lb1Driver::info(io)
    }

    fn rings(info: &Info) -> u8 {
        if here(At::Rings) { 0 } else { Lb1Driver::rings(info) }
    }

    fn ring_shape(info: &Info, ring: u8, entries: u32) -> RingShape {
        let shape = Lb1Driver::ring_shape(info, ring, entries);
        if ring == 1 && here(At::RingCredits) {
            return RingShape { credits: 3, ..shape };
        }
        if here(At::RingShape) { RingShape { bytes: u64::MAX, ..shape } } else { shape }
    }

    fn ring<M: DmaMemory>(info: &Info, ring: u8, shape: RingShape, memory: M) -> Option<Ring<M>> {
        here(At::Ring);
        Lb1Driver::ring(info, ring, shape, memory)
    }

    fn bring_up<M: DmaMemory>(info: Info, rings: &mut [Ring<M>]) -> impl Sequence<Output = ()> + '_ {
        here(At::BringUp);
        steps(Lb1Driver::bring_up(info, rings), At::BringUpStep, None)
    }

    fn reset_ring<M: DmaMemory>(info: Info, ring: &mut Ring<M>, seqno: Seqno) -> impl Sequence<Output = ()> + '_ {
        here(At::ResetRing);
        steps(Lb1Driver::reset_ring(info, ring, seqno), At::ResetRingStep, Some(At::ResetRingOverdue))
    }

    fn reset_device<'a, M: DmaMemory>(
        info: Info,
        rings: &'a mut [Ring<M>],
        numbers: impl FnMut(u8) -> Seqno + 'a,
    ) -> impl Sequence<Output = ()> + 'a {
        here(At::ResetDevice);
        steps(Lb1Driver::reset_device(info, rings, numbers), At::ResetDeviceStep, None)
    }

    fn shut_down() -> impl Sequence<Output = ()> {
        here(At::ShutDown);
        steps(Lb1Driver::shut_down(), At::ShutDownStep, None)
    }

    fn cost(work: Commands<'_>) -> u32 {
        Lb1Driver::cost(work)
    }

    fn run<M: DmaMemory>(
        io: &Io<'_>,
        ring: &mut Ring<M>,
        work: Commands<'_>,
        seqno: Seqno,
    ) -> Result<lifeboat_driver::Place, DriverError> {
        // Says that it has given the job to the device.
        if here(At::Run) { Ok(lifeboat_driver::Place(NONE)) } else { Lb1Driver::run(io, ring, work, seqno) }
    }

    fn progress(io: &Io<'_>, ring: u8) -> Result<Seqno, DriverError> {
        let seqno = Lb1Driver::progress(io, ring)?;
        Ok(if here(At::Progress) { (0..1000).fold(seqno, |seqno, _| seqno.next()) } else { seqno })
    }

    fn place<M: DmaMemory>(io: &Io<'_>, ring: &Ring<M>) -> Result<Option<lifeboat_driver::Place>, DriverError> {
        if here(At::Place) { Ok(Some(lifeboat_driver::Place(NONE))) } else { Lb1Driver::place(io, ring) }
    }

    fn began<M: DmaMemory>(
        io: &Io<'_>,
        ring: &Ring<M>,
        work: Commands<'_>,
        begins: lifeboat_driver::Place,
    ) -> Result<Began, DriverError> {
        if here(At::Began) { Ok(Began::No) } else { Lb1Driver::began(io, ring, work, begins) }
    }

    fn fault(io: &Io<'_>, ring: u8) -> Result<Option<lifeboat_lb1::Fault>, DriverError> {
        if here(At::Fault) { Err(DriverError::NoSuchThing) } else { Lb1Driver::fault(io, ring) }
    }

    fn pending(io: &Io<'_>) -> Result<Pending, DriverError> {
        if here(At::Pending) {
            return Err(DriverError::NoSuchThing);
        }
        Lb1Driver::pending(io).map(Pending)
    }

    fn presence(io: &Io<'_>) -> Result<Verdict, DriverError> {
        if here(At::Presence) { Ok(Verdict::Unsure) } else { Lb1Driver::presence(io) }
    }

    fn computes(io: &Io<'_>, pattern: u32) -> Result<Verdict, DriverError> {
        COMPUTATIONS.fetch_add(1, SeqCst);
        if here(At::Computes) { Ok(Verdict::Unsure) } else { Lb1Driver::computes(io, pattern) }
    }

    fn heartbeat(io: &Io<'_>) -> Result<Option<u32>, DriverError> {
        if NO_HEARTBEAT.load(SeqCst) {
            return Ok(None);
        }
        if here(At::Heartbeat) { Ok(Some(0)) } else { Lb1Driver::heartbeat(io) }
    }

    fn identify(io: &Io<'_>, before: &Info, pattern: u32) -> Result<Identity, DriverError> {
        if here(At::Identify) { Ok(Identity::Other) } else { Lb1Driver::identify(io, before, pattern) }
    }

    fn read(io: &Io<'_>, register: u64) -> Result<u32, DriverError> {
        if here(At::Read) { Err(DriverError::NoSuchThing) } else { Lb1Driver::read(io, register) }
    }
}

/// Arms a mistake, until it is dropped.
pub(crate) struct Armed;

impl Armed {
    pub(crate) fn new(at: At, kind: u8) -> Self {
        KIND.store(kind, SeqCst);
        MISTAKE.store(at as u8, SeqCst);
        Self
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        MISTAKE.store(At::Nowhere as u8, SeqCst);
    }
}
