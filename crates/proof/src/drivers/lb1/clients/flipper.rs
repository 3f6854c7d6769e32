//! Shows pictures, and counts the events: each comes once, whatever has become of the device.

use fastrand::Rng;
use lifeboat::Fence;
use lifeboat::core::class::Presence;
use lifeboat_lb1_hosted::{Buffer, Change, Commit, CommitKind, DisplayEvent, Handle, Placement};

use super::{Desk, Work};
use crate::torture::Standing;

/// Side of a picture in pixels: that of [`World`](crate::drivers::lb1::World)'s, so that whoever shares the display can flip.
const SIDE: u16 = 32;

struct Show<'a> {
    desk: &'a Desk<'a>,
    pictures: [Buffer; 2],
    /// For each token, in order: whether the event is owed, and how often it has come.
    events: Vec<(bool, u32)>,
    hotplugs: u32,
    fences: Vec<Fence>,
    handle: Handle,
}

pub(super) fn work(desk: &Desk<'_>, random: &mut Rng) {
    let Some(mut show) = Show::new(desk) else { return };
    while desk.goes_on() {
        show.ask(random);
        show.read();
    }
    show.end();
}

/// Somebody else's mode set may take the place of a flip.
const REPLACEABLE: Work<'static> = Work { context: None, depends: true };

impl<'a> Show<'a> {
    fn new(desk: &'a Desk<'a>) -> Option<Self> {
        let handle = desk.open()?;
        let bytes = 4 * u64::from(SIDE) * u64::from(SIDE);
        let picture = || desk.call("create-buffer", || handle.create_buffer(Placement::Vram, bytes));
        let pictures = [picture()?, picture()?];
        let mode = desk.call("resources", || Ok(handle.resources()))?.mode(SIDE, SIDE);
        // Takes the place of somebody else's commit that is under way.
        desk.call("mode-set", || handle.set_mode(Some((&pictures[0], mode))))?;
        Some(Self { desk, pictures, events: Vec::new(), hotplugs: 0, fences: Vec::new(), handle })
    }

    /// Asks for something that owes an event, and perhaps waits for it.
    fn ask(&mut self, random: &mut Rng) {
        let picture = &self.pictures[random.usize(..2)];
        let token = self.events.len() as u64;
        let handle = &self.handle;
        let plane = Commit { plane: Change::To(picture), event: Some(token), ..Commit::default() };
        let answer = match random.u8(..8) {
            0..3 => self.desk.call("page-flip", || handle.flip(picture, Some(token))),
            3..5 => {
                let commit = Commit { kind: CommitKind::NonBlocking, in_fence: self.fences.last(), ..plane };
                self.desk.call("atomic", || handle.atomic(&commit))
            }
            5 => self.desk.call("atomic", || handle.atomic(&Commit { kind: CommitKind::Blocking, ..plane })),
            _ => self.desk.call("queue-vblank", || handle.queue_vblank(token)),
        };
        self.events.push((answer.is_some(), 0));
        self.fences.extend(answer);
        if random.bool()
            && let Some(last) = self.fences.pop()
        {
            let _ = self.desk.settle(&last, REPLACEABLE);
        }
        self.desk.call("get-connector", || self.handle.connector());
    }

    fn read(&mut self) {
        self.desk.does("read-events");
        while let Some(event) = self.handle.events().try_next() {
            match event {
                DisplayEvent::Hotplug { .. } => self.hotplugs += 1,
                DisplayEvent::Flip { token, .. } | DisplayEvent::Vblank { token, .. } => {
                    let asked = usize::try_from(token).ok().and_then(|token| self.events.get_mut(token));
                    match asked {
                        Some((_, times)) => *times += 1,
                        None => self.desk.wrong(format!("an event came that nobody asked for: {event:?}")),
                    }
                }
                other => self.desk.wrong(format!("an event that nothing is known of: {other:?}")),
            }
        }
    }

    /// All that was promised has come.
    fn end(&mut self) {
        for fence in std::mem::take(&mut self.fences) {
            let _ = self.desk.settle(&fence, REPLACEABLE);
        }
        let before = self.desk.standing();
        self.read();
        let wrong = self.events.iter().enumerate().find(|(_, (owed, times))| *times != u32::from(*owed));
        if let Some((token, (owed, times))) = wrong {
            self.desk.wrong(format!("display event {token} came {times} times; it was asked for: {owed}"));
        }
        let hotplugs = match (before, self.desk.standing()) {
            (Standing::Cut(Presence::Gone | Presence::Wedged(_)), _) => 1..=1,
            (_, Standing::Live) => 0..=0,
            _ => 0..=1,
        };
        if !hotplugs.contains(&self.hotplugs) {
            self.desk.wrong(format!("the screen went {} times; the device was {before:?}", self.hotplugs));
        }
    }
}
