// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The fences of a submission: those that the job waits for, and those that it promises.

use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};
use lifeboat_jobqueue::Fence;
use lifeboat_uapi::{Sync, SYNC_FILE};

use crate::glue::{Arguments, DrmFile, Point, SyncFile, Syncobj};

/// Most fences of either kind.
const MOST: u32 = 256;

/// Bytes of one in user memory.
const BYTES: usize = size_of::<Sync>();

/// The fences that a job waits for. EINVAL for too many, unknown flags, or a descriptor of something
/// else; ENOENT for no object, or one without a fence; EFAULT.
pub(super) fn waits(file: &DrmFile, address: u64, count: u32) -> Result<KVec<Fence>> {
    let mut fences = KVec::new();
    for index in 0..check(count)? {
        let sync = read(address, index)?;
        let fence = if sync.flags & SYNC_FILE == 0 {
            Syncobj::fence(file, handle(&sync)?, sync.point)?
        } else {
            SyncFile::fence(sync.handle)?
        };
        fences.push(fence, GFP_KERNEL)?;
    }
    Ok(fences)
}

/// What a job is to signal.
pub(super) struct Signals {
    address: u64,
    wanted: KVec<Wanted>,
}

enum Wanted {
    Binary(Syncobj),
    Timeline(Syncobj, Point, u64),
    File,
}

/// Promises that can be kept without fail.
pub(super) struct Promised {
    wanted: KVec<Wanted>,
    files: KVec<SyncFile>,
}

impl Signals {
    /// As [`waits`]. Gets all memory that is needed, but for files.
    pub(super) fn read(file: &DrmFile, address: u64, count: u32) -> Result<Self> {
        let mut wanted = KVec::new();
        for index in 0..check(count)? {
            let sync = read(address, index)?;
            let want = if sync.flags & SYNC_FILE != 0 {
                Wanted::File
            } else if sync.point == 0 {
                Wanted::Binary(Syncobj::find(file, handle(&sync)?)?)
            } else {
                Wanted::Timeline(Syncobj::find(file, handle(&sync)?)?, Point::new()?, sync.point)
            };
            wanted.push(want, GFP_KERNEL)?;
        }
        Ok(Self { address, wanted })
    }

    /// Makes the files, and tells the caller their descriptors, which lead nowhere before the promise
    /// is kept. EMFILE, ENOMEM, EFAULT.
    pub(super) fn promise(self, fence: &Fence) -> Result<Promised> {
        let Self { address, wanted } = self;
        let mut files = KVec::new();
        for (index, _) in wanted.iter().enumerate().filter(|(_, want)| matches!(want, Wanted::File)) {
            let file = SyncFile::new(fence)?;
            let handle = i32::try_from(file.descriptor())?;
            Arguments(Sync { handle, flags: SYNC_FILE, point: 0 }).write(at(address, index)?)?;
            files.push(file, GFP_KERNEL)?;
        }
        Ok(Promised { wanted, files })
    }
}

impl Promised {
    /// Hands the fence out.
    pub(super) fn keep(self, fence: &Fence) {
        for want in self.wanted {
            match want {
                Wanted::Binary(syncobj) => syncobj.replace(fence),
                Wanted::Timeline(syncobj, point, value) => syncobj.add(point, fence, value),
                Wanted::File => {}
            }
        }
        self.files.into_iter().for_each(SyncFile::install);
    }
}

fn check(count: u32) -> Result<usize> {
    if count > MOST {
        return Err(EINVAL);
    }
    Ok(usize::try_from(count)?)
}

fn read(address: u64, index: usize) -> Result<Sync> {
    let sync = Arguments::<Sync>::read(at(address, index)?)?.0;
    if sync.flags & !SYNC_FILE != 0 || sync.flags & SYNC_FILE != 0 && sync.point != 0 {
        return Err(EINVAL);
    }
    Ok(sync)
}

/// The element of the caller's array. EFAULT if it is beyond all memory.
fn at(address: u64, index: usize) -> Result<UserSlice> {
    let address = usize::try_from(address)?.checked_add(index * BYTES).ok_or(EFAULT)?;
    Ok(UserSlice::new(UserPtr::from_addr(address), BYTES))
}

fn handle(sync: &Sync) -> Result<u32> {
    u32::try_from(sync.handle).map_err(|_| ENOENT)
}
