//! That the benchmark works: it runs in small against the server of this build, and every row has its figures. What they are
//! is not looked at.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use vci_testkit::certs::Authority;
use vci_testkit::etcd::{self, Release};
use vci_testkit::lacking;
use vci_testkit::server::{ServerOptions, TestServer};

const BENCH: &str = env!("CARGO_BIN_EXE_vci-bench");
/// Small figures for everything.
const SMALL: &str = "--seconds 0.05 --watchers 5 --informers 5 --clients 2";
/// The rows of one run at one size, with how many figures each has.
const STEPS: &[(&str, usize)] = &[
    ("create", 5),
    ("get", 5),
    ("list of all", 5),
    ("page of 500", 5),
    ("page of 500 from the middle", 5),
    ("Table of 500", 5),
    ("PartialObjectMetadataList of 500", 5),
    ("label selector that selects nothing", 5),
    ("label selector that selects a few", 5),
    ("field selector that selects nothing", 5),
    ("merge patch", 5),
    ("apply", 5),
    ("delete", 5),
    ("watch event, one writer", 5),
    ("watch event, 8 writers", 5),
    ("resident idle", 1),
    ("resident loaded", 1),
    ("JSON of all objects", 1),
    ("(loaded - 20) / JSON", 1),
    ("resident after 16 lists of all at once", 1),
    ("at the most (VmHWM)", 1),
    ("an idle watcher, of 5 with a connection each (KiB)", 1),
    ("5 informers at once: the median has everything (ms)", 1),
    ("all have everything (ms)", 1),
    ("what they read (MB)", 1),
    ("server CPU for an informer (ms)", 1),
    ("resident before (MiB)", 1),
    ("at the most above that (MiB)", 1),
];
const RESTART: &[(&str, usize)] = &[("ready after exec, without objects (ms)", 1), ("ready after exec, with all objects (ms)", 1)];
const FAN_OUT: &[(&str, usize)] = &[
    ("changes", 1),
    ("seconds between them", 1),
    ("events expected", 1),
    ("events lost", 1),
    ("events too many", 1),
    ("from the write to the event, p50 (ms)", 1),
    ("from the write to the event, p99 (ms)", 1),
    ("from the write to the event, max (ms)", 1),
    ("server CPU for an event of one watcher (ms)", 1),
    ("share of all cores that the server has (%)", 1),
    ("share of all cores that the clients have (%)", 1),
    ("an idle watcher (KiB)", 1),
    ("resident before (MiB)", 1),
    ("resident with idle watchers (MiB)", 1),
    ("resident after they are gone (MiB)", 1),
];

/// The server of the same build, which `cargo test --workspace` and `cargo build` put beside the benchmark.
fn server() -> Option<PathBuf> {
    let binary = Path::new(BENCH).with_file_name("vci-apiserver");
    if binary.exists() {
        return Some(binary);
    }
    lacking("vci-apiserver beside vci-bench (cargo build)");
    None
}

fn run(arguments: &str) -> Output {
    Command::new(BENCH).args(arguments.split_whitespace()).output().unwrap()
}

fn bench(arguments: &str) -> String {
    let output = run(arguments);
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "vci-bench {arguments}: {printed}\n{errors}");
    printed.into_owned()
}

/// The cells of the rows of this name; behind the name there may be a note in brackets.
fn rows<'a>(printed: &'a str, name: &str) -> Vec<Vec<&'a str>> {
    let cells = printed.lines().filter_map(|line| Some(line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect::<Vec<_>>()));
    let named = |cell: &str| cell == name || cell.strip_prefix(name).is_some_and(|rest| rest.starts_with(" (") && rest.ends_with(')'));
    cells.filter(|cells| named(cells[0])).map(|cells| cells[1..].to_vec()).collect()
}

/// Whether each row is there so many times, with figures that are some.
fn check(printed: &str, wanted: &[(&str, usize)], times: usize) {
    for (name, figures) in wanted {
        let found = rows(printed, name).into_iter().filter(|cells| cells.len() == *figures);
        let good = found.filter(|cells| cells.iter().all(|cell| cell.parse::<f64>().is_ok_and(f64::is_finite)));
        assert_eq!(good.count(), times, "{name}\n{printed}");
    }
}

/// Whether the tables in the end have every operation, with a figure in each column.
fn check_growth(printed: &str, title: &str, columns: usize) {
    let table = printed.split(title).nth(1).unwrap_or_else(|| panic!("{title}\n{printed}"));
    let table = table.split("###").next().unwrap();
    let operations: Vec<_> = STEPS.iter().filter(|(_, figures)| *figures == 5).map(|(name, _)| (*name, columns)).collect();
    check(table, &operations, 1);
}

