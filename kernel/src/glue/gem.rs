// SPDX-License-Identifier: GPL-2.0 OR MIT

//! GEM objects, and their handles.

use core::{ops::Deref, ptr::NonNull};

use kernel::{
    bindings,
    error::to_result,
    ffi::{c_int, c_ulong},
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        Arc,
    },
    types::Opaque,
};

use super::{
    drm::DrmDevice,
    file::DrmFile,
    mmap,
    pages::{Frame, Pages},
    prime::{self, DmaBuf, SgTable},
    shim,
};

/// What a GEM object is of: memory that users map and share. Every function may be called by any thread, at any time, also
/// long after the device is lost.
pub(crate) trait Content: Send + Sync + Sized + 'static {
    fn bytes(&self) -> usize;

    /// Bytes of memory that it takes now. Takes no lock.
    fn resident(&self) -> usize;

    /// Whether the contents may be given up. Takes no lock.
    fn is_purgeable(&self) -> bool;

    /// Whether users can map it, and whether it can be made known to other devices.
    fn can_be_shared(&self) -> bool;

    /// Whether maps of it are of the device's memory, while there is a device.
    fn is_device_memory(&self) -> bool;

    /// Another driver's buffer, if it is one.
    fn origin(&self) -> Option<&DmaBuf>;

    /// Calls `insert` with the frame that a map shows at a page. The frame stays right until that has returned.
    fn with_frame<T>(&self, page: usize, insert: impl FnOnce(Frame) -> T) -> Result<T>;

    /// Another device attaches to it.
    fn attach(&self) -> Result;

    fn detach(&self);

    /// Its pages for another driver, whose device is attached.
    fn table(&self) -> Result<SgTable>;

    /// Its pages for the kernel's own reads and writes, which [attaches](Self::attach) meanwhile.
    fn pages(&self) -> Result<Arc<Pages>>;

    /// A user maps it, or another part of it.
    fn map_opened(&self);

    fn map_closed(&self);

    /// It is made known to other devices, and then not any more.
    fn exported(&self);

    fn export_ended(&self);
}

/// Memory that handles, maps, exports and jobs refer to. Frees itself with the last of these.
#[repr(C)]
pub(crate) struct Gem<T: Content> {
    gem: Opaque<bindings::drm_gem_object>,
    content: T,
}

// SAFETY: GEM objects are made to be used and freed by any thread; the content is `Send` and `Sync`.
unsafe impl<T: Content> Send for Gem<T> {}
// SAFETY: as above.
unsafe impl<T: Content> Sync for Gem<T> {}

// SAFETY: the count is the GEM object's; an object is freed by `free` when it is 0, and not before.
unsafe impl<T: Content> AlwaysRefCounted for Gem<T> {
    fn inc_ref(&self) {
        // SAFETY: the object lives.
        unsafe { shim::lifeboat_shim_gem_get(self.gem.get()) };
    }

    unsafe fn dec_ref(object: NonNull<Self>) {
        // SAFETY: the caller gives up a count of a living object.
        unsafe { shim::lifeboat_shim_gem_put(object.cast().as_ptr()) };
    }
}

impl<T: Content> Gem<T> {
    const OPERATIONS: bindings::vm_operations_struct = mmap::operations::<T>();

    const FUNCTIONS: bindings::drm_gem_object_funcs = bindings::drm_gem_object_funcs {
        free: Some(free::<T>),
        open: None,
        close: None,
        print_info: None,
        export: Some(prime::export::<T>),
        pin: Some(prime::pin::<T>),
        unpin: Some(prime::unpin::<T>),
        get_sg_table: Some(prime::get_sg_table::<T>),
        vmap: Some(prime::vmap::<T>),
        vunmap: Some(prime::vunmap::<T>),
        mmap: Some(mmap::mmap_object::<T>),
        evict: None,
        status: Some(status::<T>),
        rss: Some(rss::<T>),
        vm_ops: &Self::OPERATIONS,
    };

    /// An object of a device, which has no handle yet.
    pub(crate) fn new(drm: &DrmDevice, content: T) -> Result<ARef<Self>> {
        let (drm, bytes) = (drm.raw(), content.bytes());
        let object = KBox::new(Self { gem: Opaque::new(bindings::drm_gem_object::default()), content }, GFP_KERNEL)?;
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

    /// A handle of the file for this object.
    pub(crate) fn handle(&self, file: &DrmFile) -> Result<u32> {
        let mut handle = 0;
        // SAFETY: file and object live.
        to_result(unsafe { bindings::drm_gem_handle_create(file.raw(), self.gem.get(), &mut handle) })?;
        Ok(handle)
    }

    /// The object behind a handle of the file, all of whose device's objects have this content. ENOENT if there is none.
    pub(crate) fn find(file: &DrmFile, handle: u32) -> Result<ARef<Self>> {
        // SAFETY: the file lives.
        let found = unsafe { bindings::drm_gem_object_lookup(file.raw(), handle) };
        let object = NonNull::new(found.cast::<Self>()).ok_or(ENOENT)?;
        // SAFETY: all objects of this module's devices are made by `new`; the lookup gave us a count.
        Ok(unsafe { ARef::from_raw(object) })
    }

    /// The offset at which the device's files map the object.
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
    pub(crate) fn wait(&self, only_writers: bool, jiffies: c_ulong) -> Result {
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

    /// The object as the kernel has it, valid as long as `self` lives.
    pub(super) fn raw(&self) -> *mut bindings::drm_gem_object {
        self.gem.get()
    }

    /// What the fences of its jobs are added to; perhaps another object's, too.
    pub(super) fn reservation(&self) -> *mut bindings::dma_resv {
        // SAFETY: the object lives, and with it its reservation. It was set by `new`.
        unsafe { (*self.gem.get()).resv }
    }

    /// The object as a callback hands it on, with the count.
    pub(super) fn into_raw(this: ARef<Self>) -> *mut bindings::drm_gem_object {
        ARef::into_raw(this).as_ptr().cast()
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

impl<T: Content> Deref for Gem<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.content
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
unsafe extern "C" fn free<T: Content>(gem: *mut bindings::drm_gem_object) {
    // SAFETY: the object was made by `new`, and this is the only call for it: nobody has it any more. The device is put
    // last, since its offsets are used until then.
    unsafe {
        let drm = (*gem).dev;
        bindings::drm_gem_object_release(gem);
        drop(KBox::from_raw(gem.cast::<Gem<T>>()));
        bindings::drm_dev_put(drm);
    }
}

/// What fdinfo counts the object as.
unsafe extern "C" fn status<T: Content>(gem: *mut bindings::drm_gem_object) -> bindings::drm_gem_object_status {
    // SAFETY: the kernel passes an object that lives during the call.
    let object = unsafe { Gem::<T>::from_raw(gem) };
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
unsafe extern "C" fn rss<T: Content>(gem: *mut bindings::drm_gem_object) -> usize {
    // SAFETY: the kernel passes an object that lives during the call.
    unsafe { Gem::<T>::from_raw(gem) }.resident()
}

/// The errno of a result, as a callback returns it.
pub(super) fn to_c(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Jiffies until a time of CLOCK_MONOTONIC in nanoseconds, rounded up; 0 if it has passed. The longest wait is without end.
pub(crate) fn jiffies_until(nanoseconds: i64) -> c_ulong {
    // SAFETY: it takes any number.
    unsafe { shim::drm_timeout_abs_to_jiffies(nanoseconds) as _ }
}
