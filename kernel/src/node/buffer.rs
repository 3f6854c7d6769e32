// SPDX-License-Identifier: GPL-2.0 OR MIT

//! BUFFER_CREATE, BUFFER_MMAP, BUFFER_WAIT and BUFFER_ADVISE.

use kernel::prelude::*;
use lifeboat_uapi::{
    BufferAdvise, BufferCreate, BufferMmap, BufferWait, BUFFER_READ_ONLY, BUFFER_USER, BUFFER_VRAM, DONT_NEED,
    WAIT_WRITERS, WILL_NEED,
};

use super::Call;
use crate::glue::jiffies_until;
use crate::memory::{Buffer, Object, Placement};

const USER_READ_ONLY: u32 = BUFFER_USER | BUFFER_READ_ONLY;

/// EINVAL for a size of 0, parts of pages and unknown flags, ENOSPC without room in video memory, ENOMEM, EFAULT.
pub(super) fn create(call: &Call<'_>, arguments: &mut BufferCreate) -> Result {
    let memory = &call.device.memory;
    let buffer = match (arguments.flags, arguments.address) {
        (0, 0) => Buffer::new(memory, arguments.size, Placement::Host)?,
        (BUFFER_VRAM, 0) => Buffer::new(memory, arguments.size, Placement::Vram)?,
        (BUFFER_USER, address) => Buffer::user(memory, address, arguments.size, true)?,
        (USER_READ_ONLY, address) => Buffer::user(memory, address, arguments.size, false)?,
        _ => return Err(EINVAL),
    };
    arguments.size = buffer.size();
    arguments.handle = Object::new(call.drm, buffer)?.handle(call.drm_file)?;
    Ok(())
}

/// ENOENT if there is no such buffer.
pub(super) fn mmap(call: &Call<'_>, arguments: &mut BufferMmap) -> Result {
    if arguments.pad != 0 {
        return Err(EINVAL);
    }
    arguments.offset = Object::find(call.drm_file, arguments.handle)?.offset();
    Ok(())
}

/// ETIME at the timeout, ENOENT if there is no such buffer.
pub(super) fn wait(call: &Call<'_>, arguments: &mut BufferWait) -> Result {
    if arguments.flags & !WAIT_WRITERS != 0 {
        return Err(EINVAL);
    }
    let object = Object::find(call.drm_file, arguments.handle)?;
    let only_writers = arguments.flags & WAIT_WRITERS != 0;
    match object.wait(only_writers, jiffies_until(arguments.timeout_ns)) {
        // The last look begins after the limit.
        Err(error) if error == ETIME => object.wait(only_writers, 0),
        result => result,
    }
}

/// ENOENT if there is no such buffer.
pub(super) fn advise(call: &Call<'_>, arguments: &mut BufferAdvise) -> Result {
    let needed = match arguments.advice {
        WILL_NEED => true,
        DONT_NEED => false,
        _ => return Err(EINVAL),
    };
    if arguments.pad != 0 {
        return Err(EINVAL);
    }
    let object = Object::find(call.drm_file, arguments.handle)?;
    arguments.retained = object.advise(needed, object.window())?.into();
    Ok(())
}
