use clap::ValueEnum;
use lifeboat_lb1::command::SEPARABLE_TAPS;
use proptest::prelude::*;

use super::*;
use crate::run::filter::Filter;

fn threads(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn noise(width: u16, height: u16, seed: u64) -> Picture {
    let mut random = fastrand::Rng::with_seed(seed);
    let pixels = (0..usize::from(width) * usize::from(height) * PIXEL).map(|_| random.u8(..)).collect();
    Picture::from_rgba(width, height, pixels).unwrap()
}

/// One channel of one pixel by nothing but the definition's words; slow.
fn by_the_book(source: &Picture, convolution: &Convolution, x: i32, y: i32, channel: usize) -> u8 {
    let (width, height) = (i32::from(source.width()), i32::from(source.height()));
    let byte = |x: i32, y: i32| {
        let inside = x >= 0 && y >= 0 && x < width && y < height;
        let (x, y) = match convolution.edge {
            Edge::Zero if !inside => return 0,
            _ => (x.clamp(0, width - 1), y.clamp(0, height - 1)),
        };
        i64::from(source.pixels()[usize::try_from(y * width + x).unwrap() * PIXEL + channel])
    };
    if channel == 3 {
        return u8::try_from(byte(x, y)).unwrap();
    }
    let square = |taps: &[i16; 9]| -> i64 {
        (-1..=1)
            .flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)))
            .zip(taps)
            .map(|((dx, dy), &tap)| i64::from(tap) * byte(x + dx, y + dy))
            .sum()
    };
    let sum = match &convolution.kernel {
        Kernel::Full(taps) => square(taps),
        Kernel::Gradient(a, b) => square(a).abs() + square(b).abs(),
        Kernel::Separable { taps, horizontal, vertical } => {
            let line = -i32::from(taps / 2)..=i32::from(taps / 2);
            let row = |y| line.clone().zip(horizontal).map(|(dx, &tap)| i64::from(tap) * byte(x + dx, y)).sum::<i64>();
            line.clone().zip(vertical).map(|(dy, &tap)| i64::from(tap) * row(y + dy)).sum()
        }
    };
    let round = if convolution.shift == 0 { 0 } else { 1 << (convolution.shift - 1) };
    u8::try_from((((sum + round) >> convolution.shift) + i64::from(convolution.bias)).clamp(0, 255)).unwrap()
}

fn any_convolution() -> impl Strategy<Value = Convolution> {
    // Extremes on purpose: the sums must not overflow.
    let tap = || prop_oneof![3 => -20_i16..=20, 1 => Just(255_i16), 1 => Just(-255_i16)];
    let square = || proptest::array::uniform9(tap());
    let line = || proptest::array::uniform::<_, SEPARABLE_TAPS>(tap());
    let kernel = prop_oneof![
        square().prop_map(Kernel::Full),
        (square(), square()).prop_map(|(a, b)| Kernel::Gradient(a, b)),
        (0..=4_u8, line(), line()).prop_map(|(half, horizontal, vertical)| Kernel::Separable {
            taps: half * 2 + 1,
            horizontal,
            vertical
        }),
    ];
    let edge = prop_oneof![Just(Edge::Clamp), Just(Edge::Zero)];
    (kernel, 0..=16_u8, -255..=255_i16, edge).prop_map(|(kernel, shift, bias, edge)| Convolution {
        kernel,
        shift,
        bias,
        edge,
    })
}

proptest! {
    #[test]
    fn agrees_with_the_definition(width in 1_u16..12, height in 1_u16..12, seed: u64, convolution in any_convolution()) {
        let source = noise(width, height, seed);
        let output = convolve(&source, &convolution);
        let mut bytes = output.pixels().iter();
        for y in 0..i32::from(height) {
            for x in 0..i32::from(width) {
                for channel in 0..PIXEL {
                    prop_assert_eq!(bytes.next(), Some(&by_the_book(&source, &convolution, x, y, channel)));
                }
            }
        }
    }

    #[test]
    fn any_number_of_threads_agrees_and_finds_the_same(width in 1_u16..20, height in 1_u16..20, seed: u64, count in 1..9_usize, wrong in proptest::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let source = noise(width, height, seed);
        let convolution = Filter::Sobel.convolution();
        let mut output = convolve(&source, &convolution);
        let mut places: Vec<usize> = wrong.iter().map(|index| index.index(output.pixels().len())).collect();
        places.sort_unstable();
        places.dedup();
        for &place in &places {
            output.pixels_mut()[place] ^= 0x80;
        }
        let found = compare(&source, &convolution, &output, threads(count));
        let Some(&first) = places.first() else {
            prop_assert_eq!(found, Ok(()));
            return Ok(());
        };
        let mut pixels: Vec<_> = places.iter().map(|place| place / PIXEL).collect();
        pixels.dedup();
        let found = found.unwrap_err();
        prop_assert_eq!(usize::from(found.y) * usize::from(width) + usize::from(found.x), first / PIXEL);
        prop_assert_eq!("rgba".find(found.channel), Some(first % PIXEL));
        prop_assert_eq!((found.got, found.got ^ 0x80), (output.pixels()[first], found.expected));
        prop_assert_eq!(found.pixels, pixels.len() as u64);
    }
}

/// Worked by hand, so that this file and the definition cannot be wrong in the same way.
#[test]
fn a_step_edge_by_hand() {
    let gray = |values: &[u8]| values.iter().flat_map(|&v| [v, v, v, 7]).collect::<Vec<_>>();
    let source = Picture::from_rgba(4, 1, gray(&[10, 10, 40, 40])).unwrap();
    // All three rows are the same: the horizontal gradient is 4 * (right - left), the vertical one is 0.
    assert_eq!(convolve(&source, &Filter::Sobel.convolution()).pixels(), gray(&[0, 120, 120, 0]));
    // Binomial 1 4 6 4 1 along the row: (1*10 + 4*10 + 6*10 + 4*40 + 1*40) / 16 = 19.375 for the second pixel.
    assert_eq!(convolve(&source, &Filter::Gaussian.convolution()).pixels(), gray(&[12, 19, 31, 38]));
    // 5 * 10 - (10 + 10 + 10 + 40) = -20 is clamped; 5 * 40 - (10 + 40 + 40 + 40) = 70.
    assert_eq!(convolve(&source, &Filter::Sharpen.convolution()).pixels(), gray(&[10, 0, 70, 40]));
}

#[test]
fn missing_pixels_are_wrong() {
    let source = noise(6, 5, 1);
    let convolution = Filter::Emboss.convolution();
    let mut pixels = convolve(&source, &convolution).pixels().to_vec();
    pixels.truncate(6 * 4 * PIXEL);
    let short = Picture::from_rgba(6, 4, pixels).unwrap();
    let found = compare(&source, &convolution, &short, threads(2)).unwrap_err();
    assert_eq!((found.x, found.y, found.pixels), (0, 4, 6));
}

#[test]
fn every_filter_passes_its_own_comparison() {
    let source = noise(33, 17, 2);
    for filter in Filter::value_variants() {
        let convolution = filter.convolution();
        assert_eq!(compare(&source, &convolution, &convolve(&source, &convolution), threads(3)), Ok(()), "{filter}");
    }
}
