//! The rows of the source around an output row, and what lies beyond the source's edges.

use lifeboat_lb1::command::{Convolve, Edge, SEPARABLE_TAPS};

use super::lanes::Lane;

/// Lanes of a pixel: red, green, blue, alpha.
pub(super) const CHANNELS: usize = 4;

/// As many rows as a kernel is high. A row that comes in takes the place of the one that is no longer needed.
pub(super) struct Window<K> {
    edge: Edge,
    /// How far the kernel reaches, in rows.
    radius: usize,
    /// The source's last row.
    last: usize,
    /// Source row `y` is in slot `y % rows.len()`.
    rows: Vec<Vec<K>>,
    /// What is above and below the source if the edge is zero.
    zero: Vec<K>,
}

impl<K: Lane> Window<K> {
    /// An empty window of rows of `lanes`.
    pub(super) fn new(params: &Convolve, lanes: usize) -> Self {
        let radius = usize::from(params.kernel.radius());
        Self {
            edge: params.edge,
            radius,
            last: usize::from(params.src_size.1) - 1,
            rows: vec![vec![K::default(); lanes]; 2 * radius + 1],
            zero: vec![K::default(); lanes],
        }
    }

    /// Where source row `row` is to be put.
    pub(super) fn slot(&mut self, row: u16) -> &mut [K] {
        let slot = usize::from(row) % self.rows.len();
        &mut self.rows[slot]
    }

    /// The rows around `centre`, from the top; all that the kernel reaches must have been put in. Slots beyond the
    /// kernel's height hold rows of no meaning.
    pub(super) fn around(&self, centre: u16) -> [&[K]; SEPARABLE_TAPS] {
        std::array::from_fn(|at| {
            let nearest = match (usize::from(centre) + at).checked_sub(self.radius) {
                Some(row) if row <= self.last => row,
                _ if self.edge == Edge::Zero => return &self.zero[..],
                Some(_) => self.last,
                None => 0,
            };
            &self.rows[nearest % self.rows.len()]
        })
    }
}

/// What stands left and right of the source's pixels in a row of lanes.
pub(super) struct Margins {
    edge: Edge,
    /// Lanes on the left that the source does not have.
    left: usize,
}

impl Margins {
    pub(super) fn new(params: &Convolve) -> Self {
        let missing = params.kernel.radius().saturating_sub(params.origin.0);
        Self { edge: params.edge, left: usize::from(missing) * CHANNELS }
    }

    /// Widens the source's bytes to lanes and fills the margins. They must have been zero or filled before.
    pub(super) fn widen<L: Lane>(&self, bytes: &[u8], lanes: &mut [L]) {
        let (before, rest) = lanes.split_at_mut(self.left);
        let (inside, after) = rest.split_at_mut(bytes.len());
        for (lane, byte) in inside.iter_mut().zip(bytes) {
            *lane = L::from_byte(*byte);
        }
        if self.edge == Edge::Clamp {
            for pixel in before.chunks_exact_mut(CHANNELS) {
                pixel.copy_from_slice(&inside[..CHANNELS]);
            }
            for pixel in after.chunks_exact_mut(CHANNELS) {
                pixel.copy_from_slice(&inside[inside.len() - CHANNELS..]);
            }
        }
    }
}
