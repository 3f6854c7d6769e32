//! A map of a buffer in a program, and descriptors.

use lifeboat_guest::wire::{NodeRequest, Outcome};

use crate::guest::agent::{AgentError, Pending};
use crate::pace;
use crate::program::Program;

/// A map. It outlives the file that it was made by.
#[derive(Debug)]
pub struct Memory<'a> {
    program: &'a Program<'a>,
    number: u32,
}

impl<'a> Memory<'a> {
    pub(super) fn new(program: &'a Program<'a>, number: u32) -> Self {
        Self { program, number }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Writes a word all over it.
    ///
    /// # Errors
    /// The program is gone: of SIGBUS, for example.
    pub fn fill(&self, word: u32) -> Result<(), AgentError> {
        self.program.call(NodeRequest::Fill { mapping: self.number, word }, pace::COMMAND).map(drop)
    }

    /// Writes one word, and reads another one; places are in words.
    ///
    /// # Errors
    /// The program is gone: of SIGBUS, for example.
    pub fn poke(&self, at: usize, word: u32, read: usize) -> Result<i64, AgentError> {
        self.program.call(NodeRequest::Poke { mapping: self.number, at, word, read }, pace::COMMAND)?.number()
    }

    /// Discards what is there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn discard(&self) -> Result<(), AgentError> {
        self.program.call(NodeRequest::Discard { mapping: self.number }, pace::COMMAND).map(drop)
    }

    /// How many words are not this one.
    ///
    /// # Errors
    /// The program is gone.
    pub fn differing(&self, word: u32) -> Result<i64, AgentError> {
        self.program.call(NodeRequest::Differing { mapping: self.number, word }, pace::COMMAND)?.number()
    }

    /// Begins to read and write it all the time.
    ///
    /// # Errors
    /// The program is gone.
    pub fn touch(&self) -> Result<(), AgentError> {
        self.program.call(NodeRequest::Touch { mapping: self.number }, pace::COMMAND).map(drop)
    }

    /// How often it was touched so far.
    ///
    /// # Errors
    /// The program is gone.
    pub fn touches(&self) -> Result<i64, AgentError> {
        self.program.call(NodeRequest::Touches { mapping: self.number }, pace::COMMAND)?.number()
    }

    /// Unmaps it.
    ///
    /// # Errors
    /// Something uses it at the moment.
    pub fn unmap(self) -> Result<(), AgentError> {
        self.program.call(NodeRequest::Unmap { mapping: self.number }, pace::COMMAND).map(drop)
    }
}

impl Program<'_> {
    /// Makes memory of the program's own.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn allocate(&self, length: usize) -> Result<Memory<'_>, AgentError> {
        let mapping = self.new_number();
        self.call(NodeRequest::Allocate { mapping, length }, pace::COMMAND)?;
        Ok(Memory::new(self, mapping))
    }

    /// Begins to poll a descriptor; the answer is the sum of what `poll.h` names.
    ///
    /// # Errors
    /// The program is gone.
    pub fn start_poll(&self, descriptor: u32) -> Result<Pending, AgentError> {
        let limit_ms = self.milliseconds(pace::DRIVER);
        self.start_call(NodeRequest::PollDescriptor { descriptor, limit_ms }, pace::DRIVER + pace::COMMAND)
    }

    /// The state of a `sync_file`: 0 pending, 1 signalled, or the negative errno.
    ///
    /// # Errors
    /// It is none.
    pub fn status(&self, descriptor: u32) -> Result<i64, AgentError> {
        self.call(NodeRequest::Status { descriptor }, pace::COMMAND)?.number()
    }

    /// Closes a descriptor.
    ///
    /// # Errors
    /// Something uses it at the moment.
    pub fn close(&self, descriptor: u32) -> Result<(), AgentError> {
        self.call(NodeRequest::CloseDescriptor { descriptor }, pace::COMMAND).map(drop)
    }

    /// The kernel's number of a descriptor.
    ///
    /// # Errors
    /// There is none.
    pub fn number_of(&self, descriptor: u32) -> Result<i32, AgentError> {
        let number = self.call(NodeRequest::NumberOf { descriptor }, pace::COMMAND)?.number()?;
        i32::try_from(number).map_err(|_| AgentError::Unfitting(Outcome::Number(number)))
    }

    /// A `sync_file` of those who write an exported buffer.
    ///
    /// # Errors
    /// The descriptor is no buffer.
    pub fn writers_of(&self, buffer: u32) -> Result<u32, AgentError> {
        let descriptor = self.new_number();
        self.call(NodeRequest::WritersOfBuffer { buffer, descriptor }, pace::COMMAND)?;
        Ok(descriptor)
    }

    /// Takes a descriptor of another program.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn take(&self, from: &Program<'_>, descriptor: u32) -> Result<u32, AgentError> {
        self.take_number(from, from.number_of(descriptor)?)
    }

    /// Takes a descriptor of another program, or of this one, by the kernel's number.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn take_number(&self, from: &Program<'_>, number: i32) -> Result<u32, AgentError> {
        let ours = self.new_number();
        self.call(NodeRequest::Take { process: from.process(), number, descriptor: ours }, pace::COMMAND)?;
        Ok(ours)
    }
}
