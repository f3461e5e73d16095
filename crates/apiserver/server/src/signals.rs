//! Requests to stop the server.

use crate::StartError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Requests to stop: SIGTERM and SIGINT, or what a test sends.
#[derive(Debug)]
pub struct Signals(Source);

#[derive(Debug)]
enum Source {
    Process { terminate: Signal, interrupt: Signal },
    Channel(mpsc::Receiver<()>),
}

impl Signals {
    /// Handles SIGTERM and SIGINT of this process, which no longer end it.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn of_process() -> Result<Self, StartError> {
        let listen = |kind| signal(kind).map_err(|error| StartError::Internal(format!("signals: {error}")));
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self(Source::Process { terminate, interrupt }))
    }

    /// Creates signals that the program sends itself.
    pub fn channel() -> (mpsc::Sender<()>, Self) {
        let (sender, receiver) = mpsc::channel(2);
        (sender, Self(Source::Channel(receiver)))
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        let signal = match &mut self.0 {
            Source::Process { terminate, interrupt } => tokio::select! {
                signal = terminate.recv() => signal,
                signal = interrupt.recv() => signal,
            },
            Source::Channel(receiver) => receiver.recv().await,
        };
        if signal.is_none() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }
}
