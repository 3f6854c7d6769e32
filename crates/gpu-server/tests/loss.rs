//! What comes and goes: the card, the client, the server.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use lifeboat_gpu_server::control::{CallError, Client, Fault, Request, Trigger};
use lifeboat_lb1::regs;
use machine::{BAR2, BUFFER, CONFIG, Host, Machine, TIMEOUT, VRAM, wait_for};

#[test]
fn a_card_that_is_gone_reads_all_ones_and_the_server_stays() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    let mapped = machine.client.region(BAR2).unwrap().file_offset.as_ref().unwrap().file().try_clone().unwrap();
    host.inject(Fault::Hang);
    machine.submit_fill(0, 0x1000, 5);
    host.inject(Fault::Gone);
    assert!(!host.status().present);
    assert_eq!((machine.read(regs::ID), machine.vram(0), machine.config_read(0)), (u32::MAX, u32::MAX, u32::MAX));
    let mut all = [0; 256];
    machine.client.region_read(CONFIG, 0, &mut all).unwrap();
    assert_eq!(all, [0xff; 256]);
    let mut bytes = vec![0; usize::try_from(VRAM).unwrap()];
    mapped.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0xff), "also where it is mapped");
    machine.write(regs::SCRATCH, 1);
    machine.submit_fill(0, 0x1000, 5);
    assert_eq!(machine.memory(BUFFER, 4), [0; 4]);
    assert!(!machine.interrupt(0, Duration::ZERO));
    machine.client.reset().unwrap();
    assert_eq!(machine.read(regs::ID), u32::MAX, "no reset brings it back");
    assert_eq!(host.violations(), [] as [&str; 0]);
}

#[test]
fn it_goes_at_the_chosen_access() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    host.call(Request::Inject { fault: Fault::Gone, at: Some(Trigger::Access(3)) });
    let reads = [machine.read(regs::ID), machine.read(regs::ID), machine.read(regs::ID)];
    assert_eq!(reads, [regs::ID_VALUE, regs::ID_VALUE, u32::MAX]);
}

#[test]
fn a_replaced_card_is_a_new_one_behind_the_same_socket() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    machine.client.region_write(BAR2, 0, &[7; 4]).unwrap();
    machine.write(regs::ring(1, regs::RING_TAIL), 1); // a mistake, to be remembered
    for present in [true, false] {
        machine.fill(0, 64, 5);
        if !present {
            host.inject(Fault::Gone);
        }
        host.call(Request::Replace);
        assert_eq!(machine.read(regs::ID), u32::MAX, "it does not decode memory yet");
        machine.config_write(4, &[6]);
        assert_eq!(machine.read(regs::ID), regs::ID_VALUE);
        assert_eq!((machine.vram(0), machine.vram(VRAM - 4)), (0, 0));
        // Mappings and interrupts are the machine's.
        assert_eq!((host.status().mappings, host.status().vectors), (1, 4));
        machine.bring_up();
        machine.fill(0, 64, 9);
        assert!(machine.interrupt(0, TIMEOUT));
    }
    assert_eq!(host.status().card, 3);
    assert_eq!(host.violations().len(), 1, "of the first card");
}

#[test]
fn clients_come_and_go() {
    let host = Host::new();
    for client in 1..=20 {
        let mut machine = Machine::new(&host.socket);
        assert_eq!(machine.vram(0), 0, "what another machine wrote");
        machine.client.region_write(BAR2, 0, &[7; 4]).unwrap();
        machine.fill(0, 64, client);
        // Left in the middle of a job, some without a word.
        host.inject(Fault::Hang);
        machine.submit_fill(0, 64, client);
        wait_for("a busy ring", || machine.ring(regs::RING_STATUS) & regs::ring_status::BUSY != 0);
        if client % 2 == 0 {
            machine.client.shutdown().unwrap();
        }
        drop(machine);
        wait_for("the client's leaving", || !host.status().attached);
        let status = host.status();
        assert_eq!((status.mappings, status.vectors), (0, 0));
        assert_eq!(status.clients, u64::from(client));
    }
    assert_eq!(host.violations(), [] as [&str; 0], "a machine that is switched off is no mistake of its driver");
}

#[test]
fn the_next_client_waits_for_the_one_before() {
    let host = Host::new();
    let mut first = Machine::new(&host.socket);
    let socket = host.socket.clone();
    let second = std::thread::spawn(move || {
        let mut machine = Machine::new(&socket);
        machine.fill(0, 64, 2);
        machine.memory(BUFFER, 4)
    });
    first.fill(0, 64, 1);
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.join().unwrap(), [2, 0, 0, 0]);
}

#[test]
fn a_panic_ends_the_session_and_not_the_server() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    let tell = Box::new(|| panic!("on purpose"));
    host.server.bay().schedule_and_tell(lifeboat_gpu::Trigger::Access(1), lifeboat_gpu::Fault::Hang, tell);
    assert!(machine.client.region_read(CONFIG, 0, &mut [0; 4]).is_err());
    wait_for("the end of the session", || !host.status().attached);
    assert_eq!((host.status().mappings, host.status().vectors), (0, 0));
    let mut next = Machine::new(&host.socket);
    next.fill(0, 64, 5);
}

#[test]
fn the_server_ends_with_clients_and_leaves_nothing() {
    let host = Host::new();
    let mut machine = Machine::new(&host.socket);
    let silent = UnixStream::connect(&host.control_path).unwrap();
    host.inject(Fault::Hang);
    machine.submit_fill(0, 64, 1);
    host.call(Request::Stop);
    host.server.wait();
    assert!(!host.socket.exists() && !host.control_path.exists());
    let error = machine.client.region_read(CONFIG, 0, &mut [0; 4]);
    assert!(error.is_err(), "the connection is closed");
    drop(silent);
    let unreachable = Client::connect(&host.control_path, TIMEOUT);
    assert!(matches!(unreachable, Err(CallError::Unreachable { .. })));
}
