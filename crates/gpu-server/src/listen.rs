//! Sockets in the file system: taking over what a dead server left, and leaving nothing behind.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why a socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody listens there.
    #[error("{0} is in use by a running server: stop that one, or choose another path")]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{0} exists and is not a socket: choose another path")]
    NotASocket(PathBuf),
    /// The system refused it.
    #[error("cannot listen on {path}: {error}")]
    System {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

/// A listening socket; its file is removed on drop.
pub(crate) struct Listener {
    pub(crate) socket: UnixListener,
    path: PathBuf,
    /// Device and inode, to leave alone what another has put in its place.
    identity: Option<(u64, u64)>,
}

impl Listener {
    /// Listens on `path`. The socket of a server that is dead is replaced.
    pub(crate) fn bind(path: &Path) -> Result<Self, ListenError> {
        let system = |error| ListenError::System { path: path.to_owned(), error };
        let socket = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                UnixListener::bind(path)
            }
            bound => bound,
        };
        let socket = socket.map_err(system)?;
        Ok(Self { socket, path: path.to_owned(), identity: identity(path) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // Whoever removed it in between wanted the same.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let system = |error| ListenError::System { path: path.to_owned(), error };
    if !fs::symlink_metadata(path).map_err(system)?.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(system),
        Err(error) => Err(system(error)),
        Ok(_) => Err(ListenError::InUse(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_servers_socket_is_replaced_and_a_live_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gpu");
        drop(UnixListener::bind(&path).unwrap()); // leaves its file
        assert!(path.exists());
        let live = Listener::bind(&path).unwrap();
        assert!(matches!(Listener::bind(&path), Err(ListenError::InUse(_))));
        drop(live);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gpu");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Listener::bind(&path), Err(ListenError::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        let missing = folder.path().join("none/gpu");
        assert!(matches!(Listener::bind(&missing), Err(ListenError::System { .. })));
    }

    #[test]
    fn what_another_put_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gpu");
        let first = Listener::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Listener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
