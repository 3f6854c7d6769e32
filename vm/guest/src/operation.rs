//! The operations behind the requests.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat, stat};
use rustix::io::Errno;
use rustix::system;

use crate::session::Session;
use crate::wire::{Condition, Failure, MAX_LINE, Outcome, Request, Step};

/// How often a condition is looked at. sysfs and debugfs cannot be watched, so there is no better way than looking.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// `O_NONBLOCK` for `delete_module`: fail at once if the module is in use, as `rmmod` does.
const NOT_WHILE_IN_USE: i32 = 0o4000;

/// Carries a request out.
pub fn carry_out(session: &Session, request: &Request) -> Outcome {
    attempt(session, request).unwrap_or_else(Outcome::Failed)
}

fn attempt(session: &Session, request: &Request) -> Result<Outcome, Failure> {
    match request {
        Request::LoadModule { path, parameters } => load_module(path, parameters),
        Request::UnloadModule { name } => unload_module(name),
        Request::Read { path } => read_text(path).map(Outcome::Text).map_err(|error| about("read", path, &error)),
        Request::ReadBytes { path, offset, length } => read_bytes(path, *offset, *length),
        Request::Write { path, contents } => write(path, contents),
        Request::List { path } => list(path),
        Request::Await { path, until, limit_ms } => wait_until(path, until, Duration::from_millis(*limit_ms)),
        Request::Listen => session.uevents.listen(),
        Request::Hear { containing, limit_ms } => session.uevents.hear(containing, Duration::from_millis(*limit_ms)),
        Request::Mark { text } => mark(text),
        Request::CopyNode { node, path } => copy_node(node, path),
        Request::Each { requests } => Ok(each(session, requests)),
        Request::Keep { number, requests } => {
            session.keep(*number, requests.clone());
            Ok(each(session, requests))
        }
        Request::Kept { number } => match session.kept(*number) {
            Some(requests) => Ok(each(session, &requests)),
            None => Err(Failure { errno: None, message: format!("no requests were kept as {number}") }),
        },
        Request::Permit { path } => permit(path),
        Request::Run { program, arguments, said, limit_ms } => {
            crate::command::run(program, arguments, said, Duration::from_millis(*limit_ms))
        }
        Request::Node { request } => session.nodes.carry_out(request),
        Request::Spawn { user } => session.processes.spawn(*user).map(|id| Outcome::Number(id.into())),
        Request::Within { process, request } => session.processes.within(*process, request),
        Request::Kill { process } => session.processes.kill(*process).map(|()| Outcome::Done),
        Request::Ping | Request::PowerOff => Ok(Outcome::Done),
    }
}

fn each(session: &Session, requests: &[Request]) -> Outcome {
    let step = |request| {
        let started = Instant::now();
        let outcome = carry_out(session, request);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Step { micros, outcome: in_short(outcome) }
    };
    Outcome::Each(requests.iter().map(step).collect())
}

/// What a step came to, without what the runner knows or does not ask.
fn in_short(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Number(_) | Outcome::Each(_) => outcome,
        Outcome::Failed(Failure { errno: Some(errno), .. }) => {
            Outcome::Failed(Failure { errno: Some(errno), message: String::new() })
        }
        Outcome::Failed(_) => outcome,
        _ => Outcome::Done,
    }
}

fn load_module(path: &str, parameters: &str) -> Result<Outcome, Failure> {
    let failed = |error: &io::Error| about("load", path, error);
    let file = File::open(path).map_err(|error| failed(&error))?;
    let parameters = c_string(parameters)?;
    system::finit_module(&file, &parameters, 0).map_err(|errno| failed(&errno.into()))?;
    Ok(Outcome::Done)
}

fn unload_module(name: &str) -> Result<Outcome, Failure> {
    system::delete_module(&c_string(name)?, NOT_WHILE_IN_USE).map_err(|errno| about("unload", name, &errno.into()))?;
    Ok(Outcome::Done)
}

