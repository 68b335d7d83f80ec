//! Process signals.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: end cleanly.
    Terminate,
    /// SIGHUP: read the configuration again. Only after [`Signals::with_hangup`].
    Hangup,
}

/// The signals of this process. From creation on, SIGTERM and SIGINT no longer kill it and SIGUSR1 and SIGUSR2
/// are ignored; SIGHUP keeps its default action unless [`Signals::with_hangup`] is called.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Option<Stream>,
    // held so that the two signals do nothing
    _ignored: [Stream; 2],
}

impl Signals {
    /// Starts to catch signals. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The operating system refuses a handler.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: None,
            _ignored: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// Also catches SIGHUP.
    ///
    /// # Errors
    /// The operating system refuses the handler.
    pub fn with_hangup(mut self) -> io::Result<Self> {
        self.hangup = Some(signal(SignalKind::hangup())?);
        Ok(self)
    }

    /// Waits for the next signal. Cancel safe.
    pub async fn next(&mut self) -> Signal {
        let hangup = async {
            match &mut self.hangup {
                Some(stream) => stream.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Terminate,
            _ = hangup => Signal::Hangup,
        }
    }
}
