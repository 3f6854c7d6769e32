//! The handle: an open file. Every call of a user goes through one.

use lifeboat_lb1::command::GpuVa;

use crate::about::{GetCapability, GetVersion};
use crate::buffer::CreateBuffer;
use crate::calls::Call;
use crate::context::{CreateContext, Map, Unmap};
use crate::display::{Flip, Show};
use crate::dma_buf::{Export, Import};
use crate::ledger::Entry;
use crate::maps::Mmap;
use crate::queue::CreateQueue;
use crate::{
    Buffer, CallError, Capability, Context, CpuMap, Device, DeviceInfo, DmaBuf, Fence, Placement, Priority, Queue,
    Submission, Version,
};

/// An open device. It stays usable when the device is lost: calls then answer by their class.
#[derive(Debug)]
pub struct Handle {
    device: Device,
    _entry: Entry,
}

impl Handle {
    pub(crate) fn new(device: Device, entry: Entry) -> Self {
        Self { device, _entry: entry }
    }

    #[track_caller]
    fn call<C: Call<Driver = Device>>(&self, call: C) -> Result<C::Reply, CallError> {
        self.device.call(call)
    }

    /// Which driver this is.
    ///
    /// # Errors
    /// None: it returns a result as every call does.
    pub fn version(&self) -> Result<Version, CallError> {
        self.call(GetVersion)
    }

    /// Whether the driver can do something: 1 if so, 0 if not, if the capability does not say otherwise.
    ///
    /// # Errors
    /// None: it returns a result as every call does.
    pub fn capability(&self, capability: Capability) -> Result<u64, CallError> {
        self.call(GetCapability(capability))
    }

    /// What the device has. Never fails (CALL-2).
    pub fn info(&self) -> &DeviceInfo {
        self.device.info()
    }

    /// Whether the device is still there.
    pub fn is_live(&self) -> bool {
        self.device.is_live()
    }

    /// Creates a context.
    ///
    /// # Errors
    /// ENODEV after loss, ENOMEM if the device has no free context.
    #[track_caller]
    pub fn create_context(&self) -> Result<Context, CallError> {
        self.call(CreateContext)
    }

    /// Creates a queue for a context's jobs on a ring below [`DeviceInfo::rings`].
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL for a ring or context that is not this device's, ENOMEM if it has no free queue.
    #[track_caller]
    pub fn create_queue(&self, context: &Context, ring: u8, priority: Priority) -> Result<Queue, CallError> {
        self.call(CreateQueue { context, ring, priority })
    }

    /// Creates a buffer of `size` bytes, all zero.
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL for size 0, ENOMEM if there is no room.
    #[track_caller]
    pub fn create_buffer(&self, placement: Placement, size: u64) -> Result<Buffer, CallError> {
        self.call(CreateBuffer { placement, size })
    }

    /// Makes a buffer reachable for a context's commands, and says where.
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL if they are of different devices, ENOMEM if the context has no free segment.
    #[track_caller]
    pub fn map(&self, context: &Context, buffer: &Buffer) -> Result<GpuVa, CallError> {
        self.call(Map { context, buffer })
    }

    /// Maps a buffer into this process. Never fails for loss: afterwards there is nothing behind it (MAP-2).
    ///
    /// # Errors
    /// EINVAL for a buffer of another device, or if this device's VRAM cannot be mapped; ENOMEM if the process has no room.
    pub fn mmap(&self, buffer: &Buffer) -> Result<CpuMap, CallError> {
        self.call(Mmap(buffer))
    }

    /// Makes a buffer known to other devices, also of other modules. Never fails for loss: what was in VRAM then has
    /// nothing behind it, as with [`Handle::mmap`].
    ///
    /// # Errors
    /// EINVAL for a buffer of another device, or in VRAM that cannot be mapped; ENOMEM if the process has no room.
    pub fn export(&self, buffer: &Buffer) -> Result<DmaBuf, CallError> {
        self.call(Export(buffer))
    }

    /// Uses another device's buffer on this one, or gives back its own. Both devices and all maps reach the same bytes; nothing
    /// orders them but fences. The loss of either device does not disturb the other: host memory keeps its contents, VRAM
    /// of a lost device is undefined from then on (MAP-3).
    ///
    /// # Errors
    /// ENODEV after the loss of this device, ENOMEM if it has no bus addresses left, EINVAL for VRAM if its bus knows no peer
    /// to peer.
    #[track_caller]
    pub fn import(&self, dma_buf: &DmaBuf) -> Result<Buffer, CallError> {
        self.call(Import(dma_buf))
    }

    /// Takes a buffer out of a context's reach. Does not fail for loss.
    ///
    /// # Errors
    /// EINVAL if nothing is mapped there.
    #[track_caller]
    pub fn unmap(&self, context: &Context, va: GpuVa) -> Result<(), CallError> {
        self.call(Unmap { context, va })
    }

    /// Submits a job. Its fence signals when the job has run, or with the reason why it has not.
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL for wrong commands, EAGAIN if too many jobs are in flight.
    #[track_caller]
    pub fn submit(&self, submission: &Submission<'_>) -> Result<Fence, CallError> {
        self.call(submission)
    }

    /// Shows an RGBA8 picture of a VRAM buffer, rows without gaps.
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL if the buffer is too small or not in VRAM, EBUSY while a flip is pending.
    #[track_caller]
    pub fn show(&self, buffer: &Buffer, width: u16, height: u16) -> Result<(), CallError> {
        self.call(Show { buffer, width, height })
    }

    /// Shows another picture of the same size from the next vertical blank on. After loss it pretends success: the
    /// fence has signalled, and nobody is surprised (CALL-1).
    ///
    /// # Errors
    /// EINVAL before the first [`Handle::show`] and as there, EBUSY while a flip is pending.
    #[track_caller]
    pub fn flip(&self, buffer: &Buffer) -> Result<Fence, CallError> {
        self.call(Flip(buffer))
    }
}
