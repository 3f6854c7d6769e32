//! How the GPU's memory is shared out: so much for the picture being shown, the rest for tiles under way.

use std::num::NonZeroU16;

use super::error::RunError;
use super::picture::Picture;
use super::present::Preview;
use super::tiles::TileGrid;

/// Tiles that a client has under way at once, if there is memory: one computes while the next is brought.
const DEPTH: usize = 2;
/// What memory is given out in, in bytes.
const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;

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

impl Budget {
    /// Shares out `vram_mib` MiB among `clients`.
    ///
    /// # Errors
    /// [`RunError::VramTooSmall`] if not even one tile each fits.
    pub(super) fn new(
        picture: &Picture,
        side: NonZeroU16,
        halo: u16,
        clients: u8,
        vram_mib: u16,
    ) -> Result<Self, RunError> {
        let grid = TileGrid::new(picture.width(), picture.height(), side, halo);
        let largest = |bytes: fn(&super::tiles::Tile) -> u64| grid.iter().map(|tile| bytes(&tile)).max().unwrap_or(0);
        let source_bytes = largest(|tile| u64::from(tile.source.width) * u64::from(tile.source.height) * 4);
        let output_bytes = largest(|tile| u64::from(tile.output.width) * u64::from(tile.output.height) * 4);
        let per_tile = source_bytes.next_multiple_of(PAGE) + output_bytes.next_multiple_of(PAGE);
        let shown = 2 * Preview::of(picture).bytes().next_multiple_of(PAGE);
        let needed = |depth: u64| u64::from(clients) * depth * per_tile + shown;
        let have = u64::from(vram_mib);
        let depth = (1..=DEPTH).rev().find(|depth| needed(*depth as u64) <= have * MIB);
        let depth = depth.ok_or_else(|| RunError::VramTooSmall { have, need: needed(1).div_ceil(MIB) })?;
        Ok(Self { depth, source_bytes, output_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(side: u16, clients: u8, vram_mib: u16) -> Result<Budget, RunError> {
        let picture = Picture::from_rgba(1000, 1000, vec![0; 4_000_000]).unwrap();
        Budget::new(&picture, NonZeroU16::new(side).unwrap(), 1, clients, vram_mib)
    }

    #[test]
    fn the_depth_follows_from_what_is_there() {
        let wide = budget(256, 4, 64).unwrap();
        assert_eq!(wide, Budget { depth: 2, source_bytes: 258 * 258 * 4, output_bytes: 256 * 256 * 4 });
        // 16 clients with 132 pages each, and twice 977 pages to show.
        assert_eq!(budget(256, 16, 16).unwrap().depth, 1);
        match budget(1000, 64, 64) {
            Err(RunError::VramTooSmall { have: 64, need }) => {
                assert!(budget(1000, 64, u16::try_from(need).unwrap()).is_ok());
            }
            other => panic!("{other:?}"),
        }
    }
}
