//! How the driver says that a removal went: one line each, in debugfs and in the log.

use std::str::FromStr;
use std::time::Duration;

use crate::pace::Flavour;
use crate::suite::failure::{Failure, expect};

/// The longest that `remove()` may take where the device is dead, apart from its nodes: then there is nothing to wait for. Of the
/// stock kernel; one with checkers takes what it takes.
const DEAD: Duration = Duration::from_millis(50);

/// One removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Which function.
    pub bdf: String,
    /// What was done to the hardware.
    pub path: Path,
    /// What the driver found: `alive`, `dead` or `unsure`.
    pub verdict: String,
    /// The reason, as the driver has it: `unbound`, `unplugged`, `hung` and so on.
    pub loss: String,
    /// What began it: `remove`, `health` or `probe`.
    pub trigger: String,
    /// Jobs whose fences were signalled with ENODEV.
    pub retired: u64,
    /// How long the bus waited for the driver.
    pub took: Duration,
    /// From the announcement until all fences have signalled, users have left, maps are zapped and pollers woken.
    pub jobs: Duration,
    /// How much of it the kernel took to take the nodes from the system. It waits for RCU there if no other device of DRM's is
    /// left, and the driver has no say in that.
    pub nodes: Duration,
}

/// What was done to the hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// It was brought to rest, in order.
    Ordered,
    /// Nothing: it was not there.
    Short,
}

impl Removal {
    /// The removals that lines of a log tell of. A device that was cut off, but not yet removed, has a line too: without a time.
    pub fn all_in<'a>(lines: impl IntoIterator<Item = &'a String>) -> Vec<Self> {
        let parsed = lines.into_iter().filter_map(|line| line[line.find("bdf=")?..].parse::<Self>().ok());
        parsed.filter(|removal| !removal.took.is_zero()).collect()
    }

    /// Fails unless it went as it must for this hardware, in time.
    ///
    /// # Errors
    /// Another path was taken, or it took too long.
    pub fn went(&self, path: Path, flavour: Flavour) -> Result<(), Failure> {
        expect(self.path == path, || format!("the driver should have taken the path {path:?}: {self:?}"))?;
        self.in_time(flavour)
    }

    /// Fails if a dead device was waited for.
    ///
    /// # Errors
    /// It took too long.
    pub fn in_time(&self, flavour: Flavour) -> Result<(), Failure> {
        let took = self.took.saturating_sub(self.nodes);
        let waited = flavour == Flavour::Stock && self.path == Path::Short && took >= DEAD;
        if waited { Err(Failure::Slow { limit: DEAD, took }) } else { Ok(()) }
    }
}

impl FromStr for Removal {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let value = |name: &str| {
            let mut words = line.split_whitespace().filter_map(|word| word.split_once('='));
            words.find(|(found, _)| *found == name).map(|(_, value)| value).ok_or(())
        };
        let number = |name: &str| value(name)?.parse().map_err(drop);
        let path = match value("path")? {
            "ordered" => Path::Ordered,
            "short" => Path::Short,
            _ => return Err(()),
        };
        Ok(Self {
            bdf: value("bdf")?.to_owned(),
            path,
            verdict: value("verdict")?.to_owned(),
            loss: value("loss")?.to_owned(),
            trigger: value("trigger")?.to_owned(),
            retired: number("retired")?,
            took: Duration::from_micros(number("remove_us")?),
            jobs: Duration::from_micros(number("jobs_us").unwrap_or(0)),
            nodes: Duration::from_micros(number("nodes_us").unwrap_or(0)),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use super::*;

    const LINE: &str = "[    9.1] lifeboat 0000:01:00.0: bdf=0000:01:00.0 path=short verdict=dead loss=unplugged \
                        trigger=remove retired=6 remove_us=812 unplug_us=700 jobs_us=90 nodes_us=120";

    fn removal() -> Removal {
        let cut_off = LINE.replace("remove_us=812", "remove_us=0");
        let lines =
            ["[    9.0] pcieport: Card not present".to_owned(), cut_off, LINE.to_owned(), "bdf=x path=odd".to_owned()];
        let all = Removal::all_in(&lines);
        assert_eq!(all.len(), 1);
        all[0].clone()
    }

    #[test]
    fn a_line_is_understood() {
        let expected = Removal {
            bdf: "0000:01:00.0".into(),
            path: Path::Short,
            verdict: "dead".into(),
            loss: "unplugged".into(),
            trigger: "remove".into(),
            retired: 6,
            took: Duration::from_micros(812),
            jobs: Duration::from_micros(90),
            nodes: Duration::from_micros(120),
        };
        assert_eq!(removal(), expected);
    }

    #[test]
    fn a_dead_device_is_not_waited_for() {
        let quick = removal();
        quick.went(Path::Short, Flavour::Stock).unwrap();
        quick.went(Path::Ordered, Flavour::Stock).unwrap_err();
        let slow = Removal { took: DEAD + removal().nodes, ..removal() };
        slow.in_time(Flavour::Stock).unwrap_err();
        let nodes = Removal { nodes: slow.nodes + Duration::from_micros(1), ..slow.clone() };
        nodes.in_time(Flavour::Stock).unwrap();
        slow.in_time(Flavour::Debug).unwrap();
        let live = Removal { path: Path::Ordered, ..slow };
        live.went(Path::Ordered, Flavour::Stock).unwrap();
    }
}
