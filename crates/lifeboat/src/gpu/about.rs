//! What a user can learn of a driver and its device. None of this fails after loss (CALL-2).

use crate::calls::Arguments;
use crate::gpu::device::Users;
use crate::{CallError, Device};

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

impl Arguments<Device> for GetVersion {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        Ok(())
    }
}

impl Arguments<Device> for GetCapability {
    fn check(&self, _: &Users) -> Result<(), CallError> {
        Ok(())
    }
}

pub(crate) fn version(_: &Users, _: GetVersion) -> Result<Version, CallError> {
    Ok(Version { driver: "lifeboat-lb1", version: env!("CARGO_PKG_VERSION") })
}

pub(crate) fn capability(users: &Users, GetCapability(capability): GetCapability) -> Result<u64, CallError> {
    Ok(match capability {
        Capability::MapVram => u64::from(users.gpu.maps.can_map()),
        Capability::ResetStats => 1,
    })
}
