// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Callbacks of the bus besides probe and remove: errors, and resets by others. The kernel crate's adapter leaves them out.

use kernel::{bindings, device::Bound, pci};

/// State of the link to the function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// All of it.
    Normal,
    /// Nothing passes until the slot is reset.
    Frozen,
    /// The link will not work again.
    Dead,
}

/// Request of a driver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: the device can go on.
    GoOn,
    /// A reset of the slot.
    Reset,
    /// The device works again.
    Recovered,
    /// Nothing will help.
    Disconnect,
}

/// A driver's callbacks. The bus holds the device's lock meanwhile, as in probe and remove.
pub(crate) trait ErrorHandlers {
    /// An error of the bus.
    fn detected(function: &pci::Device<Bound>, channel: Channel) -> Answer;

    /// The slot has been reset.
    fn slot_reset(function: &pci::Device<Bound>) -> Answer;

    /// The bus has recovered.
    fn resume(function: &pci::Device<Bound>);

    /// Somebody is about to reset the function.
    fn reset_prepare(function: &pci::Device<Bound>);

    /// The function has been reset.
    fn reset_done(function: &pci::Device<Bound>);
}

/// Has the bus call the callbacks for this driver's functions. From probe; again for each function, which changes nothing.
pub(crate) fn handle_errors<H: ErrorHandlers>(function: &pci::Device<Bound>) {
    let raw = core::ptr::from_ref(function).cast_mut().cast::<bindings::pci_dev>();
    // SAFETY: a bound device has a driver, which is the `device_driver` of the `pci_driver` that the kernel crate registered,
    // and stays until no device is bound. The bus reads this field with the lock of a bound device, and all stores are the same.
    unsafe {
        let driver = kernel::container_of!((*raw).dev.driver, bindings::pci_driver, driver);
        (&raw mut (*driver).err_handler).write(const { &Of::<H>::HANDLERS });
    }
}

/// The C structure of a driver's callbacks.
struct Of<H>(H);

impl<H: ErrorHandlers> Of<H> {
    const HANDLERS: bindings::pci_error_handlers = bindings::pci_error_handlers {
        error_detected: Some(detected::<H>),
        mmio_enabled: None,
        slot_reset: Some(slot_reset::<H>),
        reset_prepare: Some(reset_prepare::<H>),
        reset_done: Some(reset_done::<H>),
        resume: Some(resume::<H>),
        cor_error_detected: None,
    };
}

impl Answer {
    const fn raw(self) -> bindings::pci_ers_result_t {
        match self {
            Self::GoOn => bindings::pci_ers_result_PCI_ERS_RESULT_CAN_RECOVER,
            Self::Reset => bindings::pci_ers_result_PCI_ERS_RESULT_NEED_RESET,
            Self::Recovered => bindings::pci_ers_result_PCI_ERS_RESULT_RECOVERED,
            Self::Disconnect => bindings::pci_ers_result_PCI_ERS_RESULT_DISCONNECT,
        }
    }
}

/// # Safety
/// The device must be bound to this driver for `'a`.
unsafe fn bound<'a>(raw: *mut bindings::pci_dev) -> &'a pci::Device<Bound> {
    // SAFETY: `pci::Device` is a transparent wrapper of an `Opaque<pci_dev>`; the rest is the function's contract.
    unsafe { &*raw.cast() }
}

unsafe extern "C" fn detected<H: ErrorHandlers>(
    raw: *mut bindings::pci_dev,
    state: bindings::pci_channel_state_t,
) -> bindings::pci_ers_result_t {
    let channel = match state {
        bindings::pci_channel_io_normal => Channel::Normal,
        bindings::pci_channel_io_perm_failure => Channel::Dead,
        _ => Channel::Frozen,
    };
    // SAFETY: the bus calls this for a bound device, whose lock it holds.
    H::detected(unsafe { bound(raw) }, channel).raw()
}

unsafe extern "C" fn slot_reset<H: ErrorHandlers>(raw: *mut bindings::pci_dev) -> bindings::pci_ers_result_t {
    // SAFETY: as in `detected`.
    H::slot_reset(unsafe { bound(raw) }).raw()
}

unsafe extern "C" fn resume<H: ErrorHandlers>(raw: *mut bindings::pci_dev) {
    // SAFETY: as in `detected`.
    H::resume(unsafe { bound(raw) });
}

unsafe extern "C" fn reset_prepare<H: ErrorHandlers>(raw: *mut bindings::pci_dev) {
    // SAFETY: as in `detected`.
    H::reset_prepare(unsafe { bound(raw) });
}

unsafe extern "C" fn reset_done<H: ErrorHandlers>(raw: *mut bindings::pci_dev) {
    // SAFETY: as in `detected`.
    H::reset_done(unsafe { bound(raw) });
}
