//! What a user can learn of a driver and its device. None of this fails after loss (CALL-2).

use lifeboat::CallError;
use lifeboat::calls::Arguments;
use lifeboat_driver::gpu::Gpu;

use crate::Device;
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

impl<G: Gpu> Arguments<Device<G>> for GetVersion {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        Ok(())
    }
}

impl<G: Gpu> Arguments<Device<G>> for GetCapability {
    fn check(&self, _: &Users<G>) -> Result<(), CallError> {
        Ok(())
    }
}

pub(crate) fn version<G: Gpu>(_: &Users<G>, _: GetVersion) -> Result<Version, CallError> {
    let facts = &G::FACTS;
    Ok(Version { driver: facts.name, version: facts.version })
}

pub(crate) fn capability<G: Gpu>(users: &Users<G>, GetCapability(capability): GetCapability) -> Result<u64, CallError> {
    Ok(match capability {
        Capability::MapVram => u64::from(users.gpu.maps().is_ok_and(Maps::can_map)),
        Capability::ResetStats => 1,
    })
}
