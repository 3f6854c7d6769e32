//! The built-in GPU as clients use it: a handle, and a context of it.

use std::time::Duration;

use lifeboat::{CallError, Fence, Priority, WaitError};
use lifeboat_lb1_hosted::command::{GpuVa, Work};
use lifeboat_lb1_hosted::{Buffer, Context, Device, Handle, Placement, Queue, Submission};

use super::machine::Watch;
use crate::run::devices::{Devices, Memory, Opened, Refused};
use crate::run::error::RunError;

/// See the module documentation.
pub(super) struct OpenedDevice {
    /// Keeps the addresses of buffers.
    context: Context,
    handle: Handle,
}

impl Devices for Watch {
    type Opened = OpenedDevice;

    fn open(&self, limit: Duration, over: &dyn Fn() -> bool) -> Result<Option<OpenedDevice>, Refused> {
        // The opened device has its own hold on the device.
        Ok(self.device(limit, over).map(|device| OpenedDevice::open(&device)).transpose()?)
    }
}

impl OpenedDevice {
    fn open(device: &Device) -> Result<Self, CallError> {
        let handle = device.open()?;
        Ok(Self { context: handle.create_context()?, handle })
    }
}

impl Opened for OpenedDevice {
    type Buffer = Buffer;
    type Queue = Queue;
    type Fence = Fence;

    fn rings(&self) -> u8 {
        self.handle.info().rings
    }

    fn is_live(&self) -> bool {
        self.handle.is_live() && !self.context.reset_stats().banned
    }

    fn queue(&self, ring: u8) -> Result<Queue, Refused> {
        Ok(self.handle.create_queue(&self.context, ring, Priority::Normal)?)
    }

    fn buffer(&self, memory: Memory, bytes: u64) -> Result<(Buffer, GpuVa), Refused> {
        let placement = match memory {
            Memory::Host => Placement::Host,
            Memory::Device => Placement::Vram,
        };
        let buffer = self.handle.create_buffer(placement, bytes)?;
        let address = self.handle.map(&self.context, &buffer)?;
        Ok((buffer, address))
    }

    fn write(&self, buffer: &Buffer, at: u64, bytes: &[u8]) -> Result<(), RunError> {
        Ok(buffer.write(at, bytes)?)
    }

    /// Host memory is what it is, whether the device is there or not.
    fn read(&self, buffer: &Buffer, bytes: &mut [u8]) -> Result<(), Refused> {
        Ok(buffer.read(0, bytes)?)
    }

    fn submit(&self, queue: &Queue, work: Work, after: Option<&Fence>) -> Result<Fence, Refused> {
        let (after, work) = (after.map_or(&[][..], std::slice::from_ref), [work]);
        Ok(self.handle.submit(&Submission { after, restartable: true, ..Submission::new(queue, &work) })?)
    }

    fn wait(&self, fence: &Fence, limit: Duration) -> Result<(), WaitError> {
        fence.wait(limit)
    }
}

impl From<CallError> for Refused {
    fn from(error: CallError) -> Self {
        if error.is_loss() {
            Self::Lost
        } else if error.is_banned() {
            Self::Banned
        } else {
            Self::Failed(error.into())
        }
    }
}
