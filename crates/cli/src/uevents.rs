//! `--events SOCKET`: what happens to devices, told to a program that waits for it as the kernel would tell it.

use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use lifeboat::{Bus, Uevents};

/// Nobody listens where the events are to go.
#[derive(Debug, thiserror::Error)]
#[error("nobody listens at {}: {why}; start what receives the datagrams first, such as `socat -u UNIX-RECV:{} -`", path.display(), path.display())]
pub struct NobodyListens {
    path: PathBuf,
    why: io::ErrorKind,
}

/// Finds whoever listens at `path`.
///
/// # Errors
/// [`NobodyListens`].
pub fn connect(path: &Path) -> Result<Uevents, NobodyListens> {
    Uevents::connect(path).map_err(|error| NobodyListens { path: path.to_owned(), why: error.kind() })
}

/// Sends everything that happens on the bus from now on, on a thread that ends with the bus. It gives the number of events that
/// did not arrive.
///
/// # Errors
/// If the system cannot start another thread.
pub fn forward(bus: &Bus, mut uevents: Uevents) -> io::Result<JoinHandle<u64>> {
    let events = bus.subscribe();
    std::thread::Builder::new().name("events".into()).spawn(move || {
        let (mut lost, mut asleep) = (0, false);
        for event in events {
            // Who has not listened for a second is not waited for again: the run would wait for each event.
            let sent = if asleep { Err(io::ErrorKind::WouldBlock.into()) } else { uevents.send(&event) };
            asleep |= sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
            lost += u64::from(sent.is_err());
        }
        lost
    })
}
