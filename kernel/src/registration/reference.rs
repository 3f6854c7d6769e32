// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The effects of LB1's commands, written once more from docs/lb1.md: plainly, for small images,
//! and sharing no code with the model. The device's results are compared with these.

use lifeboat_lb1::command::{Convolve, Edge, Kernel};

/// Bytes of a pixel.
const RGBA: usize = 4;

/// Fill: the pattern, little-endian, over and over.
pub(crate) fn fill(dst: &mut [u8], pattern: u32) {
    for (byte, value) in dst.iter_mut().zip(pattern.to_le_bytes().into_iter().cycle()) {
        *byte = value;
    }
}

/// Copy: `rows` rows of `row_bytes`, each `pitch` bytes after the one before on both sides. What is between stays.
pub(crate) fn copy(dst: &mut [u8], src: &[u8], row_bytes: usize, rows: usize, pitch: usize) {
    for (to, from) in dst.chunks_mut(pitch).zip(src.chunks(pitch)).take(rows) {
        for (to, from) in to.iter_mut().zip(from).take(row_bytes) {
            *to = *from;
        }
    }
}

/// Convolve: a whole square image of `side` pixels without gaps between the rows.
pub(crate) fn convolve(dst: &mut [u8], src: &[u8], side: usize, command: &Convolve) {
    for (index, byte) in dst.iter_mut().enumerate().take(side * side * RGBA) {
        let (pixel, channel) = (index / RGBA, index % RGBA);
        let (x, y) = ((pixel % side) as i32, (pixel / side) as i32);
        if channel == RGBA - 1 {
            // Alpha is the source's.
            *byte = src[index];
            continue;
        }
        let tap = |dx: i32, dy: i32| sample(src, side as i32, x + dx, y + dy, channel, command.edge);
        let sum = match &command.kernel {
            Kernel::Full(taps) => square(taps, &tap),
            Kernel::Gradient(a, b) => square(a, &tap).abs() + square(b, &tap).abs(),
            Kernel::Separable { taps, horizontal, vertical } => {
                let radius = i32::from(*taps) / 2;
                let mut sum = 0;
                for (dy, down) in (-radius..=radius).zip(vertical) {
                    for (dx, across) in (-radius..=radius).zip(horizontal) {
                        sum += i32::from(*down) * i32::from(*across) * tap(dx, dy);
                    }
                }
                sum
            }
        };
        let round = if command.shift == 0 { 0 } else { 1 << (command.shift - 1) };
        let value = ((sum + round) >> command.shift) + i32::from(command.bias);
        *byte = value.clamp(0, 255) as u8;
    }
}

/// A 3x3 kernel, row by row; the first tap meets the top left neighbour.
fn square(taps: &[i16; 9], tap: &impl Fn(i32, i32) -> i32) -> i32 {
    let places = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)));
    taps.iter().zip(places).map(|(weight, (dx, dy))| i32::from(*weight) * tap(dx, dy)).sum()
}

fn sample(src: &[u8], side: i32, x: i32, y: i32, channel: usize, edge: Edge) -> i32 {
    let inside = (0..side).contains(&x) && (0..side).contains(&y);
    if edge == Edge::Zero && !inside {
        return 0;
    }
    let (x, y) = (x.clamp(0, side - 1), y.clamp(0, side - 1));
    i32::from(src[(y * side + x) as usize * RGBA + channel])
}
