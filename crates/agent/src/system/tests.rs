use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn root() -> io::Result<(tempfile::TempDir, Root)> {
    let folder = tempfile::tempdir()?;
    let root = Root::open(folder.path())?;
    Ok((folder, root))
}

#[test]
fn a_path_stays_below_its_root() -> io::Result<()> {
    let (folder, root) = root()?;
    fs::write(folder.path().join("inside"), "1\n")?;
    symlink("/inside", folder.path().join("absolute"))?;
    symlink("../../../../../../../../etc/passwd", folder.path().join("outside"))?;
    assert_eq!(root.text("/absolute")?, "1");
    assert_eq!(root.text("../../inside")?, "1");
    assert_eq!(root.text("outside").map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
    Ok(())
}

#[test]
fn a_link_is_read_and_not_followed() -> io::Result<()> {
    let (folder, root) = root()?;
    symlink("../../bus/pci/drivers/xe", folder.path().join("driver"))?;
    assert_eq!(root.link_name("driver").as_deref(), Some("xe"));
    assert_eq!(root.link_name("nothing"), None);
    Ok(())
}

#[test]
fn names_are_sorted() -> io::Result<()> {
    let (folder, root) = root()?;
    for name in ["b", "a", "c"] {
        fs::create_dir(folder.path().join(name))?;
    }
    assert_eq!(root.list(".")?, ["a", "b", "c"]);
    assert!(root.exists("a") && !root.exists("d"));
    Ok(())
}

#[test]
fn folders_are_told_from_links_to_folders() -> io::Result<()> {
    let (folder, root) = root()?;
    fs::create_dir(folder.path().join("a"))?;
    fs::write(folder.path().join("b"), "")?;
    symlink("a", folder.path().join("c"))?;
    assert_eq!(root.folders(".")?, ["a"]);
    assert_eq!(root.links(".")?, [("c".into(), PathBuf::from("a"))]);
    Ok(())
}

#[test]
fn an_open_file_of_this_process_leads_to_its_device() -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let proc = Root::open(Path::new("/proc"))?;
    let null = File::open("/dev/null")?;
    let regular = tempfile::tempfile()?;
    let number = DeviceNumber { block: false, major: 1, minor: 3 };
    assert_eq!(proc.device(format!("self/fd/{}", null.as_raw_fd()))?, Some(number));
    assert_eq!(proc.device(format!("self/fd/{}", regular.as_raw_fd()))?, None);
    Ok(())
}

#[test]
fn a_link_to_a_node_outside_is_not_followed() -> io::Result<()> {
    let (folder, root) = root()?;
    symlink("/dev/null", folder.path().join("null"))?;
    assert_eq!(root.device("null").map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
    Ok(())
}
