//! The server: a bay, a socket for clients, a socket for control, and the threads behind them.

use std::io;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lifeboat_gpu::Config;
use tracing::{error, info, warn};

use crate::bay::Bay;
use crate::control::ControlListener;
use crate::listen::{ListenError, Listener};
use crate::served_card::ServedCard;
use crate::session;
use crate::shutdown::Stopper;

/// How long a client may leave a reply unread before it counts as dead. A paused virtual machine still reads.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// Pause after a client could not be accepted, for which there is no other reason than a lack of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where to serve, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The socket for virtual machine monitors.
    pub socket: PathBuf,
    /// The socket for [`control::Client`](crate::control::Client).
    pub control: PathBuf,
    /// The card.
    pub config: Config,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// One of its sockets.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Memory, threads, or a configuration out of range.
    #[error("the card could not be made: {0}")]
    Card(#[source] io::Error),
}

/// A running server. Dropping it ends it.
pub struct Server {
    bay: Arc<Bay>,
    stopper: Stopper,
    clients: Option<JoinHandle<()>>,
    control: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts to serve; both sockets can be connected to when this returns.
    ///
    /// # Errors
    /// [`ServerError`]; then nothing is left behind.
    pub fn start(options: &Options) -> Result<Self, ServerError> {
        let listener = Listener::bind(&options.socket)?;
        let control = Listener::bind(&options.control)?;
        let bay = Bay::new(options.config).map_err(ServerError::Card)?;
        let stopper = Stopper::default();
        for socket in [&listener.socket, &control.socket] {
            stopper.watch_listener(socket.try_clone().map_err(ServerError::Card)?.into());
        }
        let mut server = Self { bay: Arc::clone(&bay), stopper: stopper.clone(), clients: None, control: None };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(run).map(Some).map_err(ServerError::Card)
        };
        let control = ControlListener::new(control, Arc::clone(&bay), stopper.clone());
        server.control = spawn("lb1-control", Box::new(move || control.run()))?;
        server.clients = spawn("lb1-clients", Box::new(move || serve_clients(&listener, &bay, &stopper)))?;
        Ok(server)
    }

    /// Where the card sits.
    pub fn bay(&self) -> &Arc<Bay> {
        &self.bay
    }

    /// What ends this server.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until a [`Stopper`], or `stop` over the control socket, ends it. Then the sockets' files are gone.
    pub fn wait(mut self) {
        self.stopper.wait();
        self.join();
    }

    fn join(&mut self) {
        for thread in [self.clients.take(), self.control.take()].into_iter().flatten() {
            if thread.join().is_err() {
                error!("a thread of the server panicked");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopper.stop();
        self.join();
    }
}

/// One client after the other, until the end.
fn serve_clients(listener: &Listener, bay: &Arc<Bay>, stopper: &Stopper) {
    while !stopper.is_stopped() {
        let served = listener.socket.accept().and_then(|(stream, _)| serve_client(stream, bay, stopper));
        match served {
            Ok(()) => {}
            Err(_) if stopper.is_stopped() => return,
            Err(error) => {
                warn!(%error, "client not accepted");
                stopper.pause(ACCEPT_PAUSE);
            }
        }
    }
}

/// Serves one client. An error is one that keeps it from being served at all.
fn serve_client(mut stream: UnixStream, bay: &Arc<Bay>, stopper: &Stopper) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE_LIMIT))?;
    let Some(_watched) = stopper.watch_stream(&stream)? else { return Ok(()) };
    info!("client attached");
    // Nothing of the session outlives a panic but the bay, which its leaving puts in order; and locks that do not poison.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut card = ServedCard::attach(Arc::clone(bay));
        session::serve(&mut stream, &mut card)
    }));
    match ended {
        Ok(Ok(())) => info!("client left"),
        Ok(Err(error)) => warn!(%error, "client lost"),
        Err(_) => error!("the session panicked; client dropped"),
    }
    Ok(())
}
