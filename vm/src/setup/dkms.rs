//! DKMS in the image, called as on a user's machine. The folders that it keeps its things in are made anew for each use and are
//! nowhere but in a folder of the host's: nothing stays in the image.

use std::env::consts::ARCH;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::at;
use super::folder::INSIDE;
use super::lock::KernelLock;
use super::{Environment, Error, kernel, module, sandbox};
use crate::pace::Flavour;

/// The name of the package, and of the module.
const PACKAGE: &str = "lifeboat";

/// The version of the package, which is that of all crates.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Seconds that a call may take. A build takes about ten on two processors.
const LIMIT: &str = "600";

/// The module of the kernel's own that ours needs: all that there is of the kernel's modules, so that depmod need not read them all.
const NEEDED: &str = "kernel/drivers/gpu/drm/drm.ko.xz";

/// The build directory of the kernel that DKMS is to build for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// The stock kernel's, with Rust metadata.
    WithMetadata,
    /// The stock kernel's, as Debian's package has them.
    AsPackaged,
    /// Headers of a kernel that was configured without Rust.
    WithoutRust,
    /// Headers of a kernel of this release, which has Rust.
    Of(&'static str),
}

/// A machine with the sources of our module, one kernel and its build directory.
#[derive(Debug)]
pub struct Dkms {
    folder: PathBuf,
    lock: KernelLock,
    /// `src`, `dkms` and `modules`, which DKMS finds at `/usr/src`, `/var/lib/dkms` and `/lib/modules`.
    kept: TempDir,
}

/// Result of a call.
#[derive(Debug)]
pub struct Answer {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All that it said, on both channels.
    pub said: String,
}

impl Dkms {
    /// A machine with the stock kernel and these headers, in the environment of tests on that kernel. `make dkms-tree` puts our sources
    /// in place.
    ///
    /// # Errors
    /// If the sources or a file of the kernel cannot be had.
    pub fn new(environment: &Environment, headers: Headers) -> Result<Self, Error> {
        let io = |source| Error::File { path: std::env::temp_dir(), source };
        let kept = tempfile::Builder::new().prefix("lifeboat-dkms-").tempdir().map_err(io)?;
        let dkms = Self { folder: environment.folder.clone(), lock: KernelLock::read()?, kept };
        for part in ["src", "dkms"] {
            let part = dkms.kept(part);
            at(&part, fs::create_dir(&part))?;
        }
        dkms.add_kernel(&environment.modules_dir)?;
        dkms.add_headers(headers)?;
        dkms.add_sources()?;
        Ok(dkms)
    }

    /// The modules of the kernel: the directory with `modules.dep`.
    pub fn modules(&self) -> PathBuf {
        self.kept("modules").join(self.lock.uname())
    }

