//! What the display keeps of the memory that it has shown: nothing, once something else is shown.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::time::{Duration, Instant};

use lifeboat::CallError;
use lifeboat_lb1_hosted::{Buffer, Handle, Placement};
use machine::bound::{Bound, no_hook};
use machine::interposer::Access;
use machine::{BYTES, LONG};

/// All of VRAM but what a client has in it.
fn most_of_vram(handle: &Handle) -> Result<Buffer, CallError> {
    handle.create_buffer(Placement::Vram, handle.info().vram_bytes - 2 * u64::from(BYTES))
}

/// Memory that the worker frees: in a moment, and not never.
fn becomes_free(handle: &Handle) -> Buffer {
    let began = Instant::now();
    loop {
        match most_of_vram(handle) {
            Ok(buffer) => return buffer,
            Err(error) => assert!(began.elapsed() < LONG, "it is never freed: {error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_a_mode_set_replaces_is_free_when_it_returns() {
    let bound = Bound::new(no_hook());
    let client = bound.client();
    let mode = client.handle.resources().mode(64, 64);
    let large = most_of_vram(&client.handle).unwrap();
    client.handle.set_mode(Some((&large, mode))).unwrap();
    drop(large);
    assert!(most_of_vram(&client.handle).is_err(), "it is shown");
    // Another picture, and none at all.
    client.show(&client.vram).unwrap();
    let large = most_of_vram(&client.handle).unwrap();
    client.handle.set_mode(Some((&large, mode))).unwrap();
    drop(large);
    client.handle.set_mode(None).unwrap();
    drop(most_of_vram(&client.handle).unwrap());
    drop(client);
    bound.finish();
}

#[test]
fn what_a_flip_replaces_is_free_soon_after_it_also_without_its_interrupt() {
    for interrupts in [true, false] {
        let bound = Bound::new(Box::new(move |_, _, at, access| match access {
            Access::Read(status) if at == lifeboat_lb1::regs::IRQ_STATUS && !interrupts => {
                Some(status & !(lifeboat_lb1::regs::irq::FLIP | lifeboat_lb1::regs::irq::VBLANK))
            }
            _ => None,
        }));
        let client = bound.client();
        let mode = client.handle.resources().mode(64, 64);
        let large = most_of_vram(&client.handle).unwrap();
        client.handle.set_mode(Some((&large, mode))).unwrap();
        drop(large);
        client.handle.flip(&client.vram, None).unwrap().wait(LONG).unwrap();
        drop(becomes_free(&client.handle));
        drop(client);
        bound.finish();
    }
}
