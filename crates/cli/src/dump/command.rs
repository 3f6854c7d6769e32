//! Contents of a ring, in words.

use lifeboat_lb1_hosted::command::{
    Command, Convolve, Copy, DESCRIPTOR_BYTES, DecodeError, Descriptor, Fill, Kernel, MatMul, Work,
};

/// A descriptor from its bytes in hexadecimal.
pub(super) fn of(hex: &str) -> String {
    let Some(bytes) = bytes(hex) else { return format!("not {DESCRIPTOR_BYTES} bytes in hexadecimal") };
    let descriptor = Descriptor::from_bytes(&bytes);
    let command = match descriptor.decode() {
        Ok(command) => words(&command),
        Err(DecodeError::Opcode(opcode)) => format!("no command: opcode {opcode}"),
        Err(DecodeError::Argument(wrong)) => format!("opcode {}: {wrong}", descriptor.opcode_byte()),
    };
    format!("context {:<3} {command}", descriptor.context().0)
}

fn bytes(hex: &str) -> Option<[u8; DESCRIPTOR_BYTES]> {
    let digits = hex.as_bytes();
    if digits.len() != 2 * DESCRIPTOR_BYTES {
        return None;
    }
    let mut bytes = [0; DESCRIPTOR_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Some(bytes)
}

fn words(command: &Command) -> String {
    match command {
        Command::WriteSeqno { value, interrupt } => {
            format!("write-seqno {value}{}", if *interrupt { ", interrupt" } else { "" })
        }
        Command::WaitSeqno { ring, value } => format!("wait-seqno {value} of ring {ring}"),
        Command::Work(Work::Nop) => "nop".to_owned(),
        Command::Work(Work::Hang) => "hang".to_owned(),
        Command::Work(Work::Fill(Fill { dst, bytes, pattern })) => {
            format!("fill {:#x}, {bytes} bytes, with {pattern:#010x}", dst.0)
        }
        Command::Work(Work::Copy(Copy { dst, src, dst_pitch, src_pitch, row_bytes, rows })) => format!(
            "copy {:#x} to {:#x}, {rows} rows of {row_bytes} bytes; pitch {src_pitch} to {dst_pitch}",
            src.0, dst.0
        ),
        Command::Work(Work::MatMul(MatMul { c, a, b, m, n, k })) => {
            format!("matmul {:#x} ({m} x {k}) by {:#x} ({k} x {n}) to {:#x}", a.0, b.0, c.0)
        }
        Command::Work(Work::Convolve(convolve)) => {
            let Convolve { dst, src, src_size, origin, size, kernel, shift, bias, edge, .. } = convolve;
            let kernel = match kernel {
                Kernel::Full(_) => "full",
                Kernel::Gradient(..) => "gradient",
                Kernel::Separable { .. } => "separable",
            };
            format!(
                "convolve {:#x} ({} x {}) to {:#x} ({} x {}) from column {}, row {}; {kernel}, shift {shift}, bias {bias}, \
                 edge {edge:?}",
                src.0, src_size.0, src_size.1, dst.0, size.0, size.1, origin.0, origin.1
            )
        }
    }
}
