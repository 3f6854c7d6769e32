//! How the GPU's memory is shared out: so much for the picture being shown, the rest for tiles under way.

use std::num::NonZeroU16;

use super::picture::Picture;
use super::tiles::TileGrid;

/// Tiles that a client has under way at once, if there is memory: one computes while the next is brought.
const DEPTH: usize = 2;
/// What memory is given out in, in bytes.
pub(super) const PAGE: u64 = 4096;

/// What each client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Tiles under way at once.
    pub(super) depth: usize,
    /// Bytes of the largest source tile.
    pub(super) source_bytes: u64,
    /// Bytes of the largest output tile.
    pub(super) output_bytes: u64,
}

/// The memory is too small for even one tile each. In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLittle {
    /// Bytes that there are.
    pub(super) have: u64,
    /// The least that is enough.
    pub(super) need: u64,
}

impl Budget {
    /// Shares out `have` bytes among `clients`, apart from `shown` bytes for the picture being shown.
    ///
    /// # Errors
    /// [`TooLittle`].
    pub(super) fn new(
        picture: &Picture,
        side: NonZeroU16,
        halo: u16,
        clients: u8,
        have: u64,
        shown: u64,
    ) -> Result<Self, TooLittle> {
        let grid = TileGrid::new(picture.width(), picture.height(), side, halo);
        let largest = |bytes: fn(&super::tiles::Tile) -> u64| grid.iter().map(|tile| bytes(&tile)).max().unwrap_or(0);
        let source_bytes = largest(|tile| u64::from(tile.source.width) * u64::from(tile.source.height) * 4);
        let output_bytes = largest(|tile| u64::from(tile.output.width) * u64::from(tile.output.height) * 4);
        let per_tile = source_bytes.next_multiple_of(PAGE) + output_bytes.next_multiple_of(PAGE);
        let needed = |depth: u64| u64::from(clients) * depth * per_tile + shown;
        let depth = (1..=DEPTH).rev().find(|depth| needed(*depth as u64) <= have);
        let depth = depth.ok_or_else(|| TooLittle { have, need: needed(1) })?;
        Ok(Self { depth, source_bytes, output_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn budget(side: u16, clients: u8, have: u64) -> Result<Budget, TooLittle> {
        let picture = Picture::from_rgba(1000, 1000, vec![0; 4_000_000]).unwrap();
        Budget::new(&picture, NonZeroU16::new(side).unwrap(), 1, clients, have, 2 * 977 * PAGE)
    }

    #[test]
    fn the_depth_follows_from_what_is_there() {
        let wide = budget(256, 4, 64 * MIB).unwrap();
        assert_eq!(wide, Budget { depth: 2, source_bytes: 258 * 258 * 4, output_bytes: 256 * 256 * 4 });
        // 16 clients with 132 pages each, and twice 977 pages to show.
        assert_eq!(budget(256, 16, 16 * MIB).unwrap().depth, 1);
        let TooLittle { have, need } = budget(1000, 64, 64 * MIB).unwrap_err();
        assert_eq!(have, 64 * MIB);
        assert!(budget(1000, 64, need).is_ok() && budget(1000, 64, need - 1).is_err());
    }
}
