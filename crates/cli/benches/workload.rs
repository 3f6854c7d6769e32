//! The whole way of a picture, through driver, scheduler, rings and interrupts, beside the same filter code called
//! directly on the same tiles with as many threads as the GPU has rings. The ratio of the two is the overhead.
#![allow(missing_docs)] // criterion's macros make undocumented items
#![allow(clippy::expect_used)] // a benchmark that cannot go on must stop

use std::num::{NonZeroU16, NonZeroUsize};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lifeboat_cli::args::RunArgs;
use lifeboat_cli::interrupt::Interrupt;
use lifeboat_cli::run::filter::Filter;
use lifeboat_cli::run::picture::Picture;
use lifeboat_cli::run::tiles::TileGrid;
use lifeboat_cli::run::{baseline, run};

fn workload(c: &mut Criterion) {
    let picture = Picture::bundled().expect("the bundled picture is a picture: a unit test says so");
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    for filter in [Filter::Sobel, Filter::Gaussian, Filter::Gaussian9] {
        let mut group = c.benchmark_group(format!("picture/{filter}"));
        group.throughput(Throughput::Elements(pixels));
        group.sample_size(10).measurement_time(Duration::from_secs(8));
        let convolution = filter.convolution();
        let side = NonZeroU16::new(RunArgs::default().tiles).expect("the default is not zero");
        let grid = TileGrid::new(picture.width(), picture.height(), side, convolution.kernel.radius());
        let threads = NonZeroUsize::new(2).expect("two is not zero");
        group.bench_function("direct", |b| {
            b.iter_custom(|rounds| {
                let rate =
                    baseline::measure(&picture, &convolution, grid, threads).expect("the filter code accepts this");
                Duration::from_secs_f64(pixels_f64(pixels) * pixels_f64(rounds) / (rate * 1e6))
            });
        });
        group.bench_function("lifeboat", |b| {
            b.iter_custom(|rounds| {
                // Setting up and judging the result are not part of it: the report times the work.
                let repeat = u32::try_from(rounds.max(100)).unwrap_or(u32::MAX);
                let args = RunArgs { filter, repeat: Some(repeat), quiet: true, no_faults: true, ..RunArgs::default() };
                let report = run(&args, &Interrupt::default()).expect("the run succeeds");
                Duration::from_secs_f64(report.seconds * pixels_f64(rounds) / f64::from(repeat))
            });
        });
        group.finish();
    }
}

#[allow(clippy::cast_precision_loss)] // far below 2^53
fn pixels_f64(count: u64) -> f64 {
    count as f64
}

criterion_group!(benches, workload);
criterion_main!(benches);
