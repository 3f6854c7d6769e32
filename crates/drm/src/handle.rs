//! The handle: an open file. Every call of a user goes through one.

use std::fmt;

use lifeboat::calls::Call;
use lifeboat::{CallError, Entry, Fence, Kind, Priority};
use lifeboat_core::class::Presence;
use lifeboat_core::core_call;
use lifeboat_driver::gpu::{Gpu, GpuVa};

use crate::about::{GetCapability, GetVersion};
use crate::buffer::CreateBuffer;
use crate::client::Client;
use crate::context::{CreateContext, Map, Unmap};
use crate::cpu_map::Mmap;
use crate::display::{
    self, CreateLease, Flip, GetConnector, GetLease, GetResources, ListLessees, Mailbox, QueueVblank, RevokeLease,
    SetMode, Tenant,
};
use crate::dma_buf::{Export, Import};
use crate::queue::CreateQueue;
use crate::{
    Buffer, Capability, Commit, ConnectorInfo, Context, CpuMap, Device, DeviceInfo, DisplayEvents, DmaBuf, Lease,
    LesseeId, Mode, Objects, Placement, Queue, Resources, Submission, Version,
};

/// An open device. It stays usable when the device is lost: calls then answer by their class. Where they say ENODEV, a wedged
/// device answers with what failed: ETIME for a hang, ECANCELED where resets fail (CALL-5).
pub struct Handle<G: Gpu> {
    device: Device<G>,
    /// Its events. Closed with it.
    mailbox: Mailbox,
    /// What of the display it may program. Ends with it.
    tenant: Tenant,
    /// What is held through it, for the client's share.
    client: Client,
    _entry: Entry,
}

impl<G: Gpu> Device<G> {
    /// Opens the device. A wedged one can be opened, and refuses work.
    ///
    /// # Errors
    /// ENXIO if it has vanished (CALL-3).
    pub fn open(&self) -> Result<Handle<G>, CallError> {
        self.0.link.admit(core_call::OPEN.class)?;
        let tenant = Tenant::new(&self.0.gpu.tenancies, None);
        Ok(Handle::new(self.clone(), tenant, self.0.ledger.enlist(Kind::HANDLE)))
    }
}

impl<G: Gpu> Handle<G> {
    pub(crate) fn new(device: Device<G>, tenant: Tenant, entry: Entry) -> Self {
        let mailbox = device.0.gpu.display().map_or_else(|_| Mailbox::unplaced(), |display| display.listen());
        Self { device, mailbox, tenant, client: Client::default(), _entry: entry }
    }

    #[track_caller]
    fn call<C: Call<Device<G>>>(&self, call: C) -> Result<C::Reply, CallError> {
        self.device.call(call)
    }

    /// Which driver this is.
    pub fn version(&self) -> Version {
        self.device.ask(GetVersion)
    }

    /// Whether the driver can do something: 1 if so, 0 if not, if the capability does not say otherwise.
    pub fn capability(&self, capability: Capability) -> u64 {
        self.device.ask(GetCapability(capability))
    }

    /// What the device has. Never fails (CALL-2).
    pub fn info(&self) -> &DeviceInfo {
        self.device.info()
    }

    /// How it stands with the device: there, gone, or wedged and why. Never fails.
    pub fn presence(&self) -> Presence {
        self.device.presence()
    }

    /// Whether the device is still there.
    pub fn is_live(&self) -> bool {
        self.device.is_live()
    }

    /// Creates a context.
    ///
    /// # Errors
    /// ENODEV after loss, EDQUOT if contexts that were created through this handle are the client's
    /// [whole share](crate::Options::context_share) (SCHED-9), ENOMEM if the device has no
    /// free context. A context counts until it is gone with its queues and its jobs.
    #[track_caller]
    pub fn create_context(&self) -> Result<Context<G>, CallError> {
        self.call(CreateContext { client: &self.client })
    }

    /// Creates a queue for a context's jobs on a ring below [`DeviceInfo::rings`].
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL for a ring or context that is not this device's, ENOMEM if it has no free queue.
    #[track_caller]
    pub fn create_queue(&self, context: &Context<G>, ring: u8, priority: Priority) -> Result<Queue<G>, CallError> {
        self.call(CreateQueue { context, ring, priority })
    }

