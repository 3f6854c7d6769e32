//! The SIGBUS guard: an access to device memory that the kernel has taken away goes on with zeroes.
//!
//! What is mapped of a file can be taken from behind the addresses without our doing: the file becomes shorter, or a
//! device is reset under VFIO. An access there is a SIGBUS. The handler in here puts zeroes behind the whole window that
//! holds the address, as `Window::detach` does, and returns: the access is repeated and completes.
//!
//! Everything else that SIGBUS can mean is none of its business, and goes to whoever handled the signal before (in a Rust
//! program the standard library, which then ends the process). Whoever installs a handler *later* must do the same for us.
//! A thread must not block SIGBUS: the kernel ends the process when a fault cannot be delivered.
//!
//! `signal-hook-registry` is no way to do this: it always runs the earlier handler, and first, also for what is ours.
#![allow(unsafe_code)] // signal handlers and what they are given are C's

use std::ffi::{c_int, c_void};
use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::OnceLock;

use libc::{sigaction, siginfo_t};

use crate::guarded::{Entry, Guarded};
use crate::pages::put_zeroes;

static GUARDED: Guarded = Guarded::new();

/// What SIGBUS did before us. Null before there is a handler of ours.
static EARLIER: AtomicPtr<sigaction> = AtomicPtr::new(ptr::null_mut());
/// The earlier handler was to be called once (`SA_RESETHAND`), and has been.
static SPENT: AtomicBool = AtomicBool::new(false);

/// Guards a window's addresses until the entry is dropped, which must be before they are unmapped.
///
/// # Errors
/// What the system said to the handler, which is installed the first time.
///
/// # Safety
/// Until the entry is dropped, the addresses must be mapped, and may be mapped over at any moment (see
/// [`put_zeroes`]).
pub(crate) unsafe fn guard(base: *mut c_void, bytes: usize) -> io::Result<Entry> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let install = || install().map_err(|error| error.raw_os_error().unwrap_or(libc::EINVAL));
    INSTALLED.get_or_init(install).map_err(io::Error::from_raw_os_error)?;
    Ok(GUARDED.enter(base as usize, bytes))
}

fn install() -> io::Result<()> {
    // What is there must be known before our handler can run and want to pass something on.
    let before = exchange(None)?;
    publish(before);
    let mut ours = before;
    ours.sa_sigaction = on_sigbus as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    // What the earlier handler asked for beside being called is still so when it is called through us: its mask, whether
    // it can be interrupted by itself, whether system calls go on. The stack is the alternate one if the thread has one.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | (before.sa_flags & (libc::SA_NODEFER | libc::SA_RESTART));
    let replaced = exchange(Some(&ours))?;
    if (replaced.sa_sigaction, replaced.sa_flags) != (before.sa_sigaction, before.sa_flags) {
        // Somebody else installed one at the same moment.
        publish(replaced);
    }
    Ok(())
}

/// Sets what SIGBUS does, if anything is given, and says what it did.
fn exchange(new: Option<&sigaction>) -> io::Result<sigaction> {
    // SAFETY: plain data of C, for which zeroes are a value: no handler, no flags.
    let mut old: sigaction = unsafe { mem::zeroed() };
    // SAFETY: both point to such structures or are null. The handlers that are set are `on_sigbus`, which has the
    // signature that SA_SIGINFO asks for and does only what a signal handler may, and the default action.
    let done = unsafe { libc::sigaction(libc::SIGBUS, new.map_or(ptr::null(), ptr::from_ref), &raw mut old) };
    if done == 0 {
        Ok(old)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Never freed: a handler may be reading the one before.
fn publish(earlier: sigaction) {
    EARLIER.store(Box::into_raw(Box::new(earlier)), Ordering::Release);
}

/// Async-signal-safe: atomics, system calls, and the earlier handler.
extern "C" fn on_sigbus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: this thread's errno, of which the interrupted code must not notice anything.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel gives a handler with SA_SIGINFO a siginfo, and so do handlers that pass the signal on to us.
    let code = unsafe { (*info).si_code };
    let repaired = code == libc::BUS_ADRERR && {
        // SAFETY: as above; a fault's siginfo has an address.
        repair(unsafe { (*info).si_addr() } as usize)
    };
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    if !repaired {
        pass_on(signal, code, info, context);
    }
}

/// Puts zeroes behind the window that holds an address which this thread has just failed to reach. `false` if none does.
fn repair(address: usize) -> bool {
    let Some((base, bytes)) = GUARDED.find(address) else { return false };
    // Another thread may have faulted there, too, and be doing the same, or have done it: then it is done again. This
    // thread cannot tell its own fault from one that came after that (a page that could not be swapped in), and may not
    // wait. What has been written in between is lost, which nobody is promised to read again.
    //
    // SAFETY: the window that holds the address is alive until this returns. The thread has just used an address in it,
    // so whoever gave it the address keeps the window, or the access was unsound already; and a window leaves the set
    // before its addresses become somebody else's, so that their faults do not find it: unmapping and mapping them again
    // passes through the kernel's lock on the address space, which orders what was written before for who uses them after.
    let put = unsafe { put_zeroes(base as *mut c_void, bytes) };
    put.is_ok()
}

/// Does what would have happened without us.
fn pass_on(signal: c_int, code: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: it is null or was leaked by `publish`.
    let earlier = unsafe { EARLIER.load(Ordering::Acquire).as_ref() };
    let (handler, flags) = earlier.map_or((libc::SIG_DFL, 0), |earlier| (earlier.sa_sigaction, earlier.sa_flags));
    // The access is repeated when we return. Not so a signal that a process sent, or the early notice of a memory error.
    let repeats = code > 0 && code != libc::BUS_MCEERR_AO;
    let spent = flags & libc::SA_RESETHAND != 0 && SPENT.swap(true, Ordering::Relaxed);
    match handler {
        // The kernel does not let a fault be ignored.
        libc::SIG_IGN if !repeats => {}
        libc::SIG_DFL | libc::SIG_IGN => end(signal, repeats),
        _ if spent => end(signal, repeats),
        handler if flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: whoever installed it with this flag said that it has this signature, and may be called with SIGBUS.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = unsafe { mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: as above, without the flag.
            let handler: extern "C" fn(c_int) = unsafe { mem::transmute(handler) };
            handler(signal);
        }
    }
}

/// Lets the signal's default action end the process.
fn end(signal: c_int, repeats: bool) {
    // SAFETY: plain data of C, for which zeroes are a value: the default action.
    let default: sigaction = unsafe { mem::zeroed() };
    // It can only fail for a signal that does not exist; then the access faults for ever, and nothing better is left.
    let _ = exchange(Some(&default));
    if !repeats {
        // SAFETY: sends this thread a signal, which arrives when the handler returns.
        unsafe { libc::raise(signal) };
    }
}
