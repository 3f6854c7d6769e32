// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Processes, as reports name them.

use kernel::bindings;

use super::shim;

/// Bytes of a process's name, its closing 0 included.
const NAME_BYTES: usize = bindings::TASK_COMM_LEN as usize;

/// A process by its number and name, which stay when it has ended.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    /// In the first namespace of processes.
    pub(crate) pid: i32,
    name: [u8; NAME_BYTES],
}

impl Process {
    /// The process of the caller.
    pub(crate) fn current() -> Self {
        let mut name = [0; NAME_BYTES];
        // SAFETY: the array is as long as the kernel's names are.
        let pid = unsafe { shim::lifeboat_shim_current_process(name.as_mut_ptr().cast()) };
        Self { pid, name }
    }

    /// Its name, which it has chosen: any bytes but 0.
    pub(crate) fn name(&self) -> &[u8] {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
        self.name.get(..end).unwrap_or_default()
    }
}
