// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A buffer: memory for jobs, in host memory or on the device.

use kernel::{page::PAGE_SIZE, prelude::*, sync::Arc};
use lifeboat_core::class::Presence;
use lifeboat_driver::gpu::Gpu;

use super::{binding::Stretches, host::Host, imported::Imported, unit::UNIT, user::User, vram::Vram, Memory};
use crate::glue::{Content, DmaBuf, Frame, Pages, SgTable, Window};
use crate::holders::Kind;
use crate::registration::Driven;

/// No context can reach more.
const MOST_BYTES: u64 = (Driven::ADDRESSES.end - Driven::ADDRESSES.start) * Driven::PAGE;

/// Where a buffer's memory is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In host memory, allocated at once.
    Host,
    /// In host memory, allocated at the first use.
    Lazy,
    /// On the device.
    Vram,
}

/// A part of a buffer, as the device reaches it.
pub(super) enum Target {
    /// Host memory, which may be in several stretches.
    Host(Stretches),
    /// Byte offset in video memory.
    Vram(u64),
}

/// See the module documentation.
pub(crate) struct Buffer {
    memory: Arc<Memory>,
    bytes: usize,
    place: Place,
}

enum Place {
    Host(Arc<Host>),
    Vram(Vram),
    Imported(Arc<Imported>),
    User(User),
}

impl Buffer {
    /// A zeroed buffer of at least so many bytes. Only what video memory needs of the device is done in a section of the gate:
    /// an unplug must not wait for an allocation. EINVAL for no byte, ENOSPC if there is no room in video memory; the errno
    /// of the refusal if the device is lost.
    pub(crate) fn new(memory: &Arc<Memory>, bytes: u64, placement: Placement) -> Result<Self> {
        let bytes = bytes.checked_next_multiple_of(UNIT).filter(|bytes| *bytes > 0).ok_or(EINVAL)?;
        if bytes > MOST_BYTES {
            return Err(if placement == Placement::Vram { ENOSPC } else { ENOMEM });
        }
        drop(memory.gate.call()?);
        let place = match placement {
            Placement::Vram => Place::Vram(video_memory(memory, bytes)?),
            Placement::Host | Placement::Lazy => {
                let host = Host::new(usize::try_from(bytes)? / PAGE_SIZE)?;
                match placement {
                    Placement::Host => host.allocate()?,
                    _ => host.set_dummy_aside()?,
                }
                Place::Host(host)
            }
        };
        Ok(Self::of(memory, usize::try_from(bytes)?, place))
    }

    /// A buffer of the caller's own pages. Call it in no section of the gate: a page that does not come must not delay an
    /// unplug. EINVAL for no pages, or a part of one; EFAULT, ENOMEM.
    pub(crate) fn user(memory: &Arc<Memory>, address: u64, bytes: u64, writable: bool) -> Result<Self> {
        if bytes == 0 || bytes > MOST_BYTES || address % UNIT != 0 || bytes % UNIT != 0 {
            return Err(EINVAL);
        }
        drop(memory.gate.call()?);
        let (address, bytes) = (usize::try_from(address)?, usize::try_from(bytes)?);
        let user = User::new(memory, address, bytes / PAGE_SIZE, writable)?;
        Ok(Self::of(memory, bytes, Place::User(user)))
    }

    /// A buffer on another driver's. Call it in no section of the gate: the other driver may be waited for. ENODEV if the
    /// binding has ended.
    pub(crate) fn imported(memory: &Arc<Memory>, origin: DmaBuf) -> Result<Self> {
        drop(memory.gate.call()?);
        let bytes = origin.bytes();
        // The kernel's objects are of whole pages, without exception.
        if bytes == 0 || bytes % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        let imported = Imported::new(origin, &memory.lending)?;
        Ok(Self::of(memory, bytes, Place::Imported(imported)))
    }

    fn of(memory: &Arc<Memory>, bytes: usize, place: Place) -> Self {
        Self { memory: memory.clone(), bytes, place }
    }

    /// Bytes, rounded up to whole pages.
    pub(crate) fn size(&self) -> u64 {
        self.bytes as u64
    }

    /// A part of the memory as the device reaches it from now on, until the binding ends. Call it after
    /// [`Buffer::begin_use`], and in no section of the gate: an unplug must not wait for an allocation. ENODEV once the
    /// binding has ended, ENOSPC for more stretches than any context has segments, ENOMEM, EINTR.
    pub(super) fn target(&self, offset: u64, bytes: u64) -> Result<Target> {
        let lending = &self.memory.lending;
        match &self.place {
            Place::Host(host) | Place::User(User { host, .. }) => host.reach(lending, offset, bytes).map(Target::Host),
            Place::Imported(imported) => imported.reach(offset, bytes).map(Target::Host),
            Place::Vram(vram) => Ok(Target::Vram(vram.offset() + offset)),
        }
    }

    /// From here on the contents are kept, whatever was [advised](Buffer::advise).
    pub(super) fn begin_use(&self) {
        if let Place::Host(host) = &self.place {
            host.begin_use();
        }
    }

