//! What a card is equipped with.

use lifeboat_lb1::regs;

/// Most VRAM: what the 32-bit scanout registers reach.
const VRAM_MAX: u64 = 4 << 30;

/// What a card is equipped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Size of VRAM: whole pages, at most 4 GiB. The default is 64 MiB.
    pub vram_bytes: u64,
    /// Number of rings, 1 to 8. The default is 2.
    pub rings: u8,
    /// Decides what the model leaves to chance: where DMA mappings lie. The default is 0.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { vram_bytes: 64 << 20, rings: 2, seed: 0 }
    }
}

impl Config {
    /// Whether a card can be equipped so.
    ///
    /// # Errors
    /// Why not: a value is outside its range.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.vram_bytes == 0 || !self.vram_bytes.is_multiple_of(regs::PAGE) || self.vram_bytes > VRAM_MAX {
            return Err("the VRAM of a card must be 1 to 1048576 whole pages of 4096 bytes");
        }
        if !(1..=regs::MAX_RINGS).contains(&self.rings) {
            return Err("a card must have 1 to 8 rings");
        }
        Ok(())
    }
}
