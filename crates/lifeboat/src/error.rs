//! What can go wrong, and the one place where it becomes an errno.

use lifeboat_core::class::Refusal;
use lifeboat_core::errno::Errno;
use lifeboat_core::fence::FenceError;
use lifeboat_core::kms::{CommitError, LeaseError};
use lifeboat_core::minor::Minor;
use lifeboat_core::sched::SubmitError;
use lifeboat_driver::DriverError;
use lifeboat_driver::gpu::InvalidArgument;
use lifeboat_pci::BusError;
use thiserror::Error;

use crate::sched::OptionsError;

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The device is gone, and this call needs it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The scheduler did not take the job.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// A command's argument is wrong.
    #[error(transparent)]
    Command(#[from] InvalidArgument),
    /// An argument of the call is wrong; the text says which and what it should be.
    #[error("{0}")]
    Invalid(&'static str),
    /// The device lacks what the call is about; the text says what.
    #[error("{0}")]
    Unsupported(&'static str),
    /// Something is under way that must end first; the text says what.
    #[error("{0}")]
    Busy(&'static str),
    /// The display does not take the commit.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The display is not leased so.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// A limit of the call's own has passed; the text says what has not happened.
    #[error("{0}")]
    TimedOut(&'static str),
    /// This process or the system has as many open files as it may have.
    #[error("too many open files; close some, or raise the limit")]
    TooManyFiles,
    /// There is no room for another object of this kind; the text says which.
    #[error("out of {0}")]
    Exhausted(&'static str),
    /// The client has its whole share of objects of this kind, so that others find room; the text says which.
    #[error("this client has its share of {0}")]
    OverShare(&'static str),
}

impl From<CallError> for Errno {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => refusal.into(),
            CallError::Submit(error) => error.into(),
            CallError::Command(_) | CallError::Invalid(_) => Self::EINVAL,
            CallError::Unsupported(_) => Self::EOPNOTSUPP,
            CallError::Busy(_) => Self::EBUSY,
            CallError::Commit(error) => error.into(),
            CallError::Lease(error) => error.into(),
            CallError::TimedOut(_) => Self::ETIMEDOUT,
            CallError::Exhausted(_) => Self::ENOMEM,
            CallError::TooManyFiles => Self::EMFILE,
            CallError::OverShare(_) => Self::EDQUOT,
        }
    }
}

impl CallError {
    /// The errno a kernel would return.
    pub fn errno(self) -> Errno {
        self.into()
    }

    /// Whether the call was refused because of what the context's jobs have done: another context would not be.
    pub fn is_banned(self) -> bool {
        self == Self::Submit(SubmitError::Banned)
    }

    /// Whether the call failed because the device is gone or wedged: only another one, or this one when it was recovered, goes
    /// on.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Refused(Refusal::Wedged(_))) || matches!(self.errno(), Errno::ENODEV | Errno::ENXIO)
    }
}

/// Why a wait for a fence ended without success. Exhaustive on purpose: a wait ends in no third way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WaitError {
    /// The fence has not signalled within the given time.
    #[error("the fence has not signalled in time")]
    TimedOut,
    /// The fence signalled that the work was not done.
    #[error(transparent)]
    Failed(#[from] FenceError),
}

impl From<WaitError> for Errno {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut => Self::ETIMEDOUT,
            WaitError::Failed(error) => error.into(),
        }
    }
}

/// Why a [request to a bus](crate::Request) came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The bus watches no slot of this name.
    #[error("the bus has no slot of this name; attach it first")]
    NoSuchSlot,
    /// No device of this number is bound, because there never was one, it is gone, or it is just being recovered.
    #[error("no device {0} is bound; ask for its slot")]
    NoSuchDevice(Minor),
    /// What is in the slot is bound already, perhaps wedged: as the device of this number.
    #[error("the slot is bound as device {0}; rebind or unbind it")]
    AlreadyBound(Minor),
    /// Nothing is in the slot.
    #[error("the slot is empty; plug something in")]
    Empty,
    /// The link of the slot went down before the device was bound. It is bound when the link is up again.
    #[error("the link is down; the device is bound when it is up again")]
    LinkDown,
    /// The device could not be bound.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Another request has ended this one: the device was unbound meanwhile.
    #[error("the device was unbound meanwhile")]
    Overridden,
    /// There was no answer within the given time. The request goes on.
    #[error("the bus has not answered in time; the request goes on")]
    TimedOut,
    /// The bus was stopped.
    #[error("the bus was stopped")]
    Stopped,
}

