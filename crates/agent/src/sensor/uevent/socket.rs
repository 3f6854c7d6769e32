//! Netlink socket of the kernel's events, and the proof that a message is the kernel's.
//!
//! A sender's port of 0 proves nothing: the kernel rebroadcasts what an administrator of a network namespace sends to it, with
//! port 0 (`uevent_net_rcv_skb` in `lib/kobject_uevent.c`). The credentials do: those of a message that was sent carry the number
//! of the sending process, those of the kernel's own carry 0, and no process can send 0 (`scm_check_creds` and `__scm_send` in
//! `net/core/scm.c`). `rustix` has no process 0, so this module reads the credentials with `nix`.
//!
//! A process can have the kernel send an event of its own by a write to a `uevent` file. Such an event says so
//! ([`Message::is_synthetic`]).

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use lifeboat_recovery_policy::sign::Witness;
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, ControlMessageOwned, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sockopt,
};

use super::{LARGEST, Message, meaning};
use crate::sensor::report::{Observed, Report};
use crate::sensor::{Moment, Sensor};

/// Name of the sensor.
const NAME: &str = "uevents";
/// Multicast group of the kernel's own messages. Group 2 is that of udev.
const KERNEL_GROUP: u32 = 1;
/// Bytes that the socket buffers in the kernel: room for some ten thousand events while the daemon is busy.
const BUFFER: usize = 16 << 20;
/// Messages that one call of `read` takes, so that other sensors get their turn.
const AT_ONCE: usize = 1024;

/// Numbers of messages that were received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// Messages of the kernel about something that the daemon follows.
    pub observed: u64,
    /// Messages of the kernel about something else.
    pub other: u64,
    /// Messages of the kernel that a process asked for.
    pub synthetic: u64,
    /// Messages of the kernel that have another form.
    pub malformed: u64,
    /// Messages that are not the kernel's.
    pub forged: u64,
    /// Times that messages were lost.
    pub lost: u64,
}

/// Sensor of the kernel's events.
#[derive(Debug)]
pub struct UeventSocket {
    socket: OwnedFd,
    buffer: Box<[u8]>,
    control: Vec<u8>,
    received: Received,
}

impl UeventSocket {
    /// Opens the socket in the network namespace of this process.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn open() -> io::Result<Self> {
        Self::with_buffer(BUFFER)
    }

    fn with_buffer(bytes: usize) -> io::Result<Self> {
        let socket = socket::socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        socket::setsockopt(&socket, sockopt::PassCred, &true)?;
        // A process without the capability gets what the system allows to all.
        if socket::setsockopt(&socket, sockopt::RcvBufForce, &bytes).is_err() {
            socket::setsockopt(&socket, sockopt::RcvBuf, &bytes)?;
        }
        socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self {
            socket,
            buffer: vec![0; LARGEST].into_boxed_slice(),
            control: nix::cmsg_space!(socket::UnixCredentials),
            received: Received::default(),
        })
    }

    /// Returns the numbers of messages that were received so far.
    pub fn received(&self) -> Received {
        self.received
    }

    /// Takes one message. `None` if there is none.
    fn receive(&mut self) -> Result<Option<Datagram>, Errno> {
        let mut slices = [IoSliceMut::new(&mut self.buffer)];
        let received = socket::recvmsg::<NetlinkAddr>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut self.control),
            MsgFlags::MSG_DONTWAIT,
        );
        let received = match received {
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            other => other?,
        };
        let sender = received.address.map(|sender| (sender.pid(), sender.groups()));
        let process = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
            _ => None,
        });
        let cut = received.flags.contains(MsgFlags::MSG_TRUNC);
        Ok(Some(Datagram { bytes: received.bytes, cut, sender, process }))
    }

    /// Returns the observation of a message in the buffer, and counts it.
    fn judge(&mut self, datagram: &Datagram) -> Option<Observed> {
        let received = &mut self.received;
        if !datagram.is_kernels() {
            received.forged += 1;
            return None;
        }
        if datagram.cut {
            received.lost += 1;
            return Some(Observed::Lost { sensor: NAME });
        }
        let Ok(message) = Message::parse(&self.buffer[..datagram.bytes]) else {
            received.malformed += 1;
            return None;
        };
        let observed = meaning::observe(&message, Witness::KernelEvent);
        let counter = match observed {
            Some(_) => &mut received.observed,
            None if message.is_synthetic() => &mut received.synthetic,
            None => &mut received.other,
        };
        *counter += 1;
        observed
    }
}

/// Message in the buffer.
struct Datagram {
    bytes: usize,
    /// Whether the buffer was too small.
    cut: bool,
    /// Port and groups of the sender.
    sender: Option<(u32, u32)>,
    /// Process of the sender.
    process: Option<i32>,
}

impl Datagram {
    /// Tells whether the kernel has made the message.
    fn is_kernels(&self) -> bool {
        self.sender == Some((0, KERNEL_GROUP)) && self.process == Some(0)
    }
}

impl Sensor for UeventSocket {
    fn name(&self) -> &'static str {
        NAME
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.socket.as_fd()]
    }

    fn next_deadline(&self) -> Option<Duration> {
        None
    }

    fn read(&mut self, now: Moment, reports: &mut Vec<Report>) -> io::Result<()> {
        for _ in 0..AT_ONCE {
            let observed = match self.receive() {
                Ok(None) => break,
                Ok(Some(datagram)) => self.judge(&datagram),
                // The kernel tells of an overflow once, and the socket works on.
                Err(Errno::ENOBUFS) => {
                    self.received.lost += 1;
                    Some(Observed::Lost { sensor: NAME })
                }
                Err(error) => return Err(error.into()),
            };
            reports.extend(observed.map(|observed| Report::new(now.wall, observed)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
