//! Where a device is: its place on the PCI bus, which stays when the device goes. The node in `/dev/dri` does not stay: the
//! device that returns has a new one, often of another number.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_client::uapi::Info;
use lifeboat_client::{Errno, Node};
use lifeboat_lb1::command::DESCRIPTOR_BYTES;
use rustix::fs::{major, minor};

use super::error::NodeError;

/// The driver's name, as VERSION says it.
const DRIVER: &str = "lifeboat";

/// A place on the PCI bus.
#[derive(Debug, Clone)]
pub(super) struct Place {
    address: String,
    roots: Roots,
}

/// Where the system tells of devices: `/`, apart from tests.
#[derive(Debug, Clone)]
struct Roots {
    sys: PathBuf,
    dev: PathBuf,
    groups: PathBuf,
}

/// The device that is at a place now.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) info: Info,
    /// Tells of the loss of the device; nothing else is done with this file.
    node: Node,
}

impl Place {
    /// The place of what the user calls a device: a node of it, a link to a node, or the place itself.
    ///
    /// # Errors
    /// There is no such thing, or it is no device of lifeboat's.
    pub(super) fn named(name: &OsStr) -> Result<Self, NodeError> {
        Self::named_in(Roots { sys: "/sys".into(), dev: "/dev".into(), groups: "/etc/group".into() }, name)
    }

    fn named_in(roots: Roots, name: &OsStr) -> Result<Self, NodeError> {
        if let Some(address) = name.to_str().filter(|name| is_pci_address(name)) {
            let address = address.to_ascii_lowercase();
            return if roots.sys.join("bus/pci/devices").join(&address).exists() {
                Ok(Self { address, roots })
            } else {
                Err(NodeError::NoSuchDevice(name.to_owned()))
            };
        }
        let path = Path::new(name);
        let metadata = fs::metadata(path).map_err(|_| NodeError::NoSuchDevice(name.to_owned()))?;
        if !metadata.file_type().is_char_device() {
            return Err(NodeError::NotANode(path.to_owned()));
        }
        open(path, &roots)?;
        let number = format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev()));
        let device = fs::canonicalize(roots.sys.join("dev/char").join(number).join("device"));
        let address = device.ok().and_then(|device| Some(device.file_name()?.to_str()?.to_owned()));
        match address.filter(|address| is_pci_address(address)) {
            Some(address) => Ok(Self { address, roots }),
            None => Err(NodeError::NotANode(path.to_owned())),
        }
    }

    /// Address on the PCI bus, as the kernel writes it: `0000:01:00.0`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Opens the device that is there now.
    ///
    /// # Errors
    /// There is none that works, or it cannot be used.
    pub(super) fn find(&self) -> Result<Found, NodeError> {
        let path = self.render_node().ok_or_else(|| NodeError::NoNode { place: self.address.clone() })?;
        let node = open(&path, &self.roots)?;
        let info = node.info().map_err(|errno| NodeError::Call { call: "INFO", errno })?;
        if usize::try_from(info.command_bytes) != Ok(DESCRIPTOR_BYTES) || info.rings == 0 {
            return Err(self.unfit("it does not understand the commands of an LB1"));
        }
        if info.vram_bytes == 0 {
            return Err(self.unfit("it has no memory of its own"));
        }
        let found = Found { path, info, node };
        if found.is_lost() { Err(NodeError::OutOfWork { place: self.address.clone() }) } else { Ok(found) }
    }

    /// The node through which programs without further rights use the device.
    fn render_node(&self) -> Option<PathBuf> {
        let nodes = fs::read_dir(self.roots.sys.join("bus/pci/devices").join(&self.address).join("drm")).ok()?;
        let mut names = nodes.filter_map(|node| node.ok()?.file_name().into_string().ok());
        let name = names.find(|name| name.starts_with("renderD"))?;
        Some(self.roots.dev.join("dri").join(name))
    }

    pub(super) fn unfit(&self, lacks: &'static str) -> NodeError {
        NodeError::Unfit { place: self.address.clone(), lacks }
    }
}

impl Found {
    /// Whether the device does no work any more.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost_within(Duration::ZERO)
    }

    /// Waits until the device is lost, for `limit` at most; whether it is.
    pub(super) fn is_lost_within(&self, limit: Duration) -> bool {
        // A node that cannot be polled is as good as lost.
        self.node.poll(limit).map_or(true, |woken| woken.is_some_and(|woken| woken.hangup || woken.error))
    }
}

