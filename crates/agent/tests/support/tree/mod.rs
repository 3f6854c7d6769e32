//! Fake machine for tests: `sys`, `proc`, `dev` and `run` in a temporary folder, laid out as the kernel does.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

pub mod machines;

/// Fake machine. Its folder goes away with it.
pub struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    /// Lays out a machine with one root bus and process 1, which has mounted nothing.
    pub fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["sys/bus/pci/devices", "sys/bus/pci/drivers", "sys/devices/pci0000:00", "dev", "run"] {
            tree.create(folder);
        }
        tree.process(1, "systemd").cgroup("0::/init.scope\n");
        tree
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Creates a folder with those above.
    pub fn create(&self, path: &str) {
        fs::create_dir_all(self.at(path)).unwrap();
    }

    /// Writes a file, and creates the folders above.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Makes a symbolic link, and creates the folders above. One that is there is replaced.
    pub fn link(&self, path: &str, target: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.is_symlink() {
            fs::remove_file(&path).unwrap();
        }
        symlink(target, path).unwrap();
    }

    /// Makes a symbolic link from one path below `sys` to another, relative as sysfs has it.
    pub fn link_sys(&self, path: &str, target: &str) {
        let up = "../".repeat(path.matches('/').count());
        self.link(&format!("sys/{path}"), &format!("{up}{target}"));
    }

    /// Removes a file, a link or a folder.
    pub fn remove(&self, path: &str) {
        let path = self.at(path);
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    /// Puts a function on the bus: below `devices/ABOVE`, such as `pci0000:00/0000:00:01.0`.
    pub fn function(&self, above: &str, address: &str) -> Pci<'_> {
        let pci = Pci { tree: self, path: format!("devices/{above}/{address}"), address: address.into() };
        self.link_sys(&format!("bus/pci/devices/{address}"), &pci.path);
        pci.ids("0x8086:0x0001", "0x8086:0x0002", "0x088000").attribute("driver_override", "(null)\n");
        for file in ["config", "remove", "rescan"] {
            pci.attribute(file, if file == "config" { config(&[]) } else { Vec::new() });
        }
        pci
    }

    /// Puts a bridge on the bus, which can reset everything below.
    pub fn bridge(&self, above: &str, address: &str) -> Pci<'_> {
        let bridge = self.function(above, address);
        bridge.ids("0x8086:0x1901", "0x0000:0x0000", "0x060400").driver("pcieport").attribute("reset_subordinate", "");
        bridge
    }

    /// Makes a slot for the functions at a bus and device: `0000:03:00`.
    pub fn slot(&self, name: &str, address: &str) {
        self.write(&format!("sys/bus/pci/slots/{name}/address"), format!("{address}\n"));
        self.write(&format!("sys/bus/pci/slots/{name}/power"), "1\n");
    }

    /// Starts a process. Its start time follows from its number.
    pub fn process(&self, pid: u32, name: &str) -> Fake<'_> {
        let fake = Fake { tree: self, pid };
        fake.stat(name, 'S', 0, u64::from(pid) * 100);
        fake.cgroup("0::/\n").thread(pid);
        self.write(&format!("proc/{pid}/task/{pid}/maps"), "");
        fake.mounts("mnt:[4026531840]", "");
        fake
    }
}

/// Function in a fake machine.
pub struct Pci<'a> {
    tree: &'a Tree,
    /// Folder below `sys`.
    pub path: String,
    address: String,
}