    /// Creates a buffer of `size` bytes, all zero.
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL for size 0, ENOMEM if there is no room.
    #[track_caller]
    pub fn create_buffer(&self, placement: Placement, size: u64) -> Result<Buffer<G>, CallError> {
        self.call(CreateBuffer { placement, size })
    }

    /// Makes a buffer reachable for a context's commands, and says where.
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL if they are of different devices, ENOMEM if the context has no free segment.
    #[track_caller]
    pub fn map(&self, context: &Context<G>, buffer: &Buffer<G>) -> Result<GpuVa, CallError> {
        self.call(Map { context, buffer })
    }

    /// Maps a buffer into this process. Never fails for loss: afterwards there is nothing behind it (MAP-2).
    ///
    /// # Errors
    /// EINVAL for a buffer of another device, or if this device's VRAM cannot be mapped; ENOMEM if the process has no room.
    pub fn mmap(&self, buffer: &Buffer<G>) -> Result<CpuMap<G>, CallError> {
        self.call(Mmap(buffer))
    }

    /// Makes a buffer known to other devices, also of other modules. Never fails for loss: what was in VRAM then has
    /// nothing behind it, as with [`Handle::mmap`].
    ///
    /// # Errors
    /// EINVAL for a buffer of another device, or in VRAM that cannot be mapped; ENOMEM if the process has no room.
    pub fn export(&self, buffer: &Buffer<G>) -> Result<DmaBuf, CallError> {
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
    pub fn import(&self, dma_buf: &DmaBuf) -> Result<Buffer<G>, CallError> {
        self.call(Import(dma_buf))
    }

    /// Takes a buffer out of a context's reach: the one that [`Handle::map`] put there. Does not fail for loss.
    ///
    /// # Errors
    /// EINVAL for a context of another device, or if no buffer begins exactly there.
    #[track_caller]
    pub fn unmap(&self, context: &Context<G>, va: GpuVa) -> Result<(), CallError> {
        self.call(Unmap { context, va })
    }

    /// Submits a job. Its fence signals when the job has run, or with the reason why it has not.
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL for wrong commands or a queue of another device, EAGAIN if too many jobs are in flight,
    /// ECANCELED if the queue's context is [banned](crate::Context::reset_stats).
    #[track_caller]
    pub fn submit(&self, submission: &Submission<'_, G>) -> Result<Fence, CallError> {
        self.call(submission)
    }

    /// What there is to show pictures on, and how large they may be. Nothing for a lessee whose lease was revoked.
    pub fn resources(&self) -> Resources {
        self.device.ask(GetResources(&self.tenant))
    }

    /// The connector: its modes, and whether there is a screen. After loss it is disconnected (KMS-1).
    ///
    /// # Errors
    /// ENOENT if this handle is a lessee's and its lease was revoked: then it sees no connector.
    pub fn connector(&self) -> Result<ConnectorInfo, CallError> {
        self.call(GetConnector(&self.tenant))
    }

    /// Shows an RGBA8 picture of a VRAM buffer, rows without gaps, at once; or nothing. [`Handle::connector`] proposes
    /// modes, [`Resources::mode`] makes one of any size.
    ///
    /// It waits for no blank and no fence: a flip or commit that is pending makes way (KMS-5). Its event comes, and if it has not taken
    /// effect its fence fails with ECANCELED.
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL if the buffer is too small or not in VRAM or the mode has another refresh rate than the
    /// screen, ENOENT for a lessee whose lease was revoked.
    #[track_caller]
    pub fn set_mode(&self, picture: Option<(&Buffer<G>, Mode)>) -> Result<(), CallError> {
        self.call(SetMode { picture, tenant: &self.tenant })
    }

    /// Shows another picture of the same size from the next vertical blank on; with a token, an event reports it. After
    /// loss it pretends success: the fence has signalled, the event has come, and nobody is surprised (CALL-1).
    ///
    /// The fence says whether the picture is shown. It fails with ETIME if the hardware does not show it within
    /// [`Options::display_limit`](crate::Options::display_limit), also after the display was turned off and on;
    /// with ECANCELED if a mode set took its place first. Then the event comes as well.
    ///
    /// # Errors
    /// EINVAL if the display is off, or the buffer too small or not in VRAM; EBUSY while a flip or commit is pending;
    /// ENOMEM if 128 events are promised or unread; ENOENT for a lessee whose lease was revoked.
    #[track_caller]
    pub fn flip(&self, buffer: &Buffer<G>, token: Option<u64>) -> Result<Fence, CallError> {
        self.call(Flip { buffer, token, tenant: &self.tenant, mailbox: &self.mailbox })
    }

    /// Changes the display as a whole, or only says whether it could. The fence signals when the commit has taken effect.
    /// After loss it pretends success as [`Handle::flip`] does, and for the same requests as before. Its fence fails as that
    /// of a flip; a blocking commit gives it as it has ended.
    ///
    /// A blocking commit is to be made outside of sections, as [`Fence::wait`].
    ///
    /// # Errors
    /// EINVAL for what the display cannot show, if the mode would change and that is not allowed, and for an event of a
    /// display that is off and stays so, or of a test; EBUSY for a non-blocking commit while another is pending, for a
    /// mode set or turn-off only until that has been so for
    /// [`Options::display_limit`](crate::Options::display_limit); ENOMEM if 128 events are promised or unread;
    /// ETIMEDOUT if a blocking commit was accepted and has not ended in a minute: it stays pending then. After a minute
    /// without its turn it is EBUSY. ENOENT for a lessee whose lease was revoked.
    #[track_caller]
    pub fn atomic(&self, commit: &Commit<'_, G>) -> Result<Fence, CallError> {
        display::atomic(&self.device, &self.tenant, &self.mailbox, commit)
    }

    /// An event at the next vertical blank. After loss it comes at once. If no blank comes within
    /// [`Options::display_limit`](crate::Options::display_limit), the display is turned off and on. If none comes
    /// within that time again, the event is sent and the fence fails with ETIME.
    ///
    /// # Errors
    /// EINVAL if the display is off, ENOMEM if 128 events are promised or unread, ENOENT for a lessee whose lease was revoked.
    #[track_caller]
    pub fn queue_vblank(&self, token: u64) -> Result<Fence, CallError> {
        self.call(QueueVblank { token, tenant: &self.tenant, mailbox: &self.mailbox })
    }

    /// Leases the display: opens a handle that another client may use, and that may program these objects; they must be
    /// [all](Objects::ALL), since less shows nothing. This handle keeps its rights. The lease ends when the new handle is closed,
    /// when this one is, or when it is [revoked](Handle::revoke_lease); a loss of the device does not end it, and calls
    /// through the new handle answer as through any other (KMS-4).
    ///
    /// # Errors
    /// ENODEV after loss, EINVAL for less than all objects or if this handle is a lessee's, EBUSY while another lease is in
    /// force.
    #[track_caller]
    pub fn create_lease(&self, objects: Objects) -> Result<Lease<G>, CallError> {
        self.call(CreateLease { tenant: &self.tenant, objects })
    }

    /// The leases that this handle has granted, and that are in force.
    ///
    /// # Errors
    /// ENODEV after loss.
    #[track_caller]
    pub fn lessees(&self) -> Result<Vec<LesseeId>, CallError> {
        self.call(ListLessees(&self.tenant))
    }

    /// What of the display this handle may see and program: everything, or what was leased, or nothing once that was revoked.
    pub fn leased(&self) -> Objects {
        self.device.ask(GetLease(&self.tenant))
    }

    /// Takes back a lease that this handle has granted. What its lessee has committed stays, and ends as it would have. From
    /// then on the lessee's calls on the display are refused with ENOENT. Does not fail for loss.
    ///
    /// # Errors
    /// ENOENT if this handle has granted no such lease, or it has ended.
    pub fn revoke_lease(&self, lessee: LesseeId) -> Result<(), CallError> {
        self.call(RevokeLease { tenant: &self.tenant, lessee })
    }

    /// What has happened on the display: this handle's flips and vertical blanks, and the loss of its screen. Reading
    /// never fails, also after loss.
    pub fn events(&self) -> DisplayEvents<'_> {
        self.mailbox.events()
    }
}

impl<G: Gpu> fmt::Debug for Handle<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("device", &self.device)
            .field("mailbox", &self.mailbox)
            .field("tenant", &self.tenant)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
