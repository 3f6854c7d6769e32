//! What there is to do: every tile of every round, each until it is done.
//!
//! Clients take tiles and bring back the result, or the tile. The first round's tiles make the output; those of later
//! rounds must come out the same, or the tile counts as wrong.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::picture::{PIXEL, Picture};
use super::tiles::{Rect, Tile, TileGrid};

/// A wait looks around this often, whatever else wakes it.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// A tile to compute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) tile: Tile,
    round: u32,
    /// Jobs of the last attempt that ended in an error: they are lost unless the tile is submitted again.
    pub(super) failed_jobs: u64,
    /// How often it failed on a device that stayed.
    pub(super) failures: u32,
}

pub(super) struct Workload {
    grid: TileGrid,
    rounds: u32,
    state: Mutex<Canvas>,
    changed: Condvar,
    /// Numbers of tiles done that somebody wants to know about, and how to tell.
    milestones: Vec<u64>,
    on_milestone: Box<dyn Fn(u64) + Send + Sync>,
}

struct Canvas {
    output: Picture,
    /// Tiles of `output` that have been computed once.
    known: Vec<bool>,
    /// Brought back, to be done first.
    returned: VecDeque<Item>,
    /// The next one that nobody has had.
    next: (u32, u32),
    done: u64,
    /// Tiles of later rounds that came out differently.
    unequal: u64,
    /// Nobody is to take another tile.
    closed: bool,
}

/// What is left at the end.
pub(super) struct Rest {
    pub(super) output: Picture,
    pub(super) complete: bool,
    pub(super) unequal: u64,
    pub(super) lost_jobs: u64,
    pub(super) tiles_done: u64,
    pub(super) tiles_all: u64,
}

impl Workload {
    /// All of `grid`, `rounds` times. `milestones` is given the number of tiles in all.
    pub(super) fn new(
        source: &Picture,
        grid: TileGrid,
        rounds: u32,
        milestones: impl FnOnce(u64) -> Vec<u64>,
        on_milestone: Box<dyn Fn(u64) + Send + Sync>,
    ) -> Self {
        let milestones = milestones(total(grid, rounds));
        let state = Canvas {
            output: Picture::blank_like(source),
            known: vec![false; grid.len() as usize],
            returned: VecDeque::new(),
            next: (0, 0),
            done: 0,
            unequal: 0,
            closed: false,
        };
        Self { grid, rounds, state: Mutex::new(state), changed: Condvar::new(), milestones, on_milestone }
    }

    /// Tiles of all rounds.
    pub(super) fn total(&self) -> u64 {
        total(self.grid, self.rounds)
    }

    /// A tile to do, if there is one now.
    pub(super) fn try_take(&self) -> Option<Item> {
        self.state.lock().take(self.grid, self.rounds)
    }

    /// A tile to do. Waits while others have the last ones and may bring them back; `None` when all is done, or closed.
    pub(super) fn take(&self) -> Option<Item> {
        let mut state = self.state.lock();
        loop {
            if let Some(item) = state.take(self.grid, self.rounds) {
                return Some(item);
            }
            if state.closed || state.done == self.total() {
                return None;
            }
            self.changed.wait_for(&mut state, LOOK_AROUND);
        }
    }

    /// The tile could not be done.
    pub(super) fn bring_back(&self, item: Item) {
        self.state.lock().returned.push_back(item);
        self.changed.notify_all();
    }

    /// The tile is done; `pixels` are its rows without gaps.
    pub(super) fn finish(&self, item: &Item, pixels: &[u8]) {
        let mut state = self.state.lock();
        let Canvas { output, known, unequal, .. } = &mut *state;
        let first = !std::mem::replace(&mut known[item.tile.index as usize], true);
        let mut equal = true;
        for (target, row) in rows_mut(output, item.tile.output).zip(pixels.chunks(row_bytes(item.tile.output))) {
            if first {
                target.copy_from_slice(row);
            } else {
                equal &= target == row;
            }
        }
        *unequal += u64::from(!equal);
        state.done += 1;
        let (done, all) = (state.done, state.done == self.total());
        drop(state);
        if self.milestones.contains(&done) {
            (self.on_milestone)(done);
        }
        if all || done.is_multiple_of(u64::from(self.grid.len())) {
            self.changed.notify_all();
        }
    }

