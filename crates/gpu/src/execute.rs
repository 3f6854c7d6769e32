//! What each command does, as transfers around the arithmetic of [`crate::compute`].

use lifeboat_lb1::command::{Convolve, Copy, Fill, MatMul, Work};

use crate::compute;
use crate::gpu_memory::{GpuMemory, row};
use crate::presence::TRANSFER_BYTES;
use crate::ring::Stop;

/// Executes a user's command that [`Work::check`] accepted.
pub(crate) fn work(memory: &GpuMemory<'_>, work: &Work) -> Result<(), Stop> {
    match work {
        Work::Nop => Ok(()),
        Work::Fill(command) => fill(memory, command),
        Work::Copy(command) => copy(memory, command),
        Work::Convolve(command) => convolve(memory, command),
        Work::MatMul(command) => matmul(memory, command),
        Work::Hang => Err(Stop::Hang),
    }
}

fn fill(memory: &GpuMemory<'_>, fill: &Fill) -> Result<(), Stop> {
    let buffer = fill.pattern.to_le_bytes().repeat(TRANSFER_BYTES / 4);
    let mut at = fill.dst.0;
    let mut left = fill.bytes;
    while left > 0 {
        let piece = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        memory.write(at, &buffer[..piece])?;
        left -= piece as u64;
        at = at.wrapping_add(piece as u64); // Wraps only where no segment is, which is a fault above.
    }
    Ok(())
}

fn copy(memory: &GpuMemory<'_>, copy: &Copy) -> Result<(), Stop> {
    // Rows without gaps on both sides are one long row.
    let gapless = copy.dst_pitch == copy.row_bytes && copy.src_pitch == copy.row_bytes;
    let row_bytes = u64::from(copy.row_bytes);
    let (rows, row_bytes) = if gapless { (1, u64::from(copy.rows) * row_bytes) } else { (copy.rows, row_bytes) };
    let piece = usize::try_from(row_bytes).map_or(TRANSFER_BYTES, |bytes| bytes.min(TRANSFER_BYTES));
    let mut buffer = vec![0; piece];
    for index in 0..rows {
        let mut src = row(copy.src, index, copy.src_pitch)?;
        let mut dst = row(copy.dst, index, copy.dst_pitch)?;
        let mut left = row_bytes;
        while left > 0 {
            let piece = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            memory.read(src, &mut buffer[..piece])?;
            memory.write(dst, &buffer[..piece])?;
            left -= piece as u64;
            src = src.wrapping_add(piece as u64); // Wraps only where no segment is, which is a fault above.
            dst = dst.wrapping_add(piece as u64);
        }
    }
    Ok(())
}

fn convolve(memory: &GpuMemory<'_>, convolve: &Convolve) -> Result<(), Stop> {
    let skipped = u64::from(compute::source_columns(convolve).start) * 4;
    compute::convolve_rows(
        convolve,
        |index, into| memory.read(row(convolve.src, index.into(), convolve.src_pitch)?.wrapping_add(skipped), into),
        |index, from| memory.write(row(convolve.dst, index.into(), convolve.dst_pitch)?, from),
    )
}

fn matmul(memory: &GpuMemory<'_>, product: &MatMul) -> Result<(), Stop> {
    // Rows of f32 without gaps. `MatMul::check` keeps sides so small that a pitch fits.
    let pitch = |columns: u32| columns * 4;
    compute::matmul_rows(
        product,
        |index, into| memory.read(row(product.a, index, pitch(product.k))?, into),
        |index, into| memory.read(row(product.b, index, pitch(product.n))?, into),
        |index, from| memory.write(row(product.c, index, pitch(product.n))?, from),
    )
}
