//! The calls that users can make of an LB1. The class of a call is said here and nowhere else.

use lifeboat_lb1::command::GpuVa;

use crate::gpu::about::{self, GetCapability, GetVersion};
use crate::gpu::buffer::{self, CreateBuffer, ReadHost, ReadVram, WriteHost, WriteVram};
use crate::gpu::context::{self, CreateContext, Map, Unmap};
use crate::gpu::display::{
    self, Atomic, CreateLease, Flip, GetConnector, GetLease, GetResources, Lease, ListLessees, QueueVblank,
    RevokeLease, SetMode,
};
use crate::gpu::dma_buf::{self, Export, Import};
use crate::gpu::maps::{self, Mmap};
use crate::gpu::queue::{self, CreateQueue, MoveQueue, SetPriority};
use crate::gpu::submit::{self, Submission};
use crate::{
    Buffer, ConnectorInfo, Context, CpuMap, Device, DmaBuf, Fence, LesseeId, Objects, Queue, Resources, Version,
};

crate::calls! {
    /// Every call there is, in the order of their numbers.
    pub const CALLS for Device {
        /// [`Device::open`].
        core OPEN: Open;
        /// Dropping the handle.
        core CLOSE: Always;
        core VERSION: Always(GetVersion) -> Version = about::version;
        core CAPABILITY: Always(GetCapability) -> u64 = about::capability;
        /// [`Handle::info`](crate::Handle::info).
        core PARAMETERS: Always;
        /// [`Fence::wait`], which needs no device.
        core WAIT: Always;
        /// [`Handle::events`](crate::Handle::events), which need no device.
        core READ_EVENTS: Always;
        /// Maps made after loss have nothing behind them.
        core MMAP: Always(Mmap<'_>) -> CpuMap = maps::mmap;
        /// What is exported after loss has nothing behind it, if it was in VRAM.
        core EXPORT: Always(Export<'_>) -> DmaBuf = dma_buf::export;
        core IMPORT: Device(Import<'_>) -> Buffer = dma_buf::import;
        core RESOURCES: Always(GetResources<'_>) -> Resources = display::resources;
        core GET_CONNECTOR: Always(GetConnector<'_>) -> ConnectorInfo = display::connector;
        core MODE_SET: Device(SetMode<'_>) -> () = display::set_mode;
        core PAGE_FLIP: Complete(Flip<'_>) -> Fence = display::flip;
        core ATOMIC: Complete(Atomic<'_>) -> Fence = display::commit;
        core QUEUE_VBLANK: Complete(QueueVblank<'_>) -> Fence = display::queue_vblank;
        core CREATE_LEASE: Device(CreateLease<'_>) -> Lease = display::create_lease;
        core LIST_LESSEES: Device(ListLessees<'_>) -> Vec<LesseeId> = display::list_lessees;
        core GET_LEASE: Always(GetLease<'_>) -> Objects = display::get_lease;
        core REVOKE_LEASE: Always(RevokeLease<'_>) -> () = display::revoke_lease;

        0x40 "create-context": Device(CreateContext<'_>) -> Context = context::create;
        /// [`Context::reset_stats`], which cannot fail at all.
        0x41 "reset-stats": Always;
        0x42 "create-queue": Device(CreateQueue<'_>) -> Queue = queue::create;
        /// What waits on the host changes places; the device is not asked.
        0x43 "set-priority": Always(SetPriority<'_>) -> () = queue::set_priority;
        0x44 "move-queue": Always(MoveQueue<'_>) -> () = queue::move_to;
        0x45 "create-buffer": Device(CreateBuffer) -> Buffer = buffer::create;
        /// Buffers in host memory need no device for this.
        0x46 "read-host-buffer": Always(ReadHost<'_>) -> () = buffer::read_host;
        0x47 "write-host-buffer": Always(WriteHost<'_>) -> () = buffer::write_host;
        0x48 "read-vram-buffer": Device(ReadVram<'_>) -> () = buffer::read_vram;
        0x49 "write-vram-buffer": Device(WriteVram<'_>) -> () = buffer::write_vram;
        0x4a "map": Device(Map<'_>) -> GpuVa = context::map;
        /// Changes the address table where there still is one.
        0x4b "unmap": Driver(Unmap<'_>) -> () = context::unmap;
        /// Its fence ends in ENODEV if the device is lost on the way.
        0x4c "submit": Driver(&Submission<'_>) -> Fence = submit::submit;
    }
}
