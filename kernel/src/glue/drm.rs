// SPDX-License-Identifier: GPL-2.0 OR MIT

//! DRM devices: what card and render node of a device have in common.
//!
//! `kernel::drm` is there only in kernels that have DRM built in. A `struct drm_device` lives as long as an open file, an
//! exported buffer or anybody else refers to it, and so does what its driver keeps [beside it](Nodes). Not
//! `drm_dev_unplug`: see docs/decisions/0023-unregister-with-an-own-gate.md.

use core::{mem::MaybeUninit, ptr::NonNull};

use kernel::{
    bindings,
    device::Device,
    error::{from_err_ptr, to_result},
    ffi::c_ulong,
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        atomic::{Acquire, Atomic, Full, Relaxed},
    },
    time::{delay::fsleep, Delta},
    types::Opaque,
};

use lifeboat_core::unplug::{Cut, Teardown};
use lifeboat_core::wedge::{Method, Methods};

use super::file::{self, Command, DrmFile, Opened, Printer};
use super::gem::{Content, Gem};
use super::prime::{self, DmaBuf};
use super::shim;
use crate::opener::Opener;
use crate::NAME;

/// What a driver keeps beside a `struct drm_device`, and does for its nodes.
///
/// Every function may be called at any time from the registration until the last reference is dropped: also long after the
/// device is lost.
pub(crate) trait Nodes: Send + Sync + Sized + 'static {
    /// What it keeps for an open file.
    type File: Send + Sync + 'static;

    /// What VERSION says of the driver.
    const DESCRIPTION: &'static CStr;

    /// What its GEM objects are of.
    type Content: Content;

    /// Opens a file.
    fn open(&self, file: &DrmFile) -> impl PinInit<Self::File, Error>;

    /// Whether an ioctl may be one of the driver's. All others are the core's.
    fn performs(word: u32) -> bool;

    /// Performs such an ioctl; `None` leaves it to the core.
    fn ioctl(opened: &Opened<'_, Self>, command: Command) -> Option<Result>;

    /// Makes an object on another driver's buffer. The core's locks of names are held.
    fn import(&self, drm: &DrmDevice, origin: DmaBuf) -> Result<ARef<Gem<Self::Content>>>;

    /// Makes an object for a simple picture of so many bytes. Its handle, and how many bytes it has.
    fn create(opened: &Opened<'_, Self>, bytes: u64) -> Result<(u32, u64)>;

    /// Whether pollers are told of an error, and a hang-up.
    fn is_lost(&self) -> bool;

    /// Prints the driver's lines of a file's fdinfo.
    fn show(opened: &Opened<'_, Self>, printer: &mut Printer) -> core::fmt::Result;
}

/// A `struct drm_device` of this module.
#[repr(transparent)]
pub(crate) struct DrmDevice(Opaque<bindings::drm_device>);

// SAFETY: `struct drm_device` is made to be used and dropped by any thread, and `Nodes` is `Send` and `Sync`.
unsafe impl Send for DrmDevice {}
// SAFETY: as above.
unsafe impl Sync for DrmDevice {}

// SAFETY: the functions count references of the `struct drm_device`, which lives while there are any.
unsafe impl AlwaysRefCounted for DrmDevice {
    fn inc_ref(&self) {
        // SAFETY: the device is alive as long as `self` is borrowed.
        unsafe { bindings::drm_dev_get(self.raw()) };
    }

    unsafe fn dec_ref(this: NonNull<Self>) {
        // SAFETY: by this function's contract the caller owns a reference.
        unsafe { bindings::drm_dev_put(this.as_ptr().cast()) };
    }
}

/// A `struct drm_device` as it is allocated.
#[repr(C)]
struct Block<N> {
    drm: Opaque<bindings::drm_device>,
    nodes: MaybeUninit<N>,
}

/// Blocks that have not been released. Their release is code of this module.
static LIVING: Atomic<usize> = Atomic::new(0);

impl DrmDevice {
    /// Makes a device, which nobody can open yet.
    pub(crate) fn new<N: Nodes>(parent: &Device, nodes: N) -> Result<ARef<Self>> {
        // The kernel allocates by `kzalloc`, whose blocks are aligned for a `u64`.
        const { assert!(align_of::<Block<N>>() <= align_of::<u64>()) };
        let (size, offset) = (size_of::<Block<N>>(), core::mem::offset_of!(Block<N>, drm));
        // `Device` is a transparent wrapper of an `Opaque<device>`, made for interior mutability.
        let parent = core::ptr::from_ref(parent).cast_mut().cast();
        // SAFETY: `parent` is valid, the driver is a constant, and `drm` is within the size.
        let block = unsafe { bindings::__drm_dev_alloc(parent, const { &DriverOf::<N>::DRIVER }, size, offset) };
        let block = from_err_ptr(block)?.cast::<Block<N>>();
        LIVING.fetch_add(1, Relaxed);
        // SAFETY: the block was allocated with this type's layout, and is not shared yet; the release drops this.
        unsafe { (&raw mut (*block).nodes).cast::<N>().write(nodes) };
        let drm = NonNull::new(block.cast::<Self>()).ok_or(ENOMEM)?;
        // SAFETY: `drm` is the block's first field, and the allocation's reference becomes this one.
        Ok(unsafe { ARef::from_raw(drm) })
    }

    /// The device of a pointer that the core gives to a callback.
    ///
    /// # Safety
    /// It must point to a device of [`DrmDevice::new`] that is alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut bindings::drm_device) -> &'a Self {
        // SAFETY: by the function's contract; `Self` is transparent.
        unsafe { &*raw.cast() }
    }

    pub(super) fn raw(&self) -> *mut bindings::drm_device {
        self.0.get()
    }

    /// What is beside it.
    ///
    /// # Safety
    /// The device must have been made with this `N`.
    pub(super) unsafe fn nodes<N: Nodes>(&self) -> &N {
        let block = self.raw().cast::<Block<N>>();
        // SAFETY: the device is the first field of such a block, which `new` has filled.
        unsafe { (*block).nodes.assume_init_ref() }
    }

    /// The number of the card's node.
    pub(crate) fn minor(&self) -> u32 {
        // SAFETY: the device is alive, and has a primary minor from its allocation on, whose number does not change.
        let index = unsafe { (*(*self.raw()).primary).index };
        u32::try_from(index).unwrap_or(0)
    }

    /// Wakes those who poll files of this device.
    pub(crate) fn wake_files(&self) {
        // SAFETY: the device is alive.
        unsafe { shim::lifeboat_shim_wake_files(self.raw().cast()) };
    }
}

/// Tells the system that a device is wedged, and what may help (WEDGE-3). The proof: whoever sends this has cut the device off, so
/// DMA is off, all fences have signalled, and maps show the dummy page (WEDGE-1). The nodes must be registered.
///
/// ENOMEM: the kernel allocates the message (`lib/kobject_uevent.c`); the device is wedged all the same.
pub(crate) fn wedged_event<T: Teardown>(_: &Cut<T>, drm: &DrmDevice, methods: Methods, task: Option<Opener>) -> Result {
    let methods = methods.fitting(Methods::KERNEL_BYTES).iter().fold(0, |bits, method| bits | bit(method));
    let mut info: bindings::drm_wedge_task_info = pin_init::zeroed();
    if let Some(Opener { pid, name }) = task {
        info.pid = pid;
        for (to, from) in info.comm.iter_mut().zip(name) {
            *to = from as _;
        }
    }
    // SAFETY: the device is alive. A name that is empty says that there is none.
    to_result(unsafe { bindings::drm_dev_wedged_event(drm.raw(), methods, &mut info) })
}

/// `DRM_WEDGE_RECOVERY_*`, which are macros.
const fn bit(method: Method) -> c_ulong {
    match method {
        Method::None => 1 << 0,
        Method::Rebind => 1 << 1,
        Method::BusReset => 1 << 2,
        Method::VendorSpecific => 1 << 3,
    }
}

/// A registration: while this lives, the nodes can be opened.
pub(crate) struct Registration(ARef<DrmDevice>);

impl Registration {
    /// Registers the nodes. Takes effect at once: programs may call before this returns.
    pub(crate) fn new(drm: ARef<DrmDevice>) -> Result<Self> {
        // SAFETY: the device is alive and was not registered before: a registration consumes the only reference that
        // `DrmDevice::new` hands out, and gives none away that could be registered.
        to_result(unsafe { bindings::drm_dev_register(drm.raw(), 0) })?;
        Ok(Self(drm))
    }

    /// The device, as its files have it.
    pub(crate) fn drm(&self) -> &DrmDevice {
        &self.0
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: the device is registered, and unregistered only here.
        unsafe { bindings::drm_dev_unregister(self.0.raw()) };
    }
}

/// The `struct drm_driver` for a kind of nodes.
struct DriverOf<N>(N);

impl<N: Nodes> DriverOf<N> {
    const OPERATIONS: bindings::file_operations = file::operations::<N>();

    const DRIVER: bindings::drm_driver = {
        let mut driver: bindings::drm_driver = pin_init::zeroed();
        driver.driver_features = bindings::drm_driver_feature_DRIVER_GEM
            | bindings::drm_driver_feature_DRIVER_RENDER
            | bindings::drm_driver_feature_DRIVER_SYNCOBJ
            | bindings::drm_driver_feature_DRIVER_SYNCOBJ_TIMELINE;
        driver.name = NAME.as_ptr().cast_mut().cast();
        driver.desc = N::DESCRIPTION.as_ptr().cast_mut().cast();
        driver.major = 1;
        driver.open = Some(file::open::<N>);
        driver.postclose = Some(file::postclose::<N>);
        driver.show_fdinfo = Some(file::show::<N>);
        driver.release = Some(release::<N>);
        driver.gem_prime_import = Some(prime::import::<N>);
        driver.dumb_create = Some(prime::create_dumb::<N>);
        driver.fops = &Self::OPERATIONS;
        driver
    };
}

/// The last reference is gone.
unsafe extern "C" fn release<N: Nodes>(raw: *mut bindings::drm_device) {
    // SAFETY: the core calls this once, with a device of `new`; nobody refers to it any more.
    unsafe { (*raw.cast::<Block<N>>()).nodes.assume_init_drop() };
    LIVING.fetch_sub(1, Full);
}

/// The last field of the module to be dropped that devices need. Dropped, it waits until no device is left.
///
/// An open file refers to the module, and so do exported buffers. But the core may refer to a device for a moment without
/// referring to the module, as an open does that comes too late.
pub(crate) struct Devices(());

impl Devices {
    /// Called by the module's init.
    pub(crate) fn new(_module: &'static ThisModule) -> Self {
        Self(())
    }
}

/// Pause between two looks at the number of living devices.
const LOOK_EVERY: Delta = Delta::from_millis(1);
/// Looks after which the log says what is waited for: those of some ten seconds.
const LOOKS_IN_SILENCE: u32 = 10_000;

impl Drop for Devices {
    fn drop(&mut self) {
        let mut looks: u32 = 0;
        while LIVING.load(Acquire) != 0 {
            looks = looks.saturating_add(1);
            if looks == LOOKS_IN_SILENCE {
                pr_warn!("the module cannot go: {} of its DRM devices are in use\n", LIVING.load(Relaxed));
            }
            fsleep(LOOK_EVERY);
        }
        // A release counts before it returns, and may have been preempted in between. When every task has switched by
        // itself, none is in code of this module.
        // SAFETY: may be called by any task that can sleep.
        unsafe { bindings::synchronize_rcu_tasks() };
        // Callbacks that were given to RCU have run.
        // SAFETY: as above.
        unsafe { bindings::rcu_barrier() };
    }
}
