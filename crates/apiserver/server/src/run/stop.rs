//! How a server stops, in the order of kube-apiserver: no longer ready, then nothing new, then what is under way has its end,
//! then what lies behind it.

use super::start::Server;
use super::{StartError, Stopped};
use crate::config::DrainMode;
use crate::signals::Signals;
use apiserver_endpoints::Phase;

impl Server {
    /// Drains and stops. A second signal ends the server at once.
    pub(super) async fn stop(self, mut signals: Signals) -> Result<Stopped, StartError> {
        tokio::select! {
            ended = self.drain() => ended.map(|()| Stopped::Drained),
            () = signals.next() => Ok(Stopped::AtOnce),
        }
    }

    async fn drain(self) -> Result<(), StartError> {
        // Nobody has been sent to a server that was never ready.
        if self.lifecycle.phase() == Phase::Serving {
            self.lifecycle.enter(Phase::Stopping);
            tracing::info!(delay = ?self.shutdown.delay, "stopping: not ready any more");
            // Balancers know by half of it. A client that keeps its connection would stay with this server, to be told in the end
            // to try again: kube-apiserver keeps one for everybody who comes through it.
            tokio::time::sleep(self.shutdown.delay / 2).await;
            self.signals.older_connections.cancel();
            tokio::time::sleep(self.shutdown.delay / 2).await;
            if self.shutdown.drain_mode == DrainMode::SendRetryAfter {
                self.refuse().await;
            }
        }
        tracing::info!("stopping: waiting for requests to end");
        self.signals.watches.cancel();
        self.signals.connections.cancel();
        let served = self.serving.await.map_err(std::io::Error::from).flatten();
        served.map_err(|error| StartError::Internal(error.to_string()))?;
        for extension in self.extensions.iter() {
            extension.pre_stop().await;
        }
        // Writes whose clients went away are carried to their end as well.
        futures::future::join_all(self.registries.iter().map(|registry| registry.drain())).await;
        if let Some(log) = &self.audit {
            log.flush().await;
        }
        if let Some(traces) = &self.traces {
            traces.flush().await;
        }
        Ok(())
    }

    /// Answers new requests with 429, until the earlier ones have ended.
    async fn refuse(&self) {
        self.lifecycle.enter(Phase::Refusing);
        self.signals.watches.cancel();
        self.signals.requests.close();
        let _ = tokio::time::timeout(self.drain_timeout, self.signals.requests.wait()).await;
    }
}
