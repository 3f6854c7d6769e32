//! Cuts a picture into square tiles, each with the border of source pixels that its filter needs.
//!
//! The border, the halo, is as wide as the filter's reach and ends where the picture ends. So a tile's source rectangle
//! has an edge of its own only where the picture has one, the filter's edge rule acts there and nowhere else, and tile by
//! tile gives the same pixels as the picture in one piece.

use std::num::NonZeroU16;

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub x: u16,
    /// First row.
    pub y: u16,
    /// Number of columns, at least 1.
    pub width: u16,
    /// Number of rows, at least 1.
    pub height: u16,
}

/// One piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Its number in the grid, row by row from 0.
    pub index: u32,
    /// The pixels it computes, in the picture.
    pub output: Rect,
    /// The pixels it needs, in the picture.
    pub source: Rect,
}

impl Tile {
    /// Column and row of `source` at which `output` begins.
    pub const fn origin(&self) -> (u16, u16) {
        (self.output.x - self.source.x, self.output.y - self.source.y)
    }
}

/// The tiles of a picture.
#[derive(Debug, Clone, Copy)]
pub struct TileGrid {
    width: u16,
    height: u16,
    side: NonZeroU16,
    halo: u16,
}

impl TileGrid {
    /// Tiles of `side` pixels, smaller at the right and at the bottom where the picture ends, for a picture of these
    /// sides and a filter that reaches `halo` pixels far.
    pub const fn new(width: u16, height: u16, side: NonZeroU16, halo: u16) -> Self {
        Self { width, height, side, halo }
    }

    fn columns(self) -> u32 {
        u32::from(self.width.div_ceil(self.side.get()))
    }

    /// Number of tiles.
    pub fn len(self) -> u32 {
        // At most 65535 * 65535.
        self.columns() * u32::from(self.height.div_ceil(self.side.get()))
    }

    /// Whether the picture has no pixels.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The tile of a number.
    pub fn get(self, index: u32) -> Option<Tile> {
        if index >= self.len() {
            return None;
        }
        let (x, width) = self.span(index % self.columns(), self.width)?;
        let (y, height) = self.span(index / self.columns(), self.height)?;
        let (source_x, source_width) = self.with_halo(x, width, self.width);
        let (source_y, source_height) = self.with_halo(y, height, self.height);
        Some(Tile {
            index,
            output: Rect { x, y, width, height },
            source: Rect { x: source_x, y: source_y, width: source_width, height: source_height },
        })
    }

    /// All tiles.
    pub fn iter(self) -> impl Iterator<Item = Tile> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }

    /// Start and length of the n-th tile along one side of the picture.
    fn span(self, n: u32, total: u16) -> Option<(u16, u16)> {
        let start = u16::try_from(n * u32::from(self.side.get())).ok()?;
        Some((start, self.side.get().min(total - start)))
    }

    fn with_halo(self, start: u16, length: u16, total: u16) -> (u16, u16) {
        let first = start.saturating_sub(self.halo);
        let end = (start + length).saturating_add(self.halo).min(total);
        (first, end - first)
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use proptest::prelude::*;

    use super::*;
    use crate::run::filter::Filter;
    use crate::run::picture::{PIXEL, Picture};
    use crate::run::reference;

    fn grid(width: u16, height: u16, side: u16, halo: u16) -> TileGrid {
        TileGrid::new(width, height, NonZeroU16::new(side).unwrap(), halo)
    }

    fn columns(rect: Rect) -> std::ops::Range<i32> {
        i32::from(rect.x)..i32::from(rect.x) + i32::from(rect.width)
    }

    fn rows(rect: Rect) -> std::ops::Range<i32> {
        i32::from(rect.y)..i32::from(rect.y) + i32::from(rect.height)
    }

    fn cut(picture: &Picture, rect: Rect) -> Picture {
        let mut pixels = Vec::new();
        for y in rect.y..rect.y + rect.height {
            let start = usize::from(y) * picture.pitch() + usize::from(rect.x) * PIXEL;
            pixels.extend(&picture.pixels()[start..][..usize::from(rect.width) * PIXEL]);
        }
        Picture::from_rgba(rect.width, rect.height, pixels).unwrap()
    }

    proptest! {
        #[test]
        fn each_pixel_belongs_to_one_tile(width in 1_u16..200, height in 1_u16..200, side in 1_u16..80, halo in 0_u16..5) {
            let mut owners = vec![0; usize::from(width) * usize::from(height)];
            for (number, tile) in grid(width, height, side, halo).iter().enumerate() {
                prop_assert_eq!(tile.index as usize, number);
                for y in rows(tile.output) {
                    for x in columns(tile.output) {
                        owners[usize::try_from(y * i32::from(width) + x).unwrap()] += 1;
                    }
                }
            }
            prop_assert!(owners.iter().all(|&owners| owners == 1));
        }

        #[test]
        fn the_halo_is_the_reach_clipped_to_the_picture(width in 1_u16..200, height in 1_u16..200, side in 1_u16..80, halo in 0_u16..5) {
            for tile in grid(width, height, side, halo).iter() {
                let reach = i32::from(halo);
                for (output, source, total) in [
                    (columns(tile.output), columns(tile.source), i32::from(width)),
                    (rows(tile.output), rows(tile.source), i32::from(height)),
                ] {
                    prop_assert_eq!(source.start, (output.start - reach).max(0));
                    prop_assert_eq!(source.end, (output.end + reach).min(total));
                }
                let (x, y) = tile.origin();
                prop_assert_eq!((tile.source.x + x, tile.source.y + y), (tile.output.x, tile.output.y));
            }
        }

        #[test]
        fn tile_by_tile_is_the_whole(width in 1_u16..60, height in 1_u16..60, side in 1_u16..40, filter in 0..8_usize, seed: u64) {
            let convolution = Filter::value_variants()[filter].convolution();
            let mut random = fastrand::Rng::with_seed(seed);
            let pixels = (0..usize::from(width) * usize::from(height) * PIXEL).map(|_| random.u8(..)).collect();
            let picture = Picture::from_rgba(width, height, pixels).unwrap();
            let whole = reference::convolve(&picture, &convolution);
            for tile in grid(width, height, side, convolution.kernel.radius()).iter() {
                let (x, y) = tile.origin();
                let (width, height) = (tile.output.width, tile.output.height);
                let part = reference::convolve(&cut(&picture, tile.source), &convolution);
                prop_assert_eq!(cut(&part, Rect { x, y, width, height }), cut(&whole, tile.output));
            }
        }
    }

    #[test]
    fn the_largest_sides_do_not_overflow() {
        let grid = grid(u16::MAX, u16::MAX, 1, u16::MAX);
        assert_eq!(grid.len(), 65_535 * 65_535);
        let last = grid.get(grid.len() - 1).unwrap();
        assert_eq!((last.output.x, last.source), (65_534, Rect { x: 0, y: 0, width: 65_535, height: 65_535 }));
        assert_eq!(grid.get(grid.len()), None);
    }
}
