//! LB1 in a process: the driver of `lifeboat-lb1`, plugged into the GPU subsystem of the hosted
//! framework, and the types that users of an LB1 need, with the driver filled in.
#![forbid(unsafe_code)]

use lifeboat::Module;
use lifeboat_drm::Drm;
use lifeboat_lb1::Lb1Driver;

pub use lifeboat_drm::{
    CALLS, Capability, Change, CommitError, CommitKind, ConnectorInfo, ConnectorStatus, DeviceInfo, DisplayEvent,
    DisplayEvents, DmaBuf, LeaseError, LesseeId, Mode, Objects, Options, Placement, Resources, Version, kinds,
};
/// Commands and their arguments.
pub use lifeboat_lb1::command;

/// An LB1. See [`lifeboat_drm::Device`].
pub type Device = lifeboat_drm::Device<Lb1Driver>;
/// An open LB1. See [`lifeboat_drm::Handle`].
pub type Handle = lifeboat_drm::Handle<Lb1Driver>;
/// A context of an LB1. See [`lifeboat_drm::Context`].
pub type Context = lifeboat_drm::Context<Lb1Driver>;
/// A queue of a context. See [`lifeboat_drm::Queue`].
pub type Queue = lifeboat_drm::Queue<Lb1Driver>;
/// A buffer of an LB1. See [`lifeboat_drm::Buffer`].
pub type Buffer = lifeboat_drm::Buffer<Lb1Driver>;
/// A buffer in this process. See [`lifeboat_drm::CpuMap`].
pub type CpuMap = lifeboat_drm::CpuMap<Lb1Driver>;
/// A lease of the display. See [`lifeboat_drm::Lease`].
pub type Lease = lifeboat_drm::Lease<Lb1Driver>;
/// A job to be. See [`lifeboat_drm::Submission`].
pub type Submission<'a> = lifeboat_drm::Submission<'a, Lb1Driver>;
/// A change of the display. See [`lifeboat_drm::Commit`].
pub type Commit<'a> = lifeboat_drm::Commit<'a, Lb1Driver>;

/// A module with the driver of LB1, and nothing else.
#[must_use]
pub fn module() -> Module {
    module_with(Options::default())
}

/// The same, with options for each device.
#[must_use]
pub fn module_with(options: Options) -> Module {
    let mut module = Module::new();
    module.register::<Drm<Lb1Driver>>(options);
    module
}

/// The README of the base, whose example runs an LB1: the base itself has no driver.
#[doc = include_str!("../../../../crates/lifeboat/README.md")]
#[cfg(doctest)]
struct ReadmeOfTheBase;
