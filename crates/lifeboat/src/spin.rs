//! A short wait before a long one.
//!
//! To put a thread to sleep and to wake it costs two system calls and the way through the operating system's scheduler,
//! some ten microseconds. What is waited for is often there sooner. So who is about to sleep looks a little longer: in a
//! loop at first, then letting other threads run in between, and then sleeps. The lengths are those that crossbeam's
//! channels have found good.

use std::hint::spin_loop;

use crate::primitive::{MODEL, thread};

/// Looks with growing pauses, 2^6 loops at most: about two microseconds in all.
const LOOKS: u32 = 7;
/// Then so many looks with other threads let in between: about a microsecond each if there are none.
const YIELDS: u32 = 4;

/// Whether `ready` has come true within a few microseconds. In a model never: a loop that looks is a schedule that does
/// not end, and to sleep is what is to be explored.
pub(crate) fn briefly(ready: impl Fn() -> bool) -> bool {
    if MODEL {
        return false;
    }
    for look in 0..LOOKS + YIELDS {
        if ready() {
            return true;
        }
        if look < LOOKS {
            (0..1 << look).for_each(|_: u32| spin_loop());
        } else {
            thread::yield_now();
        }
    }
    ready()
}
