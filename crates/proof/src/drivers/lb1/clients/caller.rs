//! Makes every call of the table, with one of everything.

use fastrand::Rng;
use lifeboat::core::errno::Errno;
use lifeboat_lb1_hosted::{CALLS, Placement};

use super::{Desk, Work};
use crate::drivers::lb1::World;
use crate::subject::World as _;
use crate::torture::Standing;

pub(super) fn work(desk: &Desk<'_>, random: &mut Rng) {
    let neighbour = desk.neighbour();
    let exported = neighbour.open().and_then(|handle| {
        let buffer = neighbour.call("create-buffer", || handle.create_buffer(Placement::Host, 4096))?;
        neighbour.call("export", || handle.export(&buffer))
    });
    let Some(foreign) = exported else { return };
    desk.does("prepares one of everything");
    let world = match World::new(desk.device().clone(), foreign) {
        Ok(world) => world,
        // The flipper may have a flip under way.
        Err(error) if error.errno() == Errno::EBUSY => return,
        Err(error) => {
            let call = if error.errno() == Errno::ENXIO { "open" } else { "create-context" };
            return desk.judge(call, Standing::Live, Err(error), None);
        }
    };
    let _ = desk.settle(world.done(), Work { context: Some(world.context()), depends: false });
    while desk.goes_on() {
        let Some(name) = random.choice(CALLS).map(|info| info.name) else { return };
        make(desk, &world, name);
        if name == "map" {
            // There are only so many segments.
            make(desk, &world, "unmap");
        }
        if name == "submit" && random.bool() {
            let _ = world.last_job().map(|job| desk.wait(&job));
        }
    }
    for fence in world.take_owed() {
        // Somebody else's mode set may take the place of a flip.
        let is_jobs = !["/flips", "/vblanks"].iter().any(|end| fence.name().ends_with(end));
        let context = is_jobs.then_some(world.context());
        let _ = desk.settle(&fence, Work { context, depends: fence.name().ends_with("/flips") });
    }
    let lost = match desk.standing() {
        Standing::Live => world.miscounted(false).filter(|_| desk.standing() == Standing::Live),
        Standing::Announced(_) => world.miscounted(false).and_then(|_| world.miscounted(true)),
        Standing::Cut(_) => world.miscounted(true),
    };
    if let Some(why) = lost {
        desk.wrong(why);
    }
}

fn make(desk: &Desk<'_>, world: &World, name: &'static str) {
    let before = desk.standing();
    desk.does(name);
    match world.call(name) {
        Ok(answer) => desk.judge(name, before, answer, Some(world.context())),
        Err(wrong) => desk.wrong(wrong.to_string()),
    }
}