fn read_text(path: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LINE as u64 / 8).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_bytes(path: &str, offset: u64, length: usize) -> Result<Outcome, Failure> {
    let failed = |error: &io::Error| about("read", path, error);
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = vec![0; length.min(MAX_LINE / 8)];
    let read = file.read_at(&mut bytes, offset).map_err(|error| failed(&error))?;
    bytes.truncate(read);
    Ok(Outcome::Bytes(bytes))
}

fn write(path: &str, contents: &str) -> Result<Outcome, Failure> {
    let failed = |error: &io::Error| about("write", path, error);
    let mut file = OpenOptions::new().write(true).open(path).map_err(|error| failed(&error))?;
    let written = file.write(contents.as_bytes()).map_err(|error| failed(&error))?;
    if written == contents.len() { Ok(Outcome::Done) } else { Err(failed(&io::ErrorKind::WriteZero.into())) }
}

fn permit(path: &str) -> Result<Outcome, Failure> {
    fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(|error| about("permit", path, &error))?;
    Ok(Outcome::Done)
}

fn copy_node(node: &str, path: &str) -> Result<Outcome, Failure> {
    let copy = || {
        let number = stat(node)?.st_rdev;
        mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, number)
    };
    copy().map_err(|errno| about("copy", node, &errno.into()))?;
    Ok(Outcome::Done)
}

fn list(path: &str) -> Result<Outcome, Failure> {
    let names = fs::read_dir(path).and_then(|entries| {
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<Vec<_>>>()
    });
    let mut names = names.map_err(|error| about("list", path, &error))?;
    names.sort_unstable();
    Ok(Outcome::Names(names))
}

