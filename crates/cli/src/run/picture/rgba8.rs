//! Turns decoded pixels of every kind PNG and JPEG have into RGBA with 8 bits a channel, in the memory they are in.
//!
//! Pixels that grow are moved from the last to the first, pixels that shrink from the first to the last: either way no
//! pixel is overwritten before it has been read.

use image::ColorType;

use super::PIXEL;

/// Converts `pixels`, which holds pixels of kind `color` from its beginning on, into `size` bytes of RGBA.
///
/// `pixels` is at least `size` long, and long enough for what it holds. `None` if the kind is none of PNG's or JPEG's.
pub(super) fn in_place(mut pixels: Vec<u8>, color: ColorType, size: usize) -> Option<Vec<u8>> {
    let count = size / PIXEL;
    match color {
        ColorType::L8 => widen(&mut pixels, count, |[l]| [l, l, l, 255]),
        ColorType::La8 => widen(&mut pixels, count, |[l, a]| [l, l, l, a]),
        ColorType::Rgb8 => widen(&mut pixels, count, |[r, g, b]| [r, g, b, 255]),
        ColorType::Rgba8 => {}
        ColorType::L16 => widen(&mut pixels, count, |l: [u8; 2]| {
            let [l] = narrowed(l);
            [l, l, l, 255]
        }),
        ColorType::La16 => narrow(&mut pixels, count, |la: [u8; 4]| {
            let [l, a] = narrowed(la);
            [l, l, l, a]
        }),
        ColorType::Rgb16 => narrow(&mut pixels, count, |rgb: [u8; 6]| {
            let [r, g, b] = narrowed(rgb);
            [r, g, b, 255]
        }),
        ColorType::Rgba16 => narrow(&mut pixels, count, narrowed::<8, 4>),
        _ => return None,
    }
    pixels.truncate(size);
    pixels.shrink_to_fit();
    Some(pixels)
}

/// Pixels of at most 4 bytes.
fn widen<const BYTES: usize>(pixels: &mut [u8], count: usize, rgba: impl Fn([u8; BYTES]) -> [u8; PIXEL]) {
    for i in (0..count).rev() {
        convert(pixels, i, &rgba);
    }
}

/// Pixels of at least 4 bytes.
fn narrow<const BYTES: usize>(pixels: &mut [u8], count: usize, rgba: impl Fn([u8; BYTES]) -> [u8; PIXEL]) {
    for i in 0..count {
        convert(pixels, i, &rgba);
    }
}

fn convert<const BYTES: usize>(pixels: &mut [u8], i: usize, rgba: &impl Fn([u8; BYTES]) -> [u8; PIXEL]) {
    let mut from = [0; BYTES];
    from.copy_from_slice(&pixels[i * BYTES..][..BYTES]);
    pixels[i * PIXEL..][..PIXEL].copy_from_slice(&rgba(from));
}

/// 16-bit channels, in the machine's byte order, rounded to 8 bits.
fn narrowed<const BYTES: usize, const CHANNELS: usize>(from: [u8; BYTES]) -> [u8; CHANNELS] {
    std::array::from_fn(|channel| {
        let wide = u32::from(u16::from_ne_bytes([from[channel * 2], from[channel * 2 + 1]]));
        // 257 is 65535 / 255; the quotient is at most 255.
        u8::try_from((wide + 128) / 257).unwrap_or(u8::MAX)
    })
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageBuffer};
    use proptest::prelude::*;

    use super::*;

    /// A picture of each kind, and its bytes as a decoder hands them out.
    fn kinds(width: u32, height: u32, seed: u64) -> Vec<DynamicImage> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = |channels: u32| (0..width * height * channels).map(|_| random.u8(..)).collect::<Vec<_>>();
        let (l, la, rgb, rgba) = (bytes(1), bytes(2), bytes(3), bytes(4));
        let mut words = |channels: u32| (0..width * height * channels).map(|_| random.u16(..)).collect::<Vec<_>>();
        let (wide_l, wide_la, wide_rgb, wide_rgba) = (words(1), words(2), words(3), words(4));
        vec![
            DynamicImage::ImageLuma8(ImageBuffer::from_raw(width, height, l).unwrap()),
            DynamicImage::ImageLumaA8(ImageBuffer::from_raw(width, height, la).unwrap()),
            DynamicImage::ImageRgb8(ImageBuffer::from_raw(width, height, rgb).unwrap()),
            DynamicImage::ImageRgba8(ImageBuffer::from_raw(width, height, rgba).unwrap()),
            DynamicImage::ImageLuma16(ImageBuffer::from_raw(width, height, wide_l).unwrap()),
            DynamicImage::ImageLumaA16(ImageBuffer::from_raw(width, height, wide_la).unwrap()),
            DynamicImage::ImageRgb16(ImageBuffer::from_raw(width, height, wide_rgb).unwrap()),
            DynamicImage::ImageRgba16(ImageBuffer::from_raw(width, height, wide_rgba).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn as_the_image_crate_converts(width in 1_u32..9, height in 1_u32..9, seed: u64) {
            for image in kinds(width, height, seed) {
                let color = image.color();
                let size = (width * height * 4) as usize;
                let mut pixels = image.as_bytes().to_vec();
                pixels.resize(pixels.len().max(size), 0xEE);
                prop_assert_eq!(in_place(pixels, color, size), Some(image.into_rgba8().into_raw()), "{:?}", color);
            }
        }
    }

    #[test]
    fn other_kinds_are_refused() {
        assert_eq!(in_place(vec![0; 12], ColorType::Rgb32F, 4), None);
    }
}
