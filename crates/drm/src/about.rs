//! What a user can learn of a driver and its device. None of this can fail, so it does not after loss (CALL-2).

use lifeboat_driver::gpu::Gpu;

use crate::device::Users;
use crate::maps::Maps;

/// Which driver drives a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name.
    pub driver: &'static str,
    /// Its version, as semantic versioning has it.
    pub version: &'static str,
}

/// What a driver may be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// 1: buffers in VRAM can be mapped into the caller's memory.
    MapVram,
    /// 1: contexts know the resets that they have seen.
    ResetStats,
}

pub(crate) struct GetVersion;
pub(crate) struct GetCapability(pub(crate) Capability);

pub(crate) fn version<G: Gpu>(_: &Users<G>, _: GetVersion) -> Version {
    let facts = &G::FACTS;
    Version { driver: facts.name, version: facts.version }
}

pub(crate) fn capability<G: Gpu>(users: &Users<G>, GetCapability(capability): GetCapability) -> u64 {
    match capability {
        Capability::MapVram => u64::from(users.gpu.maps().is_ok_and(Maps::can_map)),
        Capability::ResetStats => 1,
    }
}
