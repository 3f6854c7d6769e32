//! The yardstick: the GPU model's own filter code, called directly on the same tiles by as many threads as the GPU has
//! rings. What a run takes longer than this is what going through a driver, a scheduler, rings and interrupts costs.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use lifeboat_gpu::compute::convolve_image;
use lifeboat_lb1_hosted::command::GpuVa;

use super::filter::Convolution;
use super::picture::{PIXEL, Picture};
use super::tiles::{Tile, TileGrid};

/// Measured for at least this long, in whole passes over the picture.
const AT_LEAST: Duration = Duration::from_millis(300);

/// Millions of pixels a second, or `None` if the filter code refused (it does not for what a run accepts).
pub fn measure(picture: &Picture, convolution: &Convolution, grid: TileGrid, threads: NonZeroUsize) -> Option<f64> {
    let tiles: Vec<Tile> = grid.iter().collect();
    let pixels = f64::from(picture.width()) * f64::from(picture.height());
    let began = Instant::now();
    let mut passes = 0.0;
    while began.elapsed() < AT_LEAST {
        pass(picture, convolution, &tiles, threads)?;
        passes += 1.0;
    }
    Some(passes * pixels / began.elapsed().as_secs_f64() / 1e6)
}

fn pass(picture: &Picture, convolution: &Convolution, tiles: &[Tile], threads: NonZeroUsize) -> Option<()> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut output = Vec::new();
        while let Some(tile) = tiles.get(next.fetch_add(1, Relaxed)) {
            filter(picture, convolution, tile, &mut output)?;
        }
        Some(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().flatten())
    })
}

fn filter(picture: &Picture, convolution: &Convolution, tile: &Tile, output: &mut Vec<u8>) -> Option<()> {
    // The addresses and pitches are not looked at, but must be possible.
    let pitches = (u32::from(tile.output.width) * 4, u32::try_from(picture.pitch()).ok()?);
    let params = convolution.command(tile, (GpuVa(0), pitches.0), (GpuVa(0), pitches.1));
    let pitch = usize::from(tile.output.width) * PIXEL;
    output.resize(pitch * usize::from(tile.output.height), 0);
    let first = usize::from(tile.source.y) * picture.pitch() + usize::from(tile.source.x) * PIXEL;
    convolve_image(&params, &picture.pixels()[first..], picture.pitch(), output, pitch).ok()
}
