// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The process that opened a file, for whoever asks later whose job it was.

/// Bytes of a process's name, the last one 0 (`TASK_COMM_LEN`).
pub(crate) const NAME: usize = 16;

/// See the module documentation.
#[derive(Clone, Copy)]
pub(crate) struct Opener {
    pub(crate) pid: i32,
    /// Ends in a 0 at the latest.
    pub(crate) name: [u8; NAME],
}
