//! Convolution against a plain per-pixel reference, called directly and executed by a card.

// The reference computes in i64 and in the definition's own letters; its values are clamped to what they become.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::many_single_char_names)]

mod rig;

use lifeboat_gpu::compute::convolve_image;
use lifeboat_lb1::command::{Convolve, Edge, Kernel, SEPARABLE_TAPS, Work};
use proptest::prelude::*;
use rig::{Rig, va};

/// The value of one output channel, straight from the definition.
fn reference(c: &Convolve, src: &[u8], x: u16, y: u16, channel: usize) -> u8 {
    let (width, height) = (i64::from(c.src_size.0), i64::from(c.src_size.1));
    let (cx, cy) = (i64::from(c.origin.0 + x), i64::from(c.origin.1 + y));
    let at = |x: i64, y: i64| -> i64 {
        let inside = (0..width).contains(&x) && (0..height).contains(&y);
        if !inside && c.edge == Edge::Zero {
            return 0;
        }
        let (x, y) = (x.clamp(0, width - 1), y.clamp(0, height - 1));
        src[((y * width + x) * 4) as usize + channel].into()
    };
    if channel == 3 {
        return at(cx, cy) as u8;
    }
    let square = |taps: &[i16; 9]| -> i64 {
        (0..9).map(|i| i64::from(taps[i as usize]) * at(cx + i % 3 - 1, cy + i / 3 - 1)).sum()
    };
    let sum = match &c.kernel {
        Kernel::Full(taps) => square(taps),
        Kernel::Gradient(a, b) => square(a).abs() + square(b).abs(),
        Kernel::Separable { taps, horizontal, vertical } => {
            let (taps, radius) = (i64::from(*taps), i64::from(*taps) / 2);
            let row =
                |y: i64| -> i64 { (0..taps).map(|i| i64::from(horizontal[i as usize]) * at(cx + i - radius, y)).sum() };
            (0..taps).map(|i| i64::from(vertical[i as usize]) * row(cy + i - radius)).sum()
        }
    };
    let round = if c.shift == 0 { 0 } else { 1 << (c.shift - 1) };
    (((sum + round) >> c.shift) + i64::from(c.bias)).clamp(0, 255) as u8
}

fn reference_image(c: &Convolve, src: &[u8]) -> Vec<u8> {
    let (width, height) = c.size;
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    pixels.flat_map(|(x, y)| (0..4).map(move |channel| reference(c, src, x, y, channel))).collect()
}

/// Taps of every size class: they decide which lanes the sums are made in.
fn tap() -> impl Strategy<Value = i16> {
    prop_oneof![3 => -3..=8_i16, 2 => -64..=64_i16, 2 => Just(0_i16), 1 => -255..=255_i16, 1 => Just(255_i16)]
}

fn kernel() -> impl Strategy<Value = Kernel> {
    let nine = || prop::array::uniform9(tap());
    let row = || prop_oneof![nine(), prop::array::uniform9(0..=70_i16), Just([-255; SEPARABLE_TAPS])];
    prop_oneof![
        nine().prop_map(Kernel::Full),
        (nine(), nine()).prop_map(|(a, b)| Kernel::Gradient(a, b)),
        (0..5_u8, row(), row()).prop_map(|(half, horizontal, vertical)| Kernel::Separable {
            taps: 2 * half + 1,
            horizontal,
            vertical
        }),
    ]
}

/// A command with its source image.
fn case() -> impl Strategy<Value = (Convolve, Vec<u8>)> {
    let side = || 1..=33_u16;
    let geometry = (side(), side()).prop_flat_map(|(width, height)| {
        let part = |side: u16| (0..side).prop_flat_map(move |from| (Just(from), 1..=side - from));
        (Just((width, height)), part(width), part(height))
    });
    (geometry, kernel(), 0..=16_u8, -255..=255_i16, any::<bool>()).prop_flat_map(
        |((src_size, (x, width), (y, height)), kernel, shift, bias, zero)| {
            let pitch = u32::from(src_size.0) * 4;
            let convolve = Convolve {
                dst: va(1 << 16),
                src: va(0),
                dst_pitch: u32::from(width) * 4 + 8,
                src_pitch: pitch,
                src_size,
                origin: (x, y),
                size: (width, height),
                kernel,
                shift,
                bias,
                edge: if zero { Edge::Zero } else { Edge::Clamp },
            };
            let bytes = pitch as usize * usize::from(src_size.1);
            let byte = prop_oneof![any::<u8>(), Just(0), Just(255)];
            (Just(convolve), prop::collection::vec(byte, bytes))
        },
    )
}

