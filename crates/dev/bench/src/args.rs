//! The command line.

use crate::client::Http;
use crate::peer::Peer;
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// What is measured, and how.
#[derive(Clone, Debug, Parser)]
#[command(about = "Measures what the server costs", long_about = None)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) what: Option<What>,
    /// The server's binary; default: beside this one.
    #[arg(long, global = true)]
    pub(crate) server: Option<PathBuf>,
    /// Which stores to measure.
    #[arg(long, global = true, value_enum, value_delimiter = ',', default_values = ["embedded", "etcd"])]
    pub(crate) stores: Vec<Store>,
    /// The etcd binary; default: $VCI_TEST_CACHE/bin/etcd-3.6, or the one on the path.
    #[arg(long, global = true)]
    pub(crate) etcd: Option<PathBuf>,
    /// How many objects there are, one run after the other.
    #[arg(long, value_delimiter = ',', default_value = "3000")]
    pub(crate) sizes: Vec<usize>,
    /// How many connections send requests at a time.
    #[arg(long, global = true, default_value_t = 8)]
    pub(crate) clients: usize,
    /// How many watches are open during the fan-out.
    #[arg(long, default_value_t = 200)]
    pub(crate) watchers: usize,
    /// How many informers begin at once after the restart.
    #[arg(long, default_value_t = 500)]
    pub(crate) informers: usize,
    /// Seconds of each step that reads. The other steps write a fixed number of objects, so that runs leave the same behind.
    #[arg(long, global = true, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// The version of HTTP.
    #[arg(long, global = true, value_enum, default_value = "1.1")]
    pub(crate) http: Http,
    #[command(flatten)]
    pub(crate) peer: Peer,
}

/// Where a server stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    Embedded,
    Etcd,
}

/// What is measured instead of the server by itself.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub(crate) enum What {
    /// A GET through kube-apiserver and past it.
    Proxy,
    /// What changes cost, and how late they are, when very many watch.
    FanOut(FanOut),
}

/// What the fan-out measures.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct FanOut {
    /// How many watches are open.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) watchers: usize,
    /// How many connections they share with HTTP/2. With HTTP/1.1 each has its own.
    #[arg(long, default_value_t = 2000)]
    pub(crate) connections: usize,
    /// How many changes there are.
    #[arg(long, default_value_t = 60)]
    pub(crate) changes: usize,
    /// Seconds from one change to the next. If they are too few, the machine is busy, and latencies tell of queues.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) pace: f64,
}
