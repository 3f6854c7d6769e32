//! The kernel module is the shell of any driver: only its registration names a device, and the scheduler's shell knows none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folder of the registration, in `kernel/src`.
const REGISTRATION: &str = "registration";

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[test]
fn only_the_registration_names_a_device() -> io::Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel/src");
    let named = |path: &Path| Ok::<_, io::Error>(fs::read_to_string(path)?.to_lowercase().contains("lb1"));
    let mut registered = false;
    let queue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel/jobqueue");
    for path in files(&source)?.into_iter().chain(files(&queue)?) {
        if path.starts_with(source.join(REGISTRATION)) {
            registered |= named(&path)?;
        } else {
            assert!(!named(&path)?, "{} names a device", path.display());
        }
    }
    assert!(registered, "the registration names none");
    // A second driver has a registration of its own, and no other part of the shell.
    let second = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel/second");
    let parts: Vec<_> = fs::read_dir(second)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    for part in parts {
        let known = ["Cargo.toml", "registration.rs", "shim.c", "src"].contains(&part.as_str());
        assert!(known, "{part} is shell code of the second driver's");
    }
    Ok(())
}
