//! What users ask of the display: mode set, flip, atomic commit.

use std::fmt;
use std::time::{Duration, Instant};

use lifeboat::calls::{Arguments, Bound};
use lifeboat::{CallError, Fence, WaitError};
use lifeboat_core::class::Refusal;
use lifeboat_core::kms::{Change, CommitError, Mode, Request};
use lifeboat_driver::gpu::Gpu;
use lifeboat_sync::deadline::deadline_after;

use super::Tenant;
use super::crtc::{Accepted, Wish};
use super::events::{Mailbox, Promise, Source};
use crate::Placement;
use crate::buffer::Buffer;
use crate::device::{self, Device, Users};

/// How long a blocking commit waits for its turn and its end together. Each flip has a limit of its own, which the
/// hardware is held to. The work that its picture waits for is bounded too, but by its own timeouts, one after the other.
const BLOCKING_LIMIT: Duration = Duration::from_mins(1);

/// A change of the display as a whole: all of it happens, or nothing. By default nothing changes, and the caller waits.
pub struct Commit<'a, G: Gpu> {
    /// The CRTC's mode. It can only be on together with the plane.
    pub mode: Change<Mode>,
    /// The plane's buffer: an RGBA8 picture in VRAM, as large as the mode, rows without gaps.
    pub plane: Change<&'a Buffer<G>>,
    /// What paints the picture: the hardware is told when this has signalled. If it failed, the picture is shown all the
    /// same, as a kernel does: who wants another one can ask the fence, and commit again.
    pub in_fence: Option<&'a Fence>,
    /// Reports the commit by a [`DisplayEvent::Flip`](super::DisplayEvent::Flip) with this token.
    pub event: Option<u64>,
    /// Whether the mode may change.
    pub allow_modeset: bool,
    /// How the caller goes on.
    pub kind: CommitKind,
}

impl<G: Gpu> Clone for Commit<'_, G> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<G: Gpu> Copy for Commit<'_, G> {}

impl<G: Gpu> Default for Commit<'_, G> {
    fn default() -> Self {
        let (mode, plane, kind) = (Change::default(), Change::default(), CommitKind::default());
        Self { mode, plane, in_fence: None, event: None, allow_modeset: false, kind }
    }
}

impl<G: Gpu> fmt::Debug for Commit<'_, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("mode", &self.mode)
            .field("plane", &self.plane)
            .field("in_fence", &self.in_fence)
            .field("event", &self.event)
            .field("allow_modeset", &self.allow_modeset)
            .field("kind", &self.kind)
            .finish()
    }
}

/// How the caller of a commit goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CommitKind {
    /// Nothing changes; the call says whether it could.
    TestOnly,
    /// When the commit has taken effect, or has failed to: its fence says so. Waits for its turn first if another one is
    /// pending; a mode set not longer than the limit of that one.
    #[default]
    Blocking,
    /// At once.
    NonBlocking,
}

/// Arguments of `mode-set`: an RGBA8 picture, rows without gaps, and its mode; or nothing.
pub(crate) struct SetMode<'a, G: Gpu> {
    pub(crate) picture: Option<(&'a Buffer<G>, Mode)>,
    pub(crate) tenant: &'a Tenant,
}

/// Arguments of `page-flip`: a picture of the same size, and who is to be told of it by which token.
pub(crate) struct Flip<'a, G: Gpu> {
    pub(crate) buffer: &'a Buffer<G>,
    pub(crate) token: Option<u64>,
    pub(crate) tenant: &'a Tenant,
    pub(crate) mailbox: &'a Mailbox,
}

/// Arguments of `atomic`.
pub(crate) struct Atomic<'a, G: Gpu> {
    pub(crate) commit: &'a Commit<'a, G>,
    pub(crate) tenant: &'a Tenant,
    pub(crate) mailbox: &'a Mailbox,
}

impl<G: Gpu> Arguments<Device<G>> for SetMode<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.gpu.display()?;
        self.picture.map_or(Ok(()), |(buffer, _)| showable(users, buffer))?;
        self.tenant.permit()
    }
}

impl<G: Gpu> Arguments<Device<G>> for Flip<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        showable(users, self.buffer)?;
        self.tenant.permit()
    }
}

impl<G: Gpu> Arguments<Device<G>> for Atomic<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        match (self.commit.kind, self.commit.event, self.commit.plane) {
            (CommitKind::TestOnly, Some(_), _) => {
                Err(CallError::Invalid("a commit that only tests has no event; leave it out"))
            }
            (_, _, Change::To(buffer)) => showable(users, buffer),
            (_, _, Change::Keep | Change::Off) => Ok(()),
        }?;
        users.gpu.display()?;
        self.tenant.permit()
    }
}

fn showable<G: Gpu>(users: &Users<G>, buffer: &Buffer<G>) -> Result<(), CallError> {
    users.owns(&buffer.0.device)?;
    users.gpu.display()?;
    match buffer.placement() {
        Placement::Vram => Ok(()),
        Placement::Host => Err(CallError::Invalid("only a buffer in VRAM can be shown")),
    }
}

