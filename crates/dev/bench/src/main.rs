//! What the server costs: operations per second, latency, CPU per operation, memory, time to be ready.
//!
//! Starts a server of its own for every store, talks to it over TLS as any client would, and reads the
//! server's CPU time from the kernel. The load and the server share the machine, so operations per second say
//! less than CPU per operation. Nothing here passes or fails.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a command-line program that ends at the first surprise")]

mod client;
mod fan_out;
mod load;
mod process;
mod proxy;

use clap::Parser;
use client::Http;
use process::{Etcd, Server};
use std::path::PathBuf;

#[derive(Clone, Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// The server's binary; default: beside this one.
    #[arg(long)]
    server: Option<PathBuf>,
    /// Which stores to measure.
    #[arg(long, value_delimiter = ',', default_value = "embedded,etcd")]
    stores: Vec<String>,
    /// The etcd binary; default: $VCI_TEST_CACHE/bin/etcd-3.6, or the one on the path.
    #[arg(long)]
    etcd: Option<PathBuf>,
    /// How many objects are created.
    #[arg(long, default_value_t = 3000)]
    objects: usize,
    /// How many connections send requests at a time.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// How many watches are open during the fan-out.
    #[arg(long, default_value_t = 200)]
    watchers: usize,
    /// Seconds of each step that reads. The other steps write every object once, so that runs leave the same behind.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The version of HTTP.
    #[arg(long, value_enum, default_value = "1.1")]
    http: Http,
}

/// What is measured instead of the server by itself.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum What {
    /// A GET through kube-apiserver and past it.
    Proxy,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let binary = args.server.clone().unwrap_or_else(|| std::env::current_exe().unwrap().with_file_name("vci-apiserver"));
    assert!(binary.exists(), "{} is not there: cargo build --release", binary.display());
    let etcd_binary = args.etcd.clone().unwrap_or_else(Etcd::default_binary);
    if matches!(args.what, Some(What::Proxy)) {
        return proxy::run(&args, &binary).await;
    }
    for store in &args.stores {
        let folder = tempfile::tempdir().unwrap();
        let etcd = (store == "etcd").then(|| Etcd::start(&etcd_binary, folder.path()));
        let url = etcd.as_ref().map(|etcd| etcd.url.clone());
        let name = if etcd.is_some() { Etcd::version(&etcd_binary) } else { store.clone() };
        // The first start makes certificates and the store; what a restart takes is what an operator sees.
        let (first, first_ready) = Server::start(&binary, folder.path(), url.as_deref(), args.http, &[]).await;
        drop(first);
        let (server, ready) = Server::start(&binary, folder.path(), url.as_deref(), args.http, &[]).await;
        let Args { objects, clients, watchers, .. } = args;
        println!("\n### {name}: {objects} objects, {clients} clients, {watchers} watchers, HTTP/{}\n", args.http);
        println!(
            "ready after exec: {:.0} ms (first start: {:.0} ms), idle: {:.1} MiB resident\n",
            ready.as_secs_f64() * 1e3,
            first_ready.as_secs_f64() * 1e3,
            server.resident_mib()
        );
        println!("| operation | per second | p50 ms | p99 ms | server CPU ms per operation | of it in the kernel |");
        println!("|---|---|---|---|---|---|");
        load::run(&args, &server).await;
        let loaded = server.resident_mib();
        fan_out::run(&args, &server).await;
        println!("\nloaded: {loaded:.1} MiB resident, {:.1} MiB with {watchers} watchers", server.resident_mib());
    }
}
