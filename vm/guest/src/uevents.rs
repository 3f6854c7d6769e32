//! The kernel's events of devices, as a daemon hears them.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::wire::{Failure, Outcome};

/// The group that the kernel sends its own events to; a daemon's are sent to another.
const KERNEL: u32 = 1;

/// Longest message, in bytes (`UEVENT_BUFFER_SIZE` and the path before it).
const LONGEST: usize = 8 << 10;

/// The socket, from the first request on.
#[derive(Debug, Default)]
pub struct Uevents(Mutex<Option<OwnedFd>>);

impl Uevents {
    /// Begins to listen; events from now on are kept. A second request drops those that nobody has heard.
    pub fn listen(&self) -> Result<Outcome, Failure> {
        let open = || {
            let socket =
                socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(KOBJECT_UEVENT))?;
            bind(&socket, &SocketAddrNetlink::new(0, KERNEL))?;
            Ok(socket)
        };
        let socket = open().map_err(|errno| failed("listening to events", errno))?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
        Ok(Outcome::Done)
    }

    /// The next event that contains a text, one line for each of its variables. Events before it are dropped.
    pub fn hear(&self, text: &str, limit: Duration) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(socket) = socket.as_ref() else { return Err(failed("hearing events before listening", Errno::BADF)) };
        let mut heard = Vec::new();
        loop {
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                let message = format!("no event has {text:?} within {} ms; heard: {heard:?}", limit.as_millis());
                return Err(Failure { errno: Some(Errno::TIMEDOUT.raw_os_error()), message });
            }
            let wait = Timespec::try_from(left).map_err(|_| failed("waiting for an event", Errno::INVAL))?;
            let mut readable = [PollFd::new(socket, PollFlags::IN)];
            match poll(&mut readable, Some(&wait)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(failed("waiting for an event", errno)),
            }
            let mut bytes = [0; LONGEST];
            let (_, length) = recv(socket, &mut bytes[..], RecvFlags::empty())
                .map_err(|errno| failed("receiving an event", errno))?;
            let event = String::from_utf8_lossy(&bytes[..length]).replace('\0', "\n");
            if event.contains(text) {
                return Ok(Outcome::Text(event));
            }
            heard.push(event.lines().next().unwrap_or_default().to_owned());
        }
    }
}

fn failed(what: &str, errno: Errno) -> Failure {
    Failure { errno: Some(errno.raw_os_error()), message: format!("{what}: {errno}") }
}
