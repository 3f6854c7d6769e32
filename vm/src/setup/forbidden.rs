//! Mistakes that the types of lifeboat.ko rule out: each is a file in `kernel/forbidden` and does not compile in the module.
//!
//! A file compiles as it is, and with `--cfg mistake` ends in the error that its documentation names, and in no other: a mistake that is
//! refused for another reason, such as a function that was renamed, shows nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, sandbox};
use crate::pace::Flavour;

/// Compiles the module once with all files as they are, then once with each mistake. Takes two seconds for each. `$1` is the build tree's name,
/// then come the files' names. A compile that succeeds with a mistake prints nothing after its line.
const COMPILE: &str = r#"set -e
cd "/lifeboat/ko/$1"; shift
export RUSTC_BOOTSTRAP=1
command=$(sed -n 's/^savedcmd_src.module.o := //p' src/.module.o.cmd)
command=${command/--emit=dep-info=src\/.module.o.d/}
command=${command/--emit=obj=src\/module.o/--emit=metadata=\/tmp\/module.rmeta --error-format=short}
command=${command//\/repository\/kernel\/src\/module.rs/\/tmp\/src\/module.rs}
cp -r /repository/kernel/src /tmp/src
for name; do
    cp "/repository/kernel/forbidden/$name.rs" /tmp/src
    echo "mod $name;" >> /tmp/src/module.rs
done
echo "in order:"
eval "$command" 2>&1 | grep -F ': error' || true
for name; do
    cp /repository/kernel/src/module.rs /tmp/src/module.rs
    echo "mod $name;" >> /tmp/src/module.rs
    echo "$name:"
    eval "$command --cfg mistake" 2>&1 | grep -F ': error' || true
done
"#;

/// Files of mistakes, by name without `.rs`, sorted.
///
/// # Errors
/// The folder cannot be read.
pub fn names() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Compiles all mistakes against the module that was built last. Returns what is not as it should be, or nothing.
///
/// # Errors
/// The compiler cannot be run, or a file names no error.
pub fn check(vm_folder: &Path, flavour: Flavour) -> Result<Vec<String>, Error> {
    let io = |source| Error::File { path: folder(), source };
    let names = names().map_err(io)?;
    let expected = names.iter().map(|name| expected(name)).collect::<io::Result<Vec<_>>>().map_err(io)?;
    let repository = super::repository();
    let mut compile = sandbox::command(vm_folder, &[(&repository, "/repository:ro")], "bash");
    compile.args(["-c", COMPILE, "bash", super::module::tree(flavour)]).args(&names);
    let output = compile.output().map_err(io)?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Error::Program(format!("mistakes were not compiled: {}", String::from_utf8_lossy(&output.stderr))));
    }
    let pairs: Vec<_> = names.iter().map(String::as_str).zip(expected.iter().map(String::as_str)).collect();
    Ok(judge(&said, &pairs))
}

/// Compares what the compiler said with what it has to say: files and their errors.
fn judge(said: &str, expected: &[(&str, &str)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut parts: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in said.lines() {
        match (line.strip_suffix(':'), parts.last_mut()) {
            (Some(name), _) => parts.push((name, Vec::new())),
            (None, Some((_, errors))) => errors.push(line),
            (None, None) => {}
        }
    }
    let errors = |of: &str| parts.iter().find(|(name, _)| *name == of).map(|(_, errors)| errors.as_slice());
    match errors("in order") {
        Some([]) => {}
        other => wrong.push(format!("without mistakes the files do not compile: {other:?}")),
    }
    for (name, error) in expected {
        let is_expected = |line: &&str| line.contains(&format!("/{name}.rs:")) && line.contains(&format!(": {error}"));
        match errors(name) {
            Some([]) => wrong.push(format!("{name} compiles")),
            Some(errors) if errors.iter().all(is_expected) => {}
            other => wrong.push(format!("{name} is not refused by {error:?} alone: {other:?}")),
        }
    }
    wrong
}

/// The error that the file's documentation names.
fn expected(name: &str) -> io::Result<String> {
    let text = fs::read_to_string(folder().join(name).with_extension("rs"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("//! ").filter(|text| text.starts_with("error")));
    line.map(str::to_owned).ok_or_else(|| io::Error::other(format!("{name} names no error")))
}

fn folder() -> PathBuf {
    super::repository().join("kernel/forbidden")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_names_its_error_and_its_promise() -> io::Result<()> {
        let names = names()?;
        assert!(!names.is_empty());
        for name in names {
            expected(&name)?;
            let mut words = name.split('_');
            let (group, number) = (words.next(), words.next());
            assert!(group.is_some_and(|group| group.bytes().all(|byte| byte.is_ascii_lowercase())), "{name}");
            assert!(number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())), "{name}");
        }
        Ok(())
    }

    #[test]
    fn only_the_named_error_in_the_named_file_is_right() {
        let expected = [("a_1_b", "error[E0308]")];
        let judged = |said: &str| judge(said, &expected).len();
        assert_eq!(judged("in order:\na_1_b:\n/tmp/src/a_1_b.rs:3:5: error[E0308]: mismatched types\n"), 0);
        assert_eq!(judged("in order:\na_1_b:\n"), 1);
        assert_eq!(judged("in order:\na_1_b:\n/tmp/src/a_1_b.rs:3:5: error[E0425]: cannot find\n"), 1);
        assert_eq!(judged("in order:\na_1_b:\n/tmp/src/other.rs:3:5: error[E0308]: mismatched types\n"), 1);
        let two = "/tmp/src/a_1_b.rs:3:5: error[E0308]: a\n/tmp/src/a_1_b.rs:4:5: error[E0425]: b\n";
        assert_eq!(judged(&format!("in order:\na_1_b:\n{two}")), 1);
        assert_eq!(judged(&format!("in order:\na_1_b:\n{}", two.replace("0425", "0308"))), 0);
        assert_eq!(judged("in order:\n/tmp/src/a_1_b.rs:1:1: error: a\na_1_b:\n"), 2);
        assert_eq!(judged(""), 2);
    }
}
