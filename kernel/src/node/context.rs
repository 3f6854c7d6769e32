// SPDX-License-Identifier: GPL-2.0 OR MIT

//! CONTEXT_CREATE, CONTEXT_DESTROY, CONTEXT_STATUS.

use kernel::prelude::*;
use lifeboat_core::class::Presence;
use lifeboat_core::sched::ResetStatus;
use lifeboat_core::wedge::Failure;
use lifeboat_uapi::{
    ContextCreate, ContextDestroy, ContextStatus, CONTEXT_BANNED, CONTEXT_HUNG, CONTEXT_LOST, CONTEXT_NONSENSE,
    CONTEXT_RESET_FAILED, RESET_GUILTY, RESET_INNOCENT, RESET_NONE, RESET_UNKNOWN,
};

use super::Call;
use crate::gate::Section;

/// ENOMEM if all contexts of the device are in use, EDQUOT if this file has its share.
pub(super) fn create(call: &Call<'_>, _: &Section<'_>, arguments: &mut ContextCreate) -> Result {
    if arguments.flags != 0 {
        return Err(EINVAL);
    }
    arguments.context = call.file.client.open_context(call.device)?;
    Ok(())
}

/// ENOENT if there is no such context.
pub(super) fn destroy(call: &Call<'_>, arguments: &mut ContextDestroy) -> Result {
    if arguments.pad != 0 {
        return Err(EINVAL);
    }
    call.file.client.close_context(arguments.context)
}

/// ENOENT if there is no such context.
pub(super) fn status(call: &Call<'_>, arguments: &mut ContextStatus) -> Result {
    if arguments.pad != 0 {
        return Err(EINVAL);
    }
    let stats = call.file.client.context(arguments.context)?.reset_stats();
    let banned = if stats.banned { CONTEXT_BANNED } else { 0 };
    let lost = match call.device.gate.presence() {
        Presence::Live => 0,
        Presence::Gone => CONTEXT_LOST,
        Presence::Wedged(failure) => CONTEXT_LOST | flag(failure),
    };
    *arguments = ContextStatus {
        status: match stats.status {
            ResetStatus::None => RESET_NONE,
            ResetStatus::Guilty => RESET_GUILTY,
            ResetStatus::Innocent => RESET_INNOCENT,
            ResetStatus::Unknown => RESET_UNKNOWN,
        },
        flags: banned | lost,
        guilty: stats.guilty.into(),
        innocent: stats.innocent.into(),
        unknown: stats.unknown.into(),
        ..*arguments
    };
    Ok(())
}

/// The flag of a failure.
const fn flag(failure: Failure) -> u32 {
    match failure {
        Failure::Hung => CONTEXT_HUNG,
        Failure::ResetFailed => CONTEXT_RESET_FAILED,
        Failure::Nonsense => CONTEXT_NONSENSE,
    }
}
