//! What waits for the hardware: bring-up, reset of the device, reset of a ring, shutdown.
//!
//! Their order is that of docs/lb1.md. Bring-up and a reset of the device are the same from the
//! reset on, but for what only a device that nobody knows yet must show.

use core::time::Duration;

use lifeboat_core::fence::Seqno;
use lifeboat_core::health::Verdict;
use lifeboat_driver::{DriverError, Duty, Io, Sequence, Step, Unproven};
use lifeboat_pci::{Bar, DmaMemory};

use crate::bringup::{Info, Progress};
use crate::proof::{Proof, PROOF_LIMIT};
use crate::regs;
use crate::ring::Ring;
use crate::Lb1;

/// Limit for a reset: twice what the device states.
const RESET_LIMIT: Duration = Duration::from_millis(2 * regs::RESET_MAX_MS);
/// Pause between two looks at a reset or a proof, which take well under a millisecond on a healthy
/// device.
const POLL: Duration = Duration::from_micros(100);
/// Limit for the heartbeat to move: it counts milliseconds.
const HEARTBEAT_LIMIT: Duration = Duration::from_millis(100);
/// Pause between two looks at the heartbeat.
const HEARTBEAT_POLL: Duration = Duration::from_micros(500);
/// Liveness pattern: neither it nor its complement is all-ones or zero.
const PATTERN: u32 = 0x0f1e_2d3c;

/// From whatever the device does to one whose rings have proved that they work.
pub(crate) struct Restart<'a, M, N> {
    info: Info,
    rings: &'a mut [Ring<M>],
    numbers: N,
    /// Whether the device is brought up, and not reset in use.
    is_first: bool,
    phase: Phase,
}

enum Phase {
    Reset,
    Resetting,
    Interrupts,
    Identify,
    Enable,
    Liveness,
    /// The heartbeat at the first look.
    Heartbeat(Option<u32>),
    Restore,
    Ring(usize, Start),
}

/// How far the start of a ring is.
enum Start {
    Enable,
    BeginProof,
    Proving(Proof),
    EndProof(Proof),
}

impl<'a, M, N> Restart<'a, M, N> {
    pub(crate) fn bring_up(info: Info, rings: &'a mut [Ring<M>], numbers: N) -> Self {
        Self { info, rings, numbers, is_first: true, phase: Phase::Reset }
    }

    pub(crate) fn reset(info: Info, rings: &'a mut [Ring<M>], numbers: N) -> Self {
        Self { info, rings, numbers, is_first: false, phase: Phase::Reset }
    }

    fn then<T>(&mut self, phase: Phase) -> Step<T> {
        self.phase = phase;
        Step::Next
    }
}

impl<M: DmaMemory, N: FnMut(u8) -> Seqno> Sequence for Restart<'_, M, N> {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        let lb1 = Lb1::new(io.bar(regs::REGISTER_BAR)?);
        Ok(match &mut self.phase {
            Phase::Reset => {
                lb1.begin_device_reset()?;
                self.then(Phase::Resetting)
            }
            Phase::Resetting => match ended(lb1.device_reset()?)? {
                false => Step::Again { after: POLL, within: RESET_LIMIT },
                true if self.is_first => {
                    self.phase = Phase::Interrupts;
                    // Not before: what ran before the reset must not reach memory.
                    Step::First(Duty::BusMaster)
                }
                true => self.then(Phase::Identify),
            },
            Phase::Interrupts => {
                self.phase = Phase::Enable;
                Step::First(Duty::Interrupts)
            }
            Phase::Identify => {
                lb1.is_still(&self.info, PATTERN)?;
                self.then(Phase::Enable)
            }
            Phase::Enable => {
                lb1.enable_device()?;
                self.then(if self.is_first { Phase::Liveness } else { Phase::Restore })
            }
            Phase::Liveness => match lb1.liveness(PATTERN)? {
                Verdict::Alive => self.then(Phase::Heartbeat(None)),
                Verdict::Dead => return Err(DriverError::Gone),
                Verdict::Unsure => return Err(DriverError::NotAlive),
            },
            Phase::Heartbeat(first) => {
                let now = lb1.heartbeat()?;
                if *first.get_or_insert(now) == now {
                    Step::Again { after: HEARTBEAT_POLL, within: HEARTBEAT_LIMIT }
                } else {
                    self.then(Phase::Restore)
                }
            }
            Phase::Restore => {
                self.phase = Phase::Ring(0, Start::Enable);
                Step::First(Duty::Restore)
            }
            Phase::Ring(at, start) => match self.rings.get_mut(*at) {
                None => Step::Done(()),
                Some(ring) => {
                    let seqno = (self.numbers)(ring.number);
                    match ring.start(start, &lb1, seqno)? {
                        Step::Done(()) => {
                            *at += 1;
                            *start = Start::Enable;
                            Step::Next
                        }
                        step => step,
                    }
                }
            },
        })
    }

    fn overdue(&self) -> DriverError {
        match self.phase {
            Phase::Heartbeat(_) => DriverError::NotAlive,
            Phase::Ring(at, _) => silent(self.rings.get(at)),
            _ => DriverError::ResetFailed,
        }
    }
}

