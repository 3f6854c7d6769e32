//! The proof that a promise claims for itself: a cell of the column `proof`, such as `H K`, `agent` or `guest (no test yet)`.

use std::fmt;

/// Words after a kind whose tests are still to be written.
const UNTESTED: &str = "(no test yet)";

/// A kind of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Tests of the hosted stack.
    Hosted,
    /// Tests of the kernel module, in a guest.
    Kernel,
    /// Tests of the daemon and of its policy.
    Agent,
    /// Tests of programs on a real bus, in a guest.
    Guest,
}

/// A kind of proof, and whether there is any yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// The kind.
    pub kind: Kind,
    /// No test is claimed. Without these words a promise that loses its last test is not kept.
    pub untested: bool,
}

impl Kind {
    /// All of them, in the order of a report.
    pub(super) const ALL: [Self; 4] = [Self::Hosted, Self::Agent, Self::Kernel, Self::Guest];

    /// The word in the document.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Hosted => "H",
            Self::Kernel => "K",
            Self::Agent => "agent",
            Self::Guest => "guest",
        }
    }

    /// Whether a guest has to be booted for it.
    pub(super) const fn is_in_guest(self) -> bool {
        matches!(self, Self::Kernel | Self::Guest)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        if self.untested { write!(f, " {UNTESTED}") } else { Ok(()) }
    }
}

/// Reads a cell: one kind that is proven in a process, one that is proven in a guest, or one of each. `None` for anything else.
pub(super) fn claims(cell: &str) -> Option<Vec<Claim>> {
    let mut claims: Vec<Claim> = Vec::new();
    let mut rest = cell.trim();
    while !rest.is_empty() {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word)?;
        if claims.iter().any(|other| other.kind.is_in_guest() == kind.is_in_guest()) {
            return None;
        }
        let after = after.trim_start();
        let (untested, after) = after.strip_prefix(UNTESTED).map_or((false, after), |after| (true, after));
        claims.push(Claim { kind, untested });
        rest = after.trim_start();
    }
    (!claims.is_empty()).then_some(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_a_kind_for_a_process_and_one_for_a_guest() {
        for cell in ["H", "K", "H K", "agent", "guest", "agent guest", "guest (no test yet)", "H K (no test yet)"] {
            let claims = claims(cell).unwrap();
            assert_eq!(claims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), cell);
        }
        let untested = |cell| claims(cell).unwrap().iter().map(|claim| claim.untested).collect::<Vec<_>>();
        assert_eq!(untested("agent (no test yet)  guest"), [true, false]);
        for cell in
            ["", "H, K", "h", "H H", "H agent", "K guest", "(no test yet)", "agent (no test)", "agent no test yet"]
        {
            assert_eq!(claims(cell), None, "{cell:?}");
        }
    }
}
