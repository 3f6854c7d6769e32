//! Facts: what is true of every device of a kind, as constants.

use lifeboat_core::health::{judge_identity, Verdict};
use lifeboat_core::wedge::Methods;

use crate::dump::{is_plain, Layout};
use crate::InterruptUse;

/// What is true of every device of a kind.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The driver's name.
    pub name: &'static str,
    /// The driver's version, as semantic versioning has it.
    pub version: &'static str,
    /// The device's name, as dumps have it: at most [`Facts::MOST_MODEL_BYTES`].
    pub model: &'static str,
    /// What the driver binds to.
    pub ids: &'static [PciId],
    /// BARs that the driver or its users reach.
    pub bars: &'static [BarUse],
    /// Interrupts that the driver can use. A function that offers too few is refused.
    pub interrupts: InterruptUse,
    /// What may help a device that has failed for good.
    pub methods: Methods,
    /// What a dump shows.
    pub dump: Layout,
}

/// Vendor and device, as configuration space has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciId {
    /// Vendor.
    pub vendor: u16,
    /// Device.
    pub device: u16,
}

/// Use of a BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarUse {
    /// Number of the BAR, 0 to 5.
    pub number: u8,
    /// Length that the driver's own code needs, in bytes. A shell refuses a device whose BAR is
    /// shorter. 0 for memory that only users reach, through maps: a shell that has no maps leaves
    /// such a BAR unmapped.
    pub bytes: u64,
}

impl PciId {
    /// The value of the first register of configuration space.
    #[must_use]
    pub const fn register(self) -> u32 {
        self.vendor as u32 | (self.device as u32) << 16
    }
}

impl Facts {
    /// The most bytes of [`Facts::model`].
    pub const MOST_MODEL_BYTES: usize = 16;

    /// Checks what a shell relies on, at compile time in a constant.
    ///
    /// # Panics
    /// If the interrupts are not [sound](InterruptUse::assert_sound), or the model's name or what a dump shows is longer than a dump has room for, or has other
    /// characters than visible ASCII without quotes and backslashes.
    pub const fn assert_sound(&self) {
        assert!(is_plain(self.model, Self::MOST_MODEL_BYTES), "the model's name is too long, or not plain");
        self.interrupts.assert_sound();
        self.dump.assert_sound();
    }

    /// Whether the driver binds to a function whose configuration space begins with `register`.
    #[must_use]
    pub fn binds_to(&self, register: u32) -> bool {
        self.ids.iter().any(|id| id.register() == register)
    }

    /// Judges the first register of configuration space: whether a device of this kind answers
    /// there.
    #[must_use]
    pub fn judge(&self, register: u32) -> Verdict {
        // No value is its own complement.
        judge_identity(register, if self.binds_to(register) { register } else { !register })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::boxed::Box;

    use super::*;
    use crate::dump::Register;

    #[test]
    fn an_id_is_read_as_configuration_space_has_it() {
        let id = PciId { vendor: 0x4c42, device: 1 };
        assert_eq!(id.register(), 0x0001_4c42);
    }

    /// Facts of a model with one register, of these names.
    fn facts(model: &'static str, register: &'static str) -> Facts {
        let registers = Box::leak(Box::new([Register::number(register, 0)]));
        let dump = Layout::of(registers);
        Facts {
            name: "a",
            version: "1.0.0",
            model,
            ids: &[],
            bars: &[],
            interrupts: InterruptUse::NONE,
            methods: Methods::UNKNOWN,
            dump,
        }
    }

    #[test]
    fn what_a_dump_has_room_for_is_sound() {
        facts("0123456789abcdef", "0123456789_0123456789_XY").assert_sound();
    }

    #[test]
    #[should_panic(expected = "a register's name")]
    fn wedge_4_a_name_that_a_dump_has_no_room_for_is_refused() {
        facts("a", "0123456789_0123456789_XYZ").assert_sound();
    }

    #[test]
    #[should_panic(expected = "a register's name")]
    fn a_name_that_a_dump_would_have_to_escape_is_refused() {
        facts("a", "a \"register\"").assert_sound();
    }

    #[test]
    #[should_panic(expected = "the model's name")]
    fn a_model_that_a_dump_has_no_room_for_is_refused() {
        facts("0123456789abcdefg", "A").assert_sound();
    }

    #[test]
    fn configuration_space_says_whether_a_device_of_the_kind_is_there() {
        const IDS: &[PciId] = &[PciId { vendor: 0x4c42, device: 1 }, PciId { vendor: 0x4c42, device: 2 }];
        let dump = Layout { device: &[], ring: &[], ring_at: |_| 0, head_tail_seqno: [0; 3], entry_bytes: 0 };
        let facts = Facts {
            name: "a",
            version: "1.0.0",
            model: "A",
            ids: IDS,
            bars: &[],
            interrupts: InterruptUse::NONE,
            methods: Methods::UNKNOWN,
            dump,
        };
        let verdicts = [0x0002_4c42, 0x0003_4c42, u32::MAX, 0].map(|register| facts.judge(register));
        assert_eq!(verdicts, [Verdict::Alive, Verdict::Unsure, Verdict::Dead, Verdict::Dead]);
    }
}
