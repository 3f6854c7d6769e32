//! Rings: writing jobs, ringing the doorbell, resetting, asking why one stopped.

use lifeboat_core::fence::Seqno;
use lifeboat_driver::{DriverError, RingShape, Unproven};
use lifeboat_pci::{Bar, BusError, DmaMemory, Iova};

use crate::bringup::Progress;
use crate::command::{Command, ContextId, Descriptor, Work, DESCRIPTOR_BYTES};
use crate::proof::PROOF_BYTES;
use crate::regs::{self, ring_ctrl, ring_status};
use crate::Lb1;

/// A ring, as its owner holds it.
#[derive(Debug)]
pub struct Ring<M> {
    pub(crate) number: u8,
    pub(crate) writer: RingWriter,
    pub(crate) memory: M,
}

/// The driver's end of a ring: where the next descriptor goes.
///
/// It does not watch the device's head. The scheduler's credits do: a ring has those of its
/// [`RingWriter::shape`], a job costs [`RingWriter::cost`], and a job is only written while there
/// are credits for it.
#[derive(Debug)]
pub(crate) struct RingWriter {
    order: u8,
    tail: u32,
    /// Proofs that were begun: each has another pattern.
    pub(crate) proofs: u32,
}

/// Where a job's commands stand in its ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Index of its first descriptor.
    pub(crate) first: u32,
    /// Its commands, without the sequence number that follows them.
    pub(crate) commands: u32,
}

/// Why a ring stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// One of [`regs::fault`].
    pub code: u8,
    /// Whose command it was.
    pub context: ContextId,
    /// The command's operation code.
    pub opcode: u8,
    /// The address that was refused, if the code is about an address.
    pub address: u64,
}

impl RingWriter {
    /// A ring of about so many descriptors: as many as the device can have.
    pub(crate) fn of_entries(entries: u32) -> Self {
        // At most 31.
        #[allow(clippy::cast_possible_truncation)]
        let order = entries.max(1).ilog2() as u8;
        Self { order: order.clamp(regs::RING_ORDER_MIN, regs::RING_ORDER_MAX), tail: 0, proofs: 0 }
    }

    /// Its descriptors, and memory for them and a page for its proof. One that is full would look
    /// empty, so it has a credit less than descriptors.
    pub(crate) fn shape(&self) -> RingShape {
        let entries = 1 << self.order;
        RingShape { entries, bytes: self.descriptor_bytes() + PROOF_BYTES, credits: entries - 1 }
    }

    /// Where the descriptors end.
    pub(crate) fn descriptor_bytes(&self) -> u64 {
        (DESCRIPTOR_BYTES as u64) << self.order
    }

    /// Index of the descriptor that the next job begins with.
    pub(crate) fn next_descriptor(&self) -> u32 {
        self.tail
    }

    /// Credits of a job with `commands` commands: the sequence number is one more.
    pub(crate) fn cost(commands: usize) -> u32 {
        u32::try_from(commands).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Writes a job: its commands, then its sequence number with an interrupt. Returns the doorbell's new value; the
    /// device sees nothing before that is written.
    ///
    /// # Errors
    /// Those of the memory; then the ring is as before.
    pub(crate) fn write_job(
        &mut self,
        memory: &(impl DmaMemory + ?Sized),
        context: ContextId,
        commands: &[Work],
        seqno: Seqno,
    ) -> Result<u32, BusError> {
        let done = Command::WriteSeqno { value: seqno.value(), interrupt: true };
        let commands = commands.iter().map(|work| Command::Work(*work)).chain([done]);
        self.write_all(memory, commands.map(|command| Descriptor::encode(context, &command)))
    }

    /// Writes descriptors behind those that are there. Returns the doorbell's new value.
    pub(crate) fn write_all(
        &mut self,
        memory: &(impl DmaMemory + ?Sized),
        descriptors: impl IntoIterator<Item = Descriptor>,
    ) -> Result<u32, BusError> {
        let mut tail = self.tail;
        for descriptor in descriptors {
            memory.write(u64::from(tail) * DESCRIPTOR_BYTES as u64, &descriptor.to_bytes())?;
            tail = (tail + 1) % (1 << self.order);
        }
        self.tail = tail;
        Ok(tail)
    }

    /// How many descriptors behind the first of `job` an index is, around the ring.
    fn offset_in(&self, job: Extent, index: u32) -> u32 {
        index.wrapping_sub(job.first) % (1 << self.order)
    }
}

impl<B: Bar + ?Sized> Lb1<'_, B> {
    /// Enables a ring over memory of [`RingWriter::shape`] at `base`; `completed` becomes its
    /// sequence number. The writer begins anew. The ring must have been reset, or the device, and
    /// is to prove itself ([`Lb1::begin_proof`]) before it is given jobs.
    ///
    /// # Errors
    /// [`DriverError::Unproven`] if it was not reset, though it may have said so: it would read
    /// descriptors while they are written; or if it is not enabled then. Else [`DriverError::Gone`]
    /// or [`DriverError::Bus`].
    pub(crate) fn enable_ring(
        &self,
        ring: u8,
        writer: &mut RingWriter,
        base: Iova,
        completed: Seqno,
    ) -> Result<(), DriverError> {
        let control = self.read(regs::ring(ring, regs::RING_CTRL))?;
        let head = self.read(regs::ring(ring, regs::RING_HEAD))?;
        if (control, head) != (0, 0) {
            return Err(DriverError::Unproven { ring, what: Unproven::NotReset { control, head } });
        }
        self.start_ring(ring, writer, base, completed)
    }

