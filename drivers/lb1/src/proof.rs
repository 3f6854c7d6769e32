//! A job of the driver's own, by which a ring proves that it works (RECOV-5).
//!
//! After a reset a ring may say that all is well and do nothing. So before it is given users' jobs
//! it does one for the driver: it copies a pattern in host memory, and then writes a sequence
//! number. That passes all that a job needs: the doorbell; descriptors and source read by DMA; a
//! write to memory; the number, which completes a job. The interrupt is left out: a lost one costs
//! time and no job.
//!
//! The memory is behind the ring's descriptors. The commands are the driver's own
//! ([`Descriptor::encode_own`]): they need no context, whose table a user could change. Each proof
//! has another pattern, and its copy is overwritten first, so that what is left of an earlier one
//! proves nothing. The number is the one after that which the ring was enabled with; see
//! `lifeboat_core::sched` for why it completes no job.
//!
//! Afterwards the ring is enabled anew, so that users' jobs begin at its first descriptor.
//!
//! The sequences enable the ring, call [`Lb1::begin_proof`], ask [`Lb1::proof`] until it is done,
//! for [`PROOF_LIMIT`] and once more, and take [`Unproven::Silent`] as the answer of a ring that
//! has none. Then they call [`Lb1::end_proof`].

use core::time::Duration;

use lifeboat_core::fence::Seqno;
use lifeboat_driver::{DriverError, Unproven};
use lifeboat_pci::{Bar, BusError, DmaMemory, Iova};

use crate::bringup::Progress;
use crate::command::{Command, Copy, Descriptor, GpuVa, Work};
use crate::regs;
use crate::ring::RingWriter;
use crate::Lb1;

/// How long a ring may take for its proof, which takes microseconds on a healthy device. Much
/// longer, since a ring that has not done it costs all users of the device what they have there: a
/// card that is served by a busy machine is no broken one. Bounded, since jobs wait meanwhile. As
/// long as amdgpu gives a ring for its test.
pub(crate) const PROOF_LIMIT: Duration = Duration::from_secs(1);
/// Bytes that are copied.
const PATTERN_BYTES: usize = 64;
/// Memory behind the descriptors: whole pages, as all that a device is given.
pub(crate) const PROOF_BYTES: u64 = regs::PAGE;
const _: () = assert!(2 * PATTERN_BYTES as u64 <= PROOF_BYTES);

/// A proof that is under way.
#[derive(Debug)]
pub(crate) struct Proof {
    ring: u8,
    /// What the ring is to write.
    seqno: Seqno,
    pattern: [u8; PATTERN_BYTES],
    /// Where in the ring's memory the copy is to be.
    copy: u64,
}

impl RingWriter {
    /// Writes a proof behind what is there, and gives the doorbell's new value.
    fn write_proof(
        &mut self,
        ring: u8,
        memory: &(impl DmaMemory + ?Sized),
        seqno: Seqno,
    ) -> Result<(Proof, u32), BusError> {
        self.proofs = self.proofs.wrapping_add(1);
        let pattern = pattern(self.proofs);
        let source = self.descriptor_bytes();
        let copy = source + PATTERN_BYTES as u64;
        memory.write(source, &pattern)?;
        memory.write(copy, &pattern.map(|byte| !byte))?;
        let at = |offset: u64| memory.iova().checked_add(offset).map(|iova| GpuVa(iova.0)).ok_or(BusError::NoMemory);
        #[allow(clippy::cast_possible_truncation)] // 64
        let bytes = PATTERN_BYTES as u32;
        let work = Command::Work(Work::Copy(Copy::linear(at(copy)?, at(source)?, bytes)));
        let done = Command::WriteSeqno { value: seqno.value(), interrupt: false };
        let tail = self.write_all(memory, [work, done].iter().map(Descriptor::encode_own))?;
        Ok((Proof { ring, seqno, pattern, copy }, tail))
    }
}

/// Another one for each number.
fn pattern(number: u32) -> [u8; PATTERN_BYTES] {
    let mut word = number;
    let mut bytes = [0; PATTERN_BYTES];
    for chunk in bytes.chunks_exact_mut(4) {
        word = word.wrapping_add(0x9e37_79b9);
        chunk.copy_from_slice(&(word ^ word.rotate_left(13)).to_le_bytes());
    }
    bytes
}

impl<B: Bar + ?Sized> Lb1<'_, B> {
    /// Gives a ring that was just [enabled](Lb1::enable_ring) a job of the driver's own, to write
    /// `seqno`. The device must be enabled. `memory` is the ring's.
    ///
    /// # Errors
    /// Those of the memory, [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn begin_proof(
        &self,
        ring: u8,
        writer: &mut RingWriter,
        memory: &(impl DmaMemory + ?Sized),
        seqno: Seqno,
    ) -> Result<Proof, DriverError> {
        let (proof, tail) = writer.write_proof(ring, memory, seqno)?;
        self.doorbell(ring, tail)?;
        Ok(proof)
    }

    /// How far a proof is.
    ///
    /// # Errors
    /// [`DriverError::Unproven`] if the ring does not work; [`DriverError::Gone`] or
    /// [`DriverError::Bus`].
    pub(crate) fn proof(&self, proof: &Proof, memory: &(impl DmaMemory + ?Sized)) -> Result<Progress, DriverError> {
        let &Proof { ring, seqno, pattern, copy } = proof;
        let unproven = |what| DriverError::Unproven { ring, what };
        let number = match self.seqno(ring) {
            // A number that is read wrong once is read again.
            Err(DriverError::Foreign { .. }) => None,
            number => Some(number?),
        };
        if number == Some(seqno) {
            // The device writes memory before the number, and the number was read from the device.
            let mut written = [0; PATTERN_BYTES];
            memory.read(copy, &mut written)?;
            return if written == pattern { Ok(Progress::Done) } else { Err(unproven(Unproven::NotWritten)) };
        }
        // 0 without a fault.
        match self.read(regs::ring(ring, regs::RING_FAULT))?.to_le_bytes() {
            [0, ..] => Ok(Progress::UnderWay),
            [code, ..] => Err(unproven(Unproven::Faulted { code })),
        }
    }

    /// After a proof that is done: enables the ring anew, with nothing in it and the number that it
    /// has written. `base` is as for [`Lb1::enable_ring`].
    ///
    /// # Errors
    /// [`DriverError::Unproven`], [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn end_proof(&self, proof: &Proof, writer: &mut RingWriter, base: Iova) -> Result<(), DriverError> {
        let ring = proof.ring;
        self.write(regs::ring(ring, regs::RING_CTRL), 0)?;
        match self.read(regs::ring(ring, regs::RING_CTRL))? {
            0 => self.start_ring(ring, writer, base, proof.seqno),
            control => Err(DriverError::Unproven { ring, what: Unproven::NotDisabled { control } }),
        }
    }
}