/// Shows an RGBA8 picture at once, or nothing: the legacy mode set.
pub(crate) fn set_mode<G: Gpu>(
    bound: &Bound<'_, Device<G>>,
    SetMode { picture, .. }: SetMode<'_, G>,
) -> Result<(), CallError> {
    let (mode, plane) = match picture {
        Some((buffer, mode)) => (Change::To(mode), Change::To(buffer)),
        None => (Change::Off, Change::Off),
    };
    let commit = Commit { mode, plane, allow_modeset: true, ..Commit::default() };
    let mut wish = wish(&commit, None);
    wish.request.at_once = true;
    let accepted = bound.users().gpu.display()?.commit(Some(device::link(bound)), wish)?;
    Ok(accepted.told.map_err(|_| Refusal::Gone)?)
}

/// Shows another picture of the same size from the next vertical blank on: the legacy page flip.
pub(crate) fn flip<G: Gpu>(
    bound: Option<&Bound<'_, Device<G>>>,
    users: &Users<G>,
    Flip { buffer, token, mailbox, .. }: Flip<'_, G>,
) -> Result<Fence, CallError> {
    let commit = Commit { plane: Change::To(buffer), event: token, ..Commit::default() };
    start(bound, users, &commit, mailbox)
}

/// The part of an atomic commit that has the device: waits for nothing.
pub(crate) fn commit<G: Gpu>(
    bound: Option<&Bound<'_, Device<G>>>,
    users: &Users<G>,
    Atomic { commit, mailbox, .. }: Atomic<'_, G>,
) -> Result<Fence, CallError> {
    if commit.kind == CommitKind::TestOnly {
        users.gpu.display()?.check(&wish(commit, None).request)?;
        return Ok(Fence::signalled(Ok(())));
    }
    start(bound, users, commit, mailbox)
}

/// An atomic commit as its caller sees it. The fence signals when it has taken effect; a blocking one waits for that, in
/// no section.
#[track_caller]
pub(crate) fn atomic<G: Gpu>(
    device: &Device<G>,
    tenant: &Tenant,
    mailbox: &Mailbox,
    commit: &Commit<'_, G>,
) -> Result<Fence, CallError> {
    if commit.kind != CommitKind::Blocking {
        return device.call(Atomic { commit, tenant, mailbox });
    }
    let deadline = deadline_after(BLOCKING_LIMIT);
    let left = || deadline.saturating_duration_since(Instant::now());
    let fence = loop {
        match device.call(Atomic { commit, tenant, mailbox }) {
            Err(CallError::Commit(CommitError::Pending)) if !left().is_zero() => {
                // It may have ended by now; then it is our turn. Its end is all that is of interest.
                // A mode set waits no longer than the limit: then the other one makes way for it.
                let display = device.0.gpu.display()?;
                let _ = display.pending().map(|fence| fence.wait(left().min(display.limit)));
            }
            started => break started?,
        }
    };
    match fence.wait(left()) {
        Err(WaitError::TimedOut) => Err(CallError::TimedOut(
            "the commit was accepted and has not taken effect in a minute; its event is still to come",
        )),
        Ok(()) | Err(WaitError::Failed(_)) => Ok(fence),
    }
}

/// Commits now, or says why not.
fn start<G: Gpu>(
    bound: Option<&Bound<'_, Device<G>>>,
    users: &Users<G>,
    commit: &Commit<'_, G>,
    mailbox: &Mailbox,
) -> Result<Fence, CallError> {
    let event = commit.event.map(|token| mailbox.promise(Source::Flip, token)).transpose()?;
    let link = bound.map(device::link);
    let Accepted { fence, awaits, .. } = users.gpu.display()?.commit(link, wish(commit, event))?;
    let events = users.base.scheduler().events();
    match awaits {
        // The worker goes on then. It is the only one that waits; of a commit that has ended otherwise, by a loss, nothing
        // stays with a fence that perhaps nobody ever signals.
        Some(awaits) => {
            let nudge = events.nudge_after(&awaits);
            fence.on_signal(move |_| {
                nudge.withdraw();
            });
        }
        // The worker asks about it if no interrupt comes.
        None if fence.status().is_none() => events.nudge(),
        None => {}
    }
    Ok(fence)
}

/// What is asked of the CRTC.
fn wish<G: Gpu>(commit: &Commit<'_, G>, event: Option<Promise>) -> Wish {
    let picture = match commit.plane {
        Change::To(buffer) => buffer.0.pixels(),
        Change::Keep | Change::Off => None,
    };
    let request = Request {
        mode: commit.mode,
        picture: commit.plane.map(Buffer::size),
        allow_modeset: commit.allow_modeset,
        event: commit.event.is_some(),
        at_once: false,
    };
    Wish { request, picture, in_fence: commit.in_fence.cloned(), event }
}
