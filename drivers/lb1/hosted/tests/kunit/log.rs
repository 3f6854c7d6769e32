//! A log that jobs write and the device alone puts in order.

use lifeboat_lb1_hosted::command::{Copy, Fill, GpuVa, Work};
use lifeboat_lb1_hosted::{Buffer, Context, Handle, Placement};

/// Two halves of one buffer. A job copies the first half into the second, one place further on; puts its number in
/// front; and copies it back. So the numbers stand in the order of execution, the last one first, and a job that ran
/// twice, not at all, or at the same time as another is seen. Only jobs that run one after the other may share a log.
pub(crate) struct Log {
    buffer: Buffer,
    va: GpuVa,
    entries: u32,
}

const WORD: u32 = 4;

impl Log {
    pub(crate) fn new(handle: &Handle, context: &Context, entries: u32) -> Self {
        let buffer = handle.create_buffer(Placement::Vram, (2 * entries * WORD).into()).unwrap();
        let va = handle.map(context, &buffer).unwrap();
        Self { buffer, va, entries }
    }

    /// The commands of a job that writes its number.
    pub(crate) fn write(&self, number: u32) -> [Work; 3] {
        let bytes = self.entries * WORD;
        let front = GpuVa(self.va.0 + u64::from(bytes));
        let behind = GpuVa(front.0 + u64::from(WORD));
        [
            Work::Copy(Copy::linear(behind, self.va, bytes - WORD)),
            // Zero is what an unused place holds.
            Work::Fill(Fill { dst: front, bytes: WORD.into(), pattern: number + 1 }),
            Work::Copy(Copy::linear(self.va, front, bytes)),
        ]
    }

    /// The jobs that have run, in order.
    pub(crate) fn read(&self) -> Vec<u32> {
        let mut bytes = vec![0; (self.entries * WORD) as usize];
        self.buffer.read(0, &mut bytes).unwrap();
        let words = bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let mut numbers: Vec<u32> = words.take_while(|word| *word > 0).map(|word| word - 1).collect();
        numbers.reverse();
        numbers
    }
}