#[test]
fn every_figure_on_the_embedded_store() {
    let Some(server) = server() else { return };
    let printed = bench(&format!("{SMALL} --sizes 20,50 --stores embedded --server {}", server.display()));
    check(&printed, STEPS, 2);
    check(&printed, RESTART, 2);
    assert!(rows(&printed, "a watch from before goes on").iter().all(|cells| matches!(cells[..], ["yes" | "no (410)"])), "{printed}");
    check_growth(&printed, "### embedded: CPU ms per operation by objects", 2);
    assert!(!printed.contains("by server"), "there is nothing to compare with");
}

#[test]
fn every_figure_on_etcd() {
    let (Some(server), Some((version, etcd))) = (server(), etcd::find(Release::V3_6)) else { return };
    let printed = bench(&format!("{SMALL} --sizes 50 --stores etcd --server {} --etcd {}", server.display(), etcd.display()));
    check(&printed, STEPS, 1);
    check(&printed, RESTART, 1);
    check_growth(&printed, &format!("### etcd {version}: CPU ms per operation by objects"), 1);
}

#[test]
fn fan_out_to_many_watchers() {
    let Some(server) = server() else { return };
    let small = "--watchers 20 --connections 4 --changes 10 --pace 0.02 --seconds 0.05";
    let printed = bench(&format!("fan-out {small} --stores embedded --server {}", server.display()));
    assert!(printed.contains("## embedded: 20 watchers on 4 connections, HTTP/2\n"), "{printed}");
    assert!(printed.contains("## embedded: 20 watchers on 20 connections, HTTP/1.1\n"), "{printed}");
    check(&printed, FAN_OUT, 2);
    for (row, figure) in [("events expected", "200"), ("events lost", "0"), ("events too many", "0")] {
        assert_eq!(rows(&printed, row), [[figure], [figure]], "{row}\n{printed}");
    }
}

/// Flags for a peer: another server of ours.
async fn peer(server: &Path, clients: &Authority) -> (TestServer, String) {
    let mut options = ServerOptions::new(server);
    options.flags = vec!["--client-ca-file".into(), clients.file().display().to_string()];
    let peer = TestServer::start(options).await;
    let admin = clients.client("bench", &["system:masters"]);
    let (authority, body) = (peer.folder().join("ca.crt"), peer.folder().join("body.json"));
    std::fs::write(&authority, peer.ca_pem()).unwrap();
    let object = serde_json::json!({
        "apiVersion": "management.loft.sh/v1",
        "kind": "VirtualClusterInstance",
        "metadata": {},
        "spec": {"templateRef": {"name": "t"}, "clusterRef": {}},
    });
    std::fs::write(&body, object.to_string()).unwrap();
    let flags = format!(
        "--peer {} --peer-pid {} --peer-ca {} --peer-cert {} --peer-key {} --peer-body {}",
        peer.base_url(),
        peer.pid(),
        authority.display(),
        admin.cert_file.display(),
        admin.key_file.display(),
        body.display()
    );
    (peer, flags)
}

#[tokio::test]
async fn a_peer_is_measured_beside_it() {
    let Some(server) = server() else { return };
    let clients = Authority::new("clients");
    let (_peer, flags) = peer(&server, &clients).await;
    let flags = format!("{flags} --peer-collection /apis/management.loft.sh/v1/namespaces/loft-p-my-project/virtualclusterinstances");
    let printed = bench(&format!("{SMALL} --sizes 50 --stores embedded {flags} --server {}", server.display()));
    check(&printed, STEPS, 2);
    check(&printed, RESTART, 1);
    for target in ["embedded", "peer"] {
        check_growth(&printed, &format!("### {target}: CPU ms per operation by objects"), 1);
    }
    check_growth(&printed, "### 50 objects: CPU ms per operation by server", 2);
}

#[tokio::test]
async fn what_goes_wrong_ends_it_with_a_line() {
    let Some(server) = server() else { return };
    let clients = Authority::new("clients");
    let (_peer, flags) = peer(&server, &clients).await;
    let own = format!("{SMALL} --sizes 50 --stores embedded --server {}", server.display());
    for (arguments, line) in [
        ("--stores embedded --server /bin/false".to_owned(), "vci-bench: the server ended before it served"),
        (format!("{own} {flags}"), "vci-bench: --peer needs --peer-collection"),
        (
            format!("{own} {flags} --peer-collection /apis/nothing/v1/things"),
            "/apis/nothing/v1/things?limit=500&continue=: refused with 404",
        ),
    ] {
        let output = run(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.starts_with("vci-bench: ") && errors.contains(line), "{arguments}: {errors}");
    }
}
