//! Arguments, biased to those at which things break: zero, one, page borders, the end and just past it, the largest.

use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use lifeboat::Priority;
use lifeboat_gpu::{Fault, Trigger};
use lifeboat_lb1_hosted::{Change, Mode, Placement};

pub(crate) const PAGE: u64 = 4096;

/// A number of bytes or an offset.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Number {
    Small(u8),
    /// At the border of a page, or up to two bytes beside it.
    Page {
        pages: u8,
        past: i8,
    },
    /// At the end of what it is about, or up to two bytes beside it.
    End {
        past: i8,
    },
    Largest {
        less: u8,
    },
    Any(u64),
}

impl Number {
    /// The number, for something that ends at `end`.
    pub(crate) fn near(self, end: u64) -> u64 {
        match self {
            Self::Small(number) => number.into(),
            Self::Page { pages, past } => (u64::from(pages % 8) * PAGE).wrapping_add_signed((past % 3).into()),
            Self::End { past } => end.wrapping_add_signed((past % 3).into()),
            Self::Largest { less } => u64::MAX - u64::from(less % 5),
            Self::Any(number) => number,
        }
    }
}

/// None to a few.
#[derive(Debug, Clone)]
pub(crate) struct Few<T>(pub(crate) Vec<T>);

impl<'a, T: Arbitrary<'a>> Arbitrary<'a> for Few<T> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let count = bytes.int_in_range(0..=4)?;
        (0..count).map(|_| bytes.arbitrary()).collect::<Result<_>>().map(Self)
    }
}

/// Which of the objects there are. Mostly one that fits: of the same device, or of one that is there.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) struct Pick {
    index: u8,
    stray: u8,
}

impl Pick {
    /// The position of the one that is meant in a list of objects that fit or do not.
    pub(crate) fn among(self, fits: &[bool]) -> Option<usize> {
        let index = usize::from(self.index);
        let fitting: Vec<usize> = (0..fits.len()).filter(|at| fits[*at]).collect();
        if self.stray < 24 || fitting.is_empty() {
            return index.checked_rem(fits.len());
        }
        Some(fitting[index % fitting.len()])
    }
}

/// A ring: mostly one that there is.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) struct Ring(u8);

impl Ring {
    pub(crate) fn number(self) -> u8 {
        if self.0 < 224 { self.0 % 3 % 2 } else { self.0 - 222 }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Turn {
    High,
    Normal,
    Low,
}

impl From<Turn> for Priority {
    fn from(turn: Turn) -> Self {
        match turn {
            Turn::High => Self::High,
            Turn::Normal => Self::Normal,
            Turn::Low => Self::Low,
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Place {
    Vram,
    Host,
}

impl From<Place> for Placement {
    fn from(place: Place) -> Self {
        match place {
            Place::Vram => Self::Vram,
            Place::Host => Self::Host,
        }
    }
}

/// How a screen is to be driven: mostly at its own rate.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Screen {
    /// A picture of one page.
    Usual,
    Small {
        width: u8,
        height: u8,
    },
    Any {
        width: u16,
        height: u16,
        refresh_millihertz: Option<u32>,
    },
}

impl Screen {
    pub(crate) fn mode(self, usual: Mode) -> Mode {
        match self {
            Self::Usual => usual,
            Self::Small { width, height } => Mode { width: width.into(), height: height.into(), ..usual },
            Self::Any { width, height, refresh_millihertz } => {
                Mode { width, height, refresh_millihertz: refresh_millihertz.unwrap_or(usual.refresh_millihertz) }
            }
        }
    }
}

/// What a commit does with a property.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Alter<T> {
    Keep,
    Off,
    To(T),
}

impl<T> Alter<T> {
    /// The same change to what `f` makes of it; none if that makes nothing.
    pub(crate) fn change<U>(self, f: impl FnOnce(T) -> Option<U>) -> Change<U> {
        match self {
            Self::Keep => Change::Keep,
            Self::Off => Change::Off,
            Self::To(to) => f(to).map_or(Change::Keep, Change::To),
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Mishap {
    Remove,
    Hang,
    JobFault,
    LostInterrupt,
    SpuriousInterrupt,
    Slow { microseconds: u8 },
    StuckHeartbeat,
    FailedReset,
}

impl From<Mishap> for Fault {
    fn from(mishap: Mishap) -> Self {
        match mishap {
            Mishap::Remove => Self::Remove,
            Mishap::Hang => Self::Hang,
            Mishap::JobFault => Self::JobFault,
            Mishap::LostInterrupt => Self::LostInterrupt,
            Mishap::SpuriousInterrupt => Self::SpuriousInterrupt,
            Mishap::Slow { microseconds } => Self::Slow(Duration::from_micros(microseconds.into())),
            Mishap::StuckHeartbeat => Self::StuckHeartbeat,
            Mishap::FailedReset => Self::FailedReset,
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum When {
    Access(u8),
    Job(u8),
    Reset(u8),
}

impl From<When> for Trigger {
    fn from(when: When) -> Self {
        match when {
            When::Access(count) => Self::Access(count.into()),
            When::Job(count) => Self::Job((count % 8).into()),
            When::Reset(count) => Self::Reset((count % 4).into()),
        }
    }
}
