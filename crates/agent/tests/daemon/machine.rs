//! A machine whose GPU is sick until its driver is bound again, and a daemon on it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lifeboat_agent::journal::{Entry, Found, history};
use serde_json::Value;

use crate::fifos::{Driver, fifo};
use crate::tree::{Tree, machines};

/// Time after which a daemon that says nothing has failed. It says something within milliseconds.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) const DEVICE: &str = "0000:03:00.0";

pub(crate) struct Machine {
    pub(crate) tree: Tree,
    pub(crate) places: tempfile::TempDir,
    driver: Option<Driver>,
}

impl Machine {
    /// Lays out the machine. Its driver answers writes if `serves`, and else they block.
    pub(crate) fn new(mode: &str, serves: bool) -> Self {
        let (tree, places) = (machines::card(), tempfile::tempdir().unwrap());
        tree.write("dev/dri/renderD128", "");
        let driver = tree.root().join("sys/bus/pci/drivers/xe");
        for name in ["bind", "unbind"] {
            fifo(&driver.join(name));
        }
        let probe = places.path().join("probe");
        // The device works as soon as its driver has been bound again. `bound` is the log of the fake kernel.
        fs::write(&probe, format!("#!/bin/sh\ntest -e {}\n", places.path().join("well").display())).unwrap();
        fs::set_permissions(&probe, fs::Permissions::from_mode(0o755)).unwrap();
        let policies = places.path().join("policies");
        fs::create_dir(&policies).unwrap();
        let policy = format!(
            "[host]\nmode = \"{mode}\"\n[[device]]\nname = \"gpus\"\nmatch = {{ driver = \"xe\" }}\nboot_grace = \"0s\"\n\
             unless = [\"console\", \"session\", \"vfio\", \"mounted\", \"swap\", \"default-route\", \"control-path\"]\n\
             [[device.step]]\ndo = \"rebind\"\ntries = 1\n[device.budget]\nbackoff = [\"0s\"]\n[device.verify]\nprobe = \"{}\"\nalive_for = \"0s\"\n",
            probe.display()
        );
        fs::write(policies.join("50-gpus.toml"), policy).unwrap();
        let driver = serves.then(|| Driver::serve(tree.root().join("sys"), "xe"));
        Self { tree, places, driver }
    }

    pub(crate) fn arguments(&self) -> Vec<String> {
        let place = |name: &str| self.places.path().join(name).display().to_string();
        vec!["--policies".into(), place("policies"), "--root".into(), self.tree.root().display().to_string()]
    }

    /// Makes the device well from the next verification on.
    pub(crate) fn heal(&self) {
        fs::write(self.places.path().join("well"), "").unwrap();
    }

    /// Returns the writes that the fake kernel has seen.
    pub(crate) fn writes(&self) -> Vec<(&'static str, String)> {
        self.driver.as_ref().map(Driver::log).unwrap_or_default()
    }

    pub(crate) fn wedge(&self) {
        let card = format!("/devices/pci0000:00/0000:00:01.0/{DEVICE}/drm/card0");
        let message = format!("change@{card}\0ACTION=change\0DEVPATH={card}\0SUBSYSTEM=drm\0WEDGED=rebind\0");
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(message.as_bytes(), self.places.path().join("events")).unwrap();
    }

    /// Tells whether the journal holds the end of an incident. No daemon runs.
    pub(crate) fn has_ended(&self) -> bool {
        let found = history::<Value>(&self.places.path().join("state/journal"), 1).unwrap();
        found.iter().any(|found| match found {
            Found::Entry(numbered) => match &numbered.entry {
                Entry::Record(record) => !record["policy"]["record"]["closed"].is_null(),
                _ => false,
            },
            Found::Unreadable(error) => panic!("{error}"),
        })
    }

    pub(crate) fn start(&self) -> Daemon {
        let place = |name: &str| self.places.path().join(name).into_os_string();
        let mut process = Command::new(env!("CARGO_BIN_EXE_lifeboatd"))
            .args(self.arguments())
            .args([PathBuf::from("--state"), place("state").into(), "--run".into(), place("run").into()])
            .args([PathBuf::from("--inject"), place("events").into()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str::<Value>(&line).unwrap());
            }
        });
        let mut daemon = Daemon { process, lines, seen: Vec::new() };
        daemon.until(|line| line["started"].is_object());
        daemon
    }
}

/// Daemon that runs. It is killed when it goes.
pub(crate) struct Daemon {
    process: Child,
    lines: Receiver<Value>,
    pub(crate) seen: Vec<Value>,
}

impl Daemon {
    /// Waits for a line.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{error}: {:#?}", self.seen));
            self.seen.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Waits for the end of the incident, and returns how it has ended.
    pub(crate) fn end(&mut self) -> Value {
        self.until(|line| !line["record"]["record"]["closed"].is_null())["record"]["record"]["closed"].clone()
    }

    /// Kills the daemon without a word.
    pub(crate) fn kill(mut self) -> Vec<Value> {
        let _ = self.process.kill();
        let _ = self.process.wait();
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
