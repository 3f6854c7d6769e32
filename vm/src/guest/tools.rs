//! Programs that a guest has beside its first, each with all the files that it needs, and a module.

use std::fs;

use crate::guest::initramfs::{Initramfs, InitramfsError};
use crate::setup::Environment;

/// The picture that [`Tool::Lifeboat`] can work on.
pub const PICTURE: &str = "/picture.png";

/// Where Debian's loader is, and where it looks for libraries.
const LOADER: &str = "ld-linux-x86-64.so.2";
const LOADER_FOLDER: &str = "/lib64";
const LIBRARIES: &str = "/lib/x86_64-linux-gnu";

/// A program, or a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The `lifeboat` command, and a picture.
    Lifeboat,
    /// Debian's `drm_info`.
    DrmInfo,
    /// The module that tests our scheduler without a device.
    SchedulerTest,
}

impl Tool {
    /// Where it is in the guest.
    pub fn path(self) -> &'static str {
        match self {
            Self::Lifeboat => "/bin/lifeboat",
            Self::DrmInfo => "/bin/drm_info",
            Self::SchedulerTest => "/modules/lifeboat_jobqueue_test.ko",
        }
    }

    /// Puts it into a guest's file system.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn add_to(self, initramfs: &mut Initramfs, environment: &Environment) -> Result<(), InitramfsError> {
        match self {
            Self::Lifeboat => {
                initramfs.add_file(&environment.lifeboat, self.path())?;
                initramfs.add_file(&environment.picture, PICTURE)
            }
            Self::DrmInfo => {
                initramfs.add_file(&environment.tools.join("bin/drm_info"), self.path())?;
                add_libraries(initramfs, environment)
            }
            Self::SchedulerTest => initramfs.add_file(&environment.jobqueue_test_ko, self.path()),
        }
    }
}

fn add_libraries(initramfs: &mut Initramfs, environment: &Environment) -> Result<(), InitramfsError> {
    let folder = environment.tools.join("lib");
    let at = |error| InitramfsError::File { path: folder.clone(), error };
    for entry in fs::read_dir(&folder).map_err(at)? {
        let path = entry.map_err(at)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let to = if name == LOADER { LOADER_FOLDER } else { LIBRARIES };
        initramfs.add_file(&path, &format!("{to}/{name}"))?;
    }
    Ok(())
}