    /// Calls DKMS: an action, for the kernel or for all.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn call(&self, action: &str) -> Result<Answer, Error> {
        let (package, release) = (format!("{PACKAGE}/{VERSION}"), self.lock.uname());
        let arguments: &[&str] = match action {
            "add" => &["add", &package],
            "autoinstall" => &["autoinstall", "-k", &release],
            _ => &[action, &package, "-k", &release],
        };
        // The repository is out of sight: what is built comes from the tree alone.
        self.run(&[], &[&["dkms"], arguments].concat())
    }

    /// Adds, builds and installs our module.
    ///
    /// # Errors
    /// If DKMS fails or a compiler warns of something, such as that it is not the kernel's. The message has what they said.
    pub fn install(&self) -> Result<(), Error> {
        for action in ["add", "build", "install"] {
            let Answer { code, said } = self.call(action)?;
            if code != Some(0) {
                let log = fs::read_to_string(self.package("build/make.log")).unwrap_or_default();
                return Err(Error::Program(format!("`dkms {action}` ended with {code:?}: {said}\n{log}")));
            }
        }
        let log = self.package(&format!("{}/{ARCH}/log/make.log", self.lock.uname()));
        let log = at(&log, fs::read_to_string(&log))?;
        if log.contains("warning:") { Err(Error::Program(format!("DKMS builds with warnings: {log}"))) } else { Ok(()) }
    }

    /// Something that DKMS keeps of our package.
    fn package(&self, part: &str) -> PathBuf {
        self.kept("dkms").join(PACKAGE).join(VERSION).join(part)
    }

    fn kept(&self, part: &str) -> PathBuf {
        self.kept.path().join(part)
    }

    fn add_kernel(&self, modules: &Path) -> Result<(), Error> {
        let (from, to) = (modules.join(NEEDED), self.modules().join(NEEDED));
        let parent = to.parent().unwrap_or(&to);
        at(parent, fs::create_dir_all(parent))?;
        at(&from, fs::copy(&from, &to))?;
        // A kernel that is installed has it; DKMS leaves depmod out where it is missing.
        let dep = self.modules().join("modules.dep");
        at(&dep, fs::write(&dep, ""))
    }

    fn add_headers(&self, headers: Headers) -> Result<(), Error> {
        let build = self.modules().join("build");
        let link = |to: &str| at(&build, symlink(Path::new(INSIDE).join(to), &build));
        match headers {
            Headers::WithMetadata => link(&format!("obj/{}", module::tree(Flavour::Stock))),
            Headers::AsPackaged => link(&kernel::headers(&self.lock)),
            Headers::WithoutRust => self.make_headers(&build, &self.lock.uname(), false),
            Headers::Of(release) => self.make_headers(&build, release, true),
        }
    }

    /// The files by which headers tell what kernel they are of.
    fn make_headers(&self, build: &Path, release: &str, rust: bool) -> Result<(), Error> {
        let (from, to) = (self.folder.join(kernel::headers(&self.lock)).join(".config"), build.join(".config"));
        let config = at(&from, fs::read_to_string(&from))?;
        let kept: Vec<_> = config.lines().filter(|line| rust || !line.starts_with("CONFIG_RUST=")).collect();
        let include = build.join("include/config");
        at(&include, fs::create_dir_all(&include))?;
        at(&to, fs::write(&to, kept.join("\n")))?;
        let to = include.join("kernel.release");
        at(&to, fs::write(&to, release))
    }

    fn add_sources(&self) -> Result<(), Error> {
        let repository = super::repository();
        let to = format!("DESTDIR=/usr/src/{PACKAGE}-{VERSION}");
        let make = ["make", "-C", "/repository/kernel", "dkms-tree", &to];
        let Answer { code, said } = self.run(&[(&repository, "/repository:ro")], &make)?;
        if code == Some(0) { Ok(()) } else { Err(Error::Program(format!("`make dkms-tree` failed: {said}"))) }
    }

    /// Runs a command in the image. A shell joins its channels.
    fn run(&self, binds: &[(&Path, &str)], command: &[&str]) -> Result<Answer, Error> {
        let kept = ["src", "dkms", "modules"].map(|part| self.kept(part));
        let own = kept.iter().map(PathBuf::as_path).zip(["/usr/src", "/var/lib/dkms", "/usr/lib/modules"]);
        let binds: Vec<_> = binds.iter().copied().chain(own).collect();
        let mut joined = sandbox::command(&self.folder, &binds, "timeout");
        joined.args([LIMIT, "sh", "-c", "exec \"$@\" 2>&1", "sh"]).args(command);
        let output = at(Path::new("timeout"), joined.output())?;
        let said = [output.stdout, output.stderr].concat();
        Ok(Answer { code: output.status.code(), said: String::from_utf8_lossy(&said).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_has_the_version_of_the_crates() -> std::io::Result<()> {
        let kernel = super::super::repository().join("kernel");
        let conf = fs::read_to_string(kernel.join("dkms.conf"))?;
        assert!(conf.contains(&format!("PACKAGE_VERSION=\"{VERSION}\"\n")), "{conf}");
        let readme = fs::read_to_string(kernel.join("README.md"))?;
        assert!(readme.contains(&format!("dkms install {PACKAGE}/{VERSION}")));
        Ok(())
    }
}
