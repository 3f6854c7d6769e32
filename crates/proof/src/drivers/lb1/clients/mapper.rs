//! Writes and reads mapped memory without a break.

use fastrand::Rng;
use lifeboat_lb1_hosted::{Buffer, CpuMap, Handle, Placement};

use super::Desk;
use crate::torture::Standing;

const PAGES: u64 = 4;
const PAGE: u64 = 4096;
/// Touches from one look around to the next.
const BURST: usize = 48;

pub(super) fn work(desk: &Desk<'_>, random: &mut Rng) {
    let Some((handle, buffers, mut maps)) = prepare(desk) else {
        // It was lost in between: then even the maps that nobody has are none of our business.
        return;
    };
    while desk.goes_on() {
        desk.does("touches maps");
        for _ in 0..BURST {
            touch(desk, &maps, random);
        }
        // New maps at every moment, also of what has nothing behind it any more.
        if random.u8(..8) == 0 {
            let at = random.usize(..maps.len());
            if let Some(map) = desk.call("mmap", || handle.mmap(&buffers[at])) {
                maps[at] = map;
            }
        }
    }
    // What the bus is through with is memory like any other, and nothing of a device.
    touch(desk, &maps, random);
    if matches!(desk.standing(), Standing::Cut(_))
        && let Some(other) = desk.call("mmap", || handle.mmap(&buffers[0]))
    {
        expect_nothing_between(desk, &maps[0], &other, random);
    }
}

/// Two maps of a buffer that is no more are two pieces of memory.
fn expect_nothing_between(desk: &Desk<'_>, one: &CpuMap, other: &CpuMap, random: &mut Rng) {
    let (value, mut found) = (random.u64(1..).to_le_bytes(), [0; 8]);
    match one.write(0, &value).and_then(|()| other.read(0, &mut found)) {
        Ok(()) if found == value => desk.wrong("a device is cut off, and its VRAM is still behind maps"),
        Ok(()) => {}
        Err(error) => desk.wrong(format!("a map cannot be touched: {error}")),
    }
}

fn prepare(desk: &Desk<'_>) -> Option<(Handle, [Buffer; 2], [CpuMap; 2])> {
    let handle = desk.open()?;
    let buffer = |placement| desk.call("create-buffer", || handle.create_buffer(placement, PAGES * PAGE));
    let buffers = [buffer(Placement::Vram)?, buffer(Placement::Host)?];
    let map = |buffer| desk.call("mmap", || handle.mmap(buffer));
    let maps = [map(&buffers[0])?, map(&buffers[1])?];
    Some((handle, buffers, maps))
}

/// Writes somewhere, and reads it again.
fn touch(desk: &Desk<'_>, maps: &[CpuMap; 2], random: &mut Rng) {
    let at = random.usize(..maps.len());
    let offset = random.u64(..PAGES * PAGE / 8) * 8;
    let (value, mut found) = (random.u64(..), [0; 8]);
    let before = desk.standing();
    let touched = maps[at].write(offset, &value.to_le_bytes()).and_then(|()| maps[at].read(offset, &mut found));
    if let Err(error) = touched {
        desk.wrong(format!("a map cannot be touched: {error}"));
        return;
    }
    let kept = u64::from_le_bytes(found) == value;
    // Between the two the memory behind a map may be exchanged, once. Host memory stays.
    let lost = desk.standing() != Standing::Live || desk.round.kind.loses_writes();
    let may_vanish = at == 0 && !matches!(before, Standing::Cut(_)) && lost;
    if !kept && !may_vanish {
        desk.wrong(format!(
            "a map of {} has {found:?} instead of {value:#x}; it was {before:?}",
            ["VRAM", "host memory"][at]
        ));
    }
}
