//! What runs on this machine around a guest: programs that end with their test, sockets they call back on, records of what
//! was said.

pub mod port;
pub mod process;
pub mod progress;
pub mod trace;
