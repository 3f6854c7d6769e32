use std::io::Write;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A script as a program. Another process writes it: a file that this one has open for writing, and that a test beside this
/// one inherits in its fork, could not be executed.
fn script(text: &str) -> (TempDir, Program) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat > \"$0\"; chmod 755 \"$0\""])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = text.replace("FOLDER", &folder.path().display().to_string());
    writer.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{text}\n").as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    let program = Program {
        path: path.display().to_string(),
        case: "xe/firmware-flash".into(),
        device: "0000:03:00.0".parse().unwrap(),
        limit: Duration::from_mins(2),
        grace: Duration::from_mins(2),
    };
    (folder, program)
}

fn answer(text: &str) -> Outcome {
    run(&script(text).1)
}

fn is_ambiguous(outcome: &Outcome, part: &str) -> bool {
    matches!(outcome, Outcome::Ambiguous(text) if text.contains(part))
}

#[test]
fn each_answer_is_an_outcome() {
    assert_eq!(answer(r#"echo '{"outcome": "succeeded"}'"#), Outcome::Succeeded);
    assert_eq!(answer(r#"echo '{"outcome": "failed", "message": "no"}'; exit 1"#), Outcome::Failed("no".into()));
    assert_eq!(answer(r#"echo '{"outcome": "refused", "message": "no"}'"#), Outcome::Refused("no".into()));
    assert_eq!(answer(r#"echo '{"outcome": "ambiguous", "message": "?"}'"#), Outcome::Ambiguous("?".into()));
}

#[test]
fn agent_14_an_answer_that_is_none_is_ambiguous() {
    for (text, part) in [
        ("echo done", "the answer is none"),
        ("true", "the answer is none"),
        (r#"echo '{"outcome": "fine"}'"#, "the answer is none"),
        (r#"echo '{"outcome": "succeeded"} {}'"#, "the answer is none"),
        (r#"echo '{"outcome": "succeeded"}'; exit 3"#, "exit status"),
        (r#"echo '{"outcome": "succeeded"}'; kill -9 $$"#, "ended by a signal"),
        ("yes | head -c 70000", "longer than"),
        ("exec yes", "longer than"),
    ] {
        let outcome = answer(text);
        assert!(is_ambiguous(&outcome, part), "{text}: {outcome:?}");
    }
}

#[test]
fn the_program_gets_what_the_contract_says_and_no_more() {
    let (folder, program) = script(concat!(
        "cat > FOLDER/input; /usr/bin/env > FOLDER/environment; pwd > FOLDER/place\n",
        r#"echo '{"outcome": "succeeded"}'"#
    ));
    assert_eq!(run(&program), Outcome::Succeeded);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let input: serde_json::Value = serde_json::from_str(&read("input")).unwrap();
    let expected =
        serde_json::json!({"contract": 1, "device": "0000:03:00.0", "case": "xe/firmware-flash", "limit_ms": 120_000});
    assert_eq!(input, expected);
    let environment = read("environment");
    for line in ["LIFEBOAT_CONTRACT=1", "LIFEBOAT_DEVICE=0000:03:00.0", "LIFEBOAT_CASE=xe/firmware-flash"] {
        assert!(environment.lines().any(|it| it == line), "{environment}");
    }
    // The shell adds variables of its own.
    assert!(!environment.contains("CARGO"), "{environment}");
    assert_eq!(read("place").trim(), "/");
}

#[test]
fn case_29_a_program_that_hangs_is_asked_to_end_and_then_killed() {
    let (folder, mut program) =
        script("trap 'echo asked > FOLDER/asked' TERM; : > FOLDER/ready; while :; do sleep 0.01; done");
    program.limit = Duration::from_millis(500);
    program.grace = Duration::from_secs(1);
    let outcome = run(&program);
    assert!(is_ambiguous(&outcome, "no end within 0.5 s"), "{outcome:?}");
    // On a machine so busy that the script was not yet there, it was ended without having been able to note it.
    let read = |name: &str| folder.path().join(name).exists();
    assert!(!read("ready") || read("asked"));
}

#[test]
fn what_a_program_leaves_behind_is_killed_and_its_pipe_is_not_waited_for() {
    let (folder, program) = script(concat!("sleep 600 & echo $! > FOLDER/pid\n", r#"echo '{"outcome": "succeeded"}'"#));
    assert_eq!(run(&program), Outcome::Succeeded);
    let pid: u32 = fs::read_to_string(folder.path().join("pid")).unwrap().trim().parse().unwrap();
    let begin = Instant::now();
    // Nobody waits for it but process 1, which need not: a process that has ended counts.
    let system = crate::system::System::open(Path::new("/")).unwrap();
    while crate::process::Stat::read(&system, pid).unwrap().is_some_and(|stat| !stat.is_over()) {
        assert!(begin.elapsed() < Duration::from_mins(1), "process {pid} is alive");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_program_that_others_could_have_written_is_refused() {
    let (_folder, program) = script(r#"echo '{"outcome": "succeeded"}'"#);
    let refused = |program: &Program| matches!(run(program), Outcome::Refused(_));
    let relative = Program { path: "program".into(), ..program.clone() };
    assert!(refused(&relative));
    let missing = Program { path: PathBuf::from("/nowhere/program").display().to_string(), ..program.clone() };
    assert!(refused(&missing));
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777);
    fs::set_permissions(&program.path, mode).unwrap();
    assert!(refused(&program));
}
