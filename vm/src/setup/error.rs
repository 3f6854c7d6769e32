//! What can stop the preparation of a guest, each with what to do about it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why there is no guest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Images are made and entered by chroot.
    #[error("the guest's image is made and entered by chroot, which takes root: run this as root")]
    NotRoot,
    /// A program of the host is missing.
    #[error("`{program}` is missing: install it with `apt-get install {package}`")]
    MissingProgram {
        /// The program looked for.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// Nobody says where Debian's packages come from.
    #[error("no Debian mirror is known: this host's apt names none; set LIFEBOAT_VM_MIRROR=URL")]
    NoMirror,
    /// The mirror cannot be reached.
    #[error("the Debian mirror cannot be reached ({0}): is there a network? LIFEBOAT_VM_MIRROR=URL chooses another")]
    NoNetwork(String),
    /// The locked kernel is no longer offered.
    #[error(
        "kernel {locked} of vm/kernel.lock is gone from the mirror; the newest complete one is {newest}. Run `cargo xtask vm \
         setup --newest`, then the tests, and commit the lock file"
    )]
    KernelGone {
        /// What the lock file asks for.
        locked: String,
        /// What there is, or a word that there is none.
        newest: String,
    },
    /// The lock file cannot be understood.
    #[error("{path}: {problem}")]
    BadLock {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder holds something that this program did not make.
    #[error(
        "{0} is not a folder of Lifeboat's guest (no .lifeboat-vm in it): nothing was changed. Choose another by LIFEBOAT_VM_DIR"
    )]
    NotOurs(PathBuf),
    /// Something is still mounted inside.
    #[error("{0} is a mount point inside the folder: unmount it first; nothing was removed")]
    Mounted(PathBuf),
    /// Another run is at work in the same folder.
    #[error("another `cargo xtask vm` uses {0}; wait for it to end")]
    Busy(PathBuf),
    /// A command failed.
    #[error("{step} failed ({status}). The end of {log}:\n{tail}", log = log.display())]
    Step {
        /// The step.
        step: String,
        /// How its command ended.
        status: String,
        /// All it said.
        log: PathBuf,
        /// The last of it.
        tail: String,
    },
    /// A program of this repository does not compile.
    #[error("{0}")]
    Program(String),
    /// What a step was to make is not there.
    #[error("{0} is missing, though the step that makes it ended well: remove its folder and try again")]
    Missing(PathBuf),
    /// A file operation failed.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Whether this host, as it is, cannot have a guest; as opposed to something that went wrong.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::NotRoot | Self::MissingProgram { .. } | Self::NoMirror | Self::NoNetwork(_))
    }
}

/// Adds the path to an I/O error.
pub(super) fn at<T>(path: &std::path::Path, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|source| Error::File { path: path.to_owned(), source })
}
