//! A kernel that answers writes to a fake tree at once, as the real one does, and notes each of them.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use lifeboat_agent::actor::condition::Condition;
use lifeboat_agent::actor::execute::{Hands, Progress, execute};
use lifeboat_agent::actor::hook::Program;
use lifeboat_agent::actor::machine::Machine;
use lifeboat_agent::actor::outcome::{Ending, Outcome};
use lifeboat_agent::actor::plan::{Operation, Plan};
use rustix::io::Errno;

use crate::tree::{Card, Tree};

pub(crate) struct Kernel {
    pub(crate) tree: Tree,
    /// Every function that can be found by a scan.
    pub(crate) cards: Vec<Card>,
    pub(crate) log: Vec<(String, String)>,
    /// Paths whose next writes fail.
    pub(crate) failures: BTreeMap<String, Errno>,
    pub(crate) progress: Vec<Progress>,
    /// Whether a scan finds nothing.
    pub(crate) blind: bool,
}

impl Kernel {
    pub(crate) fn new(tree: Tree, cards: Vec<Card>) -> Self {
        Self { tree, cards, log: Vec::new(), failures: BTreeMap::new(), progress: Vec::new(), blind: false }
    }

    pub(crate) fn execute(&mut self, plan: &Plan) -> Ending {
        let mut progress = Vec::new();
        let ending = execute(plan, self, &mut |line| {
            progress.push(line.clone());
            Ok(())
        });
        self.progress = progress;
        ending.unwrap()
    }

    /// Returns the writes of the plan that were not needless, by the progress.
    pub(crate) fn expected(&self, plan: &Plan) -> Vec<(String, String)> {
        let begun = |number| self.progress.contains(&Progress::Begins(number));
        let needless = |number| self.progress.contains(&Progress::Needless(number));
        let operations = plan.all().enumerate().filter(|&(number, _)| begun(number) && !needless(number));
        operations
            .filter_map(|(_, operation)| match operation {
                Operation::Write { path, text, .. } => Some((path.clone(), text.clone())),
                _ => None,
            })
            .collect()
    }

    fn card(&self, address: &str) -> Option<Card> {
        self.cards.iter().find(|card| card.address == address).cloned()
    }

    fn present(&self, address: &str) -> bool {
        self.tree.exists(&format!("bus/pci/devices/{address}"))
    }

    fn unbind(&self, address: &str, driver: Option<&str>) -> Result<(), Errno> {
        let bound = self.tree.driver(address).ok_or(Errno::NODEV)?;
        if driver.is_some_and(|driver| driver != bound) {
            return Err(Errno::NODEV);
        }
        self.tree.unbind(address);
        self.drop_virtual(address);
        Ok(())
    }

    fn drop_virtual(&self, physical: &str) {
        for card in self.cards.iter().filter(|card| card.physical.as_deref() == Some(physical)) {
            if self.present(&card.address) {
                self.tree.remove(card);
            }
        }
        let count = format!("bus/pci/devices/{physical}/sriov_numvfs");
        if self.tree.exists(&count) {
            self.tree.write(&count, "0\n");
        }
    }

    fn bind(&self, address: &str, driver: &str) -> Result<(), Errno> {
        if !self.present(address) {
            return Err(Errno::NODEV);
        }
        if self.tree.driver(address).is_some() {
            return Err(Errno::BUSY);
        }
        let only = self.tree.read(&format!("bus/pci/devices/{address}/driver_override"));
        let matches = if only == "(null)" {
            self.card(address).is_some_and(|card| card.driver == Some(driver))
        } else {
            only == driver
        };
        if !matches {
            return Err(Errno::NODEV);
        }
        self.tree.bind(address, driver);
        // The driver decides about runtime power when it probes.
        self.tree.write(&format!("bus/pci/devices/{address}/power/control"), "on\n");
        Ok(())
    }

    fn vanish(&self, address: &str) -> Result<(), Errno> {
        let card = self.card(address).filter(|_| self.present(address)).ok_or(Errno::NOENT)?;
        self.drop_virtual(address);
        self.tree.remove(&card);
        Ok(())
    }

    fn appear(&self, bus: &str) {
        for card in self.cards.iter().filter(|card| card.address.starts_with(bus) && card.physical.is_none()) {
            if !self.blind && !self.present(&card.address) {
                self.tree.add(card);
            }
        }
    }

    fn enable(&self, physical: &str, count: &str) -> Result<(), Errno> {
        let folder = format!("bus/pci/devices/{physical}");
        if self.tree.driver(physical).is_none() {
            return Err(Errno::NOENT);
        }
        let count: usize = count.parse().map_err(|_| Errno::INVAL)?;
        let probe = self.tree.read(&format!("{folder}/sriov_drivers_autoprobe")) == "1";
        let all = self.cards.iter().filter(|card| card.physical.as_deref() == Some(physical));
        for card in all.take(count) {
            let driver = card.driver.filter(|_| probe);
            self.tree.add(&Card { driver, ..card.clone() });
        }
        self.tree.write(&format!("{folder}/sriov_numvfs"), &format!("{count}\n"));
        Ok(())
    }

    fn answer(&mut self, path: &str, text: &str) -> Result<(), Errno> {
        if let Some(error) = self.failures.get(path) {
            return Err(*error);
        }
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            ["bus", "pci", "drivers", driver, "unbind"] => self.unbind(text, Some(driver)),
            ["bus", "pci", "drivers", driver, "bind"] => self.bind(text, driver),
            ["bus", "pci", "devices", function, "driver", "unbind"] if text == function => self.unbind(text, None),
            ["bus", "pci", "devices", function, "remove"] => self.vanish(function),
            ["class", "pci_bus", bus, "rescan"] => {
                self.appear(bus);
                Ok(())
            }
            ["bus", "pci", "slots", _, "power"] if text == "0" => {
                for card in self.cards.clone().iter().rev().filter(|card| self.present(&card.address)) {
                    self.vanish(&card.address)?;
                }
                Ok(())
            }
            ["bus", "pci", "slots", _, "power"] => {
                self.appear("");
                Ok(())
            }
            ["bus", "pci", "devices", _, "reset" | "reset_subordinate"] if text == "1" => Ok(()),
            ["bus", "pci", "devices", function, "sriov_numvfs"] => self.enable(function, text),
            ["bus", "pci", "devices", _, ..] if self.tree.exists(path) => {
                self.tree.write(path, &format!("{text}\n"));
                Ok(())
            }
            _ => Err(Errno::NOENT),
        }
    }

    fn hands<T>(&self, ask: impl FnOnce(&mut Machine<'_>) -> T) -> T {
        ask(&mut Machine::new(&self.tree.root()))
    }
}

impl Hands for Kernel {
    fn write(&mut self, path: &str, text: &str) -> io::Result<()> {
        self.log.push((path.to_owned(), text.to_owned()));
        Ok(self.answer(path, text)?)
    }

    fn wait(&mut self, until: &Condition, _limit: Duration) -> bool {
        // The kernel has answered already: there is nothing to wait for.
        self.hands(|hands| hands.wait(until, Duration::ZERO))
    }

    fn is_needless(&mut self, unless: &[Condition]) -> bool {
        self.hands(|hands| hands.is_needless(unless))
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        self.hands(|hands| hands.holds(condition))
    }

    fn found(&mut self, condition: &Condition) -> String {
        self.hands(|hands| hands.found(condition))
    }

    fn run(&mut self, _program: &Program) -> Outcome {
        Outcome::Succeeded
    }
}
