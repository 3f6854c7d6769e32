// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GEM objects whose content is a [`Buffer`], and their handles.

use core::{marker::PhantomData, ops::Deref, ptr::NonNull};

use kernel::{
    bindings,
    error::to_result,
    ffi::c_int,
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::Opaque,
};

use super::{mmap, prime, shim};
use crate::memory::Buffer;

/// An open file of the device, during a call of its user.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a>(NonNull<bindings::drm_file>, PhantomData<&'a bindings::drm_file>);

impl Client<'_> {
    /// # Safety
    ///
    /// The file must be one of a device of this module, and open for all of the lifetime.
    pub(super) unsafe fn from_raw(file: NonNull<bindings::drm_file>) -> Self {
        Self(file, PhantomData)
    }

    fn drm(&self) -> *mut bindings::drm_device {
        // SAFETY: an open file has a minor, which has a device.
        unsafe { (*(*self.0.as_ptr()).minor).dev }
    }
}

/// A buffer that handles, maps, exports and jobs refer to. Frees itself with the last of these.
#[repr(C)]
pub(crate) struct Object {
    gem: Opaque<bindings::drm_gem_object>,
    buffer: Buffer,
}

// SAFETY: GEM objects are made to be used and freed by any thread; `Buffer` is `Send` and `Sync`.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

// SAFETY: the count is the GEM object's; an object is freed by `free` when it is 0, and not before.
unsafe impl AlwaysRefCounted for Object {
    fn inc_ref(&self) {
        // SAFETY: the object lives.
        unsafe { shim::lifeboat_shim_gem_get(self.gem.get()) };
    }

    unsafe fn dec_ref(object: NonNull<Self>) {
        // SAFETY: the caller gives up a count of a living object.
        unsafe { shim::lifeboat_shim_gem_put(object.cast().as_ptr()) };
    }
}

impl Object {
    const FUNCTIONS: bindings::drm_gem_object_funcs = bindings::drm_gem_object_funcs {
        free: Some(free),
        open: None,
        close: None,
        print_info: None,
        export: Some(prime::export),
        pin: Some(prime::pin),
        unpin: Some(prime::unpin),
        get_sg_table: Some(prime::get_sg_table),
        vmap: None,
        vunmap: None,
        mmap: Some(mmap::mmap_object),
        evict: None,
        status: Some(status),
        rss: Some(rss),
        vm_ops: mmap::operations(),
    };

    /// An object for the files of the client's device, which has no handle yet.
    pub(crate) fn new(client: Client<'_>, buffer: Buffer) -> Result<ARef<Self>> {
        // SAFETY: the device lives as long as the file.
        unsafe { Self::of(client.drm(), buffer) }
    }

    /// # Safety
    ///
    /// The device must live. It does from then on as long as the object.
    pub(super) unsafe fn of(drm: *mut bindings::drm_device, buffer: Buffer) -> Result<ARef<Self>> {
        let bytes = buffer.bytes();
        let object = KBox::new(Self { gem: Opaque::new(bindings::drm_gem_object::default()), buffer }, GFP_KERNEL)?;
        let object = KBox::into_raw(object);
        let gem = object.cast::<bindings::drm_gem_object>();
        // SAFETY: the GEM object is new, zeroed, and at the begin of the box, which `free` frees. The device is counted; so
        // is another driver's buffer, by the content.
        unsafe {
            (*gem).funcs = &Self::FUNCTIONS;
            if let Some(origin) = (*object).origin() {
                (*gem).resv = origin.reservation();
            }
            bindings::drm_gem_private_object_init(drm, gem, bytes);
            bindings::drm_dev_get(drm);
        }
        // SAFETY: the object is initialized, and its first count is ours.
        let object = unsafe { ARef::from_raw(NonNull::new_unchecked(object)) };
        // SAFETY: the object lives. It has its place among the offsets from the start, since maps of exports use it, too.
        to_result(unsafe { bindings::drm_gem_create_mmap_offset(gem) })?;
        Ok(object)
    }

    /// A handle of the client for this object.
    pub(crate) fn handle(&self, client: Client<'_>) -> Result<u32> {
        let mut handle = 0;
        // SAFETY: file and object live.
        to_result(unsafe { bindings::drm_gem_handle_create(client.0.as_ptr(), self.gem.get(), &mut handle) })?;
        Ok(handle)
    }

