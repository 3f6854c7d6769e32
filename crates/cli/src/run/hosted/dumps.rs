//! Dumps of the device, each in a file of a directory, written as soon as they are there.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use lifeboat::Dump;
use parking_lot::Mutex;
use tempfile::{NamedTempFile, PersistError};

use crate::run::destination::DestinationError;

/// Most files of a run: where every job hangs, the first tell as much as all.
const MOST: usize = 100;

/// A directory for dumps, and what is in it of this run.
pub(super) struct DumpDirectory {
    path: PathBuf,
    written: Mutex<Written>,
}

/// The files, in their order; or the first that could not be written.
type Written = Result<Vec<PathBuf>, DestinationError>;

impl DumpDirectory {
    /// Makes the directory, if it is not there, and tries whether a file can be made in it.
    ///
    /// # Errors
    /// [`DestinationError::Unusable`].
    pub(super) fn claim(path: &Path) -> Result<Self, DestinationError> {
        let tried = fs::create_dir_all(path).and_then(|()| temporary(path));
        match tried {
            Ok(_) => Ok(Self { path: path.to_owned(), written: Mutex::new(Ok(Vec::new())) }),
            Err(error) => Err(DestinationError::Unusable {
                path: path.to_owned(),
                why: format!("{}; give a directory that can be written, or a name for a new one", error.kind()),
            }),
        }
    }

    /// Writes a dump, if there are not too many. After the first that could not be written there are no others.
    pub(super) fn save(&self, dump: &Dump) {
        let mut written = self.written.lock();
        if let Ok(files) = &mut *written
            && files.len() < MOST
        {
            match self.write(dump) {
                Ok(file) => files.push(file),
                Err(source) => *written = Err(DestinationError::Write { path: self.path.clone(), source }),
            }
        }
    }

    /// Under the first number that is free: what is there is from another run.
    fn write(&self, dump: &Dump) -> io::Result<PathBuf> {
        let mut file = temporary(&self.path)?;
        let mut out = BufWriter::new(file.as_file_mut());
        dump.write(&mut out)?;
        out.flush()?;
        drop(out);
        for number in 1_u32.. {
            let path = self.path.join(format!("dump-{number:04}.json"));
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(PersistError { error, file: back }) if error.kind() == io::ErrorKind::AlreadyExists => file = back,
                Err(error) => return Err(error.error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// What was written.
    pub(super) fn conclude(&self) -> Written {
        std::mem::replace(&mut *self.written.lock(), Ok(Vec::new()))
    }
}

fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".lifeboat-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file; the process's umask takes from it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use lifeboat::dump::{About, Driver, LeftOut, Reason, Taken};

    use super::*;

    fn dump(minor: u32) -> Dump {
        Dump {
            driver: Driver { name: "lifeboat".to_owned(), version: "1".to_owned() },
            device: About { model: "LB1".to_owned(), minor, location: "here".to_owned() },
            taken: Taken { utc: "now".to_owned(), since_bind_ms: 0 },
            reason: Reason::ByHand,
            guilty: None,
            registers: vec![],
            rings: vec![],
            jobs: vec![],
            left_out: LeftOut::default(),
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn each_dump_has_a_file_of_its_own_and_what_is_there_stays() {
        let above = tempfile::tempdir().unwrap();
        let directory = above.path().join("new/dumps");
        for run in 0..2 {
            let dumps = DumpDirectory::claim(&directory).unwrap();
            dumps.save(&dump(10 + run));
            dumps.save(&dump(20 + run));
            let files = dumps.conclude().unwrap();
            let minors = files.iter().map(|file| Dump::read(&fs::read(file).unwrap()).unwrap().device.minor);
            assert_eq!(minors.collect::<Vec<_>>(), [10 + run, 20 + run]);
        }
        assert_eq!(names(&directory), ["dump-0001.json", "dump-0002.json", "dump-0003.json", "dump-0004.json"]);
    }

    #[test]
    fn what_cannot_be_written_is_told_before_or_at_the_end() {
        let above = tempfile::tempdir().unwrap();
        let file = above.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(DumpDirectory::claim(&file), Err(DestinationError::Unusable { .. })));
        let gone = above.path().join("gone");
        let dumps = DumpDirectory::claim(&gone).unwrap();
        fs::remove_dir(&gone).unwrap();
        dumps.save(&dump(1));
        fs::create_dir(&gone).unwrap();
        dumps.save(&dump(2));
        assert!(matches!(dumps.conclude(), Err(DestinationError::Write { .. })));
        assert_eq!(names(&gone), [""; 0]);
    }
}
