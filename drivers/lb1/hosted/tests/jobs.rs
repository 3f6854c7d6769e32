//! Jobs on a live device: order, faults, hangs, lost interrupts.

mod machine;

use lifeboat::WaitError;
use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::sched::IfDependencyFails;
use lifeboat::{CallError, Priority};
use lifeboat_gpu::{Fault, Trigger};
use lifeboat_lb1_hosted::command::{Copy, GpuVa, Work};
use lifeboat_lb1_hosted::{Placement, Submission};
use machine::{BYTES, Client, LONG, Machine};

const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));

#[test]
fn dependent_jobs_on_two_rings_run_in_order() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    for round in 1..200u32 {
        let filled = client.submit(0, &[client.fill(round)], &[]);
        let copied = client.submit(1, &[client.download()], &[filled]);
        copied.wait(LONG).unwrap();
        assert_eq!(client.host_word(), round);
    }
    drop(client);
    machine.finish();
}

#[test]
fn more_jobs_than_the_ring_holds_all_complete_in_order() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let fences: Vec<_> = (0..1000).map(|_| client.submit(0, &[Work::Nop], &[])).collect();
    for fence in &fences {
        fence.wait(LONG).unwrap();
    }
    drop(client);
    machine.finish();
}

#[test]
fn sched_6_a_bad_job_is_guilty_and_the_next_one_runs() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let nowhere = Work::Copy(Copy::linear(GpuVa(0xdead_0000), client.vram_va, 64));
    let bad = client.submit(0, &[nowhere], &[]);
    let dependent = client.submit(1, &[Work::Nop], std::slice::from_ref(&bad));
    let good = client.submit(0, &[client.fill(7), client.download()], &[]);
    assert_eq!(bad.wait(LONG), GUILTY);
    assert_eq!(dependent.wait(LONG), Err(WaitError::Failed(FenceError::Canceled)));
    good.wait(LONG).unwrap();
    assert_eq!(client.host_word(), 7);
    drop(client);
    machine.finish();
}

#[test]
fn sched_6_later_dependents_of_a_guilty_job_do_what_they_declared() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let bad = [client.submit(0, &[Work::Copy(Copy::linear(GpuVa(0xdead_0000), client.vram_va, 64))], &[])];
    let canceled = client.submit(1, &[client.fill(1)], &bad);
    let work = [client.fill(2), client.download()];
    let submission = Submission {
        after: &bad,
        if_dependency_fails: IfDependencyFails::Run,
        ..Submission::new(&client.queues[1], &work)
    };
    let runs = client.handle.submit(&submission).unwrap();
    assert_eq!(bad[0].wait(LONG), GUILTY);
    assert_eq!(canceled.wait(LONG), Err(WaitError::Failed(FenceError::Canceled)));
    runs.wait(LONG).unwrap();
    assert_eq!(client.host_word(), 2);
    drop(client);
    machine.finish();
}

#[test]
fn sched_4_a_hung_job_is_guilty_after_its_timeout_and_only_its_ring_is_reset() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    let hung = client.submit(0, &[Work::Hang], &[]);
    let behind = client.submit(0, &[client.fill(9)], &[]);
    let elsewhere = client.submit(1, &[Work::Nop], &[]);
    elsewhere.wait(LONG).unwrap();
    assert_eq!(hung.status(), None);
    assert_eq!(hung.wait(LONG), GUILTY);
    behind.wait(LONG).unwrap();
    client.submit(0, &[client.download()], &[]).wait(LONG).unwrap();
    assert_eq!(client.host_word(), 9);
    drop(client);
    machine.finish();
}

#[test]
fn a_lost_interrupt_delays_and_is_no_hang() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    machine.card().inject(Fault::LostInterrupt);
    client.submit(0, &[client.fill(3)], &[]).wait(LONG).unwrap();
    machine.card().inject(Fault::SpuriousInterrupt);
    client.submit(0, &[client.download()], &[]).wait(LONG).unwrap();
    assert_eq!(client.host_word(), 3);
    drop(client);
    machine.finish();
}

