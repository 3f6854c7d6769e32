//! Users of active sessions of a seat, as logind states them in `/run/systemd/sessions`.

use std::collections::BTreeSet;
use std::io;

use crate::system::System;

/// Reads the users of active sessions of a seat. A machine without logind has none.
///
/// # Errors
/// Errors of the system.
pub fn users(system: &System) -> io::Result<BTreeSet<u32>> {
    let Some(run) = &system.run else { return Ok(BTreeSet::new()) };
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let names = match run.list("systemd/sessions") {
        Err(error) if missing(&error) => return Ok(BTreeSet::new()),
        names => names?,
    };
    let mut users = BTreeSet::new();
    // Beside each session there is a pipe named `SESSION.ref`.
    for name in names.iter().filter(|name| !name.contains('.')) {
        match run.text(format!("systemd/sessions/{name}")) {
            Ok(text) => users.extend(active_user(&text)),
            Err(error) if missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(users)
}

/// Returns the user of a session that is active on a seat. A session over the network has no seat.
fn active_user(text: &str) -> Option<u32> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let active = value("ACTIVE") == Some("1") && value("SEAT").is_some_and(|seat| !seat.is_empty());
    active.then(|| value("UID")?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_active_session_of_a_seat_counts() {
        assert_eq!(active_user("UID=1000\nACTIVE=1\nSEAT=seat0\nTYPE=wayland\n"), Some(1000));
        assert_eq!(active_user("UID=1000\nACTIVE=0\nSEAT=seat0\n"), None);
        assert_eq!(active_user("UID=1000\nACTIVE=1\nREMOTE=1\n"), None);
        assert_eq!(active_user("UID=-1\nACTIVE=1\nSEAT=seat0\n"), None);
    }
}
