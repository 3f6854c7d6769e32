//! The calls about the display.

use lifeboat_lb1_hosted::{Change, Commit, CommitKind, Placement};

use super::client::Asked;
use super::operation::{Atomic, Kind};
use super::pool::DeviceId;
use super::rules::{self, Arguments};
use super::values::{Pick, Screen};
use super::world::{SIDE, World};

impl World {
    /// Whose turn it is to ask something of a display.
    fn who(&self, handle: Pick) -> Option<(DeviceId, bool)> {
        let of = self.live(&self.clients, handle)?.of;
        Some((of, self.is_gone(of)))
    }

    pub(super) fn set_mode(&mut self, handle: Pick, picture: Option<(Pick, Screen)>) -> Option<()> {
        let client = self.live(&self.clients, handle)?;
        let handle = &client.it.handle;
        let usual = handle.resources().mode(SIDE, SIDE);
        let picture = match picture {
            Some((buffer, screen)) => {
                Some((self.buffers.get(buffer, |buffer| buffer.of == client.of)?, screen.mode(usual)))
            }
            None => None,
        };
        let wrong = picture.is_some_and(|(buffer, mode)| {
            let shown = buffer.of == client.of && buffer.it.placement() == Placement::Vram;
            let possible = mode.width > 0 && mode.height > 0 && mode.refresh_millihertz == usual.refresh_millihertz;
            !shown || !possible || mode.picture_bytes() > buffer.it.size()
        });
        let answer = handle.set_mode(picture.map(|(buffer, mode)| (&buffer.it, mode)));
        self.judge("mode-set", client.of, Arguments::wrong_if(wrong), &answer);
        Some(())
    }

    pub(super) fn flip(&mut self, handle: Pick, buffer: Pick, token: Option<u64>) -> Option<()> {
        let (of, gone) = self.who(handle)?;
        let buffer = self.buffers.get(buffer, |buffer| buffer.of == of)?;
        let wrong = buffer.of != of || buffer.it.placement() == Placement::Host;
        let client = self.clients.get_mut(handle, |client| client.of == of)?;
        if client.of != of {
            return None;
        }
        let answer = client.it.handle.flip(&buffer.it, token);
        rules::judge("page-flip", Arguments::surely_wrong_if(wrong), gone, &answer);
        if let Some(token) = token {
            client.it.asked(Asked::Flip, token, &answer);
        }
        self.owed.extend(answer);
        Some(())
    }

    pub(super) fn atomic(&mut self, atomic: &Atomic) -> Option<()> {
        let Atomic { handle, mode, plane, in_fence, event, allow_modeset, kind } = *atomic;
        let (of, gone) = self.who(handle)?;
        if kind == Kind::Blocking {
            // It may wait for one of them, or for its turn after a commit that does.
            self.promises.clear();
        }
        let in_fence = in_fence.and_then(|fence| self.fence(fence));
        let client = self.clients.get_mut(handle, |client| client.of == of)?;
        if client.of != of {
            return None;
        }
        let handle = &client.it.handle;
        let usual = handle.resources().mode(SIDE, SIDE);
        let mut wrong = kind == Kind::TestOnly && event.is_some();
        let plane = plane.change(|pick| {
            let buffer = self.buffers.get(pick, |buffer| buffer.of == of)?;
            wrong |= buffer.of != of || buffer.it.placement() == Placement::Host;
            Some(&buffer.it)
        });
        let mode = mode.change(|screen| Some(screen.mode(usual)));
        wrong |= matches!((mode, plane), (Change::To(_), Change::Off) | (Change::Off, Change::To(_)));
        let kind = match kind {
            Kind::TestOnly => CommitKind::TestOnly,
            Kind::Blocking => CommitKind::Blocking,
            Kind::NonBlocking => CommitKind::NonBlocking,
        };
        let commit = Commit { mode, plane, in_fence: in_fence.as_ref(), event, allow_modeset, kind };
        let answer = handle.atomic(&commit);
        rules::judge("atomic", Arguments::surely_wrong_if(wrong), gone, &answer);
        if let (Ok(fence), CommitKind::TestOnly | CommitKind::Blocking) = (&answer, kind) {
            assert!(fence.status().is_some(), "{kind:?} has returned, and its fence is pending");
        }
        if let Some(token) = event.filter(|_| kind != CommitKind::TestOnly) {
            client.it.asked(Asked::Flip, token, &answer);
        }
        self.owed.extend(answer);
        Some(())
    }

    pub(super) fn queue_vblank(&mut self, handle: Pick, token: u64) -> Option<()> {
        let (of, gone) = self.who(handle)?;
        let client = self.clients.get_mut(handle, |client| client.of == of)?;
        if client.of != of {
            return None;
        }
        let answer = client.it.handle.queue_vblank(token);
        rules::judge("queue-vblank", Arguments::Unknown, gone, &answer);
        client.it.asked(Asked::Vblank, token, &answer);
        self.owed.extend(answer);
        Some(())
    }
}
