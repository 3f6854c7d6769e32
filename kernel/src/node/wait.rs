// SPDX-License-Identifier: GPL-2.0 OR MIT

//! WAIT: for the end of a job.

use kernel::prelude::*;
use lifeboat_uapi::Wait;

use super::Call;

/// ETIME at the timeout, ERESTARTSYS if a signal came, ENOENT if the context or the job was never there.
pub(super) fn wait(call: &Call<'_>, arguments: &mut Wait) -> Result {
    if arguments.flags != 0 || arguments.pad != 0 {
        return Err(EINVAL);
    }
    // The context itself is not kept: somebody may close it, and so end the job.
    let fence = call.file.client.context(arguments.context)?.job(arguments.job)?;
    let outcome = fence.wait_until(arguments.timeout_ns)?;
    arguments.result = outcome.map_or_else(|error| error.to_errno(), |()| 0);
    Ok(())
}
