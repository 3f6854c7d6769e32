//! The dump of a device: the registers that it shows, and its file, for shells that cannot allocate.
//!
//! | file | what |
//! |---|---|
//! | `layout` | the registers that a dump of a device shows, what their bits mean, and reading them |
//! | `reason` | the reasons that a dump is taken for |
//! | `state` | what a shell has captured, as a dump is written of it |
//! | `portion` | the entries of each ring that there is room for |
//! | `plan` | what of the state is written into so many bytes |
//! | `document` | the dump as JSON |
//! | `json`, `utc`, `text` | strings, moments, and memory as JSON is written into it |
//!
//! The file is one JSON object. `lifeboat::Dump` reads it, whichever shell has written it.

mod document;
mod json;
mod layout;
mod plan;
mod portion;
mod reason;
mod state;
mod text;
mod utc;

pub use document::{write, NoRoom, FORMAT, VERSION};
pub use json::Lossy;
pub(crate) use layout::is_plain;
pub use layout::{read, Field, Layout, Register};
pub use portion::{by_rank, entry_cost, Place, Portions, Window};
pub use reason::Reason;
pub use state::{About, Entry, Guilty, Job, Process, Ring, State};
pub use utc::Utc;
