//! From the command line to a [`Command`], or to what the user is told instead.
//!
//! clap explains an error over several lines. Here each error is one line on standard error that says what is wrong and
//! what to do, so that it survives logs and scripts; help and version are what was asked for and go to standard output.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::{Cli, Command, RunArgs};

/// Why there is no command to carry out.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user asked for this text.
    Help(String),
    /// The user is told this, in one line.
    Wrong(String),
}

/// Reads the command line, program name first. No subcommand means `run` with its defaults.
///
/// # Errors
/// Help and version, which were asked for, and everything that is not a valid command.
pub fn parse(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Command, Outcome> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let cli = Cli::try_parse_from(&args).map_err(|error| outcome(&error, subcommand(&args)))?;
    Ok(cli.command.unwrap_or_else(|| Command::Run(RunArgs::default())))
}

/// What the user is told instead of a command; `command --help` answers questions about it.
pub fn outcome(error: &clap::Error, command: &str) -> Outcome {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Outcome::Help(text)
        }
        _ => Outcome::Wrong(format!("{}; see `{command} --help`", condense(&text))),
    }
}

/// Writes one line to standard error, whatever the text contains.
pub fn error_line(text: &str) {
    // Nobody can be told that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "lifeboat: {}", one_line(text));
}

/// The text with each line break or other control character as a space.
pub(crate) fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// clap's text without its label and its usage block, in one line.
fn condense(text: &str) -> String {
    let mut line = String::new();
    let paragraphs = text.lines().map(str::trim).filter(|part| !part.is_empty());
    for part in paragraphs.take_while(|part| !part.starts_with("Usage:") && !part.starts_with("For more information")) {
        let joint = match line.chars().last() {
            None => "",
            Some(':' | ',') => " ",
            Some(_) if part.starts_with('[') => " ",
            Some(_) => "; ",
        };
        line += joint;
        line += part.strip_prefix("error: ").unwrap_or(part);
    }
    line
}

/// The subcommand whose help answers a question about these arguments.
fn subcommand(args: &[OsString]) -> &'static str {
    let mut words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    match (words.next(), words.next()) {
        (Some("gpu"), Some("serve")) => "lifeboat gpu serve",
        (Some("gpu"), Some("ctl")) => "lifeboat gpu ctl",
        (Some("gpu"), _) => "lifeboat gpu",
        (Some("calls"), _) => "lifeboat calls",
        (Some("dump"), Some("show")) => "lifeboat dump show",
        (Some("dump"), _) => "lifeboat dump",
        (Some("run"), _) => "lifeboat run",
        _ => "lifeboat",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(args: &[&str]) -> String {
        match parse([&["lifeboat"], args].concat()) {
            Err(Outcome::Wrong(line)) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_subcommand_is_run_with_its_defaults() {
        assert_eq!(parse(["lifeboat"]), parse(["lifeboat", "run"]));
        assert_eq!(parse(["lifeboat"]), Ok(Command::Run(RunArgs::default())));
    }

    #[test]
    fn each_error_is_one_line_that_says_what_to_do() {
        for (args, says) in [
            (&["run", "--clients", "0"][..], "0 is not in 1..=64"),
            (&["run", "--clients", "many"], "invalid value 'many' for '--clients <N>'"),
            (&["run", "--tiles", "4096"], "4096 is not in 16..=2048"),
            (&["run", "--repeat", "0"], "'--repeat <N>'"),
            (&["run", "--filter", "gausian"], "a similar value exists: 'gaussian'"),
            (&["run", "--filter", "x\ny"], "[possible values: sobel"),
            (&["run", "--fault", "meteor@40%"], "unknown fault \"meteor\""),
            (&["run", "--timeout", "soon"], "'--timeout <DURATION>'"),
            (&["run", "--vram", "1"], "1 is not in 16..=1024"),
            (
                &["run", "--device", "d", "--fault", "unplug@1%"],
                "'--device <NODE>' cannot be used with '--fault <SPEC>'",
            ),
            (&["run", "--device", "d", "--vram", "64"], "'--device <NODE>' cannot be used with '--vram <MIB>'"),
            (&["run", "--device", "d", "--no-faults"], "'--device <NODE>' cannot be used with '--no-faults'"),
            (&["run", "--wait", "3s"], "the following required arguments were not provided: --device <NODE>"),
            (&["run", "--progress", "lines", "-q"], "cannot be used with"),
            (&["run", "--report", "xml"], "[possible values: text, json]"),
            (&["run", "--imgae", "a.png"], "a similar argument exists: '--image'"),
            (&["run", "a.png"], "unexpected argument 'a.png'"),
            (&["sail"], "unrecognized subcommand 'sail'"),
            (&["gpu", "sail"], "unrecognized subcommand 'sail'"),
            (&["gpu", "serve"], "--socket <PATH>"),
            (&["gpu", "serve", "--socket", "s", "--rings", "9"], "9 is not in 1..=8"),
            (&["gpu", "ctl", "--control", "c", "hang", "--at", "noon"], "unknown time \"noon\""),
            (&["gpu", "ctl", "status"], "--control <PATH>"),
        ] {
            let line = wrong(args);
            assert!(line.contains(says), "{args:?}: {line}");
            assert!(!one_line(&line).contains('\n') && line.ends_with("--help`"), "{args:?}: {line}");
            assert!(!line.starts_with("error"), "{line}");
        }
    }

    #[test]
    fn no_text_takes_a_second_line() {
        assert_eq!(one_line(" a\nb\r\u{1b}[1mc\n"), "a b  [1mc");
    }

    #[test]
    fn each_error_points_to_its_subcommands_help() {
        assert!(wrong(&["run", "--tiles", "0"]).ends_with("; see `lifeboat run --help`"));
        assert!(wrong(&["bogus"]).ends_with("; see `lifeboat --help`"));
        assert!(wrong(&["--bogus"]).ends_with("; see `lifeboat --help`"));
        assert!(wrong(&["gpu", "sail"]).ends_with("; see `lifeboat gpu --help`"));
        assert!(wrong(&["calls", "--xml"]).ends_with("; see `lifeboat calls --help`"));
        assert!(wrong(&["dump", "show"]).ends_with("; see `lifeboat dump show --help`"));
        assert!(wrong(&["dump", "sink"]).ends_with("; see `lifeboat dump --help`"));
        assert!(wrong(&["gpu", "serve"]).ends_with("; see `lifeboat gpu serve --help`"));
        assert!(wrong(&["gpu", "ctl", "status"]).ends_with("; see `lifeboat gpu ctl --help`"));
    }

    #[test]
    fn help_and_version_are_not_errors() {
        for args in [
            &["lifeboat", "--help"][..],
            &["lifeboat", "--version"],
            &["lifeboat", "run", "--help"],
            &["lifeboat", "gpu"],
        ] {
            assert!(matches!(parse(args.iter().copied()), Err(Outcome::Help(_))), "{args:?}");
        }
        let Err(Outcome::Help(text)) = parse(["lifeboat", "run", "--help"]) else { panic!() };
        for word in ["gaussian9", "unplug@40%", "replug:200ms", "8192", "PNG"] {
            assert!(text.contains(word), "{word} is missing in\n{text}");
        }
    }
}
