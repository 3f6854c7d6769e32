//! What the ledger counts of a GPU, besides the base's kinds.

use lifeboat::Kind;

/// A context.
pub const CONTEXT: Kind = Kind::new("context");
/// A queue.
pub const QUEUE: Kind = Kind::new("queue");
/// A buffer.
pub const BUFFER: Kind = Kind::new("buffer");
/// A buffer in the address space of this process.
pub const MAP: Kind = Kind::new("map");
/// A buffer that other devices can import, or have imported.
pub const EXPORT: Kind = Kind::new("export");
