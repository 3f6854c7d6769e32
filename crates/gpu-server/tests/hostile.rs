//! Bytes that are no messages: whatever comes over the sockets, the next client is served.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use lifeboat_gpu_server::control::{Reply, Request};
use lifeboat_lb1::regs;
use machine::{BUFFER, Host, Machine, TIMEOUT};
use proptest::prelude::*;

const NOTHING: [u8; 0] = [];

fn header(command: u16, size: u32, flags: u32) -> Vec<u8> {
    [&1_u16.to_ne_bytes()[..], &command.to_ne_bytes(), &size.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4]].concat()
}

fn connect(host: &Host) -> UnixStream {
    let stream = UnixStream::connect(&host.socket).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Sends bytes as one client, and returns what comes back until the server hangs up or has read it all.
fn send(host: &Host, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(host);
    // The server may hang up in the middle.
    let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// A whole job, as proof that the server serves.
fn works(host: &Host) {
    let mut machine = Machine::new(&host.socket);
    assert_eq!(machine.read(regs::ID), regs::ID_VALUE);
    machine.fill(0, 64, 0x4242_4242);
    assert_eq!(machine.memory(BUFFER, 64), [0x42; 64]);
}

fn errno(answer: &[u8]) -> u32 {
    assert_eq!(answer.len(), 16, "{answer:?}");
    assert_eq!(answer[8] & 0x21, 0x21, "an error reply");
    u32::from_ne_bytes(answer[12..].try_into().unwrap())
}

#[test]
fn sizes_that_no_message_has_end_the_session() {
    let host = Host::new();
    for command in 0..16 {
        for size in [0, 1, 15, 17 << 16, u32::MAX, 1 << 31] {
            assert_eq!(send(&host, &header(command, size, 0)), NOTHING, "command {command}, {size} bytes");
        }
    }
    assert_eq!(send(&host, &header(4, 16, 1)), NOTHING, "a reply is no request");
    works(&host);
}

#[test]
fn short_bodies_and_unknown_commands_are_refused() {
    let host = Host::new();
    for command in [1, 2, 3, 5, 7, 8, 9, 10] {
        assert_eq!(errno(&send(&host, &header(command, 16, 0))), 22, "command {command}");
    }
    for command in [0, 6, 11, 12, 14, 15, u16::MAX] {
        assert_eq!(errno(&send(&host, &header(command, 16, 0))), 95, "command {command}");
    }
    // A version message without a terminator, for one, is of no interest.
    let version = [header(1, 20, 0), vec![0; 4]].concat();
    assert!(send(&host, &version).len() > 20);
    works(&host);
}

#[test]
fn counts_beyond_the_message_are_refused() {
    let host = Host::new();
    let access = |command, count: u32| [header(command, 32, 0), vec![0; 12], count.to_ne_bytes().to_vec()].concat();
    for count in [u32::MAX, 1 << 30, (1 << 20) + 1] {
        assert_eq!(errno(&send(&host, &access(9, count))), 22, "a read of {count}");
        assert_eq!(errno(&send(&host, &access(10, count))), 22, "a write of {count}");
    }
    assert_eq!(errno(&send(&host, &access(10, 4))), 22, "a write of what is not there");
    // A refused message is consumed whole: the next one is understood.
    let two = [access(9, u32::MAX), header(4, 32, 0), vec![0; 16]].concat();
    assert_eq!(send(&host, &two).len(), 16 + 32);
    works(&host);
}

#[test]
fn who_wants_no_reply_gets_none() {
    let host = Host::new();
    assert_eq!(send(&host, &header(13, 16, 1 << 4)), NOTHING);
    assert_eq!(send(&host, &header(9, 16, 1 << 4)), NOTHING, "not even a refusal");
}

#[test]
fn a_client_that_stops_in_the_middle_is_forgotten() {
    let host = Host::new();
    let whole = [header(10, 4096 + 32, 0), vec![0; 4096 + 16]].concat();
    for sent in [1, 15, 16, 17, 4000] {
        drop(send(&host, &whole[..sent]));
    }
    works(&host);
}

#[test]
fn control_refuses_what_is_no_request() {
    let host = Host::new();
    let ask = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&host.control_path).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    for line in
        ["\n", "status\n", "{}\n", "{\"command\":\"explode\"}\n", "{\"command\":\"inject\",\"fault\":\"rust\"}\n"]
    {
        let answer = ask(line.as_bytes());
        assert!(answer.starts_with(r#"{"reply":"error""#) && answer.ends_with('\n'), "{line}: {answer}");
    }
    assert!(ask(&[0xff, 0xfe, b'\n']).contains("not a request"));
    assert!(ask(&vec![b' '; 1 << 20]).contains("one line of less than"));
    assert!(ask(b"{\"command\":\"status\"}").contains("one line of less than"), "no end of line");
    // Several on one connection, with an error in between.
    let answers = ask(b"{\"command\":\"status\"}\nwhat\n{\"command\":\"witness\"}\n");
    let replies: Vec<Reply> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(matches!(&replies[..], [Reply::Status(_), Reply::Error { .. }, Reply::Witness(_)]), "{replies:?}");
}

#[test]
fn silent_control_connections_do_not_keep_others_out_for_ever() {
    let host = Host::new();
    let silent: Vec<_> = (0..64).map(|_| UnixStream::connect(&host.control_path).unwrap()).collect();
    machine::wait_for("a refusal", || host.control.call(&Request::Status).is_err());
    drop(silent);
    machine::wait_for("an answer", || host.control.call(&Request::Status).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn garbage_is_survived(messages in prop::collection::vec(
        (0..17_u16, any::<u16>(), prop::collection::vec(any::<u8>(), 0..80), 0..8_u32, any::<bool>()), 1..12,
    )) {
        let host = Host::new();
        let mut bytes = Vec::new();
        for (command, odd, body, lie, flagged) in messages {
            let size = 16 + u32::try_from(body.len()).unwrap();
            let size = match lie { 0 => size + 1, 1 => u32::from(odd), _ => size };
            bytes.extend(header(command, size, if flagged { 0x10 } else { 0 }));
            bytes.extend(body);
        }
        send(&host, &bytes);
        works(&host);
    }
}
