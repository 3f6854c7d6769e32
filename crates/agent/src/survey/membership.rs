//! Unit, container and user that a process belongs to, by its control groups.

use std::io;

use crate::process::is_gone;
use crate::system::System;

/// Membership of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// Unit of the service manager, or container, in words: `foo.service`, `container 0123456789ab of pod ...`.
    pub unit: Option<String>,
    /// User whose slice the process is in.
    pub user: Option<u32>,
}

impl Membership {
    /// Reads the membership of a process. A process that is gone has none.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn read(system: &System, pid: u32) -> io::Result<Self> {
        match system.proc.text(format!("{pid}/cgroup")) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if is_gone(&error) => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Parses the text of `/proc/PID/cgroup`.
    pub fn parse(text: &str) -> Self {
        // Each line is `number:controllers:path`. The unified hierarchy has number 0 and no controllers.
        let lines = || text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let of = |controllers: &str| lines().find(|(name, path)| *name == controllers && *path != "/");
        let chosen = of("").or_else(|| of("name=systemd")).or_else(|| lines().find(|(_, path)| *path != "/"));
        let Some((_, path)) = chosen else { return Self::default() };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let user = parts.iter().find_map(|part| part.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok());
        Self { unit: container(&parts).or_else(|| unit(&parts)), user }
    }
}

/// Returns the innermost unit that is no slice.
fn unit(parts: &[&str]) -> Option<String> {
    let unit = |part: &&&str| part.rsplit_once('.').is_some_and(|(_, kind)| matches!(kind, "service" | "scope"));
    parts.iter().rev().find(unit).map(|unit| (*unit).to_owned())
}

/// Returns the container in words, by the names that runtimes give to its group.
fn container(parts: &[&str]) -> Option<String> {
    const DIGITS: usize = 64;
    let identifier = |part: &str| {
        // `docker-HEX.scope` with the service manager's driver, `HEX` alone without.
        let name = part.strip_suffix(".scope").unwrap_or(part);
        let hex = name.rsplit('-').next().filter(|hex| hex.len() == DIGITS)?;
        hex.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| hex.chars().take(12).collect::<String>())
    };
    let payload = |part: &str| part.strip_prefix("lxc.payload.").map(str::to_owned);
    let name = parts.iter().rev().find_map(|part| identifier(part).or_else(|| payload(part)))?;
    let pod = parts.iter().find_map(|part| {
        let (_, pod) = part
            .strip_suffix(".slice")
            .unwrap_or(part)
            .rsplit_once("pod")
            .filter(|(head, _)| head.is_empty() || head.ends_with('-'))?;
        (pod.len() == 36).then(|| pod.replace('_', "-"))
    });
    Some(match pod {
        Some(pod) => format!("container {name} of pod {pod}"),
        None => format!("container {name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Option<String> {
        Membership::parse(text).unit
    }

    #[test]
    fn a_unit_is_the_innermost_one() {
        assert_eq!(unit("0::/system.slice/foo.service\n").as_deref(), Some("foo.service"));
        let shell = Membership::parse("0::/user.slice/user-1000.slice/user@1000.service/session.slice/shell.service");
        assert_eq!(shell, Membership { unit: Some("shell.service".into()), user: Some(1000) });
    }

    #[test]
    fn the_old_hierarchy_is_read_where_the_new_one_is_empty() {
        let text = "9:name=systemd:/system.slice/old.service\n4:memory:/x\n0::/\n";
        assert_eq!(unit(text).as_deref(), Some("old.service"));
    }

    #[test]
    fn containers_are_named_with_their_pod() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(unit(&format!("0::/system.slice/docker-{hex}.scope")).as_deref(), Some("container 0123456789ab"));
        let pod = "11111111_2222_3333_4444_555555555555";
        let path = format!("0::/kubepods.slice/kubepods-burstable-pod{pod}.slice/cri-containerd-{hex}.scope");
        let words = "container 0123456789ab of pod 11111111-2222-3333-4444-555555555555";
        assert_eq!(unit(&path).as_deref(), Some(words));
        let path = format!("11:pids:/kubepods/burstable/pod{}/{hex}", pod.replace('_', "-"));
        assert_eq!(unit(&path).as_deref(), Some(words));
        assert_eq!(unit("0::/lxc.payload.web/x").as_deref(), Some("container web"));
    }

    #[test]
    fn other_text_has_no_unit() {
        for text in ["", "0::/", "::", "garbage", "0::/user.slice/user-x.slice"] {
            assert_eq!(Membership::parse(text), Membership::default());
        }
    }
}
