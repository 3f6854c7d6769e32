//! Socket for the events of programs: the datagrams that `lifeboat run --events SOCKET` sends. Off unless the operator names a path.
//!
//! A datagram has the form of an event of the kernel, and reports the same, with [`Witness::Program`]. The sender's user must be one
//! that the operator allows. Everything a sender says about a device is believed, so the socket is for rehearsals and for devices
//! that live in a process.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_recovery_policy::sign::Witness;
use nix::errno::Errno;
use nix::sys::socket::{self, ControlMessageOwned, MsgFlags, UnixAddr, sockopt};

use super::report::Report;
use super::uevent::{LARGEST, Message, meaning};
use super::{Moment, Sensor};

/// Datagrams that one call of `read` takes.
const AT_ONCE: usize = 1024;

/// Sensor of the events of programs. The socket's file goes when the sensor goes.
#[derive(Debug)]
pub struct InjectionSocket {
    socket: UnixDatagram,
    path: PathBuf,
    users: Vec<u32>,
    buffer: Box<[u8]>,
    control: Vec<u8>,
    refused: u64,
}

/// Tells whether the file is a socket that nobody listens on.
fn is_abandoned(path: &Path) -> bool {
    // A connection to another file is refused, too.
    let socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    socket && connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

impl InjectionSocket {
    /// Binds a socket at `path`, also where a daemon that was killed has left one, for the users with the numbers `users`. Only the owner of the file may send to it: other users
    /// need the permission of the file besides a place in `users`.
    ///
    /// # Errors
    /// Errors of the system: something is there already, or this process may not create the file.
    pub fn bind(path: &Path, users: Vec<u32>) -> io::Result<Self> {
        let socket = match UnixDatagram::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
                std::fs::remove_file(path)?;
                UnixDatagram::bind(path)?
            }
            bound => bound?,
        };
        let sensor = Self {
            socket,
            path: path.to_owned(),
            users,
            buffer: vec![0; LARGEST].into_boxed_slice(),
            control: nix::cmsg_space!(socket::UnixCredentials),
            refused: 0,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        socket::setsockopt(&sensor.socket, sockopt::PassCred, &true)?;
        Ok(sensor)
    }

    /// Returns the number of datagrams that were refused: of other users, too large, or of another form.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes one datagram.
    fn receive(&mut self) -> Result<Taken, Errno> {
        let mut slices = [IoSliceMut::new(&mut self.buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let socket = self.socket.as_raw_fd();
        let received = match socket::recvmsg::<UnixAddr>(socket, &mut slices, Some(&mut self.control), flags) {
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Taken::Nothing),
            other => other?,
        };
        let allowed = received.cmsgs()?.any(|message| match message {
            ControlMessageOwned::ScmCredentials(credentials) => self.users.contains(&credentials.uid()),
            _ => false,
        });
        let whole = !received.flags.contains(MsgFlags::MSG_TRUNC);
        Ok(if allowed && whole { Taken::Datagram(received.bytes) } else { Taken::Refused })
    }
}

/// Outcome of taking one datagram.
enum Taken {
    /// None is there.
    Nothing,
    /// The datagram is of another user, or too large.
    Refused,
    /// The datagram has so many bytes, in the buffer.
    Datagram(usize),
}

impl Sensor for InjectionSocket {
    fn name(&self) -> &'static str {
        "injection"
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.socket.as_fd()]
    }

    fn next_deadline(&self) -> Option<Duration> {
        None
    }

    fn read(&mut self, now: Moment, reports: &mut Vec<Report>) -> io::Result<()> {
        for _ in 0..AT_ONCE {
            let message = match self.receive()? {
                Taken::Nothing => break,
                Taken::Refused => None,
                Taken::Datagram(bytes) => Message::parse(&self.buffer[..bytes]).ok(),
            };
            match message {
                Some(message) => {
                    let observed = meaning::observe(&message, Witness::Program);
                    reports.extend(observed.map(|observed| Report::new(now.wall, observed)));
                }
                None => self.refused += 1,
            }
        }
        Ok(())
    }
}

impl Drop for InjectionSocket {
    fn drop(&mut self) {
        // A file that is gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests;
