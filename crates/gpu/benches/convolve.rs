//! What a convolution costs, called directly and executed by a card: the difference is the model's own overhead.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lifeboat_gpu::compute;
use lifeboat_lb1::command::{Command, Convolve, Edge, Kernel, Work};

#[path = "../tests/rig/mod.rs"]
mod rig;

/// Side of the picture, in pixels: a tile of the default size.
const SIDE: u16 = 256;
/// Where the source and the output lie in the context.
const SRC: u64 = 0;
const DST: u64 = 1 << 20;

fn kernels() -> [(&'static str, Kernel, u8); 4] {
    let sobel = [[-1, 0, 1, -2, 0, 2, -1, 0, 1], [-1, -2, -1, 0, 0, 0, 1, 2, 1]];
    let separable = |taps, row| Kernel::Separable { taps, horizontal: row, vertical: row };
    [
        ("3x3", Kernel::Full([1, 2, 1, 2, 4, 2, 1, 2, 1]), 4),
        ("gradient", Kernel::Gradient(sobel[0], sobel[1]), 0),
        ("separable5", separable(5, [1, 4, 6, 4, 1, 0, 0, 0, 0]), 8),
        ("separable9", separable(9, [1, 8, 28, 56, 70, 56, 28, 8, 1]), 16),
    ]
}

fn command(kernel: Kernel, shift: u8) -> Convolve {
    let pitch = u32::from(SIDE) * 4;
    Convolve {
        dst: rig::va(DST),
        src: rig::va(SRC),
        dst_pitch: pitch,
        src_pitch: pitch,
        src_size: (SIDE, SIDE),
        origin: (0, 0),
        size: (SIDE, SIDE),
        kernel,
        shift,
        bias: 0,
        edge: Edge::Clamp,
    }
}

fn direct(c: &mut Criterion) {
    let mut group = c.benchmark_group("direct");
    let pitch = usize::from(SIDE) * 4;
    let src: Vec<u8> = (0..pitch * usize::from(SIDE)).map(|i| (i * 31 % 251).to_le_bytes()[0]).collect();
    let mut dst = vec![0; src.len()];
    group.throughput(Throughput::Elements(u64::from(SIDE) * u64::from(SIDE)));
    for (name, kernel, shift) in kernels() {
        let convolve = command(kernel, shift);
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| compute::convolve_image(black_box(&convolve), &src, pitch, &mut dst, pitch));
        });
    }
}

#[allow(clippy::unwrap_used)]
fn on_the_card(c: &mut Criterion) {
    /// Jobs in the ring at a time, so that the doorbell and its answer do not count.
    const BATCH: u32 = 16;
    let mut group = c.benchmark_group("card");
    let rig = rig::Rig::new();
    rig.map_vram(0, 0, 0, 4 << 20);
    group.throughput(Throughput::Elements(u64::from(SIDE) * u64::from(SIDE)));
    for (name, kernel, shift) in kernels() {
        let work = Command::Work(Work::Convolve(command(kernel, shift)));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter_custom(|iterations| {
                let batches = u32::try_from(iterations.div_ceil(BATCH.into())).unwrap();
                let begin = Instant::now();
                for _ in 0..batches {
                    let seqno = rig.submit(0, 0, &vec![work; BATCH as usize]);
                    rig.wait(0, seqno);
                }
                let time: Duration = begin.elapsed();
                time.mul_f64(f64::from(u32::try_from(iterations).unwrap()) / f64::from(batches * BATCH))
            });
        });
    }
}

criterion_group!(benches, direct, on_the_card);
criterion_main!(benches);
