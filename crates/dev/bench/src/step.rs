//! The engine of steps: many clients send one kind of request until it is enough.

use crate::api::Api;
use crate::args::Args;
use crate::client::Call;
use crate::failure::all;
use crate::figures::{Figures, Measured};
use crate::target::Target;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The steps against one server at one size.
pub(crate) struct Run<'a> {
    pub(crate) args: &'a Args,
    pub(crate) target: &'a Target,
    /// How many objects there are.
    pub(crate) objects: usize,
    pub(crate) figures: &'a mut Figures,
}

/// When a step has had enough.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Count(usize),
    Elapsed(Duration),
}

impl Run<'_> {
    /// The time that a step takes which reads.
    pub(crate) fn reading(&self) -> Until {
        Until::Elapsed(Duration::from_secs_f64(self.args.seconds))
    }

    /// Lets the server come to rest.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs_f64(self.args.seconds.min(1.0))).await;
    }

    /// One row; returns the bytes of an answer.
    pub(crate) async fn step(
        &mut self,
        operation: &str,
        until: Until,
        call: impl Fn(&Api, usize) -> Call + Clone + Send + 'static,
    ) -> usize {
        let (mut measured, bytes) = self.calls(self.args.clients, until, call).await;
        let bytes = bytes / measured.operations;
        self.row(operation, &format!(" ({bytes} bytes)"), &mut measured);
        bytes
    }

    pub(crate) fn row(&mut self, operation: &str, note: &str, measured: &mut Measured) {
        self.figures.row(&self.target.name, self.objects, operation, note, measured);
    }

    /// The requests of a step, by this many clients; and the bytes of all answers.
    pub(crate) async fn calls(
        &self,
        clients: usize,
        until: Until,
        call: impl Fn(&Api, usize) -> Call + Clone + Send + 'static,
    ) -> (Measured, usize) {
        let next = Arc::new(AtomicUsize::new(0));
        let bytes = Arc::new(AtomicUsize::new(0));
        let connections = join_all((0..clients).map(|_| self.target.connector.connect())).await;
        let (start, cpu) = (Instant::now(), self.target.process.cpu());
        let workers = connections.into_iter().map(|mut connection| {
            let (next, bytes, api, call) = (Arc::clone(&next), Arc::clone(&bytes), Arc::clone(&self.target.api), call.clone());
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let enough = match until {
                        Until::Count(count) => i >= count,
                        Until::Elapsed(time) => i >= clients && start.elapsed() >= time,
                    };
                    if enough {
                        return latencies;
                    }
                    let call = call(&api, i);
                    let sent = Instant::now();
                    bytes.fetch_add(connection.send(call).await, Ordering::Relaxed);
                    latencies.push(sent.elapsed());
                }
            })
        });
        let latencies: Vec<Duration> = all(workers).await.into_iter().flatten().collect();
        let (elapsed, cpu, operations) = (start.elapsed(), self.target.process.cpu() - cpu, latencies.len());
        (Measured { latencies, elapsed, cpu, operations }, bytes.load(Ordering::Relaxed))
    }
}
