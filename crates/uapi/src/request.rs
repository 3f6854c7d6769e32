//! What all ioctls have in common: a number, made of direction, size, type and command.

/// First command of a driver's own (`DRM_COMMAND_BASE`).
pub const COMMAND_BASE: u32 = 0x40;

/// Type of DRM's ioctls (`DRM_IOCTL_BASE`).
const TYPE: u32 = b'd' as u32;

/// Which way the structure of an ioctl is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the kernel (`DRM_IOW`).
    In,
    /// To the kernel and back (`DRM_IOWR`).
    InOut,
}

/// The argument of an ioctl.
pub trait Request: Copy + Default {
    /// Number of the command, from 0; [`COMMAND_BASE`] is added in [`NUMBER`](Self::NUMBER).
    const COMMAND: u32;
    /// Which way the structure is copied.
    const DIRECTION: Direction;
    /// What the system call takes.
    const NUMBER: u32 = ioctl_number(Self::DIRECTION, COMMAND_BASE + Self::COMMAND, size_of::<Self>());
}

/// The number of an ioctl of DRM, as the kernel's `_IOC` computes it. `size` is in bytes, less than 16,384.
///
/// # Panics
/// If the command or the size has no room in a number; at compile time, where the number is a constant.
#[allow(clippy::cast_possible_truncation)] // checked
pub const fn ioctl_number(direction: Direction, command: u32, size: usize) -> u32 {
    assert!(command < 1 << 8 && size < 1 << 14);
    let direction = match direction {
        Direction::In => 1,
        Direction::InOut => 3,
    };
    direction << 30 | (size as u32) << 16 | TYPE << 8 | command
}
