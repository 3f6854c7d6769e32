//! The way to a device, lent for one section.

use core::fmt;

use lifeboat_pci::{Bar, BusError};

/// The windows of one device. A shell implements this for what it has mapped.
pub trait Windows {
    /// The window of a BAR.
    ///
    /// # Errors
    /// [`BusError::NoSuchBar`] if the driver has not asked for it.
    fn window(&self, bar: u8) -> Result<&dyn Bar, BusError>;

    /// Size of a BAR in bytes. A shell may know the size of a BAR that it has not mapped.
    ///
    /// # Errors
    /// As [`Windows::window`].
    fn size(&self, bar: u8) -> Result<u64, BusError> {
        Ok(self.window(bar)?.size())
    }
}

/// The windows of one device, borrowed for one section. A driver's code gets no other way to its
/// hardware, and cannot keep this one (GATE-1):
///
/// ```compile_fail,E0521
/// use lifeboat_driver::Io;
///
/// /// What a shell does for each step.
/// fn section(step: impl FnOnce(&Io<'_>)) {}
///
/// let mut kept: Option<Io<'_>> = None;
/// section(|io| kept = Some(*io));
/// ```
#[derive(Clone, Copy)]
pub struct Io<'a>(&'a dyn Windows);

impl<'a> Io<'a> {
    /// Lends windows. For shells: inside a section, and until it ends.
    pub fn new(windows: &'a dyn Windows) -> Self {
        Self(windows)
    }

    /// The window of a BAR.
    ///
    /// # Errors
    /// [`BusError::NoSuchBar`] if the driver has not asked for it.
    pub fn bar(&self, bar: u8) -> Result<&'a dyn Bar, BusError> {
        self.0.window(bar)
    }

    /// Size of a BAR in bytes.
    ///
    /// # Errors
    /// As [`Io::bar`].
    pub fn size(&self, bar: u8) -> Result<u64, BusError> {
        self.0.size(bar)
    }
}

impl fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Io(..)")
    }
}
