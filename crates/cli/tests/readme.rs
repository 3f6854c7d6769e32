//! What README says of the code is so.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::collections::BTreeSet;
use std::path::Path;

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_kernel_module_uses_those_modules_of_the_core_that_readme_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let (_, sentence) =
        readme.split_once("it uses so far the modules").unwrap_or_else(|| panic!("README names no modules"));
    let (list, _) = sentence.split_once(';').unwrap();
    let named: BTreeSet<&str> = list.split('`').skip(1).step_by(2).collect();

    let mut text = String::new();
    sources(&root.join("kernel/src"), &mut text);
    let core = std::fs::read_to_string(root.join("crates/core/src/lib.rs")).unwrap();
    let modules = core.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    let path = |module: &str| [format!("lifeboat_core::{module}::"), format!("lifeboat_core::{{{module}::")];
    let used = |module: &&str| path(module).iter().any(|path| text.contains(path));
    assert_eq!(named, modules.filter(used).collect());
}
