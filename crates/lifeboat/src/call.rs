//! The calls that users can make, and their classes. The class of a call is said here and nowhere else.

use lifeboat_core::class::{Class, Entry, Presence, Refusal};
use lifeboat_sync::Section;

use crate::CallError;
use crate::link::Link;

/// A call, by name and class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its name, for messages and tables.
    pub name: &'static str,
    /// What it may touch and what becomes of it after loss.
    pub class: Class,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $text:literal, $class:ident;)*) => {
        $($(#[$doc])* pub(crate) const $name: Call = Call { name: $text, class: Class::$class };)*
        /// Every call there is.
        pub const CALLS: &[Call] = &[$($name),*];
    };
}

calls! {
    OPEN: "open", Open;
    CREATE_CONTEXT: "create-context", Device;
    CREATE_QUEUE: "create-queue", Device;
    /// What waits on the host changes places; the device is not asked.
    SET_PRIORITY: "set-priority", Always;
    MOVE_QUEUE: "move-queue", Always;
    CREATE_BUFFER: "create-buffer", Device;
    /// Buffers in host memory need no device for this.
    READ_HOST: "read-host-buffer", Always;
    WRITE_HOST: "write-host-buffer", Always;
    READ_VRAM: "read-vram-buffer", Device;
    WRITE_VRAM: "write-vram-buffer", Device;
    /// Maps made after loss have nothing behind them.
    MMAP: "mmap", Always;
    MAP: "map", Device;
    /// Changes the address table where there still is one.
    UNMAP: "unmap", Driver;
    /// Its fence ends in ENODEV if the device is lost on the way.
    SUBMIT: "submit", Driver;
    SHOW: "show", Device;
    /// Compositors do not expect a flip to fail: after loss it succeeds and its event arrives.
    FLIP: "flip", Complete;
}

/// What a call has been given.
pub(crate) enum Entered<'a> {
    /// No hardware.
    Without,
    /// A section of the gate: the device stays until it is dropped, or its unplug waits.
    Section(Section<'a>),
    /// The device is gone and the call must pretend success.
    Pretend,
}

impl Call {
    /// Decides by class what this call gets.
    #[track_caller]
    pub(crate) fn enter(self, link: &Link) -> Result<Entered<'_>, CallError> {
        match self.class.entry(link.presence()) {
            Entry::Proceed => Ok(Entered::Without),
            Entry::Pretend => Ok(Entered::Pretend),
            Entry::Refuse(refusal) => Err(refusal.into()),
            // The gate may have been shut since: then the device is gone, and the class decides once more.
            Entry::EnterGate => match (link.gate.enter(), self.class.entry(Presence::Gone)) {
                (Some(section), _) => Ok(Entered::Section(section)),
                (None, Entry::Refuse(refusal)) => Err(refusal.into()),
                (None, _) => Ok(Entered::Pretend),
            },
        }
    }

    /// For calls that need the device: a section, or the refusal.
    #[track_caller]
    pub(crate) fn enter_section(self, link: &Link) -> Result<Section<'_>, CallError> {
        match self.enter(link)? {
            Entered::Section(section) => Ok(section),
            Entered::Without | Entered::Pretend => Err(Refusal::Gone.into()),
        }
    }
}
