//! lifeboat.ko, built against a tree of [`build_tree`](super::build_tree).

use std::path::PathBuf;

use super::folder::INSIDE;
use super::steps;
use super::{Error, Folder, sandbox};
use crate::pace::Flavour;

/// Builds the module from the checkout and returns its path. Kbuild knows what is new.
///
/// # Errors
/// If it does not compile.
pub(super) fn build(folder: &Folder, flavour: Flavour) -> Result<PathBuf, Error> {
    let name = tree(flavour);
    let directory = format!("ko/{name}");
    steps::always(folder, &format!("module-{name}"), "lifeboat.ko", |step| {
        let repository = super::repository();
        let mut make = sandbox::command(folder.path(), &[(&repository, "/repository:ro")], "make");
        make.args(["-C", &format!("{INSIDE}/obj/{name}"), "M=/repository/kernel"]);
        make.arg(format!("MO={INSIDE}/{directory}")).arg("modules");
        step.run(make.args(super::make_variables(flavour)))
    })?;
    let module = folder.join(&directory).join("lifeboat.ko");
    if module.exists() { Ok(module) } else { Err(Error::Missing(module)) }
}

/// The name of the build tree, and of the folder that the module is built in.
pub(super) const fn tree(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Stock => "stock",
        Flavour::Debug => "debug",
    }
}