impl From<RequestError> for Errno {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NoSuchSlot => Self::ENOENT,
            RequestError::NoSuchDevice(_) | RequestError::Empty | RequestError::LinkDown | RequestError::Stopped => {
                Self::ENODEV
            }
            RequestError::AlreadyBound(_) => Self::EBUSY,
            RequestError::Probe(error) => error.into(),
            RequestError::Overridden => Self::ECANCELED,
            RequestError::TimedOut => Self::ETIMEDOUT,
        }
    }
}

/// As the kernel's shell answers for a [`DriverError`], but EPROTO where that answers EIO.
impl From<ProbeError> for Errno {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::NotOurs(_) | ProbeError::NotAlive | ProbeError::Unregistered | ProbeError::Unloading => {
                Self::ENODEV
            }
            ProbeError::NotReady(_) => Self::EAGAIN,
            ProbeError::Driver(
                DriverError::Gone | DriverError::Foreign { .. } | DriverError::Impossible(_) | DriverError::NotAlive,
            ) => Self::ENODEV,
            ProbeError::Driver(DriverError::NoSuchThing) | ProbeError::Invalid(_) | ProbeError::Options(_) => {
                Self::EINVAL
            }
            ProbeError::Bus(BusError::TooManyFiles) | ProbeError::Driver(DriverError::Bus(BusError::TooManyFiles)) => {
                Self::EMFILE
            }
            ProbeError::NoMemory
            | ProbeError::NoMinor
            | ProbeError::Bus(BusError::NoMemory)
            | ProbeError::Driver(DriverError::Bus(BusError::NoMemory)) => Self::ENOMEM,
            ProbeError::ResetTimedOut => Self::ETIMEDOUT,
            ProbeError::Driver(DriverError::NoInterrupts) => Self::EOPNOTSUPP,
            ProbeError::Driver(_) | ProbeError::Bus(_) => Self::EPROTO,
        }
    }
}

/// Why a device could not be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Configuration space has another vendor and device than the driver binds to.
    #[error("no driver binds to vendor and device id {0:#010x}")]
    NotOurs(u32),
    /// Something is there, and is not ready to be used: nothing of it answers (all-ones), or it asks to be asked again
    /// (0xffff0001). A [`Bus`](crate::Bus) waits for it, as [`Policy::patience`](crate::Policy::patience) says.
    #[error("the device is not ready: its id reads {0:#010x}; a bus reset or a look at its link may help")]
    NotReady(u32),
    /// The driver could not bring it up.
    #[error("bring-up failed: {0}")]
    Driver(#[from] DriverError),
    /// The bus could not serve it.
    #[error("bring-up failed: {0}")]
    Bus(#[from] BusError),
    /// Its reset took longer than the device states.
    #[error("the device did not come out of reset")]
    ResetTimedOut,
    /// It answers, but its liveness register does not compute, or its heartbeat does not move.
    #[error("the device answers but shows no life")]
    NotAlive,
    /// There is no memory for it.
    #[error("not enough memory for the device's rings")]
    NoMemory,
    /// An option of the subsystem is not accepted; nothing was touched. The text says which, and what it should be.
    #[error("{0}")]
    Invalid(&'static str),
    /// All device numbers are taken: too many lost devices are still held open.
    #[error("no free device number; close handles of lost devices")]
    NoMinor,
    /// An option is not accepted; nothing was touched.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The module does not have the driver that is asked for.
    #[error("the module does not have this driver; register it first")]
    Unregistered,
    /// The module is being unloaded.
    #[error("the module is being unloaded")]
    Unloading,
}
