// SPDX-License-Identifier: GPL-2.0 OR MIT

//! MODE_GETRESOURCES and MODE_GETPLANERESOURCES of DRM: a device without a display has none of either. Programs that look at every
//! card ask so (drm_info gives up on a device that refuses), and count what they get (`drmIsKMS` of libdrm).
//!
//! The core would say EOPNOTSUPP. It is left to say that the calls are none of a render node.

use kernel::{ffi::c_uint, prelude::*};

use crate::glue::{Command, DrmFile};

/// `DRM_IOCTL_MODE_GETRESOURCES`: four addresses for lists; then as many lengths, and the limits of a framebuffer's sides.
const GET_RESOURCES: c_uint = 0xc040_64a0;
const LISTS: usize = 32;
const COUNTS: usize = 32;
/// `DRM_IOCTL_MODE_GETPLANERESOURCES`: an address for a list, and its length.
const GET_PLANE_RESOURCES: c_uint = 0xc010_64b5;
const PLANE_LIST: usize = 8;
const PLANE_COUNT: usize = 4;

/// Whether the ioctl is answered here.
pub(super) fn answers(word: c_uint) -> bool {
    matches!(word, GET_RESOURCES | GET_PLANE_RESOURCES)
}

/// Answers with empty lists; `None` for a render node.
pub(super) fn get(file: &DrmFile, command: Command) -> Option<Result> {
    file.is_of_card().then(|| match command.word {
        GET_RESOURCES => clear(command, LISTS, COUNTS),
        _ => clear(command, PLANE_LIST, PLANE_COUNT),
    })
}

/// Keeps the first bytes of the structure, and clears so many after them.
fn clear(command: Command, kept: usize, cleared: usize) -> Result {
    let (mut reader, mut writer) = command.user(kept + cleared).reader_writer();
    let mut structure = [0; LISTS + COUNTS];
    reader.read_slice(&mut structure[..kept])?;
    writer.write_slice(&structure[..kept + cleared])
}
