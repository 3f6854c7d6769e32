//! Which kernel the guest runs: locked, so that the same tests run everywhere until somebody decides otherwise.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use super::Error;
use super::error::at;

/// What vm/kernel.lock says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KernelLock {
    /// As in the packages' names: `7.3.4+deb13`.
    pub(super) release: String,
    /// The packages' version, the same for all of them.
    pub(super) version: String,
    /// The package with the kernel itself: signed where there is one.
    pub(super) image: String,
    /// The package with the source.
    pub(super) source: String,
}

/// The flavour with drivers/gpu/drm; the cloud flavour has none.
pub(super) const FLAVOUR: &str = "amd64";

impl KernelLock {
    fn path() -> PathBuf {
        super::repository().join("vm/kernel.lock")
    }

    /// Reads the lock file.
    ///
    /// # Errors
    /// If it cannot be read or understood.
    pub(super) fn read() -> Result<Self, Error> {
        let path = Self::path();
        let text = at(&path, fs::read_to_string(&path))?;
        toml::from_str(&text).map_err(|error| Error::BadLock { path, problem: error.to_string() })
    }

    /// Writes the lock file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&self) -> Result<(), Error> {
        let Self { release, version, image, source } = self;
        let mut text =
            String::from("# The guest's kernel, from trixie-backports. Written by `cargo xtask vm setup --newest`.\n");
        for (name, value) in [("release", release), ("version", version), ("image", image), ("source", source)] {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} = {value:?}");
        }
        at(&Self::path(), fs::write(Self::path(), text))
    }

    /// What `uname -r` says in the guest.
    pub(super) fn uname(&self) -> String {
        format!("{}-{FLAVOUR}", self.release)
    }

    pub(super) fn modules(&self) -> String {
        format!("linux-modules-{}", self.uname())
    }

    pub(super) fn headers(&self) -> String {
        format!("linux-headers-{}", self.uname())
    }

    /// Every package that is downloaded, as apt wants it asked for.
    pub(super) fn packages(&self) -> Vec<String> {
        let packages = [self.image.clone(), self.modules(), self.headers(), self.source.clone()];
        packages.into_iter().map(|package| format!("{package}={}", self.version)).collect()
    }
}

/// The newest kernel whose packages are all there in one version. `madison` is what `apt-cache madison` prints: package,
/// version and archive in columns.
pub(super) fn newest(madison: &[String]) -> Option<KernelLock> {
    let offered: Vec<(&str, &str)> = madison
        .iter()
        .filter_map(|line| {
            let mut columns = line.split('|').map(str::trim);
            let offer = (columns.next()?, columns.next()?);
            columns.next()?.contains("-backports/").then_some(offer)
        })
        .collect();
    let has = |package: &str, version: &str| offered.contains(&(package, version));
    let complete = offered.iter().filter_map(|(package, version)| {
        let release = package.strip_prefix("linux-headers-")?.strip_suffix("-amd64")?;
        if release.ends_with("-cloud") || release.ends_with("-rt") {
            return None;
        }
        let images = ["linux-image-", "linux-binary-unsigned-"].map(|prefix| format!("{prefix}{release}-{FLAVOUR}"));
        let image = images.into_iter().find(|image| has(image, version))?;
        let series = release.split('.').take(2).collect::<Vec<_>>().join(".");
        let lock = KernelLock {
            release: release.to_owned(),
            version: (*version).to_owned(),
            image,
            source: format!("linux-source-{series}"),
        };
        (has(&lock.source, version) && has(&lock.modules(), version)).then_some(lock)
    });
    complete.max_by_key(|lock| numbers(&lock.release))
}

fn numbers(release: &str) -> Vec<u32> {
    release.split(['.', '+', '~', '-']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on must fail
mod tests {
    use super::*;

    fn offers(packages: &[(&str, &str)]) -> Vec<String> {
        let line = |(package, version): &(&str, &str)| {
            format!(" {package} | {version} | http://m.example/debian trixie-backports/main amd64 Packages")
        };
        packages.iter().map(line).collect()
    }

    #[test]
    fn the_newest_kernel_that_is_complete_is_chosen() {
        let mut packages = Vec::new();
        for (release, series, version) in [("7.2.12+deb13", "7.2", "7.2.12-1"), ("7.10.1+deb13", "7.10", "7.10.1-1")] {
            for name in ["linux-headers", "linux-modules", "linux-image"] {
                packages.push((format!("{name}-{release}-amd64"), version));
            }
            packages.push((format!("linux-source-{series}"), version));
        }
        let choose = |packages: &[(String, &str)]| {
            newest(&offers(&packages.iter().map(|(name, version)| (name.as_str(), *version)).collect::<Vec<_>>()))
        };
        assert_eq!(choose(&packages).unwrap().release, "7.10.1+deb13");
        // One part of another version, or missing: not complete.
        packages.last_mut().unwrap().1 = "7.10.0-1";
        assert_eq!(choose(&packages).unwrap().release, "7.2.12+deb13");
        packages.truncate(3);
        assert_eq!(choose(&packages), None);
    }

    #[test]
    fn an_unsigned_image_will_do_and_other_flavours_will_not() {
        let version = "7.3.4-1";
        let lock = newest(&offers(&[
            ("linux-headers-7.3.4+deb13-rt-amd64", version),
            ("linux-headers-7.3.4+deb13-amd64", version),
            ("linux-modules-7.3.4+deb13-amd64", version),
            ("linux-binary-unsigned-7.3.4+deb13-amd64", version),
            ("linux-source-7.3", version),
        ]));
        assert_eq!(lock.unwrap().image, "linux-binary-unsigned-7.3.4+deb13-amd64");
    }

    #[test]
    fn the_lock_file_of_this_repository_is_understood() {
        let lock = KernelLock::read().unwrap();
        assert!(lock.version.starts_with(lock.release.split('+').next().unwrap()));
    }
}
