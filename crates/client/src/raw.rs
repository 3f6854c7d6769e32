//! Calls by number and bytes, for tests of what the kernel refuses. Only of calls that hold no address.
#![allow(unsafe_code)]

use std::os::fd::AsFd;

use lifeboat_uapi::{BUFFER_USER, BufferCreate, COMMAND_BASE, Request, Submit};
use rustix::io::Errno;

use crate::Node;
use crate::call::call_bytes;
use crate::drm;

/// Why a raw call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RawError {
    /// The kernel refuses.
    #[error("{0}")]
    Kernel(#[from] Errno),
    /// The call may take a number of its structure for an address, or the bytes are fewer than its number says: not made.
    #[error("this call cannot be made with any bytes")]
    MayHoldAddress,
}

/// Calls of DRM's own that hold no address.
const CORE: [u32; 9] = [
    drm::GEM_CLOSE,
    drm::GET_CAP,
    drm::PRIME_HANDLE_TO_FD,
    drm::PRIME_FD_TO_HANDLE,
    drm::MODE_CREATE_DUMB,
    drm::MODE_MAP_DUMB,
    drm::MODE_DESTROY_DUMB,
    drm::SYNCOBJ_CREATE,
    drm::SYNCOBJ_DESTROY,
];

impl Node {
    /// Makes a call of the driver's own (or one of the core's that hold no address), with these bytes in and out. The size in
    /// the number may be any, also one that no structure has.
    ///
    /// # Errors
    /// The kernel refuses, or the call may hold an address.
    pub fn raw(&self, number: u32, argument: &mut [u8]) -> Result<(), RawError> {
        if !holds_no_address(number, argument) {
            return Err(RawError::MayHoldAddress);
        }
        // SAFETY: the argument is as long as the number says, and the kernel takes nothing in it for an address.
        Ok(unsafe { call_bytes(self.as_fd(), number, argument) }?)
    }
}

fn holds_no_address(number: u32, argument: &[u8]) -> bool {
    /// Drivers' commands end here.
    const COMMAND_END: u32 = 0xa0;
    let (command, kind, size) = (number & 0xff, number >> 8 & 0xff, number >> 16 & 0x3fff);
    if argument.len() < size as usize || kind != u32::from(b'd') {
        return false;
    }
    let ours = |request: u32| command == COMMAND_BASE + request;
    if ours(Submit::COMMAND) {
        return false;
    }
    if ours(BufferCreate::COMMAND) {
        // `flags`; a shorter structure has none.
        return argument.get(16..20).is_none_or(|flags| flags[0] & BUFFER_USER.to_le_bytes()[0] == 0);
    }
    (COMMAND_BASE..COMMAND_END).contains(&command) || CORE.contains(&number)
}

#[cfg(test)]
mod tests {
    use lifeboat_uapi::{Direction, Info, ioctl_number};

    use super::*;

    #[test]
    fn only_calls_without_addresses_are_made() {
        let bytes = [0_u8; 256];
        assert!(holds_no_address(Info::NUMBER, &bytes));
        assert!(holds_no_address(drm::GET_CAP, &bytes));
        assert!(holds_no_address(BufferCreate::NUMBER, &bytes));
        assert!(!holds_no_address(Submit::NUMBER, &bytes));
        assert!(!holds_no_address(drm::VERSION, &bytes));
        assert!(!holds_no_address(drm::SYNCOBJ_WAIT, &bytes));
        // Another type of ioctl, and fewer bytes than said.
        assert!(!holds_no_address(0x5401, &bytes));
        assert!(!holds_no_address(Info::NUMBER, &bytes[..8]));
        let mut user = bytes;
        user[16] = 2;
        assert!(!holds_no_address(BufferCreate::NUMBER, &user));
        // The same call, with a structure of another size.
        assert!(!holds_no_address(ioctl_number(Direction::InOut, COMMAND_BASE + Submit::COMMAND, 8), &bytes));
    }
}
