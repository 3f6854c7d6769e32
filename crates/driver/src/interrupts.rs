//! The interrupts that a driver can use, and the choice among those that a function offers.

use lifeboat_pci::IrqKind;

use crate::DriverError;

/// Use of interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterruptUse {
    /// Kinds that the driver can use, the best first.
    pub kinds: &'static [IrqKind],
    /// The fewest vectors that the driver needs; 0 for a driver that can do without interrupts.
    pub least: u16,
    /// The most vectors that the driver has a use for. A shell may turn on fewer, down to `least`: the message of any
    /// vector makes it ask for all that is pending.
    pub most: u16,
}

/// Interrupts to be turned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChosenInterrupts {
    /// The kind.
    pub kind: IrqKind,
    /// How many vectors, at least 1; a power of two for [`IrqKind::Msi`].
    pub vectors: u16,
}

impl InterruptUse {
    /// A driver that uses no interrupts.
    pub const NONE: Self = Self { kinds: &[], least: 0, most: 0 };

    /// Checks that the numbers make sense, at compile time in a constant.
    ///
    /// # Panics
    /// If `least` is more than `most`, or vectors are needed and no kind is named.
    pub const fn assert_sound(&self) {
        assert!(self.least <= self.most, "a driver needs more interrupt vectors than it has a use for");
        assert!(self.least == 0 || !self.kinds.is_empty(), "a driver needs interrupts, and names no kind of them");
    }

    /// The best kind of which the function has enough vectors, and as many as the driver has a use for. `vectors` says
    /// how many of a kind the function has. `None` if it has none of them, and the driver can do without.
    ///
    /// # Errors
    /// [`DriverError::NoInterrupts`] if the function has too few vectors of every kind that the driver can use, and those
    /// of `vectors`.
    pub fn choose(
        &self,
        mut vectors: impl FnMut(IrqKind) -> Result<u16, DriverError>,
    ) -> Result<Option<ChosenInterrupts>, DriverError> {
        for &kind in self.kinds {
            let most = vectors(kind)?.min(self.most);
            let usable = match kind {
                // The power of two at or below it.
                IrqKind::Msi => most.checked_ilog2().map_or(0, |order| 1 << order),
                _ => most,
            };
            if usable >= self.least.max(1) {
                return Ok(Some(ChosenInterrupts { kind, vectors: usable }));
            }
        }
        if self.least == 0 {
            Ok(None)
        } else {
            Err(DriverError::NoInterrupts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: InterruptUse = InterruptUse { kinds: &[IrqKind::MsiX, IrqKind::Msi], least: 2, most: 5 };

    /// What is chosen where a function has so many vectors of MSI and of MSI-X.
    fn of(uses: InterruptUse, msi: u16, msi_x: u16) -> Result<Option<(IrqKind, u16)>, DriverError> {
        let chosen = uses.choose(|kind| Ok(if kind == IrqKind::Msi { msi } else { msi_x }))?;
        Ok(chosen.map(|ChosenInterrupts { kind, vectors }| (kind, vectors)))
    }

    #[test]
    fn the_best_kind_with_enough_vectors_is_chosen() {
        assert_eq!(of(BOTH, 32, 2048), Ok(Some((IrqKind::MsiX, 5))));
        assert_eq!(of(BOTH, 32, 3), Ok(Some((IrqKind::MsiX, 3))));
        assert_eq!(of(BOTH, 32, 1), Ok(Some((IrqKind::Msi, 4))), "a power of two");
        assert_eq!(of(BOTH, 1, 1), Err(DriverError::NoInterrupts));
        assert_eq!(of(InterruptUse { kinds: &[IrqKind::Msi], ..BOTH }, 0, 9), Err(DriverError::NoInterrupts));
        // No power of two is between three and three.
        assert_eq!(of(InterruptUse { least: 3, most: 3, ..BOTH }, 32, 0), Err(DriverError::NoInterrupts));
    }

    #[test]
    fn a_driver_that_can_do_without_interrupts_takes_what_there_is() {
        let uses = InterruptUse { least: 0, ..BOTH };
        assert_eq!(of(uses, 0, 1), Ok(Some((IrqKind::MsiX, 1))));
        assert_eq!((of(uses, 0, 0), of(InterruptUse::NONE, 32, 32)), (Ok(None), Ok(None)));
    }

    #[test]
    fn what_cannot_be_asked_is_not_chosen() {
        assert_eq!(BOTH.choose(|_| Err(DriverError::Gone)), Err(DriverError::Gone));
    }

    #[test]
    #[should_panic(expected = "more interrupt vectors")]
    fn needs_beyond_uses_are_refused() {
        InterruptUse { least: 6, ..BOTH }.assert_sound();
    }

    #[test]
    #[should_panic(expected = "names no kind")]
    fn needs_of_no_kind_are_refused() {
        InterruptUse { kinds: &[], ..BOTH }.assert_sound();
    }
}
