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
