//! A client's socket: messages with descriptors.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use crate::wire::{HEADER_BYTES, Header, MAX_FDS};

/// A message as it came.
pub(crate) struct Message {
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
    pub(crate) fds: Vec<File>,
}

/// Receives the next message. `None` if the client has left.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for a header that no client may send: what follows it is not known to be a message.
pub(crate) fn receive(stream: &mut UnixStream) -> io::Result<Option<Message>> {
    let mut bytes = [0; HEADER_BYTES];
    let mut fds = Vec::new();
    let mut have = 0;
    while have < HEADER_BYTES {
        let received = receive_some(stream.as_fd(), &mut bytes[have..], &mut fds)?;
        if received == 0 {
            return if have == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        have += received;
    }
    let header = Header::parse(bytes);
    let Some(body_bytes) = header.body_bytes() else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("no message begins with {header:?}")));
    };
    // Read as it comes: who only announces a long body has no memory held for it.
    let mut body = Vec::new();
    if stream.take(body_bytes as u64).read_to_end(&mut body)? < body_bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(Message { header, body, fds }))
}

fn receive_some(stream: BorrowedFd<'_>, into: &mut [u8], fds: &mut Vec<File>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        retry_on_intr(|| recvmsg(stream, &mut [IoSliceMut::new(into)], &mut control, RecvFlags::CMSG_CLOEXEC))?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights.map(File::from));
        }
    }
    if fds.len() > MAX_FDS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many descriptors in one message"));
    }
    Ok(received.bytes)
}

/// Sends a message, with a descriptor if there is one.
pub(crate) fn send(stream: &mut UnixStream, message: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let Some(fd) = fd else { return stream.write_all(message) };
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::NOBUFS.into());
    }
    let sent = retry_on_intr(|| sendmsg(stream.as_fd(), &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL))?;
    stream.write_all(&message[sent..])
}
