//! lifeboat.ko, and the modules that test its parts, built against a tree of [`build_tree`](super::build_tree).

use std::path::PathBuf;

use super::folder::INSIDE;
use super::steps;
use super::{Error, Folder, sandbox};
use crate::pace::Flavour;

/// Our modules.
pub(super) struct Modules {
    /// The driver.
    pub(super) lifeboat: PathBuf,
    /// The shell of a second driver.
    pub(super) second: PathBuf,
    /// The test of its scheduler.
    pub(super) jobqueue_test: PathBuf,
}

/// Builds the modules from the checkout. Kbuild knows what is new.
///
/// # Errors
/// If it does not compile.
pub(super) fn build(folder: &Folder, flavour: Flavour) -> Result<Modules, Error> {
    let name = tree(flavour);
    let directory = format!("ko/{name}");
    steps::always(folder, &format!("module-{name}"), "lifeboat.ko", |step| {
        let repository = super::repository();
        let mut make = sandbox::command(folder.path(), &[(&repository, "/repository:ro")], "make");
        make.args(["-C", &format!("{INSIDE}/obj/{name}"), "M=/repository/kernel"]);
        make.arg(format!("MO={INSIDE}/{directory}")).args(["LIFEBOAT_TESTS=1", "modules"]);
        step.run(make.args(super::make_variables(flavour)))
    })?;
    let built = |name: &str| {
        let module = folder.join(&directory).join(name);
        if module.exists() { Ok(module) } else { Err(Error::Missing(module)) }
    };
    Ok(Modules {
        lifeboat: built("lifeboat.ko")?,
        second: built("lifeboat_second.ko")?,
        jobqueue_test: built("lifeboat_jobqueue_test.ko")?,
    })
}

/// The name of the build tree, and of the folder that the module is built in.
pub(super) const fn tree(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Stock => "stock",
        Flavour::Debug => "debug",
    }
}
