//! `lifeboat gpu serve`: a card on a socket, until told to end.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Instant;

use lifeboat_gpu::Config;
use lifeboat_gpu_server::{Bay, ListenError, Options, Server, ServerError};
use tracing_subscriber::EnvFilter;

use super::args::ServeArgs;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::run::fault_spec::FaultSpec;

/// What is logged is chosen here, in the syntax of `RUST_LOG`.
const LOG_VARIABLE: &str = "LIFEBOAT_LOG";

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] ServerError),
    /// Nobody can be told that it runs.
    #[error("standard output cannot be written: {0}")]
    Output(#[source] io::Error),
    /// There is no thread for the planned faults.
    #[error("the machine could not be set up: {0}")]
    Machine(#[source] io::Error),
    /// What is to be logged is not clear.
    #[error("{LOG_VARIABLE} cannot be understood: {0}; give a level such as info or debug")]
    Log(String),
}

impl ServeError {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Start(ServerError::Listen(
                ListenError::InUse(_) | ListenError::NotASocket(_) | ListenError::System { .. },
            ))
            | Self::Log(_) => Exit::BadInput,
            Self::Start(ServerError::Card(_)) | Self::Output(_) | Self::Machine(_) => Exit::Failed,
        }
    }
}

/// Serves a card until `interrupt`, or a `stop` over the control socket. `print` gets the one line that says that the
/// sockets are there.
///
/// # Errors
/// [`ServeError`].
pub fn serve(
    args: &ServeArgs,
    interrupt: &Interrupt,
    print: impl FnOnce(&str) -> io::Result<()>,
) -> Result<(), ServeError> {
    log_to_standard_error()?;
    let config = Config { vram_bytes: u64::from(args.vram) << 20, rings: args.rings, seed: args.seed };
    let options = Options { socket: args.socket.clone(), control: args.control(), config };
    let server = Server::start(&options)?;
    let stopper = server.stopper();
    interrupt.on_request(move || stopper.stop());
    if !args.fault.is_empty() {
        plan(server.bay(), &args.fault).map_err(ServeError::Machine)?;
    }
    print(&ready(args, &options)).map_err(ServeError::Output)?;
    server.wait();
    Ok(())
}

fn log_to_standard_error() -> Result<(), ServeError> {
    let filter = match std::env::var(LOG_VARIABLE) {
        Ok(text) => text.parse::<EnvFilter>().map_err(|error| ServeError::Log(error.to_string()))?,
        Err(_) => EnvFilter::new("info"),
    };
    // Somebody else's subscriber, as in a test, is as good.
    let _ = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter).with_ansi(false).try_init();
    Ok(())
}

fn ready(args: &ServeArgs, options: &Options) -> String {
    let (socket, control) = (options.socket.display(), options.control.display());
    if args.json {
        let line = serde_json::json!({
            "event": "ready",
            "socket": socket.to_string(),
            "control": control.to_string(),
            "pid": std::process::id(),
            "vram_mib": args.vram,
            "rings": args.rings,
        });
        format!("{line}\n")
    } else {
        format!("serving a GPU with {} MiB and {} rings on {socket}, control on {control}\n", args.vram, args.rings)
    }
}

/// Arms the faults, and starts the thread that plugs in fresh cards when they ask for it.
fn plan(bay: &Arc<Bay>, faults: &[FaultSpec]) -> io::Result<()> {
    let (happened, happenings) = mpsc::channel();
    let pending: Vec<FaultSpec> = faults.to_vec();
    arm(bay, &pending, &vec![false; pending.len()], &happened);
    let bay = Arc::clone(bay);
    // It ends with the process: there is nothing that it could leave half done outside of it.
    std::thread::Builder::new()
        .name("lb1-replug".to_owned())
        .spawn(move || replug(&bay, &pending, &happened, &happenings))?;
    Ok(())
}

/// Arms on the present card what has not happened yet. `happened` is told the number of each that does.
fn arm(bay: &Bay, faults: &[FaultSpec], done: &[bool], happened: &Sender<usize>) {
    for (number, spec) in faults.iter().enumerate().filter(|(number, _)| !done[*number]) {
        // `ServeArgs` has only what a card counts.
        let Some(at) = spec.at.on_card() else { continue };
        let happened = happened.clone();
        // The receiver lives as long as the process.
        let tell = Box::new(move || {
            let _ = happened.send(number);
        });
        bay.schedule_and_tell(at, spec.what.into(), tell);
    }
}

fn replug(bay: &Bay, faults: &[FaultSpec], happened: &Sender<usize>, happenings: &Receiver<usize>) {
    let mut done = vec![false; faults.len()];
    let mut due: Option<Instant> = None;
    loop {
        let cue = match due {
            None => happenings.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => happenings.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match cue {
            Ok(number) => {
                done[number] = true;
                // If two faults ask for a card, the earlier time serves both.
                due = due.into_iter().chain(faults[number].replug.map(|after| Instant::now() + after)).min();
            }
            Err(RecvTimeoutError::Timeout) => {
                due = None;
                if let Err(error) = bay.replace() {
                    tracing::error!(%error, "card not replaced");
                }
                arm(bay, faults, &done, happened);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
