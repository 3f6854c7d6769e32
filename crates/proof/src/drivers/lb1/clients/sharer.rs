//! Shares buffers between the two devices of its bus: the loss of the one does not disturb the other.

use fastrand::Rng;
use lifeboat::Priority;
use lifeboat_lb1_hosted::command::{Copy, Work as Command};
use lifeboat_lb1_hosted::{Buffer, Context, DmaBuf, Handle, Placement, Queue, Submission};

use super::{Desk, Work};

const BYTES: u32 = 4096;

/// At the device that imports.
struct Importer<'a> {
    desk: &'a Desk<'a>,
    queue: Queue,
    context: Context,
    target: Buffer,
    handle: Handle,
}

pub(super) fn work(desk: &Desk<'_>, random: &mut Rng) {
    let neighbour = desk.neighbour();
    let importer = Importer::new(&neighbour);
    while desk.goes_on() {
        let Some(exporter) = desk.open() else { continue };
        let placement = if random.bool() { Placement::Host } else { Placement::Vram };
        let Some(buffer) = desk.call("create-buffer", || exporter.create_buffer(placement, BYTES.into())) else {
            continue;
        };
        let (word, name) = (random.u32(..).to_le_bytes(), write_call(placement));
        let written = desk.call(name, || buffer.write(0, &word));
        let Some(shared) = desk.call("export", || exporter.export(&buffer)) else { continue };
        // The export keeps the buffer, whoever has closed what.
        let kept = random.bool().then_some(exporter);
        let found = importer.as_ref().and_then(|importer| importer.read(&shared));
        if let (Some(()), Some(found)) = (written, found)
            && found != word
            && !may_be_lost(desk, &buffer)
            && !desk.round.kind.loses_writes()
        {
            desk.wrong(format!("a shared buffer in {placement:?} memory has {found:?} instead of {word:?}"));
        }
        drop(kept);
    }
}

const fn write_call(placement: Placement) -> &'static str {
    match placement {
        Placement::Vram => "write-vram-buffer",
        Placement::Host => "write-host-buffer",
    }
}

/// Whether what was in a buffer may be gone with its device: its bytes are then asked for in vain.
fn may_be_lost(desk: &Desk<'_>, buffer: &Buffer) -> bool {
    buffer.placement() == Placement::Vram
        && (desk.call("read-vram-buffer", || buffer.read(0, &mut [0; 4])).is_none() || !desk.device().is_live())
}

impl<'a> Importer<'a> {
    fn new(desk: &'a Desk<'a>) -> Option<Self> {
        let handle = desk.open()?;
        let context = desk.call("create-context", || handle.create_context())?;
        let queue = desk.call("create-queue", || handle.create_queue(&context, 1, Priority::Normal))?;
        let target = desk.call("create-buffer", || handle.create_buffer(Placement::Host, BYTES.into()))?;
        Some(Self { desk, queue, context, target, handle })
    }

    /// Has the device copy what was shared. Gives its first bytes, if it could.
    fn read(&self, exported: &DmaBuf) -> Option<[u8; 4]> {
        let Self { desk, queue, context, target, handle } = self;
        let imported = desk.call("import", || handle.import(exported))?;
        let from = desk.call("map", || handle.map(context, &imported))?;
        let Some(to) = desk.call("map", || handle.map(context, target)) else {
            desk.call("unmap", || handle.unmap(context, from));
            return None;
        };
        let commands = [Command::Copy(Copy::linear(to, from, BYTES))];
        let submission = Submission { restartable: true, ..Submission::new(queue, &commands) };
        let job = desk.call_of("submit", Some(context), || handle.submit(&submission));
        let copied = job.map(|job| desk.settle(&job, Work { context: Some(context), depends: false }));
        desk.call("unmap", || handle.unmap(context, from));
        desk.call("unmap", || handle.unmap(context, to));
        copied?.ok()?;
        let mut word = [0; 4];
        desk.call("read-host-buffer", || target.read(0, &mut word))?;
        Some(word)
    }
}
