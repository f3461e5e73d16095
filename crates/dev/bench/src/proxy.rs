//! What the way through kube-apiserver adds: a GET past it and through it, at both processes' cost.

use crate::api::{Api, COLLECTION};
use crate::args::{Args, Store};
use crate::client::{Connector, Credentials};
use crate::failure::all;
use crate::figures::{Measured, ms, print_head, print_row};
use crate::process::{Cpu, Process};
use crate::server::Launch;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vci_testkit::client::{Client, Protocol};
use vci_testkit::kube::{KubeApiserver, Programs};

const TOKEN: &str = "bench-token";

/// Prints a table; needs the programs that `tests/run` builds.
pub(crate) async fn run(args: &Args) {
    let Some(programs) = Programs::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.csv");
    std::fs::write(&tokens, format!("{TOKEN},admin,1,\"system:masters\"\n")).unwrap();
    let cluster = KubeApiserver::start(&programs, &[format!("--token-auth-file={}", tokens.display())]).await;
    let kubeconfig = cluster.kubeconfig("bench", &["system:masters"]);
    let flags = ["--kubeconfig".to_owned(), kubeconfig.display().to_string()];
    let launch = Launch::new(args, Store::Embedded, flags.into());
    let (first, first_ready) = launch.start().await;
    drop(first);
    let (server, ready) = launch.start().await;
    let idle = server.process().resident();
    register(&cluster, server.connector.port()).await;

    let address = cluster.base_url().trim_start_matches("https://").to_owned();
    let through = Connector::new(&address, cluster.ca_pem().as_bytes(), Credentials::Token(TOKEN.into()), args.http);
    through.connect().await.send(Api::ours().create(0)).await;
    println!("\n## through kube-apiserver, HTTP/{}\n", args.http);
    println!("ready after exec: {:.0} ms (first start: {:.0} ms), idle: {idle:.1} MiB resident\n", ms(ready), ms(first_ready));
    print_head();
    for clients in [1, args.clients] {
        gets(args, &format!("get past it, {clients} clients"), clients, &server.connector, &[("server", server.process())]).await;
        let both = [("server", server.process()), ("kube-apiserver", Process(cluster.pid()))];
        gets(args, &format!("get through it, {clients} clients"), clients, &through, &both).await;
    }
}

/// One row for each process.
async fn gets(args: &Args, name: &str, clients: usize, connector: &Connector, processes: &[(&str, Process)]) {
    let api = Arc::new(Api::ours());
    let before: Vec<Cpu> = processes.iter().map(|(_, process)| process.cpu()).collect();
    let (start, time) = (Instant::now(), Duration::from_secs_f64(args.seconds));
    let workers = (0..clients).map(|_| {
        let (connector, api) = (connector.clone(), Arc::clone(&api));
        tokio::spawn(async move {
            let (mut connection, mut latencies) = (connector.connect().await, Vec::new());
            while start.elapsed() < time {
                let sent = Instant::now();
                connection.send(api.get(0)).await;
                latencies.push(sent.elapsed());
            }
            latencies
        })
    });
    let latencies: Vec<Duration> = all(workers).await.into_iter().flatten().collect();
    let (elapsed, operations) = (start.elapsed(), latencies.len());
    for ((process, pid), before) in processes.iter().zip(before) {
        let mut measured = Measured { latencies: latencies.clone(), elapsed, cpu: pid.cpu() - before, operations };
        print_row(&format!("{name}: {process}"), &mut measured);
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
