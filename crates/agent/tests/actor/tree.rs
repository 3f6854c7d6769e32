//! A directory that looks like a machine's `/sys`, as far as plans look.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lifeboat_agent::actor::targets::Target;
use lifeboat_agent::address::Address;
use lifeboat_agent::system::{Root, System};
use tempfile::TempDir;

pub(crate) const GPU: &str = "0000:03:00.0";
pub(crate) const AUDIO: &str = "0000:03:00.1";
pub(crate) const PORT: &str = "0000:00:01.0";

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Function of the fake machine.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    pub(crate) address: String,
    /// Directory of the parent, below `devices`.
    pub(crate) parent: String,
    pub(crate) class: &'static str,
    /// Driver that the kernel chooses by itself.
    pub(crate) driver: Option<&'static str>,
    pub(crate) methods: &'static str,
    /// Most virtual functions.
    pub(crate) virtual_functions: u8,
    pub(crate) physical: Option<String>,
}

impl Card {
    pub(crate) fn new(address: &str, parent: &str, driver: &'static str) -> Self {
        Self {
            address: address.to_owned(),
            parent: parent.to_owned(),
            class: "0x030000",
            driver: Some(driver),
            methods: "flr bus",
            virtual_functions: 0,
            physical: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) folder: TempDir,
}

impl Tree {
    pub(crate) fn empty() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        for name in
            ["sys/bus/pci/devices", "sys/bus/pci/drivers", "sys/bus/pci/slots", "sys/class/pci_bus", "proc", "dev"]
        {
            fs::create_dir_all(tree.folder.path().join(name)).unwrap();
        }
        fs::write(tree.sys("bus/pci/rescan"), "").unwrap();
        tree
    }

    /// A port with a slot that can cut power, and in it a GPU with its audio function.
    pub(crate) fn workstation() -> Self {
        let tree = Self::empty();
        tree.add(&Card { class: "0x060400", methods: "pm", ..Card::new(PORT, "pci0000:00", "pcieport") });
        tree.write(&format!("bus/pci/devices/{PORT}/reset_subordinate"), "");
        tree.port(PORT, "7", "0000:03:00", true);
        let below = format!("pci0000:00/{PORT}");
        tree.add(&Card::new(GPU, &below, "xe"));
        tree.add(&Card { class: "0x040300", methods: "bus", ..Card::new(AUDIO, &below, "snd_hda_intel") });
        fs::create_dir(tree.sys("class/pci_bus/0000:03")).unwrap();
        tree.write("class/pci_bus/0000:03/rescan", "");
        tree
    }

    pub(crate) fn sys(&self, path: &str) -> PathBuf {
        self.folder.path().join("sys").join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.sys(path), text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.sys(path)).unwrap().trim_end().to_owned()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.sys(path).exists()
    }

    /// Adds a function with the settings of a new one, bound to its driver.
    pub(crate) fn add(&self, card: &Card) {
        let place = format!("devices/{}/{}", card.parent, card.address);
        fs::create_dir_all(self.sys(&place).join("power")).unwrap();
        let file = |name: &str, text: &str| self.write(&format!("{place}/{name}"), &format!("{text}\n"));
        file("class", card.class);
        file("driver_override", "(null)");
        file("power/control", "on");
        file("power/runtime_status", "active");
        file("reset_method", card.methods);
        for name in ["reset", "remove"] {
            file(name, "");
        }
        if card.virtual_functions > 0 {
            file("sriov_numvfs", "0");
            file("sriov_drivers_autoprobe", "1");
        }
        if let Some(physical) = &card.physical {
            symlink(format!("../{physical}"), self.sys(&place).join("physfn")).unwrap();
        }
        // Last, because a process may wait for the function.
        symlink(format!("../../../{place}"), self.sys(&format!("bus/pci/devices/{}", card.address))).unwrap();
        if let Some(driver) = card.driver {
            self.bind(&card.address, driver);
        }
    }

    pub(crate) fn remove(&self, card: &Card) {
        fs::remove_file(self.sys(&format!("bus/pci/devices/{}", card.address))).unwrap();
        fs::remove_dir_all(self.sys(&format!("devices/{}/{}", card.parent, card.address))).unwrap();
    }

    pub(crate) fn driver(&self, address: &str) -> Option<String> {
        let link = fs::read_link(self.sys(&format!("bus/pci/devices/{address}/driver"))).ok()?;
        Some(link.file_name().unwrap().to_string_lossy().into_owned())
    }

    /// Makes the directory of a driver, with its files.
    pub(crate) fn install(&self, driver: &str) {
        let folder = format!("bus/pci/drivers/{driver}");
        if !self.exists(&folder) {
            fs::create_dir(self.sys(&folder)).unwrap();
            self.write(&format!("{folder}/bind"), "");
            self.write(&format!("{folder}/unbind"), "");
        }
    }

    pub(crate) fn bind(&self, address: &str, driver: &str) {
        self.install(driver);
        // From the root of the tree, whatever the depth of the function.
        let link = self.sys(&format!("bus/pci/devices/{address}/driver"));
        symlink(format!("/bus/pci/drivers/{driver}"), link).unwrap();
    }

    pub(crate) fn unbind(&self, address: &str) {
        fs::remove_file(self.sys(&format!("bus/pci/devices/{address}/driver"))).unwrap();
    }

    /// Gives a port configuration space with a slot, and the slot its directory.
    pub(crate) fn port(&self, port: &str, slot: &str, address: &str, power_controller: bool) {
        let mut space = [0_u8; 256];
        space[..4].copy_from_slice(&[0x86, 0x80, 0x01, 0x19]);
        space[0x34] = 0x50;
        space[0x50..0x52].copy_from_slice(&[0x01, 0x70]);
        space[0x70..0x74].copy_from_slice(&[0x10, 0, 0x42, 0x01]);
        space[0x84] = if power_controller { 0x02 } else { 0x40 };
        fs::write(self.sys(&format!("bus/pci/devices/{port}/config")), space).unwrap();
        fs::create_dir(self.sys(&format!("bus/pci/slots/{slot}"))).unwrap();
        self.write(&format!("bus/pci/slots/{slot}/address"), &format!("{address}\n"));
        self.write(&format!("bus/pci/slots/{slot}/power"), "1\n");
    }

    pub(crate) fn root(&self) -> Root {
        Root::open(&self.sys("")).unwrap()
    }

    /// The fake `/sys`, and the real `/proc`: processes are real ones.
    pub(crate) fn system(&self) -> System {
        let real = |path: &str| Root::open(Path::new(path)).unwrap();
        System {
            sys: self.root(),
            proc: real("/proc"),
            dev: Root::open(&self.folder.path().join("dev")).unwrap(),
            run: None,
        }
    }

    pub(crate) fn target(&self, device: &str) -> Target {
        Target::read(&self.root(), address(device)).unwrap()
    }
}