    /// Enables a ring that is disabled.
    pub(crate) fn start_ring(
        &self,
        ring: u8,
        writer: &mut RingWriter,
        base: Iova,
        completed: Seqno,
    ) -> Result<(), DriverError> {
        writer.tail = 0;
        self.write_pair(regs::ring(ring, regs::RING_BASE_LO), base.0)?;
        self.write(regs::ring(ring, regs::RING_ORDER), u32::from(writer.order))?;
        self.write(regs::ring(ring, regs::RING_SEQNO), completed.value())?;
        self.write(regs::ring(ring, regs::RING_CTRL), ring_ctrl::ENABLE)?;
        match self.read(regs::ring(ring, regs::RING_CTRL))? {
            ring_ctrl::ENABLE => Ok(()),
            // A disabled ring's doorbell must not be rung.
            control => Err(DriverError::Unproven { ring, what: Unproven::NotEnabled { control } }),
        }
    }

    /// Tells the device about descriptors up to `tail`.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub(crate) fn doorbell(&self, ring: u8, tail: u32) -> Result<(), DriverError> {
        self.write(regs::ring(ring, regs::RING_TAIL), tail)
    }

    /// The last sequence number the ring wrote.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn seqno(&self, ring: u8) -> Result<Seqno, DriverError> {
        let register = regs::ring(ring, regs::RING_SEQNO);
        let value = self.read(register)?;
        Seqno::from_register(value).ok_or(DriverError::Foreign { register, value })
    }

    /// How far the ring is, and whether it stopped with a fault there. Asked for the fault before and after: a ring that
    /// is reset in between has the number of the reset and no fault any more, and the old fault is not the next job's.
    ///
    /// # Errors
    /// As [`Lb1::seqno`].
    pub(crate) fn ring_report(&self, ring: u8) -> Result<(Seqno, bool), DriverError> {
        let faulted = self.ring_fault(ring)?.is_some();
        let seqno = self.seqno(ring)?;
        Ok((seqno, faulted && self.ring_fault(ring)?.is_some()))
    }

    /// Index of the descriptor that the ring is executing, or of the next one: while it changes, the ring moves.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn ring_head(&self, ring: u8) -> Result<u32, DriverError> {
        self.read(regs::ring(ring, regs::RING_HEAD))
    }

    /// Whether the ring is in the commands of a job: it has begun them, and has not come to the
    /// sequence number behind them, which is the driver's. If not, what is wrong with the ring is
    /// not the job's fault. `context` is the job's.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn is_in_job(
        &self,
        ring: u8,
        writer: &RingWriter,
        job: Extent,
        context: ContextId,
    ) -> Result<bool, DriverError> {
        if let Some(fault) = self.ring_fault(ring)? {
            // A descriptor that could not be fetched names no context.
            let head = self.ring_head(ring)?;
            return Ok(fault.context == context && writer.offset_in(job, head) < job.commands);
        }
        let busy = self.read(regs::ring(ring, regs::RING_STATUS))? & ring_status::BUSY != 0;
        // The head is where the ring is, or will be next: it may stand before a job that it does
        // not begin.
        let behind = writer.offset_in(job, self.ring_head(ring)?);
        Ok(behind < job.commands && (behind > 0 || busy))
    }

    /// Begins to reset one ring; the others run on. Ask [`Lb1::ring_reset`] until it is no longer under way, for at
    /// most [`regs::RESET_MAX_MS`]; then enable the ring again.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub(crate) fn begin_ring_reset(&self, ring: u8) -> Result<(), DriverError> {
        self.write(regs::ring(ring, regs::RING_CTRL), ring_ctrl::RESET)
    }

    /// How far the ring's reset is.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn ring_reset(&self, ring: u8) -> Result<Progress, DriverError> {
        let status = self.read(regs::ring(ring, regs::RING_STATUS))?;
        Ok(if status & ring_status::RESET_FAILED != 0 {
            Progress::Failed
        } else if status != 0 {
            // Resetting; or it has not even begun, and runs on.
            Progress::UnderWay
        } else {
            Progress::Done
        })
    }

    /// Why the ring stopped, if it did.
    ///
    /// # Errors
    /// [`DriverError::Gone`] or [`DriverError::Bus`].
    pub(crate) fn ring_fault(&self, ring: u8) -> Result<Option<Fault>, DriverError> {
        if self.read(regs::ring(ring, regs::RING_STATUS))? & ring_status::FAULTED == 0 {
            return Ok(None);
        }
        let [code, context, opcode, _] = self.read(regs::ring(ring, regs::RING_FAULT))?.to_le_bytes();
        let low = self.read(regs::ring(ring, regs::RING_FAULT_ADDR_LO))?;
        let high = self.read(regs::ring(ring, regs::RING_FAULT_ADDR_HI))?;
        let address = u64::from(low) | u64::from(high) << 32;
        Ok(Some(Fault { code, context: ContextId(context), opcode, address }))
    }
}