    pub(super) fn end_use(&self) {
        if let Place::Host(host) = &self.place {
            host.end_use();
        }
    }

    /// Whether commands may write to it.
    pub(super) fn is_writable(&self) -> bool {
        !matches!(&self.place, Place::User(user) if !user.writable)
    }

    /// Whether it is no longer to be mapped: its pages are its program's no more.
    pub(super) fn is_revoked(&self) -> bool {
        matches!(&self.place, Place::User(user) if user.is_revoked())
    }

    /// Whether its program may have replaced its pages: [`Buffer::verify`] looks.
    pub(super) fn is_in_doubt(&self) -> bool {
        matches!(&self.place, Place::User(user) if user.is_in_doubt())
    }

    /// Revokes it if its program has replaced its pages. Call it with no lock held, and in no section of the gate. EFAULT if
    /// it is revoked.
    pub(super) fn verify(&self) -> Result {
        match &self.place {
            Place::User(user) => user.verify(),
            _ => Ok(()),
        }
    }

    /// What tables are [gone through](super::Tables::revoke) for.
    pub(super) fn key(&self) -> Option<usize> {
        match &self.place {
            Place::User(user) => Some(user.host.key()),
            _ => None,
        }
    }

    /// Says whether the contents are needed; `window` is the buffer's place in users' maps. Returns whether they are still
    /// there.
    pub(crate) fn advise(&self, needed: bool, window: Window) -> Result<bool> {
        let Place::Host(host) = &self.place else { return Ok(true) };
        self.memory.spare.advise(host, needed, window)
    }
}

impl Content for Buffer {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn resident(&self) -> usize {
        match &self.place {
            Place::Host(host) => host.resident(),
            Place::Vram(_) => self.bytes,
            Place::Imported(_) => 0,
            Place::User(user) => user.host.resident(),
        }
    }

    fn is_purgeable(&self) -> bool {
        matches!(&self.place, Place::Host(host) if host.is_spare())
    }

    fn can_be_shared(&self) -> bool {
        !matches!(self.place, Place::User(_))
    }

    fn is_device_memory(&self) -> bool {
        matches!(self.place, Place::Vram(_))
    }

    fn origin(&self) -> Option<&DmaBuf> {
        match &self.place {
            Place::Imported(imported) => Some(&imported.origin),
            _ => None,
        }
    }

    /// The buffer's frame, or, once the device is lost, the one that takes the place of all its video memory, or of host
    /// memory that is not to be had. Whoever ends the binding waits until `insert` has returned. ENOMEM for host memory that
    /// is not to be had while the device is there: to show anything else would be to lose what is written.
    fn with_frame<T>(&self, page: usize, insert: impl FnOnce(Frame) -> T) -> Result<T> {
        if page >= self.bytes / PAGE_SIZE {
            return Err(EINVAL);
        }
        match &self.place {
            Place::Host(host) => host.with_frame(page, || self.memory.gate.presence() != Presence::Live, insert),
            Place::Vram(vram) => match self.memory.gate.enter() {
                Ok(_section) => Ok(insert(vram.frame(page))),
                Err(_) => vram.dummy().map(insert),
            },
            Place::Imported(_) | Place::User(_) => Err(EINVAL),
        }
    }

    /// EOPNOTSUPP for memory that another device could not reach.
    fn attach(&self) -> Result {
        match &self.place {
            Place::Host(host) => {
                host.begin_use();
                Ok(())
            }
            _ => Err(EOPNOTSUPP),
        }
    }

    fn detach(&self) {
        self.end_use();
    }

    fn table(&self) -> Result<SgTable> {
        match &self.place {
            Place::Host(host) => host.table(),
            _ => Err(EOPNOTSUPP),
        }
    }

    fn pages(&self) -> Result<Arc<Pages>> {
        match &self.place {
            Place::Host(host) => host.all_pages(),
            _ => Err(EOPNOTSUPP),
        }
    }

    fn map_opened(&self) {
        self.memory.holding.begin(Kind::Map);
    }

    fn map_closed(&self) {
        self.memory.holding.end(Kind::Map);
    }

    fn exported(&self) {
        self.memory.holding.begin(Kind::Export);
    }

    fn export_ended(&self) {
        self.memory.holding.end(Kind::Export);
    }
}

/// A stretch of video memory, without what its last user left there.
fn video_memory(memory: &Memory, bytes: u64) -> Result<Vram> {
    let taken = memory.vram.as_ref().ok_or(ENOSPC)?.take(bytes)?;
    let dummy = Pages::zeroed(1, 0)?;
    let _section = memory.gate.section()?;
    let aperture = memory.lending.aperture()?;
    aperture.clear(taken.start(), taken.bytes(), || memory.link.is_ending())?;
    let first = aperture.frame(taken.start()).ok_or(ENOSPC)?;
    Ok(Vram { taken, first, dummy })
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = &self.memory;
        match &self.place {
            Place::Host(host) => {
                memory.spare.forget(host);
                host.leave(&memory.lending);
            }
            Place::User(user) => user.host.leave(&memory.lending),
            Place::Imported(imported) => imported.leave(&memory.lending),
            Place::Vram(_) => {}
        }
    }
}
