//! The one error of a driver.

use core::fmt;

use lifeboat_core::sched::ErrorScope;
use lifeboat_pci::BusError;

/// Why an operation of a driver on its device failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverError {
    /// The access could not be attempted.
    Bus(BusError),
    /// The device is no longer there.
    Gone,
    /// Something answers that is not a device this driver knows.
    Foreign {
        /// The register that is wrong, as an offset in its BAR.
        register: u64,
        /// Value that was read from it.
        value: u32,
    },
    /// The device reports a property that cannot be true; the text names the property.
    Impossible(&'static str),
    /// The device answers, but it does not compute, or its heartbeat does not move.
    NotAlive,
    /// The driver's code has panicked: whatever state it had is no longer known.
    Panicked,
    /// The driver's code has not returned for longer than the shell allows. It may still run: nothing
    /// else is asked of it.
    Stuck,
    /// A reset has failed, or has taken longer than the device states.
    ResetFailed,
    /// The device has come back from a reset as another: its identity, its properties, or its
    /// computations are not as before.
    Changed,
    /// A ring does not work: it has not done a job of the driver's own, or was not reset.
    Unproven {
        /// The ring.
        ring: u8,
        /// The step of the proof that failed.
        what: Unproven,
    },
    /// The function has too few interrupt vectors of the kinds that the driver can use.
    NoInterrupts,
    /// An argument does not exist on this device: a ring, a context, or an address out of range.
    NoSuchThing,
}

/// The step at which a ring has not proved that it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unproven {
    /// The ring says that its reset is done, and is not as after a reset.
    NotReset {
        /// Its control register.
        control: u32,
        /// Index of the descriptor that it is at.
        head: u32,
    },
    /// The ring was enabled, and says that it is not.
    NotEnabled {
        /// Its control register.
        control: u32,
    },
    /// The ring was disabled, and says that it is not.
    NotDisabled {
        /// Its control register.
        control: u32,
    },
    /// The ring has stopped with a fault.
    Faulted {
        /// The device's code of the fault.
        code: u8,
    },
    /// The ring has not reported the driver's own job in time.
    Silent,
    /// The ring has reported the job, and has not written the job's result.
    NotWritten,
}

impl DriverError {
    /// What the error concerns if it comes of starting a job. One that asks for something the
    /// device does not have is at fault itself; every other error says something of the device.
    pub fn scope(&self) -> ErrorScope {
        match self {
            Self::NoSuchThing => ErrorScope::Job,
            _ => ErrorScope::Device,
        }
    }
}

impl From<BusError> for DriverError {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(error) => error.fmt(f),
            Self::Gone => f.write_str("the device is gone"),
            Self::Foreign { register, value } => {
                write!(f, "not a device that this driver knows: register {register:#x} reads {value:#x}")
            }
            Self::Impossible(what) => write!(f, "the device says what cannot be true: {what}"),
            Self::NotAlive => f.write_str("the device answers but shows no life"),
            Self::Panicked => f.write_str("the driver's code has panicked"),
            Self::Stuck => f.write_str("the driver's code has not returned in time"),
            Self::NoInterrupts => {
                f.write_str("the function has too few interrupt vectors of the kinds that the driver can use")
            }
            Self::ResetFailed => f.write_str("the device did not come out of a reset"),
            Self::Changed => f.write_str("the device is another one after its reset"),
            Self::Unproven { ring, what } => write!(f, "ring {ring} does not work: {what}"),
            Self::NoSuchThing => f.write_str("the device has no such ring, context, segment or address"),
        }
    }
}

impl core::error::Error for DriverError {}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReset { control, head } => {
                write!(f, "it says that it was reset, and was not (control {control:#x}, head {head})")
            }
            Self::NotEnabled { control } => write!(f, "it cannot be enabled (control {control:#x})"),
            Self::NotDisabled { control } => write!(f, "it cannot be disabled (control {control:#x})"),
            Self::Faulted { code } => write!(f, "it stopped with fault {code} in the driver's own job"),
            Self::Silent => f.write_str("it has not done the driver's own job in time"),
            Self::NotWritten => {
                f.write_str("it says that the driver's own job is done, and has not written its result")
            }
        }
    }
}

impl core::error::Error for Unproven {}