    /// Nobody takes another tile: the user wants to stop, or there is no device to be had.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Whether there is no sense in waiting for a device.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.closed || state.done == self.total()
    }

    /// Waits until more than `seen` rounds are done, and says how many are; `None` if the work is over before.
    pub(super) fn wait_for_round(&self, seen: u64) -> Option<u64> {
        let mut state = self.state.lock();
        loop {
            let rounds = state.done / u64::from(self.grid.len());
            if rounds > seen {
                return Some(rounds);
            }
            if state.closed || state.done == self.total() {
                return None;
            }
            self.changed.wait_for(&mut state, LOOK_AROUND);
        }
    }

    /// Looks at the output as it is now.
    pub(super) fn with_output<T>(&self, look: impl FnOnce(&Picture) -> T) -> T {
        look(&self.state.lock().output)
    }

    /// What has come of it.
    pub(super) fn into_rest(self) -> Rest {
        let total = self.total();
        let state = self.state.into_inner();
        Rest {
            output: state.output,
            complete: state.done == total,
            unequal: state.unequal,
            lost_jobs: state.returned.iter().map(|item| item.failed_jobs).sum(),
            tiles_done: state.done,
            tiles_all: total,
        }
    }
}

impl Canvas {
    fn take(&mut self, grid: TileGrid, rounds: u32) -> Option<Item> {
        if self.closed {
            return None;
        }
        if let Some(item) = self.returned.pop_front() {
            return Some(item);
        }
        let (round, index) = self.next;
        if round == rounds {
            return None;
        }
        let tile = grid.get(index)?;
        self.next = if index + 1 == grid.len() { (round + 1, 0) } else { (round, index + 1) };
        Some(Item { tile, round, failed_jobs: 0, failures: 0 })
    }
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tile {}, round {}", self.tile.index + 1, self.round + 1)
    }
}

fn total(grid: TileGrid, rounds: u32) -> u64 {
    u64::from(grid.len()) * u64::from(rounds)
}

/// Bytes of a rectangle's row.
pub(super) fn row_bytes(rect: Rect) -> usize {
    usize::from(rect.width) * PIXEL
}

/// The rows of a rectangle of a picture.
pub(super) fn rows(picture: &Picture, rect: Rect) -> impl Iterator<Item = &[u8]> {
    let start = usize::from(rect.x) * PIXEL;
    let rows = picture.pixels().chunks(picture.pitch());
    rows.skip(rect.y.into()).take(rect.height.into()).map(move |row| &row[start..start + row_bytes(rect)])
}

fn rows_mut(picture: &mut Picture, rect: Rect) -> impl Iterator<Item = &mut [u8]> {
    let (pitch, start) = (picture.pitch(), usize::from(rect.x) * PIXEL);
    let rows = picture.pixels_mut().chunks_mut(pitch);
    rows.skip(rect.y.into()).take(rect.height.into()).map(move |row| &mut row[start..start + row_bytes(rect)])
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    fn workload(rounds: u32) -> Workload {
        let source = Picture::from_rgba(3, 2, vec![0; 24]).unwrap();
        Workload::new(
            &source,
            TileGrid::new(3, 2, NonZeroU16::new(2).unwrap(), 0),
            rounds,
            |_| Vec::new(),
            Box::new(|_| {}),
        )
    }

    fn pixels(item: &Item, value: u8) -> Vec<u8> {
        vec![value; row_bytes(item.tile.output) * usize::from(item.tile.output.height)]
    }

    #[test]
    fn every_tile_of_every_round_is_handed_out_once() {
        let workload = workload(2);
        while let Some(item) = workload.try_take() {
            workload.finish(&item, &pixels(&item, u8::try_from(item.tile.index).unwrap()));
        }
        assert!(workload.take().is_none() && workload.is_over());
        let rest = workload.into_rest();
        assert!(rest.complete && rest.unequal == 0 && rest.lost_jobs == 0 && rest.tiles_done == 4);
        assert_eq!(rest.output.pixels()[..12], [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    }

    #[test]
    fn what_is_brought_back_comes_again_and_is_lost_only_at_the_end() {
        let workload = workload(1);
        let first = workload.try_take().unwrap();
        workload.bring_back(Item { failed_jobs: 3, ..first });
        assert_eq!(workload.try_take().unwrap().tile.index, first.tile.index);
        workload.bring_back(Item { failed_jobs: 2, ..first });
        workload.close();
        assert!(workload.take().is_none());
        let rest = workload.into_rest();
        assert!(!rest.complete && rest.lost_jobs == 2);
    }

    #[test]
    fn a_later_round_that_differs_is_noticed() {
        let workload = workload(2);
        for value in [1, 1, 1, 2] {
            let item = workload.try_take().unwrap();
            workload.finish(&item, &pixels(&item, value));
        }
        assert_eq!(workload.into_rest().unequal, 1);
    }
}
