// SPDX-License-Identifier: GPL-2.0 OR MIT

//! INFO: sizes and limits of the device, as they were read at probe.

use kernel::prelude::*;
use lifeboat_driver::{gpu::Gpu, Driver};
use lifeboat_uapi::Info;

use super::Call;
use crate::memory::UNIT;
use crate::registration::Driven;
use crate::ring;

/// EINVAL for unknown flags.
pub(super) fn info(call: &Call<'_>, arguments: &mut Info) -> Result {
    if arguments.flags != 0 {
        return Err(EINVAL);
    }
    let info = &call.device.info;
    *arguments = Info {
        flags: 0,
        rings: Driven::rings(info).into(),
        contexts: Driven::contexts(info).into(),
        segments: Driven::segments(info).into(),
        page_bytes: u32::try_from(UNIT)?,
        command_bytes: u32::try_from(Driven::COMMAND_BYTES)?,
        most_commands: ring::most_commands(info),
        serial: Driven::serial(info),
        vram_bytes: Driven::vram(info).map_or(0, |vram| vram.bytes),
        first_address: (Driven::ADDRESSES.start * Driven::PAGE).next_multiple_of(UNIT),
        last_address: Driven::ADDRESSES.end * Driven::PAGE - 1,
    };
    Ok(())
}
