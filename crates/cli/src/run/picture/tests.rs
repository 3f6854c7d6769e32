use image::{GrayImage, RgbImage};

use super::*;

fn saved(name: &str, save: impl FnOnce(&Path)) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    save(&path);
    (directory, path)
}

fn refusal(path: &Path) -> String {
    let text = Picture::load(path).unwrap_err().to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

/// A PNG whose header claims a size; nothing but the header is right.
fn png_that_claims(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 6, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend(&header);
    png.extend(crc32(&header).to_be_bytes());
    png.extend(b"\0\0\0\0IDAT");
    png.extend(crc32(b"IDAT").to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    })
}

#[test]
fn the_bundled_picture_is_a_picture() {
    let picture = Picture::bundled().unwrap();
    assert_eq!((picture.width(), picture.height()), (1600, 1000));
    assert!(picture.pixels().chunks_exact(PIXEL).all(|pixel| pixel[3] == 255));
}

#[test]
fn what_is_saved_is_loaded() {
    let pixels: Vec<u8> = (0..7 * 5 * 4).collect();
    let picture = Picture::from_rgba(7, 5, pixels).unwrap();
    let (_directory, path) = saved("a.png", |path| picture.write_png(File::create(path).unwrap()).unwrap());
    assert_eq!(Picture::load(&path).unwrap(), picture);
}

#[test]
fn the_content_tells_the_format_not_the_name() {
    let gray = GrayImage::from_pixel(3, 2, image::Luma([200]));
    let (_directory, path) = saved("a.txt", |path| gray.save_with_format(path, ImageFormat::Png).unwrap());
    assert_eq!(Picture::load(&path).unwrap().pixels(), [200, 200, 200, 255].repeat(6));
}

#[test]
fn jpeg_is_read() {
    let rgb = RgbImage::from_pixel(20, 10, image::Rgb([250, 10, 20]));
    let (_directory, path) = saved("a.jpeg", |path| rgb.save(path).unwrap());
    let picture = Picture::load(&path).unwrap();
    assert_eq!((picture.width(), picture.height()), (20, 10));
    let [r, g, b, a] = picture.pixels()[..4] else { panic!() };
    assert!(r > 240 && g < 30 && b < 40 && a == 255, "{r} {g} {b} {a}");
}

#[test]
fn a_turned_photograph_stands_upright() {
    // One row: red, green. Turned by a quarter to the right, red is on top.
    let pixels = vec![255, 0, 0, 255, 0, 255, 0, 255];
    let turned = upright(2, 1, pixels.clone(), Orientation::Rotate90).unwrap();
    assert_eq!((turned.width(), turned.height(), turned.pixels()), (1, 2, &pixels[..]));
    let turned = upright(2, 1, pixels.clone(), Orientation::Rotate270).unwrap();
    assert_eq!(turned.pixels(), [&pixels[4..], &pixels[..4]].concat());
}

#[test]
fn too_large_a_picture_is_refused_by_its_header() {
    for (width, height) in [(8193, 1), (1, 8193), (100_000, 100_000)] {
        let (_directory, path) = saved("big.png", |path| std::fs::write(path, png_that_claims(width, height)).unwrap());
        let text = refusal(&path);
        assert!(text.contains(&format!("{width} x {height} pixels")) && text.contains("scale it down"), "{text}");
    }
    // The decoder itself gives up on a row that is longer than any memory.
    let largest = png_that_claims(0x7FFF_FFFF, 0x7FFF_FFFF);
    let (_directory, path) = saved("bomb.png", |path| std::fs::write(path, largest).unwrap());
    assert!(refusal(&path).contains("scale it down"));
    let (_directory, path) = saved("wide.png", |path| GrayImage::new(8192, 1).save(path).unwrap());
    assert_eq!(Picture::load(&path).unwrap().width(), 8192);
}

#[test]
fn what_is_not_a_picture_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(refusal(directory.path()).contains("is not a file"));
    assert!(refusal(&directory.path().join("no\nsuch.png")).contains("No such file"));
    for content in [&b""[..], b"GIF89a\x01\0\x01\0\0\0\0;", b"Dear diary,\n"] {
        let (_directory, path) = saved("a.png", |path| std::fs::write(path, content).unwrap());
        assert!(refusal(&path).contains("is not a PNG or JPEG picture"));
    }
}

