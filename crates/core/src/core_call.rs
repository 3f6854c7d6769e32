//! The calls that mean the same on every device, and their classes.
//!
//! A driver implements them and has no say in what becomes of them after loss. The names are those
//! of the kernel's ioctls, where there is one.

use crate::class::Class;

/// A call of the framework (CALL-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreCall {
    /// Its number, below [`DRIVER_BASE`].
    pub number: u16,
    /// Its name.
    pub name: &'static str,
    /// Its class, on every device.
    pub class: Class,
}

/// The first number that a driver may give to a call of its own.
pub const DRIVER_BASE: u16 = 0x40;

macro_rules! core_calls {
    ($($(#[$doc:meta])* $constant:ident = $number:literal $name:literal $class:ident;)*) => {
        $($(#[$doc])* pub const $constant: CoreCall = CoreCall { number: $number, name: $name, class: Class::$class };)*
        /// All calls, by number.
        pub const CORE_CALLS: &[CoreCall] = &[$($constant),*];
    };
}

core_calls! {
    /// Opens a device.
    OPEN = 0x00 "open" Open;
    /// Closes a handle.
    CLOSE = 0x01 "close" Always;
    /// Names the driver and its version.
    VERSION = 0x02 "version" Always;
    /// Asks whether the driver has a capability.
    CAPABILITY = 0x03 "capability" Always;
    /// Tells the resources of the device.
    PARAMETERS = 0x04 "parameters" Always;
    /// Waits for a fence.
    WAIT = 0x05 "wait" Always;
    /// Takes the events that wait at a handle.
    READ_EVENTS = 0x06 "read-events" Always;
    /// Maps a buffer into the caller's memory.
    MMAP = 0x07 "mmap" Always;
    /// Makes a buffer known to other devices.
    EXPORT = 0x08 "export" Always;
    /// Uses another device's buffer.
    IMPORT = 0x09 "import" Device;
    /// Lists the objects of the display.
    RESOURCES = 0x10 "resources" Always;
    /// Tells the screen at a connector.
    GET_CONNECTOR = 0x11 "get-connector" Always;
    /// Shows a picture in a mode.
    MODE_SET = 0x12 "mode-set" Device;
    /// Shows another picture from the next vertical blank on. Compositors do not expect it to fail.
    PAGE_FLIP = 0x13 "page-flip" Complete;
    /// Changes all of the display at once, or tests whether it could.
    ATOMIC = 0x14 "atomic" Complete;
    /// Asks for an event at the next vertical blank.
    QUEUE_VBLANK = 0x15 "queue-vblank" Complete;
    /// Lets another client program the display. The kernel's rules name it: a lease of a display that has vanished fails.
    CREATE_LEASE = 0x16 "create-lease" Device;
    /// Which leases a client has granted.
    LIST_LESSEES = 0x17 "list-lessees" Device;
    /// What a client may see of the display.
    GET_LEASE = 0x18 "get-lease" Always;
    /// Takes a lease back.
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
