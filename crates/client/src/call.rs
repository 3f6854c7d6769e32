//! A system call with a structure: the one place that hands memory to the kernel by its address.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};

/// Calls with a structure of plain numbers, in place, and again if a signal came between.
///
/// # Safety
/// `number` must hold a size of at most that of `T`, and the kernel must follow no address in the structure but those
/// of memory that is the caller's to lend: for reading or writing, as the call does, until it returns.
pub(crate) unsafe fn call<T>(file: BorrowedFd<'_>, number: u32, argument: &mut T) -> Result<(), Errno> {
    loop {
        // SAFETY: the argument is exclusively ours and as large as the number says; the rest is the caller's promise.
        match unsafe { once(file, number, std::ptr::from_mut(argument).cast()) } {
            // Times are absolute, so that a wait that begins again ends when it would have ended.
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Calls once with bytes, in place.
///
/// # Safety
/// As [`call`]; `argument` must be as long as `number` says.
pub(crate) unsafe fn call_bytes(file: BorrowedFd<'_>, number: u32, argument: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: the slice is exclusively ours; the rest is the caller's promise.
    unsafe { once(file, number, argument.as_mut_ptr().cast()) }
}

/// Calls once with what is at an address.
///
/// # Safety
/// As [`call`], for an argument there.
pub(crate) unsafe fn call_at(file: BorrowedFd<'_>, number: u32, argument: *mut c_void) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { once(file, number, argument) }
}

/// # Safety
/// The kernel may read and write at `argument` as many bytes as `number` says, and follows no other address than [`call`] allows.
unsafe fn once(file: BorrowedFd<'_>, number: u32, argument: *mut c_void) -> Result<(), Errno> {
    // SAFETY: `Request` describes the call as it is; what the kernel does with the memory is the caller's promise.
    unsafe { ioctl(file, Request { number, argument }) }
}

struct Request {
    number: u32,
    argument: *mut c_void,
}

// SAFETY: the number and the address are those that were given, and the output is none. `IS_MUTATING` is the careful choice.
unsafe impl Ioctl for Request {
    type Output = ();

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        Opcode::from(self.number)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}
