//! Files that the run writes at its end, claimed at its beginning.
//!
//! A [`Destination`] is a temporary file beside the file that is wanted; committing it puts it there in one step. So a
//! place that cannot be written is found before the work and not after it, and a run that fails or is interrupted leaves
//! what was there before untouched.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file to be.
#[derive(Debug)]
pub struct Destination {
    path: PathBuf,
    file: NamedTempFile,
}

/// How a timeline is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimelineFormat {
    /// A drawing, as SVG.
    Drawing,
    /// Chrome's trace format, as JSON.
    Trace,
}

/// Why a result is not where the user wants it.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// Known before the run.
    #[error("cannot save to {path:?}: {why}")]
    Unusable {
        /// The file that was wanted.
        path: PathBuf,
        /// What is wrong with it and what to do.
        why: String,
    },
    /// Known only when it was tried, after the run.
    #[error("{path:?} could not be written: {source}; make room or choose another place, and run again")]
    Write {
        /// The file that was wanted.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Destination {
    /// Claims a file for a picture.
    ///
    /// # Errors
    /// The file's name does not end in `.png`, or the file cannot be created.
    pub fn for_picture(path: &Path) -> Result<Self, DestinationError> {
        match extension(path).as_str() {
            "png" => Self::claim(path),
            "jpg" | "jpeg" => {
                Err(unusable(path, "JPEG would not keep the result bit for bit; give a name that ends in .png"))
            }
            _ => Err(unusable(path, "pictures are saved as PNG; give a name that ends in .png")),
        }
    }

    /// Claims a file for a timeline, and tells from its name what is wanted.
    ///
    /// # Errors
    /// The file's name ends in neither `.svg` nor `.json`, or the file cannot be created.
    pub fn for_timeline(path: &Path) -> Result<(Self, TimelineFormat), DestinationError> {
        let format = match extension(path).as_str() {
            "svg" => TimelineFormat::Drawing,
            "json" => TimelineFormat::Trace,
            _ => return Err(unusable(path, "give a name that ends in .svg for a drawing or in .json for a trace")),
        };
        Ok((Self::claim(path)?, format))
    }

    fn claim(path: &Path) -> Result<Self, DestinationError> {
        if fs::metadata(path).is_ok_and(|present| !present.is_file()) {
            return Err(unusable(path, "it exists and is not a file; give another name"));
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".lifeboat-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any new file; the process's umask takes from it.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        match builder.tempfile_in(directory) {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(error) => {
                let why = format!("{}; give a place that exists and can be written", cause(&error));
                Err(unusable(path, &why))
            }
        }
    }

    /// Where it is to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file and puts it in its place.
    ///
    /// # Errors
    /// The system's, when writing or renaming fails; what was there before is still there then.
    pub fn commit(mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), DestinationError> {
        let mut out = BufWriter::new(self.file.as_file_mut());
        let written = write(&mut out).and_then(|()| out.flush());
        drop(out);
        let placed = written.and_then(|()| self.file.persist(&self.path).map_err(io::Error::from));
        placed.map(drop).map_err(|source| DestinationError::Write { path: self.path, source })
    }
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

fn unusable(path: &Path, why: &str) -> DestinationError {
    DestinationError::Unusable { path: path.to_owned(), why: why.to_owned() }
}

/// The system's reason, without the name of the temporary file, which means nothing to the user.
fn cause(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.kind().to_string(), |code| io::Error::from_raw_os_error(code).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_commit_replaces_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.PNG");
        fs::write(&path, "old").unwrap();
        let destination = Destination::for_picture(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        destination.commit(|out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(directory.path()), ["a.PNG"]);
    }

    #[test]
    fn without_a_commit_nothing_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.png");
        drop(Destination::for_picture(&path).unwrap());
        let failed = Destination::for_picture(&path).unwrap().commit(|out| {
            out.write_all(b"half")?;
            Err(io::Error::other("the disk is full"))
        });
        assert!(failed.unwrap_err().to_string().contains("the disk is full"));
        assert_eq!(names(directory.path()), [""; 0]);
    }

    #[test]
    fn an_unusable_place_is_refused_at_once_and_in_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("taken.png");
        fs::create_dir(&taken).unwrap();
        for (path, says) in [
            (directory.path().join("a.jpg"), ".png"),
            (directory.path().join("a"), ".png"),
            (directory.path().join("a\nb.gif"), ".png"),
            (directory.path().join("missing").join("a.png"), "a place that exists"),
            (taken, "not a file"),
        ] {
            let error = Destination::for_picture(&path).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains(['\n']) && !error.contains(".lifeboat-"), "{error}");
        }
        assert!(Destination::for_timeline(&directory.path().join("a.png")).unwrap_err().to_string().contains(".svg"));
    }

    #[test]
    fn the_name_tells_the_form_of_a_timeline() {
        let directory = tempfile::tempdir().unwrap();
        let format = |name: &str| Destination::for_timeline(&directory.path().join(name)).unwrap().1;
        assert_eq!(format("a.svg"), TimelineFormat::Drawing);
        assert_eq!(format("a.JSON"), TimelineFormat::Trace);
    }
}
