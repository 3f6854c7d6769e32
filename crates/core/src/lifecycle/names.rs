//! Names and lists of the states and events of a [`Lifecycle`](super::Lifecycle), for the table in
//! ARCHITECTURE.md and for counters of events.

use core::fmt;

use super::{For, LifecycleEvent, LifecycleState, Then};

impl Then {
    const ALL: [Self; 6] = [Self::Empty, Self::Idle, Self::Probe, Self::Recover, Self::Relink, Self::Stop];
}

impl For {
    const ALL: [Self; 3] = [Self::Ready, Self::ReadyAgain, Self::Turn];
}

impl LifecycleState {
    /// Number of states.
    pub const COUNT: usize = 6 + For::ALL.len() + 4 * (Then::ALL.len() + 1) - 3;

    /// Iterates over all states.
    pub fn all() -> impl Iterator<Item = Self> {
        let thens = || core::iter::once(None).chain(Then::ALL.into_iter().map(Some));
        let wedging = thens().filter(|then| !matches!(then, Some(Then::Recover | Then::Relink)));
        [Self::Empty, Self::Idle]
            .into_iter()
            .chain(thens().map(Self::Probing))
            .chain(thens().map(Self::Recovering))
            .chain(For::ALL.into_iter().map(Self::Waiting))
            .chain([Self::LinkDown, Self::Bound])
            .chain(Then::ALL.into_iter().map(Self::Ending))
            .chain(wedging.map(Self::Wedging))
            .chain([Self::Wedged, Self::Stopped])
    }

    /// Returns the position in [`LifecycleState::all`].
    pub fn index(self) -> usize {
        // `all` has every state, which a test shows, so the position is found.
        Self::all().position(|state| state == self).unwrap_or(0)
    }

    /// Tells whether an event of this kind can come in this state. A completion comes only during
    /// its action.
    pub const fn expects(self, kind: EventKind) -> bool {
        match kind {
            EventKind::Probed | EventKind::Refused | EventKind::NotReady => {
                matches!(self, Self::Probing(_) | Self::Recovering(_))
            }
            // A device whose driver has failed was there, and was the driver's.
            EventKind::Vanished | EventKind::Foreign => {
                matches!(self, Self::Probing(then) | Self::Recovering(then) if !matches!(then, Some(Then::Recover)))
            }
            EventKind::Tick => matches!(self, Self::Waiting(_) | Self::LinkDown),
            EventKind::Cut => matches!(self, Self::Wedging(_)),
            EventKind::Ended => matches!(self, Self::Ending(_)),
            _ => !matches!(self, Self::Stopped),
        }
    }
}

/// Kind of an [`LifecycleEvent`], without the data of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the docs are those of `LifecycleEvent`
pub enum EventKind {
    Inserted,
    Removed,
    Failed,
    Unbind,
    Rebind,
    Stop,
    LinkDown,
    LinkUp,
    Tick,
    Probed,
    Refused,
    Vanished,
    NotReady,
    Foreign,
    Cut,
    Ended,
}

impl EventKind {
    /// All kinds, each at the index that is its number.
    pub const ALL: [Self; 16] = [
        Self::Inserted,
        Self::Removed,
        Self::Failed,
        Self::Unbind,
        Self::Rebind,
        Self::Stop,
        Self::LinkDown,
        Self::LinkUp,
        Self::Tick,
        Self::Probed,
        Self::Refused,
        Self::Vanished,
        Self::NotReady,
        Self::Foreign,
        Self::Cut,
        Self::Ended,
    ];

    /// Returns the name of the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inserted => "inserted",
            Self::Removed => "removed",
            Self::Failed => "failed",
            Self::Unbind => "unbind",
            Self::Rebind => "rebind",
            Self::Stop => "stop",
            Self::Probed => "probed",
            Self::Refused => "refused",
            Self::LinkDown => "link down",
            Self::LinkUp => "link up",
            Self::Tick => "tick",
            Self::Vanished => "vanished",
            Self::NotReady => "not ready",
            Self::Foreign => "foreign",
            Self::Cut => "cut",
            Self::Ended => "ended",
        }
    }
}

impl LifecycleEvent {
    /// Returns the kind of the event.
    pub const fn kind(self) -> EventKind {
        match self {
            Self::Inserted => EventKind::Inserted,
            Self::Removed => EventKind::Removed,
            Self::Failed { .. } => EventKind::Failed,
            Self::Unbind => EventKind::Unbind,
            Self::Rebind => EventKind::Rebind,
            Self::Stop => EventKind::Stop,
            Self::Probed => EventKind::Probed,
            Self::Refused => EventKind::Refused,
            Self::LinkDown => EventKind::LinkDown,
            Self::LinkUp => EventKind::LinkUp,
            Self::Tick => EventKind::Tick,
            Self::Vanished => EventKind::Vanished,
            Self::NotReady(_) => EventKind::NotReady,
            Self::Foreign => EventKind::Foreign,
            Self::Cut => EventKind::Cut,
            Self::Ended => EventKind::Ended,
        }
    }
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Idle => "idle",
            Self::Probe => "probe",
            Self::Recover => "recover",
            Self::Relink => "relink",
            Self::Stop => "stop",
        })
    }
}

impl fmt::Display for For {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::ReadyAgain => "ready again",
            Self::Turn => "its turn",
        })
    }
}

impl fmt::Display for LifecycleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, then) = match *self {
            Self::Waiting(what) => return write!(f, "waiting for: {what}"),
            Self::LinkDown => ("link down", None),
            Self::Empty => ("empty", None),
            Self::Idle => ("idle", None),
            Self::Probing(then) => ("probing", then),
            Self::Recovering(then) => ("recovering", then),
            Self::Bound => ("bound", None),
            Self::Ending(then) => ("ending", Some(then)),
            Self::Wedging(then) => ("wedging", then),
            Self::Wedged => ("wedged", None),
            Self::Stopped => ("stopped", None),
        };
        f.write_str(name)?;
        then.map_or(Ok(()), |then| write!(f, ", then {then}"))
    }
}
