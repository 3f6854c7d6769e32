//! Opens, creates, drops and closes.

use fastrand::Rng;
use lifeboat::Priority;
use lifeboat_lb1_hosted::{Capability, Placement};

use super::Desk;

pub(super) fn work(desk: &Desk<'_>, random: &mut Rng) {
    while desk.goes_on() {
        let Some(handle) = desk.open() else { continue };
        desk.call("version", || Ok(handle.version()));
        desk.call("capability", || Ok(handle.capability(Capability::MapVram)));
        if random.bool() {
            // Closed with everything still there, in whatever order.
            let context = desk.call("create-context", || handle.create_context());
            let placement = if random.bool() { Placement::Vram } else { Placement::Host };
            let buffer = desk.call("create-buffer", || handle.create_buffer(placement, 1 + random.u64(..8192)));
            if let (Some(context), Some(buffer)) = (&context, &buffer) {
                let va = desk.call("map", || handle.map(context, buffer));
                let queue = desk.call("create-queue", || handle.create_queue(context, random.u8(..2), Priority::Low));
                if let Some(va) = va.filter(|_| random.bool()) {
                    desk.call("unmap", || handle.unmap(context, va));
                }
                if let Some(queue) = queue.filter(|_| random.bool()) {
                    desk.call("set-priority", || {
                        queue.set_priority(Priority::High);
                        Ok(())
                    });
                    desk.call("move-queue", || queue.move_to(random.u8(..2)));
                }
            }
            let (first, then): (Box<dyn Send>, Box<dyn Send>) = (Box::new(context), Box::new(buffer));
            drop(if random.bool() { (first, then) } else { (then, first) });
        }
        desk.does("close");
        drop(handle);
    }
}