#[test]
fn a_damaged_picture_is_refused() {
    let (_directory, path) = saved("a.png", |path| std::fs::write(path, &BUNDLED[..BUNDLED.len() / 2]).unwrap());
    assert!(refusal(&path).contains("is damaged"));
    std::fs::write(&path, png_that_claims(10, 10)).unwrap();
    assert!(refusal(&path).contains("is damaged"));
    std::fs::write(&path, b"\xFF\xD8\xFF\xE0 and then nothing").unwrap();
    assert!(refusal(&path).contains("is damaged"));
}

fn jpeg(save: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    save(&mut bytes);
    bytes
}

#[test]
fn a_jpeg_that_ends_early_is_refused_wherever_it_ends() {
    let mut random = fastrand::Rng::with_seed(3);
    let rgb = RgbImage::from_fn(64, 96, |_, _| image::Rgb([random.u8(..), random.u8(..), random.u8(..)]));
    let whole = jpeg(|bytes| rgb.write_to(&mut Cursor::new(bytes), ImageFormat::Jpeg).unwrap());
    assert!(decode(Cursor::new(&whole)).unwrap().notes().is_empty());
    let scan = whole.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    for end in [scan + 40, whole.len() / 3, whole.len() / 2, whole.len() * 9 / 10, whole.len() - 3, whole.len() - 2] {
        let (_directory, path) = saved("a.jpg", |path| std::fs::write(path, &whole[..end]).unwrap());
        assert!(refusal(&path).contains("is damaged"), "{end} of {}", whole.len());
        // Padding to the full length makes what a broken download into a preallocated file leaves.
        let mut padded = whole[..end].to_vec();
        padded.resize(whole.len(), 0);
        std::fs::write(&path, padded).unwrap();
        assert!(refusal(&path).contains("is damaged"), "{end} of {}, and zeroes", whole.len());
    }
    // Some programs put the marker of the end behind what they have.
    for end in (scan + 40..whole.len() - 40).step_by(23) {
        let ended = [&whole[..end], &[0xFF, 0xD9]].concat();
        let (_directory, path) = saved("a.jpg", |path| std::fs::write(path, ended).unwrap());
        assert!(refusal(&path).contains("ends before its picture does"), "{end} of {}, and an end", whole.len());
    }
}

#[test]
fn what_is_left_out_of_a_picture_is_said() {
    let wide = image::ImageBuffer::from_pixel(2, 1, image::Rgba([u16::MAX; 4]));
    let (_directory, path) = saved("a.png", |path| image::DynamicImage::ImageRgba16(wide).save(path).unwrap());
    assert_eq!(Picture::load(&path).unwrap().notes(), ["16 bits a channel were rounded to 8"]);

    let rgb = RgbImage::from_pixel(20, 10, image::Rgb([250, 10, 20]));
    let one = jpeg(|bytes| rgb.write_to(&mut Cursor::new(bytes), ImageFormat::Jpeg).unwrap());
    let two = decode(Cursor::new([&one[..], &one].concat())).unwrap();
    assert_eq!(two.notes(), ["it holds several pictures: only the first is used"]);

    let png = jpeg(|bytes| rgb.write_to(&mut Cursor::new(bytes), ImageFormat::Png).unwrap());
    assert!(decode(Cursor::new(&png)).unwrap().notes().is_empty());
    let mut control = b"acTL\0\0\0\x03\0\0\0\0".to_vec();
    control.extend(crc32(&control).to_be_bytes());
    // After the signature and the header.
    let animated = [&png[..33], b"\0\0\0\x08", &control, &png[33..]].concat();
    let animated = decode(Cursor::new(animated)).unwrap();
    assert_eq!(animated.notes(), ["it holds several pictures: only the first is used"]);
}

#[test]
fn a_picture_has_as_many_pixels_as_its_sides_say() {
    assert!(Picture::from_rgba(2, 2, vec![0; 16]).is_some());
    assert!(Picture::from_rgba(2, 2, vec![0; 15]).is_none());
    assert!(Picture::from_rgba(0, 2, vec![]).is_none());
    assert!(Picture::from_rgba(8193, 1, vec![0; 8193 * 4]).is_none());
}
