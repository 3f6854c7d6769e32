// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job that is committed has nothing to fail with.
//!
//! error[E0277]

use kernel::{prelude::*, sync::Arc};
use lifeboat_jobqueue::{Hardware, Prepared, Unsignalled};

pub(crate) fn commits<H: Hardware>(prepared: Prepared<H>, fence: Unsignalled, job: Arc<H::Job>) -> Result {
    prepared.commit(fence, job);
    Ok(())
}

#[cfg(mistake)]
pub(crate) fn fails<H: Hardware>(prepared: Prepared<H>, fence: Unsignalled, job: Arc<H::Job>) -> Result {
    prepared.commit(fence, job)?;
    Ok(())
}