fn wait_until(path: &str, until: &Condition, limit: Duration) -> Result<Outcome, Failure> {
    let started = Instant::now();
    loop {
        let contents = look(path);
        if until.holds(contents.as_deref()) {
            return Ok(contents.map_or(Outcome::Done, Outcome::Text));
        }
        if started.elapsed() >= limit {
            let found = contents.map_or_else(|| "there is no such file".to_owned(), |text| format!("it has {text:?}"));
            let message = format!("{path}: not {until:?} within {} ms; {found}", limit.as_millis());
            return Err(Failure { errno: Some(Errno::TIMEDOUT.raw_os_error()), message });
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// What a path contains; `None` if it does not exist, or ceased to while it was read.
fn look(path: &str) -> Option<String> {
    match read_text(path) {
        Ok(text) => Some(text),
        // A directory, or a file only for writing: it exists, and has nothing to compare.
        Err(_) if fs::symlink_metadata(path).is_ok() => Some(String::new()),
        Err(_) => None,
    }
}

/// Writes a line into the kernel's log. Without an end of line the kernel would hold it back, to continue it.
///
/// # Errors
/// Those of `/dev/kmsg`.
pub fn mark(text: &str) -> Result<Outcome, Failure> {
    write("/dev/kmsg", &format!("{text}\n"))
}

fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure { errno: None, message: format!("{text:?} contains a zero byte") })
}

fn about(what: &str, path: &str, error: &io::Error) -> Failure {
    Failure { errno: error.raw_os_error(), message: format!("{what} {path}: {error}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use super::*;

    fn folder_with(name: &str, contents: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, contents).unwrap();
        (folder, path.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (_folder, path) = folder_with("state", "");
        assert_eq!(
            carry_out(&Session::default(), &Request::Write { path: path.clone(), contents: "ready".into() }),
            Outcome::Done
        );
        assert_eq!(
            carry_out(&Session::default(), &Request::Read { path: path.clone() }),
            Outcome::Text("ready".into())
        );
        let tail = Request::ReadBytes { path, offset: 3, length: 100 };
        assert_eq!(carry_out(&Session::default(), &tail), Outcome::Bytes(b"dy".to_vec()));
    }

    #[test]
    fn each_of_several_requests_is_carried_out_whatever_comes_of_the_others() {
        let (_folder, path) = folder_with("state", "");
        let write = |path: &str| Request::Write { path: path.to_owned(), contents: "ready".into() };
        let requests = vec![write("/no/such/file"), write(&path), Request::Read { path: path.clone() }];
        let session = Session::default();
        let outcomes = |request| match carry_out(&session, request) {
            Outcome::Each(steps) => steps.into_iter().map(|step| step.outcome).collect::<Vec<_>>(),
            other => panic!("another answer: {other:?}"),
        };
        let failed = Outcome::Failed(Failure { errno: Some(2), message: String::new() });
        let expected = [failed, Outcome::Done, Outcome::Done];
        assert_eq!(outcomes(&Request::Each { requests: requests.clone() }), expected);
        assert_eq!(fs::read_to_string(&path).unwrap(), "ready");
        // The same when they were kept.
        let kept = [Request::Keep { number: 7, requests }, Request::Kept { number: 7 }, Request::Kept { number: 8 }];
        let answers = outcomes(&Request::Each { requests: kept.to_vec() });
        let is_whole = |answer: &Outcome| matches!(answer, Outcome::Each(steps) if steps.len() == expected.len());
        assert!(is_whole(&answers[0]) && is_whole(&answers[1]));
        assert!(matches!(&answers[2], Outcome::Failed(Failure { errno: None, .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "ready");
    }

    #[test]
    fn writing_creates_nothing() {
        let (folder, _) = folder_with("state", "");
        let path = folder.path().join("unbind").to_str().unwrap().to_owned();
        let Outcome::Failed(failure) = carry_out(&Session::default(), &Request::Write { path, contents: "x".into() })
        else {
            panic!("a file that does not exist was written");
        };
        assert_eq!(failure.errno, Some(Errno::NOENT.raw_os_error()));
    }

    #[test]
    fn names_are_sorted() {
        let (folder, _) = folder_with("b", "");
        fs::write(folder.path().join("a"), "").unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        assert_eq!(
            carry_out(&Session::default(), &Request::List { path }),
            Outcome::Names(vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn waiting_ends_when_the_condition_comes_true() {
        let (folder, path) = folder_with("state", "probing");
        let request = Request::Await { path: path.clone(), until: Condition::Is("ready".into()), limit_ms: 10_000 };
        let waiter = thread::spawn(move || carry_out(&Session::default(), &request));
        fs::write(&path, "ready\n").unwrap();
        assert_eq!(waiter.join().unwrap(), Outcome::Text("ready\n".into()));

        let request = Request::Await { path: path.clone(), until: Condition::Absent, limit_ms: 10_000 };
        let waiter = thread::spawn(move || carry_out(&Session::default(), &request));
        fs::remove_file(&path).unwrap();
        assert_eq!(waiter.join().unwrap(), Outcome::Done);

        let path = folder.path().to_str().unwrap().to_owned();
        let request = Request::Await { path, until: Condition::Exists, limit_ms: 0 };
        assert_eq!(carry_out(&Session::default(), &request), Outcome::Text(String::new()), "a folder exists too");
    }

    #[test]
    fn waiting_gives_up_and_says_what_it_found() {
        let (_folder, path) = folder_with("state", "probing");
        let request = Request::Await { path, until: Condition::Is("ready".into()), limit_ms: 5 };
        let Outcome::Failed(failure) = carry_out(&Session::default(), &request) else { panic!("it is not ready") };
        assert_eq!(failure.errno, Some(Errno::TIMEDOUT.raw_os_error()));
        assert!(failure.message.contains("probing"), "{failure}");
    }

    #[test]
    fn what_cannot_be_loaded_is_refused() {
        let path = "/no/such/module.ko".to_owned();
        let Outcome::Failed(failure) =
            carry_out(&Session::default(), &Request::LoadModule { path, parameters: String::new() })
        else {
            panic!("there is no such module");
        };
        assert_eq!(failure.errno, Some(Errno::NOENT.raw_os_error()));
        let zero = Request::UnloadModule { name: "a\0b".into() };
        assert!(matches!(carry_out(&Session::default(), &zero), Outcome::Failed(Failure { errno: None, .. })));
    }
}
