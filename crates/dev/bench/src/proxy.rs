//! What the way through kube-apiserver adds: a GET past it and through it, at both processes' cost.

use crate::Args;
use crate::client::Connector;
use crate::load::{COLLECTION, JSON, body, row};
use crate::process::{Cpu, Server, cpu_of};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::kube::{KubeApiserver, Programs};

const TOKEN: &str = "bench-token";
const OBJECT: &str = "bench-00000";

/// Prints a table; needs the programs that `tests/run` builds.
pub(crate) async fn run(args: &Args, binary: &Path) {
    let Some(programs) = Programs::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.csv");
    std::fs::write(&tokens, format!("{TOKEN},admin,1,\"system:masters\"\n")).unwrap();
    let cluster = KubeApiserver::start(&programs, &[format!("--token-auth-file={}", tokens.display())]).await;
    let kubeconfig = cluster.kubeconfig("bench", &["system:masters"]);
    let flags = ["--kubeconfig".to_owned(), kubeconfig.display().to_string()];
    let (first, first_ready) = Server::start(binary, folder.path(), None, args.http, &flags).await;
    drop(first);
    let (server, ready) = Server::start(binary, folder.path(), None, args.http, &flags).await;
    let idle = server.resident_mib();
    register(&cluster, server.port()).await;

    let through = Connector::new(cluster.base_url().trim_start_matches("https://"), cluster.ca_pem().as_bytes(), TOKEN, args.http);
    let created = through.connect().await.send(Method::POST, COLLECTION, JSON, body(0)).await.unwrap();
    assert_eq!(created.0, 201, "an object is created through kube-apiserver");
    println!("\n### through kube-apiserver, HTTP/{}\n", args.http);
    println!(
        "ready after exec: {:.0} ms (first start: {:.0} ms), idle: {idle:.1} MiB resident\n",
        ready.as_secs_f64() * 1e3,
        first_ready.as_secs_f64() * 1e3
    );
    println!("| operation | per second | p50 ms | p99 ms | server CPU ms per operation | of it in the kernel |");
    println!("|---|---|---|---|---|---|");
    for clients in [1, args.clients] {
        gets(args, &format!("get past it, {clients} clients"), clients, &server.connector, &[("server", server.pid())]).await;
        let both = [("server", server.pid()), ("kube-apiserver", cluster.pid())];
        gets(args, &format!("get through it, {clients} clients"), clients, &through, &both).await;
    }
}

/// One row for each process.
async fn gets(args: &Args, name: &str, clients: usize, connector: &Connector, processes: &[(&str, u32)]) {
    let path = format!("{COLLECTION}/{OBJECT}");
    let before: Vec<Cpu> = processes.iter().map(|(_, pid)| cpu_of(*pid)).collect();
    let (start, time) = (Instant::now(), Duration::from_secs_f64(args.seconds));
    let workers = (0..clients).map(|_| {
        let (connector, path) = (connector.clone(), path.clone());
        tokio::spawn(async move {
            let (mut connection, mut latencies) = (connector.connect().await, Vec::new());
            while start.elapsed() < time {
                let sent = Instant::now();
                let (status, _) = connection.send(Method::GET, &path, JSON, Bytes::new()).await.unwrap();
                assert_eq!(status, 200);
                latencies.push(sent.elapsed());
            }
            latencies
        })
    });
    let mut latencies: Vec<Duration> = futures::future::join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    let (elapsed, count) = (start.elapsed(), latencies.len());
    for ((process, pid), before) in processes.iter().zip(before) {
        row(&format!("{name}: {process}"), &mut latencies, elapsed, cpu_of(*pid) - before, count);
    }
}

/// Makes the cluster pass the group's requests on to this port. Whose certificate it is, is not what is measured.
async fn register(cluster: &KubeApiserver, port: u16) {
    let admin = cluster.client("admin", &["system:masters"]);
    let create = async |path: &str, object: Value| {
        admin.post(path, &object).await.expect(201);
    };
    create("/api/v1/namespaces", json!({"metadata": {"name": "loft-p-my-project"}})).await;
    create("/api/v1/namespaces", json!({"metadata": {"name": "vci-system"}})).await;
    let service = json!({"metadata": {"name": "vci-apiserver"}, "spec": {"type": "ExternalName", "externalName": "localhost"}});
    create("/api/v1/namespaces/vci-system/services", service).await;
    let spec = json!({
        "group": "management.loft.sh", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100, "insecureSkipTLSVerify": true,
        "service": {"name": "vci-apiserver", "namespace": "vci-system", "port": port},
    });
    let service = json!({"metadata": {"name": "v1.management.loft.sh"}, "spec": spec});
    create("/apis/apiregistration.k8s.io/v1/apiservices", service).await;
    let with_token = Client::new(&cluster.base_url(), &cluster.ca_pem(), Protocol::Http2).bearer(TOKEN);
    vci_testkit::wait_for("requests to be passed on", async || with_token.get(COLLECTION).await.status == 200).await;
}
