//! How long a trapped access takes over the socket, against the same one in this process. A measurement, not a test:
//! `cargo test --release -p lifeboat-gpu-server --test round_trip -- --ignored --nocapture`.
#![allow(clippy::unwrap_used)] // a measurement that cannot go on must fail

mod machine;

use std::time::Instant;

use lifeboat_lb1::regs;
use machine::{Host, Machine};

#[test]
#[ignore = "a measurement"]
fn a_register_read() {
    const READS: u32 = 100_000;

    let host = Host::new();
    let mut machine = Machine::cold(&host.socket);
    machine.config_write(4, &[6]);
    let endpoint = host.server.bay().card().endpoint();
    let begin = Instant::now();
    for _ in 0..READS {
        assert_eq!(std::hint::black_box(&endpoint).read_register(regs::ID), regs::ID_VALUE);
    }
    let here = begin.elapsed() / READS;
    let mut took: Vec<_> = (0..READS)
        .map(|_| {
            let begin = Instant::now();
            assert_eq!(machine.read(regs::ID), regs::ID_VALUE);
            begin.elapsed()
        })
        .collect();
    took.sort_unstable();
    let at = |share: usize| took[took.len() * share / 1000];
    println!("in this process {here:?}; over the socket {:?} (median), {:?} (99.9 %)", at(500), at(999));
}
