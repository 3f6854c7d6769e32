//! Where Debian's packages come from: what the host's own apt uses.

use std::process::Command;

use super::Error;

/// The mirror's address.
///
/// # Errors
/// If neither `$LIFEBOAT_VM_MIRROR` nor the host's apt names one.
pub(super) fn find() -> Result<String, Error> {
    if let Some(mirror) = std::env::var("LIFEBOAT_VM_MIRROR").ok().filter(|mirror| !mirror.is_empty()) {
        return Ok(mirror);
    }
    let targets = ["indextargets", "--no-release-info", "--format", "$(REPO_URI)", "Created-By: Packages"];
    let output = Command::new("apt-get").args(targets).output().map_err(|_| Error::NoMirror)?;
    let sources = String::from_utf8_lossy(&output.stdout);
    choose(sources.lines()).ok_or(Error::NoMirror)
}

/// The first archive called `debian`; others (security, vendors) do not have the suites.
fn choose<'a>(mut sources: impl Iterator<Item = &'a str>) -> Option<String> {
    let found = sources.find(|source| source.trim_end_matches('/').ends_with("/debian"))?;
    Some(found.trim_end_matches('/').to_owned())
}

/// Tells a missing network from other failures of apt.
pub(super) fn explain(error: Error) -> Error {
    const SIGNS: [&str; 6] = [
        "Temporary failure resolving",
        "Could not resolve",
        "Could not connect",
        "Network is unreachable",
        "Connection timed out",
        "Failed to fetch",
    ];
    match &error {
        Error::Step { tail, .. } => match tail.lines().find(|line| SIGNS.iter().any(|sign| line.contains(sign))) {
            Some(line) => Error::NoNetwork(line.trim().to_owned()),
            None => error,
        },
        _ => error,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on must fail
mod tests {
    use super::*;

    #[test]
    fn the_hosts_debian_archive_is_used() {
        let sources = ["https://a.example/apt/", "http://m.example/debian-security/", "http://m.example/debian/"];
        assert_eq!(choose(sources.into_iter()).unwrap(), "http://m.example/debian");
        assert_eq!(choose(["https://a.example/ubuntu"].into_iter()), None);
    }

    #[test]
    fn a_missing_network_is_called_that() {
        let failed = |tail: &str| {
            explain(Error::Step { step: "image".into(), status: "1".into(), log: "log".into(), tail: tail.into() })
        };
        assert!(matches!(failed("ok\nE: Could not connect to m.example:80"), Error::NoNetwork(_)));
        assert!(matches!(failed("E: Unmet dependencies"), Error::Step { .. }));
    }
}
