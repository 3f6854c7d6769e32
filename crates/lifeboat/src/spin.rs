//! A short wait before a long one.
//!
//! To put a thread to sleep and to wake it costs two system calls and the way through the operating system's scheduler,
//! some ten microseconds. What is waited for is often there sooner. So who is about to sleep looks a little longer: in a
//! loop at first, then letting other threads run in between, and then sleeps.

use std::hint::spin_loop;

use crate::primitive::{MODEL, thread};

/// Looks with one pause of the processor in between: some ten microseconds, a little longer than it takes to wake a
/// thread. With less, two threads that hand work to each other and have slept once sleep every time from then on. The
/// pauses do not grow, as a contended lock's would: one thread looks here at what one other writes, and a long pause
/// would only see it late.
const LOOKS: u32 = 500;
/// Then so many looks with other threads let in between: about a microsecond each if there are none.
const YIELDS: u32 = 4;

/// Whether `ready` has come true within some ten microseconds. In a model never: a loop that looks is a schedule that does
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
            spin_loop();
        } else {
            thread::yield_now();
        }
    }
    ready()
}
