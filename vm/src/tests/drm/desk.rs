//! A program at work: a file, a context, two buffers that it maps, and a job that fills the one and copies it to the other.

use lifeboat_guest::wire::Job;
use lifeboat_uapi::{BufferCreate, Info};

use crate::program::Program;
use crate::program::commands::fill_and_copy;
use crate::program::file::File;
use crate::program::memory::Memory;
use crate::suite::failure::{Failure, expect};

/// Bytes of a buffer: a few pages, so that the job is quick on an emulated processor.
pub const BYTES: u64 = 16 << 10;

/// What the job leaves in the memory.
pub const PATTERN: u32 = 0x11fe_b0a7;

/// A program at work.
#[derive(Debug)]
pub struct Desk<'a> {
    /// Its file.
    pub file: File<'a>,
    /// Its context.
    pub context: u32,
    /// The buffer that is filled, and the copy.
    pub buffers: [BufferCreate; 2],
    /// The copy, as the program sees it.
    pub memory: Memory<'a>,
    /// The job.
    pub job: Job,
}

impl<'a> Desk<'a> {
    /// Opens a node and makes everything that a job needs.
    ///
    /// # Errors
    /// The kernel refuses something.
    pub fn open(program: &'a Program<'a>, node: &str) -> Result<Self, Failure> {
        let file = program.open(node)?;
        let info = file.info(Info::default())?;
        let context = file.context()?;
        let buffers = [file.buffer(BYTES, 0)?, file.buffer(BYTES, 0)?];
        let addresses = [info.first_address, info.first_address + (1 << 20)];
        for (buffer, address) in buffers.iter().zip(addresses) {
            file.map_all(context, buffer, address)?;
        }
        let memory = file.map_memory(&buffers[1])?;
        let bytes = u32::try_from(BYTES).unwrap_or(u32::MAX);
        let job = fill_and_copy(info.command_bytes, context, addresses, bytes, PATTERN);
        Ok(Self { file, context, buffers, memory, job })
    }

    /// Does the job once, and checks its result.
    ///
    /// # Errors
    /// It fails, or is wrong.
    pub fn works(&self) -> Result<(), Failure> {
        self.memory.fill(0)?;
        let (jobs, _) = self.file.submit(&self.job, 1)?;
        let result = self.file.wait(self.context, jobs[0])?;
        let wrong = self.memory.differing(PATTERN)?;
        expect(result == 0 && wrong == 0, || format!("a job ended with {result} and {wrong} wrong words"))
    }
}
