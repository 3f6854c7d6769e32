//! Calls that mean the same on every device, and their classes.
//!
//! A driver implements these calls but cannot change their classes, so they end alike on every
//! device after a loss. Each call has the name of the matching kernel ioctl, if there is such an
//! ioctl.

use crate::class::Class;

/// Call of the framework (CALL-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreCall {
    /// Number of the call, below [`DRIVER_BASE`].
    pub number: u16,
    /// Name of the call, as shown to users.
    pub name: &'static str,
    /// Class of the call on every device.
    pub class: Class,
}

/// First number that a driver may give to its own calls.
pub const DRIVER_BASE: u16 = 0x40;

macro_rules! core_calls {
    ($($(#[$doc:meta])* $constant:ident = $number:literal $name:literal $class:ident;)*) => {
        $($(#[$doc])* pub const $constant: CoreCall = CoreCall { number: $number, name: $name, class: Class::$class };)*
        /// All calls of the framework, in the order of their numbers.
        pub const CORE_CALLS: &[CoreCall] = &[$($constant),*];
    };
}

core_calls! {
    /// Opens a device.
    OPEN = 0x00 "open" Open;
    /// Closes a handle.
    CLOSE = 0x01 "close" Always;
    /// Returns the name and the version of the driver.
    VERSION = 0x02 "version" Always;
    /// Asks whether the driver has a capability.
    CAPABILITY = 0x03 "capability" Always;
    /// Returns the resources of the device, such as the size of its memory.
    PARAMETERS = 0x04 "parameters" Always;
    /// Waits for a fence.
    WAIT = 0x05 "wait" Always;
    /// Takes the pending events of a handle.
    READ_EVENTS = 0x06 "read-events" Always;
    /// Maps a buffer into the caller's memory.
    MMAP = 0x07 "mmap" Always;
    /// Shares a buffer with other devices.
    EXPORT = 0x08 "export" Always;
    /// Opens a buffer that another device has exported.
    IMPORT = 0x09 "import" Device;
    /// Lists the objects of the display.
    RESOURCES = 0x10 "resources" Always;
    /// Describes the screen at a connector.
    GET_CONNECTOR = 0x11 "get-connector" Always;
    /// Sets a display mode and shows a framebuffer.
    MODE_SET = 0x12 "mode-set" Device;
    /// Shows another framebuffer from the next vertical blank on. Compositors do not expect this
    /// call to fail.
    PAGE_FLIP = 0x13 "page-flip" Complete;
    /// Changes several parts of the display at once, or tests whether such a change is valid.
    ATOMIC = 0x14 "atomic" Complete;
    /// Requests an event at the next vertical blank.
    QUEUE_VBLANK = 0x15 "queue-vblank" Complete;
    /// Lets another client program the display. The call fails after a loss, as the kernel's rules
    /// demand.
    CREATE_LEASE = 0x16 "create-lease" Device;
    /// Lists the leases that a client has granted.
    LIST_LESSEES = 0x17 "list-lessees" Device;
    /// Lists the objects of the display that a client may see.
    GET_LEASE = 0x18 "get-lease" Always;
    /// Revokes a lease.
    REVOKE_LEASE = 0x19 "revoke-lease" Always;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_2_core_calls_that_only_ask_never_fail_after_loss() {
        for call in [CLOSE, VERSION, CAPABILITY, PARAMETERS, WAIT, READ_EVENTS, RESOURCES, GET_CONNECTOR, GET_LEASE] {
            assert_eq!(call.class, Class::Always, "{}", call.name);
        }
    }

    #[test]
    fn kms_4_no_lease_is_made_of_a_display_that_has_vanished_and_those_that_are_can_be_ended() {
        assert_eq!((CREATE_LEASE.class, LIST_LESSEES.class), (Class::Device, Class::Device));
        assert_eq!((REVOKE_LEASE.class, CLOSE.class), (Class::Always, Class::Always));
    }

    #[test]
    fn numbers_are_in_order_and_below_those_of_drivers() {
        assert!(CORE_CALLS.windows(2).all(|two| two[0].number < two[1].number));
        assert!(CORE_CALLS.iter().all(|call| call.number < DRIVER_BASE));
    }
}