    /// The object behind a handle of the client. ENOENT if there is none.
    pub(crate) fn find(client: Client<'_>, handle: u32) -> Result<ARef<Self>> {
        // SAFETY: the file lives.
        let found = unsafe { bindings::drm_gem_object_lookup(client.0.as_ptr(), handle) };
        let object = NonNull::new(found.cast::<Self>()).ok_or(ENOENT)?;
        // SAFETY: all objects of this module's devices are made by `new`; the lookup gave us a count.
        Ok(unsafe { ARef::from_raw(object) })
    }

    /// The offset at which the client's file maps the object.
    pub(crate) fn offset(&self) -> u64 {
        // SAFETY: the object lives, and its offset was made by `new`.
        unsafe { shim::lifeboat_shim_gem_offset(self.gem.get()) }
    }

    /// Its place in the maps of its device's users.
    pub(crate) fn window(&self) -> Window {
        let gem = self.gem.get();
        // SAFETY: the object lives, and so does its device.
        let drm = unsafe { (*gem).dev };
        // SAFETY: as above; the window has a count of its own.
        unsafe { bindings::drm_dev_get(drm) };
        Window { drm, offset: self.offset(), bytes: self.bytes() as u64 }
    }

    /// Waits until no job uses it, or none that writes, for so many jiffies at most. ETIME if some still do then;
    /// ERESTARTSYS after a signal.
    pub(crate) fn wait(&self, only_writers: bool, jiffies: kernel::time::Jiffies) -> Result {
        let usage = match only_writers {
            true => bindings::dma_resv_usage_DMA_RESV_USAGE_WRITE,
            false => bindings::dma_resv_usage_DMA_RESV_USAGE_READ,
        };
        // SAFETY: the object lives, and with it its reservation.
        match unsafe { bindings::dma_resv_wait_timeout((*self.gem.get()).resv, usage, true, jiffies) } {
            0 => Err(ETIME),
            left if left > 0 => Ok(()),
            error => to_result(error as c_int),
        }
    }

    /// Its place among the offsets, in pages.
    pub(super) fn first_page(&self) -> usize {
        self.offset() as usize / kernel::page::PAGE_SIZE
    }

    /// The object of a pointer that the kernel passes to a callback.
    ///
    /// # Safety
    ///
    /// It must be an object that `new` made, and live for all of the lifetime.
    pub(super) unsafe fn from_raw<'a>(object: *mut bindings::drm_gem_object) -> &'a Self {
        // SAFETY: `Self` begins with it.
        unsafe { &*object.cast() }
    }
}

impl Deref for Object {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.buffer
    }
}

/// The place of an object in the maps of its device's users.
pub(crate) struct Window {
    drm: *mut bindings::drm_device,
    offset: u64,
    bytes: u64,
}

// SAFETY: the device is counted, and may be used by any thread.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

impl Window {
    /// Takes out what is behind all maps of the object. An object that has taken its place meanwhile only faults once more.
    pub(crate) fn zap(&self) {
        // SAFETY: the device lives, and has this inode from its allocation on.
        unsafe {
            let mapping = (*(*self.drm).anon_inode).i_mapping;
            bindings::unmap_mapping_range(mapping, self.offset as _, self.bytes as _, 1);
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the count is ours.
        unsafe { bindings::drm_dev_put(self.drm) };
    }
}

/// Frees an object that nothing refers to any more.
unsafe extern "C" fn free(gem: *mut bindings::drm_gem_object) {
    // SAFETY: the object was made by `new`, and this is the only call for it: nobody has it any more. The device is put
    // last, since its offsets are used until then.
    unsafe {
        let drm = (*gem).dev;
        bindings::drm_gem_object_release(gem);
        drop(KBox::from_raw(gem.cast::<Object>()));
        bindings::drm_dev_put(drm);
    }
}

/// What fdinfo counts the object as.
unsafe extern "C" fn status(gem: *mut bindings::drm_gem_object) -> bindings::drm_gem_object_status {
    // SAFETY: the kernel passes an object that lives during the call.
    let object = unsafe { Object::from_raw(gem) };
    let mut status = 0;
    if object.resident() > 0 {
        status |= bindings::drm_gem_object_status_DRM_GEM_OBJECT_RESIDENT;
    }
    if object.is_purgeable() {
        status |= bindings::drm_gem_object_status_DRM_GEM_OBJECT_PURGEABLE;
    }
    status
}

/// Bytes of memory that the object takes now.
unsafe extern "C" fn rss(gem: *mut bindings::drm_gem_object) -> usize {
    // SAFETY: the kernel passes an object that lives during the call.
    unsafe { Object::from_raw(gem) }.resident()
}

/// The errno of a result, as a callback returns it.
pub(super) fn to_c(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}
