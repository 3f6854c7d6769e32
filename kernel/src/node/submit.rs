// SPDX-License-Identifier: GPL-2.0 OR MIT

//! SUBMIT: a job for a ring.
//!
//! All or nothing. All that may fail comes first, user memory included; then, in a section of the
//! gate, the commit, after which the fences are given to those who were promised them (SCHED-3). No
//! user memory is touched in the section: a page that does not come must not delay an unplug.

use core::time::Duration;

use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};
use lifeboat_core::sched::{IfDependencyFails, JobSpec, Priority};
use lifeboat_driver::{gpu::Gpu, Driver};
use lifeboat_uapi::{Submit, PRIORITY_HIGH, PRIORITY_LOW, PRIORITY_NORMAL, SUBMIT_IGNORE_ERRORS, SUBMIT_RESTARTABLE};

use super::{sync, Call};
use crate::client::Submission;
use crate::glue::{may_have_high_priority, Arguments, Command};
use crate::registration::Driven;
use crate::{module_parameters, ring};

/// What the table has for SUBMIT: it writes its results back itself, before the commit.
pub(super) fn submit(call: &Call<'_>, command: Command, size: usize) -> Result {
    let arguments = Arguments::<Submit>::read(command.user(size))?;
    let Submit { ring, priority, flags, timeout_ms, .. } = arguments.0;
    if flags & !(SUBMIT_IGNORE_ERRORS | SUBMIT_RESTARTABLE) != 0 {
        return Err(EINVAL);
    }
    let ring = u8::try_from(ring).ok().filter(|ring| *ring < Driven::rings(&call.device.info)).ok_or(EINVAL)?;
    let context = call.file.client.context(arguments.0.context)?;
    let after = sync::waits(call.drm_file, arguments.0.waits, arguments.0.wait_count)?;
    let signals = sync::Signals::read(call.drm_file, arguments.0.signals, arguments.0.signal_count)?;
    let if_failed = if flags & SUBMIT_IGNORE_ERRORS == 0 { IfDependencyFails::Cancel } else { IfDependencyFails::Run };
    let submission = Submission {
        ring,
        priority: level(priority)?,
        spec: JobSpec {
            time_limit: limit(timeout_ms),
            restartable: flags & SUBMIT_RESTARTABLE != 0,
            if_dependency_fails: if_failed,
            ..JobSpec::default()
        },
        after: &after,
        commands: commands(call, ring, arguments.0.commands, arguments.0.command_count)?,
    };
    context.submit(
        submission,
        |job, fence| {
            let promised = signals.promise(fence)?;
            let results = Arguments(Submit { job, ..arguments.0 });
            results.write(command.user(size))?;
            Ok(promised)
        },
        || call.device.gate.call(),
        sync::Promised::keep,
    )
}

/// EINVAL for none, EACCES for one that the caller may not have.
fn level(priority: u32) -> Result<Priority> {
    match priority {
        PRIORITY_LOW => Ok(Priority::Low),
        PRIORITY_NORMAL => Ok(Priority::Normal),
        PRIORITY_HIGH if may_have_high_priority() => Ok(Priority::High),
        PRIORITY_HIGH => Err(EACCES),
        _ => Err(EINVAL),
    }
}

/// The limit of a job, if it is shorter than the device's: a longer one would take the ring from others.
fn limit(timeout_ms: u32) -> Option<Duration> {
    let most = *module_parameters::job_timeout_ms.value_ref();
    (timeout_ms > 0 && timeout_ms < most).then(|| Duration::from_millis(timeout_ms.into()))
}

/// The caller's commands. EINVAL for none, for too many, or if one is none of the device's; EFAULT.
fn commands(call: &Call<'_>, ring: u8, address: u64, count: u32) -> Result<KVec<<Driven as Gpu>::Command>> {
    let most = Driven::most_commands(ring::credits(&call.device.info, ring));
    if count == 0 || count > most {
        return Err(EINVAL);
    }
    let count = usize::try_from(count)?;
    let mut commands = KVec::with_capacity(count, GFP_KERNEL)?;
    let bytes = count * Driven::COMMAND_BYTES;
    let mut reader = UserSlice::new(UserPtr::from_addr(usize::try_from(address)?), bytes).reader();
    let mut encoded = [0; Driven::COMMAND_BYTES];
    for _ in 0..count {
        reader.read_slice(&mut encoded)?;
        commands.push(Driven::decode(&encoded).map_err(|_| EINVAL)?, GFP_KERNEL)?;
    }
    Ok(commands)
}
