// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Open files of DRM devices: `struct file_operations`, and what is kept for a file.

use core::{fmt, marker::PhantomData};

use kernel::{
    bindings,
    ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void},
    prelude::*,
    types::Opaque,
    uaccess::{UserPtr, UserSlice},
};

use super::drm::{DrmDevice, Nodes};
use super::shim;

/// A `struct drm_file`: an open file, or the last one that refers to it.
#[repr(transparent)]
pub(crate) struct DrmFile(Opaque<bindings::drm_file>);

impl DrmFile {
    /// The file of a pointer that the core gives to a callback.
    ///
    /// # Safety
    /// It must be valid for `'a`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::drm_file) -> &'a Self {
        // SAFETY: by the function's contract; `Self` is transparent.
        unsafe { &*raw.cast() }
    }

    pub(super) fn raw(&self) -> *mut bindings::drm_file {
        self.0.get()
    }

    /// Whether it is a file of the card node.
    pub(crate) fn is_of_card(&self) -> bool {
        // SAFETY: a file has a minor, which outlives it; its type never changes.
        let kind = unsafe { (*(*self.raw()).minor).type_ };
        u32::try_from(kind) == Ok(bindings::drm_minor_type_DRM_MINOR_PRIMARY)
    }
}

/// An open file in the midst of a call.
pub(crate) struct Opened<'a, N: Nodes> {
    /// Its device.
    pub(crate) drm: &'a DrmDevice,
    /// What the driver keeps for the device.
    pub(crate) nodes: &'a N,
    /// The file, as the core knows it.
    pub(crate) drm_file: &'a DrmFile,
    /// What the driver keeps for the file.
    pub(crate) file: &'a N::File,
}

impl<N: Nodes> Opened<'_, N> {
    /// # Safety
    /// `raw` must be valid for `'a`, opened by [`open`] with the same `N`, and not yet given to [`postclose`].
    pub(super) unsafe fn from_raw(raw: *mut bindings::drm_file) -> Self {
        // SAFETY: `minor` and its device outlive the file, and `open` has set `driver_priv`.
        unsafe {
            let drm = DrmDevice::from_raw((*(*raw).minor).dev);
            let file = &*(*raw).driver_priv.cast::<N::File>();
            Self { drm, nodes: drm.nodes(), drm_file: DrmFile::from_raw(raw), file }
        }
    }
}

/// The arguments of an ioctl.
#[derive(Clone, Copy)]
pub(crate) struct Command {
    /// With direction, size, type and number in it.
    pub(crate) word: u32,
    argument: usize,
}

impl Command {
    /// The caller's structure, of the size that is in the command.
    pub(crate) fn user(&self, bytes: usize) -> UserSlice {
        UserSlice::new(UserPtr::from_addr(self.argument), bytes)
    }
}

/// Where the lines of a fdinfo go.
pub(crate) struct Printer(*mut bindings::drm_printer);

impl fmt::Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut piece = [0; 64];
        for bytes in text.as_bytes().chunks(piece.len() - 1) {
            piece[..bytes.len()].copy_from_slice(bytes);
            piece[bytes.len()] = 0;
            // SAFETY: the printer is valid during the callback that it was made for, and the text ends in a zero.
            unsafe { shim::lifeboat_shim_print(self.0.cast(), piece.as_ptr().cast::<c_char>()) };
        }
        Ok(())
    }
}

extern "C" {
    /// The `struct module` of this module, of which nobody but the kernel uses more than the address.
    static __this_module: u8;
}

/// The file operations for a kind of nodes. Every open file refers to the module.
pub(super) const fn operations<N: Nodes>() -> bindings::file_operations {
    let mut operations: bindings::file_operations = pin_init::zeroed();
    // The kernel's build defines this symbol in every module; only its address is taken.
    operations.owner = (&raw const __this_module).cast_mut().cast();
    operations.fop_flags = bindings::FOP_UNSIGNED_OFFSET;
    operations.open = Some(bindings::drm_open);
    operations.release = Some(bindings::drm_release);
    operations.unlocked_ioctl = Some(ioctl::<N>);
    #[cfg(CONFIG_COMPAT)]
    {
        operations.compat_ioctl = Some(compat_ioctl::<N>);
    }
    operations.poll = Some(poll::<N>);
    operations.read = Some(read);
    operations.mmap = Some(super::mmap::mmap_file);
    operations.llseek = Some(bindings::noop_llseek);
    operations.show_fdinfo = Some(bindings::drm_show_fdinfo);
    operations
}

