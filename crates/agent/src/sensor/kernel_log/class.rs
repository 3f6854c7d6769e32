//! Class of a fault: the reason to care. The policy decides by family and code alone, and no fault is a sign unless it names it.

/// Class of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The device or its driver has failed.
    Device,
    /// A program has done something wrong, or has been stopped. The device works.
    Application,
    /// Something that people want to know, and that may be normal.
    Notice,
}
