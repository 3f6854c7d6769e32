//! The filters a user can choose, as the convolutions that LB1 computes.
//!
//! Only what LB1's integer arithmetic expresses exactly is here; a mean over 3 x 3 pixels, for one, would need a division
//! by nine. At the picture's border every filter repeats the nearest pixel.

use std::fmt;

use clap::ValueEnum;
use lifeboat_lb1::command::{Convolve, Edge, GpuVa, Kernel};
use serde::{Serialize, Serializer};

use super::tiles::Tile;

/// What the GPU computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Filter {
    /// Edges, by Sobel's two gradients
    #[default]
    Sobel,
    /// Edges, by Scharr's gradients, which treat all directions alike
    Scharr,
    /// Edges in both directions at once, around mid grey
    Laplacian,
    /// Light from the upper left, as if embossed
    Emboss,
    /// Crisper detail
    Sharpen,
    /// Slight blur, 3 x 3 pixels
    Gaussian3,
    /// Blur, 5 x 5 pixels
    Gaussian,
    /// Strong blur, 9 x 9 pixels
    Gaussian9,
}

/// A filter in the terms of LB1's convolve command, which defines what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// The taps.
    pub kernel: Kernel,
    /// Right shift of the sum.
    pub shift: u8,
    /// Added after the shift.
    pub bias: i16,
    /// What lies beyond the border.
    pub edge: Edge,
}

impl Convolution {
    /// The command for one tile. `dst` and `src` are where the tile's rows begin and how many bytes lie from one to the
    /// next.
    pub fn command(&self, tile: &Tile, dst: (GpuVa, u32), src: (GpuVa, u32)) -> Convolve {
        Convolve {
            dst: dst.0,
            src: src.0,
            dst_pitch: dst.1,
            src_pitch: src.1,
            src_size: (tile.source.width, tile.source.height),
            origin: tile.origin(),
            size: (tile.output.width, tile.output.height),
            kernel: self.kernel,
            shift: self.shift,
            bias: self.bias,
            edge: self.edge,
        }
    }
}

impl Filter {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sobel => "sobel",
            Self::Scharr => "scharr",
            Self::Laplacian => "laplacian",
            Self::Emboss => "emboss",
            Self::Sharpen => "sharpen",
            Self::Gaussian3 => "gaussian3",
            Self::Gaussian => "gaussian",
            Self::Gaussian9 => "gaussian9",
        }
    }

    /// The filter in the terms of LB1.
    pub const fn convolution(self) -> Convolution {
        let (kernel, shift, bias) = match self {
            Self::Sobel => (Kernel::Gradient([-1, 0, 1, -2, 0, 2, -1, 0, 1], [-1, -2, -1, 0, 0, 0, 1, 2, 1]), 0, 0),
            // Four times as steep as Sobel's.
            Self::Scharr => {
                (Kernel::Gradient([-3, 0, 3, -10, 0, 10, -3, 0, 3], [-3, -10, -3, 0, 0, 0, 3, 10, 3]), 2, 0)
            }
            Self::Laplacian => (Kernel::Full([0, 1, 0, 1, -4, 1, 0, 1, 0]), 0, 128),
            Self::Emboss => (Kernel::Full([-2, -1, 0, -1, 1, 1, 0, 1, 2]), 0, 0),
            Self::Sharpen => (Kernel::Full([0, -1, 0, -1, 5, -1, 0, -1, 0]), 0, 0),
            Self::Gaussian3 => (symmetric(3, [1, 2, 1, 0, 0, 0, 0, 0, 0]), 4, 0),
            Self::Gaussian => (symmetric(5, [1, 4, 6, 4, 1, 0, 0, 0, 0]), 8, 0),
            Self::Gaussian9 => (symmetric(9, [1, 8, 28, 56, 70, 56, 28, 8, 1]), 16, 0),
        };
        Convolution { kernel, shift, bias, edge: Edge::Clamp }
    }
}

/// The same taps along rows and columns.
const fn symmetric(taps: u8, line: [i16; 9]) -> Kernel {
    Kernel::Separable { taps, horizontal: line, vertical: line }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_lb1::command::Work;

    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for &filter in Filter::value_variants() {
            assert_eq!(filter.to_possible_value().unwrap().get_name(), filter.name());
        }
    }

    #[test]
    fn lb1_accepts_every_filter() {
        for &filter in Filter::value_variants() {
            let Convolution { kernel, shift, bias, edge } = filter.convolution();
            let work = Work::Convolve(Convolve {
                dst: GpuVa(0),
                src: GpuVa(0),
                dst_pitch: 4,
                src_pitch: 4,
                src_size: (1, 1),
                origin: (0, 0),
                size: (1, 1),
                kernel,
                shift,
                bias,
                edge,
            });
            assert_eq!(work.check(), Ok(()), "{filter}");
        }
    }

    /// On an even surface a blur, a sharpening and an embossing keep the brightness; an edge detector finds nothing.
    #[test]
    fn weights_add_up() {
        for &filter in Filter::value_variants() {
            let Convolution { kernel, shift, .. } = filter.convolution();
            let sum = |taps: &[i16]| taps.iter().map(|&tap| i32::from(tap)).sum::<i32>();
            let gain = match kernel {
                Kernel::Full(taps) => sum(&taps),
                Kernel::Gradient(a, b) => sum(&a).abs() + sum(&b).abs(),
                Kernel::Separable { taps, horizontal, vertical } => {
                    let used = usize::from(taps);
                    sum(&horizontal[..used]) * sum(&vertical[..used])
                }
            };
            let finds_edges = matches!(filter, Filter::Sobel | Filter::Scharr | Filter::Laplacian);
            assert_eq!(gain, if finds_edges { 0 } else { 1 << shift }, "{filter}");
        }
    }
}
