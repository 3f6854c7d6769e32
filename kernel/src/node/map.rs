// SPDX-License-Identifier: GPL-2.0 OR MIT

//! MAP and UNMAP.

use kernel::prelude::*;
use lifeboat_uapi::{Map, Unmap, MAP_WRITE};

use super::Call;
use crate::memory::{Object, Part};

/// ENOENT (context or buffer), EINVAL for what is no whole pages or past an end, EEXIST if an address is taken, ENOSPC if the
/// context has too few segments left, EFAULT if the program has unmapped or replaced the memory.
pub(super) fn map(call: &Call<'_>, arguments: &mut Map) -> Result {
    // A lost device is said before what is wrong with the call, as for every call of class Device.
    drop(call.device.gate.call()?);
    let Map { context, handle, address, offset, size, flags, pad } = *arguments;
    if flags & !MAP_WRITE != 0 || pad != 0 {
        return Err(EINVAL);
    }
    let context = call.file.client.context(context)?;
    let object = Object::find(call.drm_file, handle)?;
    let part = Part { address, offset, bytes: size, writable: flags & MAP_WRITE != 0 };
    context.table().map(&call.device.memory, object, part)
}

/// ENOENT if there is no such context, or nothing begins at the address.
pub(super) fn unmap(call: &Call<'_>, arguments: &mut Unmap) -> Result {
    if arguments.pad != 0 {
        return Err(EINVAL);
    }
    call.file.client.context(arguments.context)?.table().unmap(&call.device.memory, arguments.address)
}