/// The output rows without what lies between them.
fn compact(c: &Convolve, bytes: &[u8]) -> Vec<u8> {
    let row = usize::from(c.size.0) * 4;
    bytes.chunks(c.dst_pitch as usize).flat_map(|chunk| chunk[..row].to_vec()).collect()
}

fn output_bytes(c: &Convolve) -> usize {
    c.dst_pitch as usize * usize::from(c.size.1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn direct_calls_match_the_reference((c, src) in case()) {
        let mut dst = vec![0xee; output_bytes(&c)];
        convolve_image(&c, &src, c.src_pitch as usize, &mut dst, c.dst_pitch as usize).unwrap();
        prop_assert_eq!(compact(&c, &dst), reference_image(&c, &src));
        let gaps = dst.chunks(c.dst_pitch as usize).flat_map(|row| &row[usize::from(c.size.0) * 4..]);
        prop_assert!(gaps.into_iter().all(|byte| *byte == 0xee), "a gap was written");
    }
}

#[test]
fn the_card_matches_the_reference() {
    let rig = Rig::new();
    rig.map_vram(2, 0, 0, 1 << 20);
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&case(), |(c, src)| {
            rig.vram.write_bytes(c.src.0, &src).unwrap();
            rig.execute(2, Work::Convolve(c));
            let mut dst = vec![0; output_bytes(&c)];
            rig.vram.read_bytes(c.dst.0, &mut dst).unwrap();
            prop_assert_eq!(compact(&c, &dst), reference_image(&c, &src));
            Ok(())
        })
        .unwrap();
    rig.assert_no_violation();
}

#[test]
fn the_largest_sums_are_exact() {
    // Every product is as large as it can be; only the widest lanes hold the sum.
    for tap in [255, -255] {
        let taps = [tap; SEPARABLE_TAPS];
        let pitch = 20 * 4;
        let c = Convolve {
            dst: va(0),
            src: va(0),
            dst_pitch: pitch,
            src_pitch: pitch,
            src_size: (20, 20),
            origin: (0, 0),
            size: (20, 20),
            kernel: Kernel::Separable { taps: 9, horizontal: [255; SEPARABLE_TAPS], vertical: taps },
            shift: 16,
            bias: 255,
            edge: Edge::Clamp,
        };
        let src = vec![255; pitch as usize * 20];
        let mut dst = vec![0; src.len()];
        convolve_image(&c, &src, pitch as usize, &mut dst, pitch as usize).unwrap();
        assert_eq!(dst, reference_image(&c, &src));
    }
}

#[test]
fn slices_too_short_are_errors() {
    let c = Convolve {
        dst: va(0),
        src: va(0),
        dst_pitch: 0,
        src_pitch: 0,
        src_size: (4, 4),
        origin: (1, 1),
        size: (3, 3),
        kernel: Kernel::Full([0; 9]),
        shift: 0,
        bias: 0,
        edge: Edge::Clamp,
    };
    let error = |src: usize, dst: usize| {
        let mut dst = vec![0; dst];
        convolve_image(&c, &vec![0; src], 16, &mut dst, 12).map_err(|error| error.0)
    };
    assert_eq!(error(64, 36), Ok(()));
    assert_eq!(error(63, 36), Err("src"));
    assert_eq!(error(64, 35), Err("dst"));
    let wide = Convolve { size: (4, 3), ..c };
    assert!(convolve_image(&wide, &[0; 64], 16, &mut [0; 64], 16).is_err());
}
