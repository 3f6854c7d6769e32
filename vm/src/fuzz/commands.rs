//! Commands for the fuzzer's jobs: it knows no device.

use lifeboat_guest::fuzz::report::Commands;
use lifeboat_lb1::command::Work;
use lifeboat_uapi::Info;

use crate::program::commands::{copy, fill, job};

/// Slots of addresses in a context, and the bytes of each.
const SLOTS: u64 = 16;
const SLOT_BYTES: u64 = 1 << 20;
const PAGE: u64 = 4096;

/// Commands for a device with these limits.
pub(super) fn commands(info: &Info) -> Commands {
    let encoded = |work: Work| job(0, &[work]).commands;
    let half = u32::try_from(PAGE / 2).unwrap_or(u32::MAX);
    let writes = (0..SLOTS).map(|slot| {
        let address = info.first_address + slot * SLOT_BYTES;
        if slot % 2 == 0 { fill(address, PAGE, 0x5107_0000) } else { copy(address + PAGE / 2, address, half) }
    });
    Commands {
        idle: vec![encoded(Work::Nop)],
        writes: writes.map(encoded).collect(),
        hangs: vec![encoded(Work::Hang)],
        slot_bytes: SLOT_BYTES,
    }
}
