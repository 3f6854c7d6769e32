//! The matrix product, streaming: a band of rows of the result at a time.
//!
//! A band is as high as a tile. The right factor passes by in bands of its own, from the top down, and within the two
//! bands tile after tile is multiplied, so that what is in use stays in the processor's cache. Each element still sums
//! its products in the one order that the command states.

use lifeboat_lb1::command::{GpuVa, InvalidArgument, MATMUL_TILE, MatMul, Work};

/// Rows and columns of a tile.
const TILE: usize = MATMUL_TILE as usize;
/// Bytes of an element.
const ELEMENT: usize = 4;

/// Multiplies matrices in memory, row-major and without gaps: `c` (`m` by `n`) is `a` (`m` by `k`) times `b` (`k` by
/// `n`).
///
/// # Errors
/// The name of a side outside its stated range, or of a slice that does not have the size its sides say.
#[allow(clippy::many_single_char_names)] // the names of the command's arguments
pub fn matmul(sides: (u32, u32, u32), a: &[f32], b: &[f32], c: &mut [f32]) -> Result<(), InvalidArgument> {
    let product = MatMul { c: GpuVa(0), a: GpuVa(0), b: GpuVa(0), m: sides.0, n: sides.1, k: sides.2 };
    Work::MatMul(product).check()?;
    // At most 2^24 elements each: the sides were checked.
    let (m, n, k) = (product.m as usize, product.n as usize, product.k as usize);
    for (name, len, wanted) in [("a", a.len(), m * k), ("b", b.len(), k * n), ("c", c.len(), m * n)] {
        if len != wanted {
            return Err(InvalidArgument(name));
        }
    }
    let mut rows = c.chunks_exact_mut(n);
    matmul_rows(
        &product,
        |row, into| {
            encode(&a[row as usize * k..][..k], into);
            Ok(())
        },
        |row, into| {
            encode(&b[row as usize * n..][..n], into);
            Ok(())
        },
        |_, from| {
            decode(from, rows.next().unwrap_or_default());
            Ok(())
        },
    )
}

/// Multiplies row by row; a row is the bytes of its elements.
///
/// `read_a` is asked for each row of `a` once and from the top down, `read_b` for all rows of `b` once per band of `c`,
/// and `write_c` is given the rows of `c` from the top down. `product` is taken to be in range ([`Work::check`]).
///
/// # Errors
/// The first that one of them returns.
pub fn matmul_rows<E>(
    product: &MatMul,
    mut read_a: impl FnMut(u32, &mut [u8]) -> Result<(), E>,
    mut read_b: impl FnMut(u32, &mut [u8]) -> Result<(), E>,
    mut write_c: impl FnMut(u32, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (n, k) = (product.n as usize, product.k as usize);
    let mut bytes = vec![0; n.max(k) * ELEMENT];
    let mut a_band = vec![0.0; TILE * k];
    let mut b_band = vec![0.0; TILE * n];
    let mut c_band = vec![0.0; TILE * n];

    for top in (0..product.m).step_by(TILE) {
        let rows = top..product.m.min(top + MATMUL_TILE);
        for (row, into) in rows.clone().zip(a_band.chunks_exact_mut(k)) {
            read_a(row, &mut bytes[..k * ELEMENT])?;
            decode(&bytes, into);
        }
        c_band.fill(0.0);
        for first in (0..product.k).step_by(TILE) {
            let inner = first..product.k.min(first + MATMUL_TILE);
            for (row, into) in inner.clone().zip(b_band.chunks_exact_mut(n)) {
                read_b(row, &mut bytes[..n * ELEMENT])?;
                decode(&bytes, into);
            }
            for left in (0..n).step_by(TILE) {
                let columns = left..n.min(left + TILE);
                for (a_row, c_row) in a_band.chunks_exact(k).zip(c_band.chunks_exact_mut(n)).take(rows.len()) {
                    let c_tile = &mut c_row[columns.clone()];
                    let factors = &a_row[first as usize..][..inner.len()];
                    for (factor, b_row) in factors.iter().zip(b_band.chunks_exact(n)) {
                        for (c, b) in c_tile.iter_mut().zip(&b_row[columns.clone()]) {
                            *c += factor * b;
                        }
                    }
                }
            }
        }
        for (row, from) in rows.zip(c_band.chunks_exact(n)) {
            encode(from, &mut bytes[..n * ELEMENT]);
            write_c(row, &bytes[..n * ELEMENT])?;
        }
    }
    Ok(())
}

fn decode(bytes: &[u8], elements: &mut [f32]) {
    for (element, bytes) in elements.iter_mut().zip(bytes.as_chunks::<ELEMENT>().0) {
        *element = f32::from_le_bytes(*bytes);
    }
}

fn encode(elements: &[f32], bytes: &mut [u8]) {
    for (bytes, element) in bytes.as_chunks_mut::<ELEMENT>().0.iter_mut().zip(elements) {
        *bytes = element.to_le_bytes();
    }
}
