//! Any sequence of a user's calls with any arguments, while devices come and go.
//!
//! The interpreter is that of the test `random_calls`. Run with `ASAN_OPTIONS=detect_leaks=0`: what threads that go on
//! still hold would be called a leak.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../drivers/lb1/hosted/tests/random/mod.rs"]
mod random;

fuzz_target!(|input: random::Input| random::run(&input));
