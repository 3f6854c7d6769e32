//! The ladder of resets on LB1: the driver looks, the ring is reset, the device is reset (SCHED-4).

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

mod machine;

use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::{Event, Fence, WaitError};
use lifeboat_gpu::{Fault, Trigger};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{Placement, Submission};
use machine::{BYTES, Client, JOB_TIMEOUT, LONG, Machine};

const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));
const INNOCENT: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Innocent));

fn fragile(client: &Client, ring: usize, commands: &[Work]) -> Fence {
    let submission = Submission::new(&client.queues[ring], commands);
    client.handle.submit(&submission).unwrap()
}

/// A job that does not end before the other ring is reset, and the card's resets from then on.
fn hang_with_a_reset_that_fails(machine: &Machine, client: &Client) -> Fence {
    machine.card().schedule(Trigger::Reset(1), Fault::FailedReset);
    client.submit(0, &[Work::Hang], &[])
}

/// Ends everything; until then the binding was the same.
fn finish(machine: Machine) {
    let events = machine.finish();
    assert!(
        matches!(&events[..], [Event::Removed { report }] if report.loss == Loss::Unbound),
        "the device was given up: {events:?}"
    );
}

#[test]
fn sched_4_a_failed_ring_reset_leads_to_that_of_the_device_which_goes_on_as_it_was() {
    let machine = Machine::new();
    let device = machine.added();
    let (bad, good) = (Client::new(&device), Client::new(&device));
    good.submit(0, &[good.fill(0x1234_5678)], &[]).wait(LONG).unwrap();
    let hung = hang_with_a_reset_that_fails(&machine, &bad);
    // On both rings, and of another context than the one that hung.
    let behind = good.submit(0, &[good.download()], &[]);
    let elsewhere = good.submit(1, &[Work::Nop], std::slice::from_ref(&behind));
    assert_eq!(hung.wait(LONG), GUILTY);
    // Its address table is there again, and what is in VRAM has not gone.
    behind.wait(LONG).unwrap();
    elsewhere.wait(LONG).unwrap();
    assert_eq!(good.host_word(), 0x1234_5678);
    assert!(device.is_live(), "the same binding goes on");
    // So do contexts, buffers and mappings that come after it.
    let late = Client::new(&device);
    late.submit(1, &[late.fill(77), late.download()], &[]).wait(LONG).unwrap();
    assert_eq!(late.host_word(), 77);
    assert_eq!((bad.context.reset_stats().guilty, good.context.reset_stats().innocent), (1, 0));
    drop((bad, good, late, device));
    finish(machine);
}

#[test]
fn sched_6_a_reset_of_the_device_costs_other_rings_what_cannot_run_again() {
    let machine = Machine::new();
    let device = machine.added();
    let (bad, good) = (Client::new(&device), Client::new(&device));
    let hung = hang_with_a_reset_that_fails(&machine, &bad);
    // It hangs too, but it is younger by the time that its own wait takes: not a suspect when the device is reset.
    let started = good.submit(1, &[Work::Nop], &[]);
    started.wait(LONG).unwrap();
    std::thread::sleep(JOB_TIMEOUT / 2);
    let victim = fragile(&good, 1, &[Work::Hang]);
    assert_eq!(hung.wait(LONG), GUILTY);
    assert_eq!(victim.wait(LONG), INNOCENT);
    good.submit(1, &[Work::Nop], &[]).wait(LONG).unwrap();
    assert_eq!((good.context.reset_stats().guilty, good.context.reset_stats().innocent), (0, 1));
    drop((bad, good, device));
    finish(machine);
}

#[test]
fn kms_3_a_flip_on_its_way_and_the_picture_survive_a_reset_of_the_device() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let size = u64::from(BYTES);
    let [first, second] = [3_u8, 9].map(|shade| {
        let picture = client.handle.create_buffer(Placement::Vram, size).unwrap();
        picture.write(0, &vec![shade; BYTES as usize]).unwrap();
        picture
    });
    client.show(&first).unwrap();
    let hung = hang_with_a_reset_that_fails(&machine, &client);
    assert_eq!(hung.wait(LONG), GUILTY);
    let shown = machine.card().picture().expect("it is shown again");
    assert!(shown.pixels.iter().all(|byte| *byte == 3));
    for picture in [&second, &first] {
        machine.card().schedule(Trigger::Reset(1), Fault::FailedReset);
        let hung = client.submit(0, &[Work::Hang], &[]);
        // Many flips on the way to the reset; each is answered, and the last picture is there afterwards.
        while hung.status().is_none() {
            client.handle.flip(picture, None).unwrap().wait(LONG).unwrap();
        }
        assert_eq!(hung.wait(LONG), GUILTY);
        client.handle.flip(picture, None).unwrap().wait(LONG).unwrap();
    }
    let shown = machine.card().picture().expect("it is shown still");
    assert!(shown.pixels.iter().all(|byte| *byte == 3));
    drop((first, second, client, device));
    finish(machine);
}

#[test]
fn sched_4_what_is_mapped_and_unmapped_during_resets_is_so_afterwards() {
    let machine = Machine::new();
    let device = machine.added();
    let (bad, good) = (Client::new(&device), Client::new(&device));
    for round in 1..=3 {
        let hung = hang_with_a_reset_that_fails(&machine, &bad);
        let buffer = good.handle.create_buffer(Placement::Host, 4096).unwrap();
        while hung.status().is_none() {
            let va = good.handle.map(&good.context, &buffer).unwrap();
            good.handle.unmap(&good.context, va).unwrap();
        }
        assert_eq!(hung.wait(LONG), GUILTY);
        let va = good.handle.map(&good.context, &buffer).unwrap();
        good.submit(0, &[good.fill(round), good.download()], &[]).wait(LONG).unwrap();
        assert_eq!(good.host_word(), round);
        good.handle.unmap(&good.context, va).unwrap();
        // It is not reachable any more, also after a reset that wrote the tables anew.
        let fill = lifeboat_lb1_hosted::command::Fill { dst: va, bytes: 4096, pattern: 1 };
        assert_eq!(good.submit(1, &[Work::Fill(fill)], &[]).wait(LONG), GUILTY);
    }
    drop((bad, good, device));
    finish(machine);
}

#[test]
fn sched_4_a_job_that_moves_has_more_time_and_one_that_stops_moving_has_not() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    // Each command takes half of the time that a job has: together four times as long.
    machine.card().inject(Fault::Slow(JOB_TIMEOUT / 2));
    let long = client.submit(0, &[Work::Nop; 8], &[]);
    assert_eq!(long.wait(LONG), Ok(()), "a false hang");
    assert_eq!(client.context.reset_stats().guilty, 0);
    let stops = client.submit(0, &[Work::Nop, Work::Nop, Work::Hang], &[]);
    assert_eq!(stops.wait(LONG), GUILTY);
    machine.card().inject(Fault::Slow(std::time::Duration::ZERO));
    drop(client);
    machine.finish();
}

#[test]
fn sched_4_a_job_that_moves_for_ever_is_reset_at_its_bound() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    machine.card().inject(Fault::Slow(JOB_TIMEOUT / 2));
    // Four extensions are granted: five times its time, of the ten that it needs.
    let endless = client.submit(0, &[Work::Nop; 20], &[]);
    assert_eq!(endless.wait(LONG), GUILTY);
    machine.card().inject(Fault::Slow(std::time::Duration::ZERO));
    client.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    drop(client);
    machine.finish();
}