impl Pci<'_> {
    /// Writes an attribute.
    pub fn attribute(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        self.tree.write(&format!("sys/{}/{name}", self.path), content);
        self
    }

    /// Writes vendor and device, vendor and device of the board, and the class.
    pub fn ids(&self, device: &str, board: &str, class: &str) -> &Self {
        for (names, ids) in [(["vendor", "device"], device), (["subsystem_vendor", "subsystem_device"], board)] {
            for (name, id) in names.iter().zip(ids.split(':')) {
                self.attribute(name, format!("{id}\n"));
            }
        }
        self.attribute("class", format!("{class}\n"))
    }

    /// Binds a driver from a module of the same name, with `-` as `_`.
    pub fn driver(&self, name: &str) -> &Self {
        let module = name.replace('-', "_");
        self.tree.write(&format!("sys/bus/pci/drivers/{name}/bind"), "");
        self.tree.create(&format!("sys/module/{module}/holders"));
        self.tree.link_sys(&format!("bus/pci/drivers/{name}/module"), &format!("module/{module}"));
        self.tree.link_sys(&format!("{}/driver", self.path), &format!("bus/pci/drivers/{name}"));
        self
    }

    /// Puts the function into an IOMMU group.
    pub fn group(&self, number: u32) -> &Self {
        self.tree.create(&format!("sys/kernel/iommu_groups/{number}"));
        self.tree.link_sys(&format!("{}/iommu_group", self.path), &format!("kernel/iommu_groups/{number}"));
        self
    }

    /// Adds a device with a node: its folder below the function, subsystem, number and name below `/dev`.
    pub fn node(&self, folder: &str, subsystem: &str, number: &str, name: &str) -> &Self {
        self.attribute(&format!("{folder}/dev"), format!("{number}\n"));
        self.attribute(&format!("{folder}/uevent"), format!("MAJOR=0\nMINOR=0\nDEVNAME={name}\n"));
        let (class, kind) = (format!("class/{subsystem}"), if subsystem == "block" { "block" } else { "char" });
        self.tree.create(&format!("sys/{class}"));
        let path = format!("{}/{folder}", self.path);
        self.tree.link_sys(&format!("{path}/subsystem"), &class);
        self.tree.link_sys(&format!("dev/{kind}/{number}"), &path);
        let device = folder.rsplit('/').next().unwrap();
        self.tree.link_sys(&format!("{class}/{device}"), &path);
        self
    }

    /// Adds the two nodes of a GPU: `card` and `render` are their minor numbers.
    pub fn gpu(&self, card: u32, render: u32) -> &Self {
        self.node(&format!("drm/card{card}"), "drm", &format!("226:{card}"), &format!("dri/card{card}"));
        self.node(&format!("drm/renderD{render}"), "drm", &format!("226:{render}"), &format!("dri/renderD{render}"))
    }

    /// Adds a network interface.
    pub fn net(&self, name: &str, up: bool) -> &Self {
        self.attribute(&format!("net/{name}/flags"), if up { "0x1003\n" } else { "0x1002\n" });
        let path = format!("{}/net/{name}", self.path);
        self.tree.create("sys/class/net");
        self.tree.link_sys(&format!("{path}/subsystem"), "class/net");
        self.tree.link_sys(&format!("class/net/{name}"), &path);
        self
    }

    /// Makes this function a virtual one of the function at `path` below `sys`.
    pub fn virtual_of(&self, physical: &Pci<'_>, index: u32) -> &Self {
        self.tree.link(&format!("sys/{}/physfn", self.path), &format!("../{}", physical.address));
        self.tree.link(&format!("sys/{}/virtfn{index}", physical.path), &format!("../{}", self.address));
        self
    }
}

/// Process in a fake machine.
pub struct Fake<'a> {
    tree: &'a Tree,
    pid: u32,
}

impl Fake<'_> {
    /// Writes the state: name, state, controlling terminal as the kernel packs it, and start.
    pub fn stat(&self, name: &str, state: char, terminal: i32, start: u64) -> &Self {
        let pid = self.pid;
        let zeros = "0 ".repeat(14);
        self.tree
            .write(&format!("proc/{pid}/stat"), format!("{pid} ({name}) {state} 1 1 1 {terminal} {zeros}{start} 0\n"));
        self
    }

    /// Puts the process into a control group.
    pub fn cgroup(&self, text: &str) -> &Self {
        self.tree.write(&format!("proc/{}/cgroup", self.pid), text);
        self
    }

    /// Adds a thread with an empty table of files.
    pub fn thread(&self, tid: u32) -> &Self {
        self.tree.create(&format!("proc/{}/task/{tid}/fd", self.pid));
        self
    }

    /// Opens a file in the table of the first thread.
    pub fn fd(&self, number: u32, path: &str) -> &Self {
        self.thread_fd(self.pid, number, path)
    }

    /// Opens a file in the table of one thread.
    pub fn thread_fd(&self, tid: u32, number: u32, path: &str) -> &Self {
        self.tree.link(&format!("proc/{}/task/{tid}/fd/{number}", self.pid), path);
        self
    }

    /// Writes the kernel's notes on a descriptor of the first thread.
    pub fn notes(&self, number: u32, text: &str) -> &Self {
        self.tree.write(&format!("proc/{0}/task/{0}/fdinfo/{number}", self.pid), text);
        self
    }

    /// Writes the maps of a thread.
    pub fn maps(&self, tid: u32, text: &str) -> &Self {
        self.tree.write(&format!("proc/{}/task/{tid}/maps", self.pid), text);
        self
    }

    /// Puts the first thread into a mount namespace, and writes the mounts there.
    pub fn mounts(&self, space: &str, text: &str) -> &Self {
        let folder = format!("proc/{0}/task/{0}", self.pid);
        self.tree.link(&format!("{folder}/ns/mnt"), space);
        self.tree.write(&format!("{folder}/mountinfo"), text);
        self
    }
}

/// Makes a configuration space of 4096 bytes: a header that answers, and values of 32 bits at offsets.
pub fn config(values: &[(usize, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    // Vendor and device; command, and a status with a list of capabilities; the list begins at 0x40.
    for &(offset, value) in [(0x00, 0x0001_8086), (0x04, 0x0010_0006), (0x34, 0x40)].iter().chain(values) {
        bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// Makes the configuration space of a port with a slot, which can cut power or not.
pub fn port(cuts_power: bool) -> Vec<u8> {
    // PCI Express capability of a downstream port with a slot; slot capabilities: hot-plug, and power controller.
    config(&[(0x40, 0x0162_0010), (0x54, 0x60 | u32::from(cuts_power) << 1)])
}

/// Makes the configuration space of a device with a serial number.
pub fn serial(number: u64) -> Vec<u8> {
    let bytes = number.to_le_bytes();
    let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    // An Advanced Error Reporting capability comes first.
    config(&[(0x100, 0x1501_0001), (0x150, 0x0001_0003), (0x154, half(0)), (0x158, half(4))])
}
