// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The process that is calling.

use kernel::current;

use crate::opener::{Opener, NAME};

/// The process that is calling, by its first thread.
pub(crate) fn caller() -> Opener {
    let current = current!();
    let leader = current.group_leader();
    let mut name = [0; NAME];
    for (index, to) in name.iter_mut().enumerate().take(NAME - 1) {
        // SAFETY: the task is alive while `current` is borrowed. Its name may change meanwhile, byte by byte, as it may for
        // every other reader in the kernel; its last byte is always 0.
        *to = unsafe { (&raw const (*leader.as_ptr()).comm[index]).read_volatile() } as u8;
    }
    Opener { pid: leader.pid(), name }
}