/// Resets one ring while the others run on, and starts it anew.
pub(crate) struct RingReset<'a, M> {
    ring: &'a mut Ring<M>,
    seqno: Seqno,
    phase: RingPhase,
}

enum RingPhase {
    Reset,
    Resetting,
    Start(Start),
}

impl<'a, M> RingReset<'a, M> {
    pub(crate) fn new(ring: &'a mut Ring<M>, seqno: Seqno) -> Self {
        Self { ring, seqno, phase: RingPhase::Reset }
    }
}

impl<M: DmaMemory> Sequence for RingReset<'_, M> {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        let lb1 = Lb1::new(io.bar(regs::REGISTER_BAR)?);
        match &mut self.phase {
            RingPhase::Reset => {
                lb1.begin_ring_reset(self.ring.number)?;
                self.phase = RingPhase::Resetting;
            }
            RingPhase::Resetting if !ended(lb1.ring_reset(self.ring.number)?)? => {
                return Ok(Step::Again { after: POLL, within: RESET_LIMIT });
            }
            RingPhase::Resetting => self.phase = RingPhase::Start(Start::Enable),
            RingPhase::Start(start) => return self.ring.start(start, &lb1, self.seqno),
        }
        Ok(Step::Next)
    }

    fn overdue(&self) -> DriverError {
        match self.phase {
            RingPhase::Start(_) => silent(Some(&*self.ring)),
            RingPhase::Reset | RingPhase::Resetting => DriverError::ResetFailed,
        }
    }
}

/// Masks interrupts and resets the device.
pub(crate) enum ShutDown {
    Mask,
    Reset,
    Resetting,
}

impl Sequence for ShutDown {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        let lb1 = Lb1::new(io.bar(regs::REGISTER_BAR)?);
        match self {
            Self::Mask => {
                lb1.mask_interrupts()?;
                *self = Self::Reset;
            }
            Self::Reset => {
                lb1.begin_device_reset()?;
                *self = Self::Resetting;
            }
            Self::Resetting if ended(lb1.device_reset()?)? => return Ok(Step::Done(())),
            Self::Resetting => return Ok(Step::Again { after: POLL, within: RESET_LIMIT }),
        }
        Ok(Step::Next)
    }

    fn overdue(&self) -> DriverError {
        DriverError::ResetFailed
    }
}

impl<M: DmaMemory> Ring<M> {
    /// Enables the ring with `seqno` as its number; then the ring proves itself by a job that
    /// writes the next (RECOV-5).
    fn start<B: Bar + ?Sized>(
        &mut self,
        start: &mut Start,
        lb1: &Lb1<'_, B>,
        seqno: Seqno,
    ) -> Result<Step<()>, DriverError> {
        let Self { number, writer, memory } = self;
        *start = match core::mem::replace(start, Start::Enable) {
            Start::Enable => {
                lb1.enable_ring(*number, writer, memory.iova(), seqno)?;
                Start::BeginProof
            }
            Start::BeginProof => Start::Proving(lb1.begin_proof(*number, writer, memory, seqno.next())?),
            Start::Proving(proof) => {
                if !ended(lb1.proof(&proof, memory)?)? {
                    *start = Start::Proving(proof);
                    return Ok(Step::Again { after: POLL, within: PROOF_LIMIT });
                }
                Start::EndProof(proof)
            }
            Start::EndProof(proof) => {
                lb1.end_proof(&proof, writer, memory.iova())?;
                return Ok(Step::Done(()));
            }
        };
        Ok(Step::Next)
    }
}

/// Whether the hardware has ended what it was told to do.
fn ended(progress: Progress) -> Result<bool, DriverError> {
    match progress {
        Progress::UnderWay => Ok(false),
        Progress::Done => Ok(true),
        Progress::Failed => Err(DriverError::ResetFailed),
    }
}

fn silent<M>(ring: Option<&Ring<M>>) -> DriverError {
    DriverError::Unproven { ring: ring.map_or(0, |ring| ring.number), what: Unproven::Silent }
}
