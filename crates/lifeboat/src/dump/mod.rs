//! The device dump: what a device looked like when something went wrong with it (WEDGE-4).
//!
//! | file | what |
//! |---|---|
//! | `recorder` | decides when: once per incident ([`lifeboat_core::incident`]), before the first reset |
//! | `capture` | the state, in memory that was allocated at probe: nothing is allocated on the way (WEDGE-5) |
//! | `kept` | captures until somebody wants them, and the last dump |
//! | `format` | the dump as it is read and written |
//!
//! A capture is made by whoever finds the trouble, which is the scheduler's worker as a rule; a [`Dump`] is made of it later, by
//! whoever wants it: the bus, to tell its subscribers, or the owner of the [`Binding`](crate::Binding).
//!
//! What makes one, and what not:
//!
//! | what happens | the dump |
//! |---|---|
//! | a ring is about to be reset, for a hang or a fault | all of it; the blamed job's context |
//! | the heartbeat stands still; the driver gives the device up | all of it |
//! | the driver finds the device gone | what the driver knows itself: the jobs. There is nothing else to be read |
//! | the device is pulled out, or unbound | none |
//! | somebody asks ([`Bus::dump`](crate::Bus::dump), [`Binding::dump`](crate::Binding::dump)) | all of it; this is no incident |

mod capture;
mod format;
mod kept;
mod recorder;

pub use format::{
    About, Descriptor, Driver, Dump, Guilty, LeftOut, PendingJob, Process, ReadError, Reason, RegisterValue, RingState,
    Taken,
};

pub(crate) use capture::RingMemory;
pub(crate) use recorder::Recorder;
