//! A card: the board, and the threads that make it live.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use lifeboat_lb1::regs;
use lifeboat_pci::HostMemory;
use parking_lot::Mutex;

use crate::board::{Board, Parts, next_serial};
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::iommu::Iommu;
use crate::{Counters, Fault, OnFault, Picture, Recorder, Scanout, Trigger, Witness};

/// One physical card.
///
/// Removed, it stays removed: what is plugged in again is a new card. Dropping the last reference removes it and ends
/// its threads; it waits for them, unless it is one of them itself that drops it (an interrupt handler, a recorder).
pub struct Card {
    board: Arc<Board>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Card {
    /// Makes a card, freshly reset, and starts its threads.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if `config` is outside its ranges, else what the system said about memory or
    /// threads.
    pub fn new(config: Config) -> io::Result<Arc<Self>> {
        Self::with_serial(config, next_serial())
    }

    /// As [`Card::new`], with a serial number of the caller's choice; else each card of a process has its own, from 1.
    ///
    /// # Errors
    /// As [`Card::new`].
    pub fn with_serial(config: Config, serial: u32) -> io::Result<Arc<Self>> {
        config.check().map_err(invalid)?;
        let vram = HostMemory::shared(config.vram_bytes)?;
        let iommu = Arc::new(Iommu::new(config.seed));
        Self::assemble(config, Parts { vram, vram_is_shared: false, iommu, serial })
    }

    /// As [`Card::new`], for a front end of another process: with VRAM that others may map, too, and behind an IOMMU that
    /// is there before and after the card. `vram` should be zero. On removal it is filled with ones; what others write
    /// there afterwards stays.
    ///
    /// # Errors
    /// As [`Card::new`]; also if `vram` has not the size that `config` says.
    pub fn with_shared(config: Config, vram: HostMemory, iommu: Arc<Iommu>) -> io::Result<Arc<Self>> {
        config.check().map_err(invalid)?;
        if vram.size() != config.vram_bytes {
            return Err(invalid("the VRAM has not the size that the card is to have"));
        }
        Self::assemble(config, Parts { vram, vram_is_shared: true, iommu, serial: next_serial() })
    }

    fn assemble(config: Config, parts: Parts) -> io::Result<Arc<Self>> {
        let board = Arc::new(Board::new(&config, parts));
        let card = Arc::new(Self { board, threads: Mutex::default() });
        card.start("lb1-clock".to_owned(), Board::keep_time)?;
        card.start("lb1-irq".to_owned(), |board| board.interrupts.carry(&board.outlet()))?;
        for index in 0..config.rings {
            card.start(format!("lb1-ring{index}"), move |board| board.rings[usize::from(index)].run(board))?;
        }
        Ok(card)
    }

    fn start(&self, name: String, run: impl FnOnce(&Board) + Send + 'static) -> io::Result<()> {
        let board = Arc::clone(&self.board);
        let thread = thread::Builder::new().name(name).spawn(move || run(&board))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Pulls the card out, without notice. When this returns nothing of the card reaches the host any more; an
    /// interrupt handler that was running may still run to its end. May be called from anywhere, also from within a
    /// handler, and more than once.
    pub fn remove(&self) {
        self.board.remove();
    }

    /// Whether the card has not been removed yet.
    pub fn is_present(&self) -> bool {
        self.board.presence.is_present()
    }

    /// Takes the link to the card down, until [`Card::link_up`]: every read of its BARs and its configuration space is
    /// all-ones, writes are lost, its DMA reaches nothing and its interrupts nobody. The card itself stays, and goes on. A
    /// [`Slot`](crate::Slot) reports it. Memory that a client has mapped ([`Card::with_shared`], `Bar::backing`) stays as it is.
    pub fn link_down(&self) {
        self.board.link_down(true);
    }

    /// As [`Card::link_down`], but the slot reports nothing, neither now nor when the link is up again.
    pub fn link_down_quietly(&self) {
        self.board.link_down(false);
    }

    /// Takes the link up again. The slot reports it if it has reported that the link was down.
    pub fn link_up(&self) {
        self.board.link_up();
    }

    /// Makes something go wrong at once, or the next time there is occasion; see [`Fault`].
    pub fn inject(&self, fault: Fault) {
        self.board.inject(fault);
    }

    /// Makes something go wrong later.
    pub fn schedule(&self, at: Trigger, fault: Fault) {
        self.board.schedule(at, fault, None);
    }

    /// As [`Card::schedule`], and calls `tell` when it happens.
    pub fn schedule_and_tell(&self, at: Trigger, fault: Fault, tell: OnFault) {
        self.board.schedule(at, fault, Some(tell));
    }

    /// What a bus can do to the card: for front ends other than [`Slot`](crate::Slot).
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(Arc::clone(&self.board))
    }

    /// The heartbeat register, read without an access. `None` if the card is gone.
    pub fn heartbeat(&self) -> Option<u32> {
        self.is_present().then(|| self.board.control.read(regs::HEARTBEAT))
    }

    /// The serial number.
    pub fn serial(&self) -> u32 {
        self.board.serial()
    }

    /// The record of the driver's mistakes.
    pub fn witness(&self) -> &Witness {
        &self.board.witness
    }

    /// What the card has done so far.
    pub fn counters(&self) -> Counters {
        self.board.counters.snapshot()
    }

    /// Where the picture being shown lies. `None` while the display is off, the card is gone, or the registers describe
    /// a picture that does not lie within VRAM.
    pub fn scanout(&self) -> Option<Scanout> {
        self.board.scanout.shown(self.board.vram_bytes()).filter(|_| self.is_present())
    }

    /// A copy of the picture being shown.
    pub fn picture(&self) -> Option<Picture> {
        let scanout = self.scanout()?;
        let row_bytes = usize::from(scanout.width) * 4;
        let mut pixels = vec![0; row_bytes * usize::from(scanout.height)];
        for (row, into) in (0..u64::from(scanout.height)).zip(pixels.chunks_exact_mut(row_bytes)) {
            self.board.vram.read(u64::from(scanout.base) + row * u64::from(scanout.pitch), into).ok()?;
        }
        Some(Picture { scanout, pixels })
    }

    /// Has every descriptor's execution reported, or no longer. A recorder that owns the card keeps it alive.
    pub fn set_recorder(&self, recorder: Option<Recorder>) {
        self.board.recorder.set(recorder);
    }

    pub(crate) fn board(&self) -> &Arc<Board> {
        &self.board
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

impl Drop for Card {
    fn drop(&mut self) {
        self.board.remove();
        self.board.stop();
        let threads = std::mem::take(&mut *self.threads.lock());
        let own = thread::current().id();
        if threads.iter().any(|thread| thread.thread().id() == own) {
            return; // They end by themselves; one that another of them waits for would not.
        }
        for thread in threads {
            // A thread that panicked (in a handler of the driver) has said so already.
            let _ = thread.join();
        }
    }
}
