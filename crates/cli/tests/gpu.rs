//! `lifeboat gpu serve` and `lifeboat gpu ctl` as a user runs them.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything here takes, however loaded the machine.
const LIMIT: Duration = Duration::from_mins(1);

fn lifeboat(args: &[&str]) -> Output {
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_lifeboat")).arg("gpu").args(args).timeout(LIMIT).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

struct Serve {
    child: Child,
    socket: PathBuf,
    control: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Serve {
    fn new(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::at(folder.path().join("gpu"), Some(folder), more)
    }

    fn at(socket: PathBuf, folder: Option<tempfile::TempDir>, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(["gpu", "serve", "--vram", "1", "--json", "--socket"])
            .arg(&socket)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&ready["event"], &ready["pid"]), (&"ready".into(), &child.id().into()));
        let control = PathBuf::from(ready["control"].as_str().unwrap());
        assert_eq!(ready["socket"].as_str().map(Path::new), Some(&*socket));
        Self { child, socket, control, _folder: folder }
    }

    fn ctl(&self, args: &[&str]) -> Output {
        lifeboat(&[&["ctl", "--control", self.control.to_str().unwrap()], args].concat())
    }

    fn status(&self) -> Value {
        let output = self.ctl(&["status", "--json"]);
        assert_eq!(output.status.code(), Some(0));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits for the end; returns the exit code.
    fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_is_asked_and_told() {
    let mut serve = Serve::new(&[]);
    assert_eq!(serve.control, serve.socket.with_extension("ctl"));
    assert_eq!(serve.status()["present"], true);
    for command in [&["hang"][..], &["slow", "5ms"], &["fail-reset", "--at", "reset:2"], &["gone", "--at", "access:9"]]
    {
        let output = serve.ctl(command);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""), "{command:?}");
    }
    assert_eq!(serve.status()["present"], true);
    assert_eq!(serve.ctl(&["gone"]).status.code(), Some(0));
    let status = serve.status();
    assert_eq!((&status["present"], &status["heartbeat"]), (&false.into(), &Value::Null));
    assert!(text(&serve.ctl(&["status"]).stdout).starts_with("card        gone, number 1\n"));
    let output = serve.ctl(&["replace", "--json"]);
    assert_eq!(text(&output.stdout), "{\"reply\":\"done\"}\n");
    assert_eq!(serve.status()["card"], 2);
    let output = serve.ctl(&["witness", "--check"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "no violations\n"));

    assert_eq!(serve.ctl(&["stop"]).status.code(), Some(0));
    assert_eq!(serve.end(), Some(0));
    assert!(!serve.socket.exists() && !serve.control.exists());
    let output = serve.ctl(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no server can be reached"), "{}", text(&output.stderr));
}

#[test]
fn a_trigger_counts_from_1_also_for_who_writes_to_the_socket() {
    let serve = Serve::new(&[]);
    for at in [r#"{"access":0}"#, r#"{"job":0}"#, r#"{"reset":0}"#] {
        let mut socket = UnixStream::connect(&serve.control).unwrap();
        writeln!(socket, r#"{{"command":"inject","fault":"gone","at":{at}}}"#).unwrap();
        let mut reply = String::new();
        BufReader::new(socket).read_line(&mut reply).unwrap();
        assert_eq!(reply, "{\"reply\":\"error\",\"message\":\"a trigger counts from 1\"}\n", "{at}");
    }
    let output = serve.ctl(&["hang", "--at", "access:5"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn a_mistake_of_the_driver_is_found() {
    let serve = Serve::new(&[]);
    let mut client = vfio_user::Client::new(&serve.socket).unwrap();
    client.region_write(7, 4, &[6, 0]).unwrap();
    let doorbell = lifeboat_lb1::regs::ring(0, lifeboat_lb1::regs::RING_TAIL);
    client.region_write(0, doorbell, &[1, 0, 0, 0]).unwrap();
    let output = serve.ctl(&["witness"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("doorbell to ring 0, which is stopped\n"));
    assert_eq!(serve.ctl(&["witness", "--check"]).status.code(), Some(1));
}

#[test]
fn planned_faults_happen_and_a_card_comes_back() {
    let serve = Serve::new(&["--fault", "unplug@access:3,replug:1ms", "--fault", "failed-reset@reset:1"]);
    let mut client = vfio_user::Client::new(&serve.socket).unwrap();
    let mut id = [0; 4];
    client.region_read(7, 0, &mut id).unwrap();
    assert_eq!(id, [0x42, 0x4c, 1, 0]);
    client.region_write(7, 4, &[6, 0]).unwrap();
    client.region_read(7, 0, &mut id).unwrap();
    assert_eq!(id, [0xff; 4], "the third access");
    let deadline = Instant::now() + LIMIT;
    while serve.status()["card"] != 2 {
        assert!(Instant::now() < deadline, "no new card");
    }
    client.region_read(7, 0, &mut id).unwrap();
    assert_eq!(id, [0x42, 0x4c, 1, 0]);
}

#[test]
fn signals_end_a_server_cleanly() {
    for signal in ["TERM", "INT"] {
        let mut serve = Serve::new(&[]);
        let _client = vfio_user::Client::new(&serve.socket).unwrap();
        let kill = Command::new("kill").args([&format!("-{signal}"), &serve.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        assert_eq!(serve.end(), Some(0), "{signal}");
        assert!(!serve.socket.exists() && !serve.control.exists());
    }
}

#[test]
fn a_live_socket_is_refused_and_a_dead_one_replaced() {
    let mut serve = Serve::new(&[]);
    let socket = serve.socket.to_str().unwrap().to_owned();
    let output = lifeboat(&["serve", "--socket", &socket]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("in use by a running server"), "{}", text(&output.stderr));
    assert!(serve.status()["present"] == true);

    serve.child.kill().unwrap();
    serve.child.wait().unwrap();
    assert!(serve.socket.exists(), "it could not remove it");
    let again = Serve::at(serve.socket.clone(), None, &[]);
    assert_eq!(again.status()["clients"], 0);
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("precious");
    std::fs::write(&path, "mine").unwrap();
    let output = lifeboat(&["serve", "--socket", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is not a socket"));
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent");
    let _silent = UnixListener::bind(&path).unwrap();
    let output = lifeboat(&["ctl", "--control", path.to_str().unwrap(), "--timeout", "50ms", "status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("did not answer"), "{}", text(&output.stderr));
}

#[test]
fn without_a_subcommand_there_is_help() {
    let output = lifeboat(&[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("serve") && text(&output.stdout).contains("ctl"));
    assert!(text(&lifeboat(&["serve", "--help"]).stdout).contains("vfio-user-pci"));
}
