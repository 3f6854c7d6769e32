//! The checkout of the project that the command is run in.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand, Package, PackageId};

use super::error::ConformanceError;
use super::rustdoc::Rustdoc;
use super::table::Table;

/// Packages that no other workspace has together.
const OURS: [&str; 2] = ["lifeboat-core", "lifeboat-proof"];

/// A checkout, as cargo knows it.
#[derive(Debug)]
pub(super) struct Checkout {
    metadata: Metadata,
    rustdoc: Rustdoc,
}

impl Checkout {
    /// The one that `folder` is in.
    ///
    /// # Errors
    /// There is none, or its promises are others than `table`'s.
    pub(super) fn around(folder: &Path, table: &Table) -> Result<Self, ConformanceError> {
        let found = MetadataCommand::new().current_dir(folder).no_deps().exec();
        let metadata = found.map_err(|error| ConformanceError::NoCheckout(first_line(&error.to_string())))?;
        let is_ours = OURS.iter().all(|name| metadata.packages.iter().any(|package| package.name.as_str() == *name));
        let root = metadata.workspace_root.as_std_path();
        if !is_ours {
            return Err(ConformanceError::NoCheckout(format!("the workspace in {} is another one", root.display())));
        }
        // A checkout without a readable table is another version too.
        let there = std::fs::read_to_string(root.join("docs/conformance.md")).ok().and_then(|text| text.parse().ok());
        if there.as_ref() == Some(table) {
            Ok(Self { metadata, rustdoc: Rustdoc::new()? })
        } else {
            Err(ConformanceError::OtherTable(root.into()))
        }
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// cargo, in the checkout.
    pub(super) fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        self.rustdoc.set(command.current_dir(self.root()));
        command
    }

    /// The runner of the tests in the guest, as `cargo xtask vm test` runs it.
    pub(super) fn guest_runner(&self) -> Command {
        let mut command = self.cargo();
        command.args(["run", "--release", "--locked", "--quiet", "--package", "lifeboat-vm", "--", "test"]);
        command
    }

    /// The package of this identity.
    pub(super) fn package(&self, id: &PackageId) -> Option<&Package> {
        self.metadata.packages.iter().find(|package| package.id == *id)
    }

    /// The package that a source file is in, by its path from the root.
    pub(super) fn package_of(&self, file: &str) -> Option<&Package> {
        let file = self.metadata.workspace_root.join(file);
        let inside = self.metadata.packages.iter().filter(|package| file.starts_with(folder(package)));
        inside.max_by_key(|package| folder(package).components().count())
    }
}

/// The folder with the package's manifest.
pub(super) fn folder(package: &Package) -> PathBuf {
    package.manifest_path.parent().map_or_else(PathBuf::new, |folder| folder.as_std_path().to_owned())
}

/// The first complaint of cargo, without its context.
fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| line.contains("error:"));
    line.or_else(|| text.lines().next()).unwrap_or_default().trim_start_matches("error: ").to_owned()
}