/// Opens a node of our driver.
fn open(path: &Path, roots: &Roots) -> Result<Node, NodeError> {
    let node = Node::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => {
            NodeError::Permission { path: path.to_owned(), group: group_of(path, &roots.groups) }
        }
        _ => NodeError::Open { path: path.to_owned(), source },
    })?;
    match node.version() {
        Ok(version) if version.name == DRIVER => Ok(node),
        Ok(version) => Err(NodeError::OtherDriver { path: path.to_owned(), driver: version.name }),
        Err(Errno::NOTTY | Errno::INVAL | Errno::OPNOTSUPP) => Err(NodeError::NotANode(path.to_owned())),
        Err(errno) => Err(NodeError::Call { call: "VERSION", errno }),
    }
}

/// The group that a file belongs to.
fn group_of(path: &Path, groups: &Path) -> String {
    let number = fs::metadata(path).map_or_else(|_| "render".to_owned(), |metadata| metadata.gid().to_string());
    let groups = fs::read_to_string(groups).unwrap_or_default();
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, group) = (fields.next()?, fields.next()?, fields.next()?);
        (group == number).then(|| name.to_owned())
    });
    named.unwrap_or(number)
}

/// Whether this is a place as the kernel writes it: domain, bus, device and function, in hexadecimal digits.
fn is_pci_address(text: &str) -> bool {
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = text.splitn(3, ':');
    let (Some(domain), Some(bus), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Some((device, function)) = rest.split_once('.') else { return false };
    domain.len() >= 4 && digits(domain, domain.len()) && digits(bus, 2) && digits(device, 2) && digits(function, 1)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn places_are_told_from_paths() {
        for place in ["0000:01:00.0", "10000:e1:1f.7", "abcd:FF:00.0"] {
            assert!(is_pci_address(place), "{place}");
        }
        for path in
            ["/dev/dri/renderD128", "01:00.0", "0000:01:00", "0000:01:00.x", "0000:1:00.0", "", "::.", "0:01:00.0"]
        {
            assert!(!is_pci_address(path), "{path}");
        }
    }

    fn roots(folder: &Path) -> Roots {
        Roots { sys: folder.join("sys"), dev: folder.join("dev"), groups: folder.join("group") }
    }

    #[test]
    fn a_place_keeps_its_name_while_its_node_changes() {
        let folder = tempfile::tempdir().unwrap();
        let drm = folder.path().join("sys/bus/pci/devices/0000:01:00.0/drm");
        let place = |name: &str| Place::named_in(roots(folder.path()), OsStr::new(name));
        assert!(matches!(place("0000:01:00.0"), Err(NodeError::NoSuchDevice(_))));
        fs::create_dir_all(drm.parent().unwrap()).unwrap();
        let place = place("0000:01:00.0").unwrap();
        assert_eq!(place.render_node(), None);
        assert!(matches!(place.find(), Err(NodeError::NoNode { place }) if place == "0000:01:00.0"));
        for number in [128, 129] {
            for name in ["card0", &format!("renderD{number}")] {
                fs::create_dir_all(drm.join(name)).unwrap();
            }
            assert_eq!(place.render_node().unwrap(), folder.path().join(format!("dev/dri/renderD{number}")));
            fs::remove_dir_all(&drm).unwrap();
        }
        assert_eq!(place.render_node(), None);
    }

    #[test]
    fn a_device_of_another_kind_is_no_node() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("pci-0000:01:00.0-render");
        symlink("/dev/null", &link).unwrap();
        for path in [Path::new("/dev/null"), &link] {
            let error = Place::named_in(roots(folder.path()), path.as_os_str()).unwrap_err();
            assert!(matches!(&error, NodeError::NotANode(named) if named == path), "{error}");
        }
        let error = Place::named_in(roots(folder.path()), folder.path().as_os_str()).unwrap_err();
        assert!(matches!(error, NodeError::NotANode(_)), "{error}");
    }

    #[test]
    fn who_may_not_open_a_node_is_told_the_group_that_may() {
        let folder = tempfile::tempdir().unwrap();
        let (node, groups) = (folder.path().join("renderD128"), folder.path().join("group"));
        fs::write(&node, "").unwrap();
        let own = fs::metadata(&node).unwrap().gid();
        fs::write(&groups, format!("root:x:{}:\nrender:x:{own}:somebody\n", own + 1)).unwrap();
        let group = group_of(&node, &groups);
        assert_eq!(group, "render");
        fs::write(&groups, "broken\n").unwrap();
        assert_eq!(group_of(&node, &groups), own.to_string());
        let text = NodeError::Permission { path: node, group }.to_string();
        assert!(text.contains("group render;") && text.contains("`usermod -aG render USER`"), "{text}");
    }
}
