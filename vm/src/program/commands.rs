//! Jobs for the GPU in the slot: what programs hand over as bytes.

use lifeboat_guest::wire::Job;
use lifeboat_lb1::command::{Command, ContextId, Copy, DESCRIPTOR_BYTES, Descriptor, Fill, GpuVa, Work};
use lifeboat_second::command as second;
use lifeboat_uapi::{PRIORITY_NORMAL, SYNC_FILE, Sync};

/// A job of these commands on the first ring.
pub fn job(context: u32, work: &[Work]) -> Job {
    let bytes = |work: &Work| Descriptor::encode(ContextId(0), &Command::Work(*work)).to_bytes();
    encoded(context, work.iter().flat_map(bytes).collect(), DESCRIPTOR_BYTES)
}

/// The same for the second driver, which has commands of its own.
pub fn second_job(context: u32, commands: &[second::Command]) -> Job {
    encoded(context, commands.iter().flat_map(second::Command::encode).collect(), second::COMMAND_BYTES)
}

/// A job that fills memory with a word and copies that, for the driver whose commands have this size.
pub fn fill_and_copy(command_bytes: u32, context: u32, [filled, copied]: [u64; 2], bytes: u32, word: u32) -> Job {
    if usize::try_from(command_bytes) == Ok(second::COMMAND_BYTES) {
        let dst = GpuVa(filled);
        let fill = second::Command::Fill { dst, bytes, pattern: word };
        return second_job(context, &[fill, second::Command::Copy { dst: GpuVa(copied), src: dst, bytes }]);
    }
    job(context, &[fill(filled, bytes.into(), word), copy(copied, filled, bytes)])
}

fn encoded(context: u32, commands: Vec<u8>, command_bytes: usize) -> Job {
    Job {
        context,
        ring: 0,
        priority: PRIORITY_NORMAL,
        flags: 0,
        commands,
        command_bytes: u32::try_from(command_bytes).unwrap_or(u32::MAX),
        waits: Vec::new(),
        signals: Vec::new(),
        timeout_ms: 0,
    }
}

/// Fills memory with a word.
pub fn fill(address: u64, bytes: u64, word: u32) -> Work {
    Work::Fill(Fill { dst: GpuVa(address), bytes, pattern: word })
}

/// Copies memory.
pub fn copy(to: u64, from: u64, bytes: u32) -> Work {
    Work::Copy(Copy::linear(GpuVa(to), GpuVa(from), bytes))
}

/// A `sync_file` to wait for, by its number in the program.
pub fn sync_file(number: i32) -> Sync {
    Sync { handle: number, flags: SYNC_FILE, point: 0 }
}

/// A `sync_file` that a job is to make: its number is in what the submission gives back.
pub const NEW_SYNC_FILE: Sync = Sync { handle: -1, flags: SYNC_FILE, point: 0 };

/// A syncobj to wait for or to signal, at a point that is 0 for a binary one.
pub fn syncobj(handle: u32, point: u64) -> Sync {
    Sync { handle: i32::try_from(handle).unwrap_or(-1), flags: 0, point }
}
