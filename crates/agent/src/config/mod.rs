//! Policy files: what the operator allows, from `/etc/lifeboatd/policy.d/*.toml`.
//!
//! | file | concept |
//! |---|---|
//! | `problem`, `nearest` | errors with their places and the nearest right name |
//! | `reader` | TOML values with places |
//! | `host`, `device`, `signals`, `steps`, `patterns` | the tables of a file |
//! | `glob`, `matcher` | patterns of devices |
//! | `rule`, `rules` | a rule; all of them in their order |
//!
//! # Rules
//!
//! - Files are read in the order of their names. `[host]` is merged key by key; a `[[device]]` with the name of an
//!   earlier file's replaces it, in the place of the earlier one. The first rule that matches a device is its rule.
//! - A file with an error makes all files invalid, and all errors of all files are reported together: half a policy is
//!   none. An unknown key is an error, because it may be a protection with a wrong letter.
//! - Nothing is written by default: the mode is `observe`, and without a rule a device is left alone.
//! - `unless` lists the protections that hold. Without it, all do. **A protection that the list leaves out is waived**:
//!   with `unless = ["vfio"]` a disk with a mounted file system is reset. So a list is answered with a warning that
//!   names what it waives. To keep all, leave `unless` out.
//! - `signals`: a threshold is a number or `{ times = 3, within = "10s" }`; `every = "2s"` stands for `within = "6s"`
//!   there. Zero: the sign never counts. `xid = [79]` is short for `log = ["xid/79"]`.
//! - Times are texts: `"90s"`, `"5m"`, `"24h"`.

mod device;
mod glob;
mod host;
mod matcher;
mod nearest;
mod patterns;
mod problem;
mod reader;
mod rule;
mod rules;
mod signals;
mod steps;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use lifeboat_recovery_policy::policy::{HostPolicy, Mode};
use toml::de::DeTable;

pub use self::glob::Glob;
pub use self::host::FleetLock;
pub use self::matcher::{Matcher, Subject};
pub use self::problem::{Place, Problem, Problems};
pub use self::rule::{Rule, StepExtras, Verify};
pub use self::rules::{Match, Rules};

use self::device::Draft;
use self::host::Host;
use self::reader::Reader;

/// Longest file in bytes. Policies are written by hand.
const LONGEST: u64 = 1 << 20;

/// All rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Rules for the machine.
    pub host: HostPolicy,
    /// Lock server of the fleet, if a lock is taken.
    pub fleet_lock: Option<FleetLock>,
    /// Rules for devices.
    pub rules: Rules,
    /// Parts of the policy that have no effect, or more effect than they seem to.
    pub warnings: Vec<Problem>,
}

/// Loads all files `*.toml` in the folder. Others are ignored, such as copies that editors and packages leave.
///
/// A folder that is not there has no rules; a warning says so.
///
/// # Errors
/// All errors of all files. A file or folder that cannot be read is one: it is not taken for an empty one.
pub fn load(folder: &Path) -> Result<Config, Problems> {
    let whole = |path: &Path, text: String| Problem { place: Place::whole(path), text };
    let paths = match list(folder) {
        Ok(paths) => paths,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let warnings = vec![whole(folder, "there is no such folder: every device is left alone".into())];
            return Ok(Config { warnings, ..Config::default() });
        }
        Err(error) => return Err(Problems(vec![whole(folder, format!("cannot be listed: {error}"))])),
    };
    let mut errors = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        match read(&path) {
            Ok(text) => files.push((path, text)),
            Err(error) => errors.push(whole(&path, format!("cannot be read: {error}"))),
        }
    }
    match parse(&files) {
        Ok(config) if errors.is_empty() => Ok(config),
        Ok(_) => Err(Problems(errors)),
        Err(Problems(more)) => {
            errors.extend(more);
            Err(Problems(errors))
        }
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "the file is longer than 1 MiB"));
    }
    Ok(text)
}

/// Parses the texts of files, in the order in which they are merged.
///
/// # Errors
/// All errors of all files.
pub fn parse(files: &[(PathBuf, String)]) -> Result<Config, Problems> {
    let mut host = Host::default();
    let mut drafts: Vec<Draft> = Vec::new();
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for (path, text) in files {
        let mut reader = Reader::new(path, text);
        let read = parse_file(&mut reader, text, &mut host);
        errors.append(&mut reader.errors);
        for draft in read {
            match drafts.iter_mut().find(|earlier| earlier.rule.policy.name == draft.rule.policy.name) {
                Some(earlier) => *earlier = draft,
                None => drafts.push(draft),
            }
        }
    }
    let rules = drafts.into_iter().map(|Draft { mut rule, unknown, warnings: more }| {
        // Rules that were replaced are gone, and so are the warnings about them.
        warnings.extend(more);
        rule.policy.unknown = unknown.unwrap_or(host.unknown);
        rule
    });
    let rules = Rules(rules.collect());
    if host.policy.mode == Mode::Act {
        for rule in rules.all().iter().filter(|rule| rule.policy.steps.is_empty()) {
            let text = format!("the rule {:?} has no [[device.step]], and the mode is \"act\"", rule.policy.name);
            errors.push(Problem { place: rule.place.clone(), text });
        }
    }
    if !errors.is_empty() {
        return Err(Problems(errors));
    }
    warnings.extend(shadowed(&rules));
    Ok(Config { host: host.policy, fleet_lock: host.fleet_lock, rules, warnings })
}

fn parse_file(reader: &mut Reader<'_>, text: &str, host: &mut Host) -> Vec<Draft> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // Tables of a file that is no TOML are guesses: only its syntax is reported.
        for error in errors {
            reader.error(error.span().map_or(0, |span| span.start), error.message());
        }
        return Vec::new();
    }
    let table = reader.fields("the file", document.get_ref(), document.span(), &["host", "device"]);
    if let Some(value) = table.get("host") {
        host::read(reader, value, host);
    }
    let mut drafts: Vec<Draft> = Vec::new();
    let Some(value) = table.get("device") else { return drafts };
    for value in reader.list(value, "a list of tables [[device]]").unwrap_or_default() {
        let Some(draft) = device::read(reader, value) else { continue };
        let name = &draft.rule.policy.name;
        match drafts.iter().find(|earlier| earlier.rule.policy.name == *name) {
            Some(earlier) => {
                let text = format!("there is a rule {name:?} already at {}", earlier.rule.place);
                reader.error(reader::begin(value), text);
            }
            None => drafts.push(draft),
        }
    }
    drafts
}

/// Finds the rules that no device gets, because an earlier rule takes all of theirs.
fn shadowed(rules: &Rules) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, rule) in rules.all().iter().enumerate() {
        if let Some(earlier) = rules.all()[..index].iter().find(|earlier| earlier.matcher.covers(&rule.matcher)) {
            let (name, first, place) = (&rule.policy.name, &earlier.policy.name, &earlier.place);
            let text = format!("the rule {name:?} is never used: {first:?} at {place} matches all its devices first");
            problems.push(Problem { place: rule.place.clone(), text });
        }
    }
    problems
}

#[cfg(test)]
mod tests;
