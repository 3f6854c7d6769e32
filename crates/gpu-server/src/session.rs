//! One client, from its first message to its leaving.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use lifeboat_pci::PAGE_SIZE;
use rustix::io::Errno;
use tracing::{debug, warn};
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FLAGS_PCI, VFIO_DEVICE_FLAGS_RESET, VFIO_REGION_INFO_CAP_SPARSE_MMAP, VFIO_REGION_INFO_FLAG_CAPS,
};
use vfio_user::ServerBackend;

use crate::layout;
use crate::served_card::ServedCard;
use crate::stream::{self, Message};
use crate::wire::{Header, MAX_DATA, MAX_FDS, Reply, Request};

/// Refusals that are logged as warnings; a client that goes on is only worth a debug line each.
const WARNINGS: u32 = 32;

/// Size of `struct vfio_region_info`, which a reply has between header and capabilities.
const REGION_INFO_BYTES: u32 = 32;
/// Size of the one capability: its header, the number of areas, and one area.
const SPARSE_BYTES: u32 = 32;

/// Serves a client until it leaves.
///
/// # Errors
/// What ended the session other than that: a broken connection, or a message that is none.
pub(crate) fn serve(stream: &mut UnixStream, card: &mut ServedCard) -> io::Result<()> {
    let mut refusals = 0_u32;
    while let Some(Message { header, body, fds }) = stream::receive(stream)? {
        let answer = Request::parse(header.command, &body).map_err(io::Error::from);
        let (reply, fd) = match answer.and_then(|request| answer_to(header, &request, fds, card)) {
            Ok(answer) => answer,
            Err(error) => {
                refusals = refusals.saturating_add(1);
                if refusals <= WARNINGS {
                    warn!(command = header.command, %error, "request refused");
                } else {
                    debug!(command = header.command, %error, "request refused");
                }
                (Reply::error(header, errno(&error)), None)
            }
        };
        if header.wants_reply() {
            stream::send(stream, &reply.finish(), fd.as_ref().map(AsFd::as_fd))?;
        }
    }
    Ok(())
}

/// Carries out a request. The descriptor goes with the reply.
fn answer_to(
    header: Header,
    request: &Request<'_>,
    mut fds: Vec<File>,
    card: &mut ServedCard,
) -> io::Result<(Reply, Option<File>)> {
    debug!(?request, "request");
    let mut reply = Reply::to(header);
    match *request {
        Request::Version { major } => version(&mut reply, major)?,
        Request::DmaMap { flags, offset, address, size } => {
            if fds.len() > 1 {
                return Err(Errno::INVAL.into());
            }
            card.dma_map(flags, offset, address, size, fds.pop())?;
        }
        Request::DmaUnmap { flags, address, size } => {
            card.dma_unmap(flags, address, size)?;
            reply.u32(24).u32(flags.bits()).u64(address).u64(size);
        }
        Request::DeviceInfo => {
            let flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
            reply.u32(16).u32(flags).u32(layout::REGIONS).u32(layout::IRQS);
        }
        Request::RegionInfo { space, index } => {
            if region_info(&mut reply, card, space, index)? {
                return Ok((reply, Some(card.bay().vram().file().try_clone()?)));
            }
        }
        Request::IrqInfo { index } => {
            let (flags, count) = layout::irq(index).ok_or(Errno::INVAL)?;
            reply.u32(16).u32(flags).u32(index).u32(count);
        }
        Request::SetIrqs { flags, index, start, count } => card.set_irqs(index, flags, start, count, fds)?,
        Request::Read { offset, region, count } => {
            reply.u64(offset).u32(region).u32(transferred(count));
            card.region_read(region, offset, reply.room(count))?;
        }
        Request::Write { offset, region, data } => {
            card.region_write(region, offset, data)?;
            reply.u64(offset).u32(region).u32(transferred(data.len()));
        }
        Request::Reset => card.reset()?,
    }
    Ok((reply, None))
}

/// A count that came as 32 bits.
fn transferred(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Only the major version must be ours. The client's capabilities are limits on messages that this side never sends.
fn version(reply: &mut Reply, major: u16) -> io::Result<()> {
    if major != 0 {
        return Err(Errno::OPNOTSUPP.into());
    }
    let capabilities = serde_json::json!({ "capabilities": {
        "max_msg_fds": MAX_FDS,
        "max_data_xfer_size": MAX_DATA,
        "migration": { "pgsize": PAGE_SIZE },
    }});
    reply.u16(0).u16(0).bytes(capabilities.to_string().as_bytes()).bytes(&[0]);
    Ok(())
}

/// Describes a region, with its capability if the client has `space` for it. `true` if the VRAM's descriptor goes along.
fn region_info(reply: &mut Reply, card: &ServedCard, space: u32, index: u32) -> io::Result<bool> {
    let bay = card.bay();
    let region = layout::region(index, bay.vram().bytes(), bay.endpoint().vram_bar_size()).ok_or(Errno::INVAL)?;
    if region.mappable == 0 {
        reply.u32(REGION_INFO_BYTES).u32(region.flags).u32(index).u32(0).u64(region.size).u64(0);
        return Ok(false);
    }
    let flags = region.flags | VFIO_REGION_INFO_FLAG_CAPS;
    let whole = REGION_INFO_BYTES + SPARSE_BYTES;
    reply.u32(whole).u32(flags).u32(index).u32(REGION_INFO_BYTES).u64(region.size).u64(0);
    if space < whole {
        return Ok(false); // It asks again.
    }
    // Id and version of the capability; there is no next.
    let id = u16::try_from(VFIO_REGION_INFO_CAP_SPARSE_MMAP).unwrap_or_default();
    reply.u16(id).u16(1).u32(0);
    // One area.
    reply.u32(1).u32(0).u64(0).u64(region.mappable);
    Ok(true)
}

/// The error number that stands for an error.
fn errno(error: &io::Error) -> Errno {
    if let Some(errno) = Errno::from_io_error(error) {
        return errno;
    }
    match error.kind() {
        io::ErrorKind::InvalidInput => Errno::INVAL,
        io::ErrorKind::AlreadyExists => Errno::EXIST,
        io::ErrorKind::QuotaExceeded => Errno::NOSPC,
        io::ErrorKind::Unsupported => Errno::OPNOTSUPP,
        io::ErrorKind::TimedOut => Errno::TIMEDOUT,
        _ => Errno::IO,
    }
}
