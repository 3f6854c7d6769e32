//! The calls that users can make of a GPU. The class of a call is said here and nowhere else.

use lifeboat::Fence;
use lifeboat_driver::gpu::{Gpu, GpuVa};

use crate::about::{self, GetCapability, GetVersion};
use crate::buffer::{self, CreateBuffer, ReadHost, ReadVram, WriteHost, WriteVram};
use crate::context::{self, CreateContext, Map, Unmap};
use crate::cpu_map::{self, Mmap};
use crate::display::{
    self, Atomic, CreateLease, Flip, GetConnector, GetLease, GetResources, Lease, ListLessees, QueueVblank,
    RevokeLease, SetMode,
};
use crate::dma_buf::{self, Export, Import};
use crate::queue::{self, CreateQueue, MoveQueue, SetPriority};
use crate::submit::{self, Submission};
use crate::{Buffer, ConnectorInfo, Context, CpuMap, Device, DmaBuf, LesseeId, Objects, Queue, Resources, Version};

lifeboat::calls! {
    /// Every call there is, in the order of their numbers.
    pub const CALLS for<G: Gpu> Device<G> {
        /// [`Device::open`].
        core OPEN: Open;
        /// Dropping the handle.
        core CLOSE: Always;
        core VERSION: Infallible(GetVersion) -> Version = about::version;
        core CAPABILITY: Infallible(GetCapability) -> u64 = about::capability;
        /// [`Handle::info`](crate::Handle::info).
        core PARAMETERS: Always;
        /// [`Fence::wait`], which needs no device.
        core WAIT: Always;
        /// [`Handle::events`](crate::Handle::events), which need no device.
        core READ_EVENTS: Always;
        /// Maps made after loss have nothing behind them.
        core MMAP: Always(Mmap<'_, G>) -> CpuMap<G> = cpu_map::mmap;
        /// What is exported after loss has nothing behind it, if it was in VRAM.
        core EXPORT: Always(Export<'_, G>) -> DmaBuf = dma_buf::export;
        core IMPORT: Device(Import<'_>) -> Buffer<G> = dma_buf::import;
        core RESOURCES: Infallible(GetResources<'_>) -> Resources = display::resources;
        core GET_CONNECTOR: Always(GetConnector<'_>) -> ConnectorInfo = display::connector;
        core MODE_SET: Device(SetMode<'_, G>) -> () = display::set_mode;
        core PAGE_FLIP: Complete(Flip<'_, G>) -> Fence = display::flip;
        core ATOMIC: Complete(Atomic<'_, G>) -> Fence = display::commit;
        core QUEUE_VBLANK: Complete(QueueVblank<'_>) -> Fence = display::queue_vblank;
        core CREATE_LEASE: Device(CreateLease<'_>) -> Lease<G> = display::create_lease;
        core LIST_LESSEES: Device(ListLessees<'_>) -> Vec<LesseeId> = display::list_lessees;
        core GET_LEASE: Infallible(GetLease<'_>) -> Objects = display::get_lease;
        core REVOKE_LEASE: Always(RevokeLease<'_>) -> () = display::revoke_lease;

        0x40 "create-context": Device(CreateContext<'_>) -> Context<G> = context::create;
        /// [`Context::reset_stats`], which cannot fail at all.
        0x41 "reset-stats": Always;
        0x42 "create-queue": Device(CreateQueue<'_, G>) -> Queue<G> = queue::create;
        /// What waits on the host changes places; the device is not asked.
        0x43 "set-priority": Infallible(SetPriority<'_, G>) -> () = queue::set_priority;
        0x44 "move-queue": Always(MoveQueue<'_, G>) -> () = queue::move_to;
        0x45 "create-buffer": Device(CreateBuffer) -> Buffer<G> = buffer::create;
        /// Buffers in host memory need no device for this.
        0x46 "read-host-buffer": Always(ReadHost<'_, G>) -> () = buffer::read_host;
        0x47 "write-host-buffer": Always(WriteHost<'_, G>) -> () = buffer::write_host;
        0x48 "read-vram-buffer": Device(ReadVram<'_, G>) -> () = buffer::read_vram;
        0x49 "write-vram-buffer": Device(WriteVram<'_, G>) -> () = buffer::write_vram;
        0x4a "map": Device(Map<'_, G>) -> GpuVa = context::map;
        /// Changes the address table where there still is one.
        0x4b "unmap": Driver(Unmap<'_, G>) -> () = context::unmap;
        /// Its fence ends in ENODEV if the device is lost on the way.
        0x4c "submit": Driver(&Submission<'_, G>) -> Fence = submit::submit;
    }
}
