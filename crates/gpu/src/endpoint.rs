//! The card as a bus sees it: the front end for servers that carry accesses from another process.
//!
//! There is no binding here: nothing says which driver an access belongs to, or when one gave the card back. So the
//! witness sees everything but uses after release.

use std::fmt;
use std::sync::Arc;

use lifeboat_pci::IrqHandler;

use crate::board::Board;
use crate::config_space::{self, bar_size};

/// The bus did not get the card to reset in time: a thread of the model is starved or stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetTimeout;

impl fmt::Display for ResetTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the card did not finish its reset in time")
    }
}

impl std::error::Error for ResetTimeout {}

/// What a bus can do to a card. On a card that is gone reads give all-ones and writes go nowhere.
///
/// Offsets are those within a BAR or within configuration space; which BAR is which,
/// [`REGISTER_BAR`](lifeboat_lb1::regs::REGISTER_BAR) and [`VRAM_BAR`](lifeboat_lb1::regs::VRAM_BAR) say.
pub struct Endpoint(Arc<Board>);

impl Endpoint {
    /// Size of configuration space in bytes.
    pub const CONFIG_BYTES: usize = config_space::SIZE;

    pub(crate) fn new(board: Arc<Board>) -> Self {
        Self(board)
    }

    /// Size of the VRAM BAR in bytes: VRAM, rounded up to a power of two.
    pub fn vram_bar_size(&self) -> u64 {
        bar_size(self.0.vram_bytes())
    }

    /// Reads configuration space; past its end there are zeros.
    pub fn read_config(&self, offset: u16, into: &mut [u8]) {
        self.0.read_config(offset, into);
    }

    /// Writes configuration space. May begin a function-level reset.
    pub fn write_config(&self, offset: u16, from: &[u8]) {
        self.0.write_config(offset, from);
    }

    /// Reads the register at a multiple of 4.
    pub fn read_register(&self, offset: u64) -> u32 {
        self.0.load_register(offset)
    }

    /// Writes the register at a multiple of 4.
    pub fn write_register(&self, offset: u64, value: u32) {
        self.0.store_register(offset, value);
    }

    /// Reads VRAM; past its end there are ones.
    pub fn read_vram(&self, offset: u64, into: &mut [u8]) {
        self.0.load_vram(offset, into);
    }

    /// Writes VRAM; past its end writes go nowhere.
    pub fn write_vram(&self, offset: u64, from: &[u8]) {
        self.0.store_vram(offset, from);
    }

    /// Has `handler` called with the vector of each message, in place of the handler before. The card's own thread calls
    /// it; a removal waits for it, so it must not block. It stays connected until the card is dropped.
    pub fn connect(&self, handler: IrqHandler) {
        self.0.interrupts.connect(handler);
    }

    /// Resets the card as a reset of its bus does: registers and configuration space have their values after power-on
    /// when this returns. It ends a failed reset, does not count as a reset for a [`Trigger`](crate::Trigger), and keeps
    /// VRAM. Must not be called by the handler, a recorder or whoever is told of a fault.
    ///
    /// # Errors
    /// [`ResetTimeout`].
    pub fn bus_reset(&self) -> Result<(), ResetTimeout> {
        if self.0.bus_reset() { Ok(()) } else { Err(ResetTimeout) }
    }
}
