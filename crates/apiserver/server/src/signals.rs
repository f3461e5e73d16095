//! When to stop.

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
    /// Those of this process; from now on they no longer end it.
    ///
    /// # Errors
    /// What the system says.
    pub fn of_process() -> Result<Self, StartError> {
        let listen = |kind| signal(kind).map_err(|error| StartError::Internal(format!("signals: {error}")));
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self(Source::Process { terminate, interrupt }))
    }

    /// Those that somebody in the program sends.
    pub fn channel() -> (mpsc::Sender<()>, Self) {
        let (sender, receiver) = mpsc::channel(2);
        (sender, Self(Source::Channel(receiver)))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        let told = match &mut self.0 {
            Source::Process { terminate, interrupt } => tokio::select! {
                told = terminate.recv() => told,
                told = interrupt.recv() => told,
            },
            Source::Channel(receiver) => receiver.recv().await,
        };
        if told.is_none() {
            // Nobody is left who could ask.
            std::future::pending::<()>().await;
        }
    }
}
