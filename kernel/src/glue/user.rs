// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Structures of the user interface as bytes.

use kernel::bindings;
use kernel::prelude::*;
use kernel::uaccess::UserSlice;

/// A structure that any bytes are a value of, and that has no bytes besides its fields.
///
/// # Safety
/// `repr(C)`, integers only, no padding.
pub(crate) unsafe trait Plain: Default {}

macro_rules! plain {
    ($($name:ident)*) => {$(
        // SAFETY: the test `header` of `lifeboat_uapi` compares its fields with the C header's, which are integers without
        // padding between or after them.
        unsafe impl Plain for lifeboat_uapi::$name {}
    )*};
}

plain! {
    Info ContextCreate ContextDestroy ContextStatus BufferCreate BufferMmap BufferWait BufferAdvise Map Unmap Submit Sync Wait
}

/// The argument of an ioctl, which may be larger or smaller in the caller's program than here.
pub(crate) struct Arguments<T>(pub(crate) T);

impl<T: Plain> Arguments<T> {
    /// Reads what the caller has: a shorter structure as if it ended in zeroes. E2BIG for a longer one whose tail is not zero:
    /// it asks for what this module does not know. EFAULT.
    pub(crate) fn read(from: UserSlice) -> Result<Self> {
        let mut arguments = T::default();
        let mut reader = from.reader();
        let known = size_of::<T>().min(reader.len());
        reader.read_slice(&mut Self::bytes(&mut arguments)[..known])?;
        let mut tail = [0; 32];
        while !reader.is_empty() {
            let piece = tail.len().min(reader.len());
            reader.read_slice(&mut tail[..piece])?;
            if tail[..piece].iter().any(|byte| *byte != 0) {
                return Err(E2BIG);
            }
        }
        Ok(Self(arguments))
    }

    /// Writes back as much as the caller's structure takes. EFAULT.
    pub(crate) fn write(mut self, to: UserSlice) -> Result {
        let mut writer = to.writer();
        let known = size_of::<T>().min(writer.len());
        writer.write_slice(&Self::bytes(&mut self.0)[..known])
    }

    fn bytes(arguments: &mut T) -> &mut [u8] {
        // SAFETY: `T` is plain: every byte belongs to an integer, and may have any value.
        unsafe { core::slice::from_raw_parts_mut(core::ptr::from_mut(arguments).cast(), size_of::<T>()) }
    }
}

/// Whether the caller may have its jobs run before those of others.
pub(crate) fn may_have_high_priority() -> bool {
    // SAFETY: needs nothing but a current task.
    unsafe { bindings::capable(bindings::CAP_SYS_NICE as kernel::ffi::c_int) }
}