/// Prepares a file. An error is that of the `open` call.
pub(super) unsafe extern "C" fn open<N: Nodes>(drm: *mut bindings::drm_device, file: *mut bindings::drm_file) -> c_int {
    // SAFETY: the core calls this with a device of ours, which has been registered.
    let drm = unsafe { DrmDevice::from_raw(drm) };
    // SAFETY: only a device that was made with `N` has this function.
    let nodes = unsafe { drm.nodes::<N>() };
    // SAFETY: the core's file is valid during the call.
    let opened = nodes.open(unsafe { DrmFile::from_raw(file) });
    match KBox::pin_init(opened, GFP_KERNEL) {
        Ok(opened) => {
            // SAFETY: the content stays where it is until `postclose` drops it.
            let opened = KBox::into_raw(unsafe { Pin::into_inner_unchecked(opened) });
            // SAFETY: the file is being opened: nobody else has it yet.
            unsafe { (*file).driver_priv = opened.cast() };
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// Drops what is kept for a file. Its handles are closed already.
pub(super) unsafe extern "C" fn postclose<N: Nodes>(_: *mut bindings::drm_device, file: *mut bindings::drm_file) {
    // SAFETY: `open` set it, and nobody uses the file any more.
    drop(unsafe { KBox::from_raw((*file).driver_priv.cast::<N::File>()) });
}

/// The file behind a `struct file`.
///
/// # Safety
/// The file must be one that `drm_open` has opened.
unsafe fn drm_file(file: *mut bindings::file) -> *mut bindings::drm_file {
    // SAFETY: `drm_open` sets it, for the life of the file.
    unsafe { (*file).private_data.cast() }
}

/// An ioctl on its way through the core's checks.
struct Pending<N> {
    command: Command,
    result: Option<Result>,
    kind: PhantomData<N>,
}

unsafe extern "C" fn ioctl<N: Nodes>(file: *mut bindings::file, word: c_uint, argument: c_ulong) -> c_long {
    // SAFETY: the arguments are those of the system call.
    unsafe { own_ioctl::<N>(file, word, argument as usize) }
        // SAFETY: as above.
        .unwrap_or_else(|| unsafe { bindings::drm_ioctl(file, word, argument) })
}

/// The structures are the same for 32-bit callers, whose pointers are in the lower half of the register.
#[cfg(CONFIG_COMPAT)]
unsafe extern "C" fn compat_ioctl<N: Nodes>(file: *mut bindings::file, word: c_uint, argument: c_ulong) -> c_long {
    // SAFETY: the arguments are those of the system call.
    unsafe { own_ioctl::<N>(file, word, argument as u32 as usize) }
        // SAFETY: as above.
        .unwrap_or_else(|| unsafe { bindings::drm_compat_ioctl(file, word, argument) })
}

/// `None` if the core is to perform it.
///
/// # Safety
/// As that of a file operation.
unsafe fn own_ioctl<N: Nodes>(file: *mut bindings::file, word: u32, argument: usize) -> Option<c_long> {
    if !N::performs(word) {
        return None;
    }
    let command = Command { word, argument };
    let mut pending = Pending::<N> { command, result: None, kind: PhantomData };
    // The core notes the caller's process, and checks whether this node may be used so.
    let flags = bindings::drm_ioctl_flags_DRM_RENDER_ALLOW;
    // SAFETY: the file is open, and `pending` outlives the call.
    let error = unsafe { bindings::drm_ioctl_kernel(file, Some(perform::<N>), (&raw mut pending).cast(), flags) };
    if error != 0 {
        return Some(error);
    }
    Some(pending.result?.map_or_else(|error| error.to_errno() as c_long, |()| 0))
}

unsafe extern "C" fn perform<N: Nodes>(
    _: *mut bindings::drm_device,
    pending: *mut c_void,
    file: *mut bindings::drm_file,
) -> c_int {
    // SAFETY: `own_ioctl` passes this, and waits.
    let pending = unsafe { &mut *pending.cast::<Pending<N>>() };
    // SAFETY: the file is open during the call, and of a device of this kind.
    let opened = unsafe { Opened::<N>::from_raw(file) };
    pending.result = N::ioctl(&opened, pending.command);
    0
}

/// Events of `poll`, as user space has them (`linux/eventpoll.h`).
const POLLERR: u32 = 0x8;
const POLLHUP: u32 = 0x10;

unsafe extern "C" fn poll<N: Nodes>(
    file: *mut bindings::file,
    table: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: the arguments are those of the file operation. This enters the caller into the queue that a loss wakes.
    let events = unsafe { bindings::drm_poll(file, table) };
    // SAFETY: the file is open during the call, and of a device of this kind.
    let opened = unsafe { Opened::<N>::from_raw(drm_file(file)) };
    // Looked at after the entry: a loss that comes later wakes the caller.
    events | if opened.nodes.is_lost() { POLLERR | POLLHUP } else { 0 }
}

/// Reads events. There are none, and `drm_read` would wait for one, also after a loss: this says that the end is reached.
unsafe extern "C" fn read(_: *mut bindings::file, _: *mut c_char, _: usize, _: *mut bindings::loff_t) -> isize {
    0
}

pub(super) unsafe extern "C" fn show<N: Nodes>(printer: *mut bindings::drm_printer, file: *mut bindings::drm_file) {
    // SAFETY: the file is open during the call, and of a device of this kind.
    let opened = unsafe { Opened::<N>::from_raw(file) };
    // The printer reports no errors.
    let _ = N::show(&opened, &mut Printer(printer));
    // SAFETY: as above. The core counts the memory of all handles.
    unsafe { bindings::drm_show_memory_stats(printer, file) };
}