#[test]
fn life_5_resets_that_fail_take_the_path_of_every_loss_and_the_device_comes_back() {
    let machine = Machine::new();
    let device = machine.added();
    let minor = device.info().minor;
    let client = Client::new(&device);
    machine.card().schedule(Trigger::Reset(1), Fault::FailedReset);
    machine.card().schedule(Trigger::Reset(2), Fault::FailedReset);
    let hung = client.submit(0, &[Work::Hang], &[]);
    assert_eq!(hung.wait(LONG), Err(WaitError::Failed(FenceError::Lost)));
    let report = machine.removed();
    assert_eq!((report.loss, report.minor), (Loss::Crashed, minor));
    let back = machine.added();
    assert_ne!(back.info().minor, minor);
    Client::new(&back).submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    drop((client, device, back));
    machine.finish();
}

#[test]
fn wrong_arguments_are_refused_with_einval() {
    let machine = Machine::new();
    let device = machine.added();
    let client = Client::new(&device);
    let submit = |commands: &[Work]| {
        let submission = Submission::new(&client.queues[0], commands);
        client.handle.submit(&submission).map(drop).map_err(CallError::errno)
    };
    let queue = client.handle.create_queue(&client.context, 9, Priority::Normal).map(drop);
    assert_eq!(queue.map_err(CallError::errno), Err(Errno::EINVAL));
    assert_eq!(submit(&[]), Err(Errno::EINVAL));
    assert_eq!(submit(&[Work::Copy(Copy::linear(GpuVa(0), GpuVa(0), 0))]), Err(Errno::EINVAL));
    assert_eq!(submit(&vec![Work::Nop; device.info().max_commands + 1]), Err(Errno::EINVAL));
    submit(&vec![Work::Nop; device.info().max_commands]).unwrap();
    let buffer = |size| client.handle.create_buffer(Placement::Vram, size).map(drop).map_err(CallError::errno);
    assert_eq!(buffer(0), Err(Errno::EINVAL));
    assert_eq!(buffer(u64::MAX), Err(Errno::ENOMEM));
    assert_eq!(client.host.write(u64::MAX, &[0]).map_err(CallError::errno), Err(Errno::EINVAL));
    assert_eq!(client.vram.read(u64::from(BYTES) - 1, &mut [0; 2]).map_err(CallError::errno), Err(Errno::EINVAL));
    drop(client);
    drop(device);
    machine.finish();
}

#[test]
fn vram_is_handed_on_without_what_was_in_it() {
    let machine = Machine::new();
    let device = machine.added();
    let handle = device.open().unwrap();
    let all = device.info().vram_bytes;
    let first = handle.create_buffer(Placement::Vram, all).unwrap();
    first.write(all - 3, &[1, 2, 3]).unwrap();
    assert_eq!(handle.create_buffer(Placement::Vram, 1).unwrap_err().errno(), Errno::ENOMEM);
    drop(first);
    let second = handle.create_buffer(Placement::Vram, all).unwrap();
    let mut bytes = [9; 3];
    second.read(all - 3, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 3]);
    drop((second, handle, device));
    machine.finish();
}

#[test]
fn sched_2_unmapping_and_freeing_under_a_job_is_contained() {
    let machine = Machine::new();
    let device = machine.added();
    for _ in 0..50 {
        // A context that faults as often as this one would be refused (SCHED-7).
        let client = Client::new(&device);
        let buffer = client.handle.create_buffer(Placement::Vram, BYTES.into()).unwrap();
        let va = client.handle.map(&client.context, &buffer).unwrap();
        let copy = Work::Copy(Copy::linear(va, client.vram_va, BYTES));
        let fences: Vec<_> = (0..4).map(|_| client.submit(0, &[copy], &[])).collect();
        client.handle.unmap(&client.context, va).unwrap();
        drop(buffer);
        for fence in fences {
            // Done before the unmap, or faulted on it, or a victim of such a fault that ran again and faulted.
            assert!(matches!(fence.wait(LONG), Ok(()) | Err(WaitError::Failed(FenceError::Guilty))));
        }
        assert!(client.handle.unmap(&client.context, GpuVa(0)).is_err());
    }
    drop(device);
    machine.finish();
}

#[test]
fn only_the_address_that_map_gave_unmaps() {
    let machine = Machine::new();
    let client = Client::new(&machine.added());
    for beside in [1, 4, 4095] {
        let answer = client.handle.unmap(&client.context, GpuVa(client.vram_va.0 + beside));
        assert_eq!(answer.map_err(CallError::errno), Err(Errno::EINVAL), "{beside} bytes beside it");
    }
    // It is still there.
    assert_eq!(client.submit(0, &[client.fill(1)], &[]).wait(LONG), Ok(()));
    assert_eq!(client.handle.unmap(&client.context, client.vram_va), Ok(()));
    drop(client);
    machine.finish();
}
