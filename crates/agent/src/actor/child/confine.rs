//! Confinement: a process gives up everything that its plan does not need, before the first write.
//!
//! Given up: new privileges (`no_new_privs`); all capabilities but two (files of other owners, and `reset_subordinate`, which
//! asks for `CAP_SYS_ADMIN`); writing, creating, removing and executing any file but those of the plan, connections by TCP,
//! and signals to other processes (Landlock). Reading stays: conditions are read from all over sysfs.
//!
//! Files of a function that vanishes and comes back are new files, so a plan with a realm may write to all files below
//! that bridge, and to files of no other function.
//!
//! A plan that runs a program is not confined: what the vendor's program may need is not known.

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::OFlags;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_no_new_privs};
use serde::{Deserialize, Serialize};

use crate::actor::condition::directory;
use crate::actor::plan::{Operation, Plan};
use crate::system::Root;

/// Newest version of Landlock that is used. An older kernel confines less, and says so.
const NEWEST: ABI = ABI::V6;
/// Capabilities that writes to sysfs need.
const NEEDED: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::SYS_ADMIN);

/// Firmness of a process's confinement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// Confine as far as the kernel can, and go on.
    #[default]
    Preferred,
    /// Refuse a plan whose files cannot be confined.
    Required,
}

/// Degree to which the kernel confines the files of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// Everything that was asked for.
    Fully,
    /// Writing is confined, and something newer is not.
    Partly,
    /// The kernel has no Landlock, or it is turned off.
    Not,
    /// The plan runs a program of others.
    Program,
}

/// Confinement that a process has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confined {
    /// Confinement of files.
    pub files: Files,
    /// Whether new privileges are impossible and needless capabilities given up.
    pub privileges: bool,
}

/// Error of confining.
#[derive(Debug, thiserror::Error)]
pub enum Unconfined {
    /// The kernel cannot do it, and it is required.
    #[error("the confinement of files is required, and the kernel gives: {0:?}")]
    Required(Files),
    /// A file of the plan cannot be opened.
    #[error("/sys/{path} of the plan cannot be opened: {error}")]
    Path {
        /// Path below `/sys`.
        path: String,
        /// Error of the system.
        error: io::Error,
    },
    /// Landlock refused.
    #[error("the confinement of files failed: {0}")]
    Files(#[from] RulesetError),
    /// Privileges cannot be given up.
    #[error("privileges cannot be given up: {0}")]
    Privileges(#[from] rustix::io::Errno),
}

/// Confines this process to the files of the plan. It must have one thread: other threads keep what they have.
///
/// # Errors
/// [`Unconfined`]: nothing may be written then.
pub fn confine(sys: &Root, plan: &Plan, wish: Wish) -> Result<Confined, Unconfined> {
    if plan.runs_program() {
        return judge(wish, Files::Program);
    }
    set_no_new_privs(true)?;
    let mut sets = capabilities(None)?;
    sets.permitted &= NEEDED;
    sets.effective &= NEEDED;
    sets.inheritable = CapabilitySet::empty();
    set_capabilities(None, sets)?;
    let status = restrict(sys, plan)?;
    judge(
        wish,
        match status {
            RulesetStatus::FullyEnforced => Files::Fully,
            RulesetStatus::PartiallyEnforced => Files::Partly,
            RulesetStatus::NotEnforced => Files::Not,
        },
    )
}

/// Decides whether a degree of confinement is enough.
pub(super) fn judge(wish: Wish, files: Files) -> Result<Confined, Unconfined> {
    match (wish, files) {
        (Wish::Required, Files::Not) => Err(Unconfined::Required(files)),
        _ => Ok(Confined { files, privileges: files != Files::Program }),
    }
}

fn restrict(sys: &Root, plan: &Plan) -> Result<RulesetStatus, Unconfined> {
    let mut handled = AccessFs::from_write(NEWEST) | AccessFs::Execute;
    handled.remove(AccessFs::IoctlDev);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(BitFlags::from(Scope::Signal) | Scope::AbstractUnixSocket)?
        .create()?;
    for path in grants(sys, plan) {
        let file = sys.open_file(&path, OFlags::PATH).map_err(|error| Unconfined::Path { path, error })?;
        ruleset = ruleset.add_rule(PathBeneath::new(file, AccessFs::WriteFile))?;
    }
    Ok(ruleset.restrict_self()?.ruleset)
}

/// Lists the files of the plan, and the directory in which functions vanish and appear. A file that is not there now is
/// in that directory later, or not written at all.
pub(super) fn grants(sys: &Root, plan: &Plan) -> Vec<String> {
    let mut paths: Vec<String> = plan
        .all()
        .filter_map(|operation| match operation {
            Operation::Write { path, .. } => Some(path.clone()),
            _ => None,
        })
        .chain(plan.realm.map(directory))
        .filter(|path| sys.exists(path))
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}
