//! The client's end of the card's interrupts: one eventfd for each MSI vector.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use lifeboat_lb1::regs;
use parking_lot::Mutex;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl, readlink};
use tracing::debug;

/// The number of MSI vectors.
pub(crate) const COUNT: usize = regs::VECTORS as usize;

#[derive(Default)]
pub(crate) struct Vectors(Mutex<[Option<File>; COUNT]>);

impl Vectors {
    /// Signals a vector; nothing happens if nobody listens. Does not block.
    pub(crate) fn signal(&self, vector: u8) {
        let vectors = self.0.lock();
        if let Some(Some(eventfd)) = vectors.get(usize::from(vector))
            && let Err(error) = (&*eventfd).write_all(&1_u64.to_ne_bytes())
            && error.kind() != io::ErrorKind::WouldBlock
        {
            // `WouldBlock`: its counter is full, so it has been signalled.
            debug!(vector, %error, "interrupt lost");
        }
    }

    /// Connects the vectors from `start` on to eventfds. When this returns those before are not signalled any more.
    pub(crate) fn connect(&self, start: usize, eventfds: Vec<File>) {
        let mut vectors = self.0.lock();
        for (vector, eventfd) in vectors.iter_mut().skip(start).zip(eventfds) {
            *vector = Some(eventfd);
        }
    }

    /// Disconnects `count` vectors. When this returns they are not signalled any more.
    pub(crate) fn disconnect(&self, start: usize, count: usize) {
        self.0.lock().iter_mut().skip(start).take(count).for_each(|vector| *vector = None);
    }

    /// How many vectors are connected.
    pub(crate) fn connected(&self) -> usize {
        self.0.lock().iter().flatten().count()
    }
}

/// Makes sure that a write to `file` signals, and does not block.
pub(crate) fn check_eventfd(file: &File) -> io::Result<()> {
    let name = readlink(format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new())?;
    if name.as_bytes() != b"anon_inode:[eventfd]" {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the descriptor is not an eventfd"));
    }
    let flags = fcntl_getfl(file)?;
    if !flags.contains(OFlags::NONBLOCK) {
        fcntl_setfl(file, flags | OFlags::NONBLOCK)?;
    }
    Ok(())
}
