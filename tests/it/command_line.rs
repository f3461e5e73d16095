//! What an operator types, and what comes of it.

use crate::bad_input::connect;
use crate::common::{BINARY, COLLECTION, instance, path};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use vci_testkit::client::Protocol;
use vci_testkit::server::{ServerOptions, TestServer, run};

#[test]
fn bad_configuration_ends_with_one_line_and_status_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "not a certificate").expect("written");
    let garbage = garbage.to_str().expect("UTF-8");
    let table: &[&[&str]] = &[
        &["--no-such-flag"],
        &["--secure-port", "many"],
        &["--bind-address", "nowhere at all"],
        &["--tls-cert-file", "/does/not/exist", "--tls-private-key-file", "/does/not/exist"],
        &["--tls-cert-file", garbage, "--tls-private-key-file", garbage],
        &["--tls-cert-file", garbage],
        &["--bootstrap", "/does/not/exist"],
        &["--bootstrap", garbage],
        &["--etcd-servers", "not a url"],
        &["--etcd-servers", "https://127.0.0.1:1", "--etcd-cafile", "/does/not/exist"],
    ];
    for flags in table {
        let arguments = [&["serve", "--data-dir", data, "--secure-port", "0"], *flags].concat();
        let (status, _, stderr) = run(Path::new(BINARY), &arguments);
        assert_eq!(status.code(), Some(2), "{flags:?}: {stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{flags:?}: {stderr}");
        assert!(!Path::new(data).exists(), "{flags:?} touched the data folder");
    }
}

#[test]
fn a_template_is_rendered_without_a_server() {
    let Some(helm) = vci_testkit::program::cached("bin/helm") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("template.yaml");
    let template = "apiVersion: management.loft.sh/v1\nkind: VirtualClusterTemplate\nmetadata: {name: t}\nspec:\n  \
        parameters: [{variable: size, required: true}]\n  template: {helmRelease: {values: 'size: {{ .Values.size }}'}}\n";
    std::fs::write(&file, template).expect("written");
    let file = file.to_str().expect("UTF-8");
    let render = |flags: &[&str]| {
        let arguments = [&["render", "-f", file, "--helm", helm.to_str().expect("UTF-8")], flags].concat();
        let (status, stdout, stderr) = run(Path::new(BINARY), &arguments);
        (status.code(), stdout, stderr)
    };
    let (status, stdout, stderr) = render(&["--set", "size=large"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert_eq!(vci_testkit::yaml(&stdout)["helmRelease"]["values"], "size: large");
    for (flags, part) in [(&[][..], "parameter size is required"), (&["--set", "size=a", "--helm", "/nowhere"], "/nowhere")] {
        let (status, stdout, stderr) = render(flags);
        assert_eq!((status, stdout.as_str(), stderr.trim_end().lines().count()), (Some(2), "", 1), "{stderr}");
        assert!(stderr.contains(part), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reuses_everything() {
    let mut server = TestServer::start(ServerOptions::new(BINARY)).await;
    let (token, ca) = (server.admin_token(), server.ca_pem());
    let mode = std::fs::metadata(server.kubeconfig_path()).expect("a kubeconfig").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let created = server.admin(Protocol::Http1).post(COLLECTION, &instance("kept")).await.expect(201).json();
    assert!(server.stop().await.success(), "SIGTERM is an orderly end");
    server.restart().await;
    assert_eq!((server.admin_token(), server.ca_pem()), (token, ca));
    let kept = server.admin(Protocol::Http1).get(&path("kept")).await.expect(200).json();
    assert_eq!(kept, created);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_have_environment_variables() {
    let mut options = ServerOptions::new(BINARY);
    options.env = vec![("VCI_PROJECT_NAMESPACE_PREFIX".into(), "team-".into())];
    let server = TestServer::start(options).await;
    let admin = server.admin(Protocol::Http1);
    let collection = COLLECTION.replace("loft-p-", "team-");
    admin.post(&collection, &instance("a")).await.expect(201);
    admin.post(COLLECTION, &instance("a")).await.expect(404);
}

#[test]
fn what_cannot_be_opened_is_one_line_and_status_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let within = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(within("file"), "x").expect("written");
    std::fs::create_dir_all(within("odd/store.redb")).expect("a folder");
    std::fs::create_dir(within("garbage")).expect("a folder");
    std::fs::write(within("garbage/store.redb"), "garbage").expect("written");
    std::fs::create_dir(within("emptied")).expect("a folder");
    std::fs::write(within("emptied/store.redb"), "").expect("written");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let (below_file, file, odd, garbage, emptied, untouched) =
        (within("file/data"), within("file"), within("odd"), within("garbage"), within("emptied"), within("untouched"));
    let table: &[(&str, &[&str])] = &[
        ("Not a directory", &["--data-dir", &below_file, "--secure-port", "0"]),
        ("File exists", &["--data-dir", &file, "--secure-port", "0"]),
        ("store.redb", &["--data-dir", &odd, "--secure-port", "0"]),
        ("store is damaged", &["--data-dir", &garbage, "--secure-port", "0"]),
        ("the file is empty", &["--data-dir", &emptied, "--secure-port", "0"]),
        ("Address already in use", &["--data-dir", &untouched, "--secure-port", &port]),
        ("Cannot assign", &["--data-dir", &untouched, "--secure-port", "0", "--bind-address", "192.0.2.1"]),
        ("lower-case", &["--data-dir", &untouched, "--secure-port", "0", "--project-namespace-prefix", "A/"]),
    ];
    for (named, flags) in table {
        for format in ["text", "json"] {
            let (status, stdout, stderr) = run(Path::new(BINARY), &[&["serve", "--logging-format", format], *flags].concat());
            assert_eq!(status.code(), Some(2), "{flags:?}: {stderr}");
            assert!(stdout.is_empty() && stderr.trim_end().lines().count() == 1 && stderr.contains(named), "{flags:?}: {stderr}");
            // What clap refuses is refused before a format is known.
            assert!(format == "text" || *named == "lower-case" || stderr.starts_with('{'), "{stderr}");
        }
    }
    assert!(!Path::new(&untouched).exists(), "the data folder was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_has_one_server() {
    let server = TestServer::start(ServerOptions::new(BINARY)).await;
    let data = server.data_dir();
    let (status, _, stderr) = run(Path::new(BINARY), &["serve", "--secure-port", "0", "--data-dir", data.to_str().expect("UTF-8")]);
    assert_eq!(status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("another process has it open") && stderr.trim_end().lines().count() == 1, "{stderr}");
    server.admin(Protocol::Http1).get(COLLECTION).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_can_read_what_is_kept() {
    let server = TestServer::start(ServerOptions::new(BINARY)).await;
    let mut folders = vec![server.data_dir()];
    while let Some(folder) = folders.pop() {
        let mode = |path: &Path| std::fs::symlink_metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_does_not_wait_for_requests() {
    let mut server = TestServer::start(ServerOptions::new(BINARY)).await;
    let address = server.base_url().trim_start_matches("https://").to_owned();
    // A request whose body does not come holds up the end; it is asked for when the request has begun.
    let mut slow = connect(&server).await;
    let head = format!(
        "POST {COLLECTION} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
        server.admin_token()
    );
    slow.write_all(head.as_bytes()).await.expect("a server");
    slow.read_exact(&mut [0; 12]).await.expect("100 Continue");
    server.terminate();
    vci_testkit::wait_for("it to listen no more", async || tokio::net::TcpStream::connect(&address).await.is_err()).await;
    // It ends while the body is still to come.
    let status = server.stop().await;
    assert_eq!(status.code(), Some(1), "it says that it did not wait");
    drop(slow);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_logs_parse_line_by_line() {
    let mut options = ServerOptions::new(BINARY);
    options.flags = ["--logging-format", "json", "--log-level", "trace"].map(str::to_owned).to_vec();
    let mut server = TestServer::start(options).await;
    let admin = server.admin(Protocol::Http2);
    admin.post(COLLECTION, &instance("a\nb")).await.expect(422);
    admin.post(COLLECTION, &instance("a")).await.expect(201);
    server.anonymous(Protocol::Http1).bearer("line\tfeed").get(COLLECTION).await.expect(401);
    server.stop().await;
    let logs = server.logs();
    let lines: Vec<&str> = logs.lines().filter(|line| !line.starts_with("serving on ") && !line.starts_with("next: ")).collect();
    assert!(lines.len() > 3, "{logs}");
    for line in lines {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(event["level"].is_string() && event["message"].is_string(), "{line}");
    }
    assert!(!logs.contains(&server.admin_token()), "the log shows a key");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_open_files_is_as_high_as_it_may_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("low");
    std::fs::write(&script, format!("#!/bin/sh\nulimit -S -n 256\nexec {BINARY} \"$@\"\n")).expect("written");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).expect("executable");
    let server = TestServer::start(ServerOptions::new(script)).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubeconfig_works_when_the_server_listens_on_all_addresses() {
    the_kubeconfig_works("0.0.0.0", "https://127.0.0.1:").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubeconfig_works_when_the_server_listens_on_ipv6() {
    if std::net::TcpListener::bind(("::1", 0)).is_err() {
        return vci_testkit::skip("no IPv6 on this machine");
    }
    for address in ["::", "::1"] {
        the_kubeconfig_works(address, "https://[::1]:").await;
    }
}

async fn the_kubeconfig_works(address: &str, want: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut command = std::process::Command::new(BINARY);
    command.args(["serve", "--secure-port", "0", "--bind-address", address, "--data-dir"]).arg(&data);
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("a server");
    let kubeconfig = data.join("admin.kubeconfig");
    vci_testkit::wait_for("a kubeconfig", || std::future::ready(kubeconfig.is_file())).await;
    let config: serde_json::Value = read_kubeconfig(&std::fs::read_to_string(&kubeconfig).expect("readable"));
    let url = config["server"].as_str().expect("a URL").to_owned();
    assert!(url.starts_with(want), "{url}");
    let client = vci_testkit::client::Client::new(&url, config["ca"].as_str().expect("PEM"), Protocol::Http2);
    let client = client.bearer(config["token"].as_str().expect("a token"));
    vci_testkit::wait_for("an answer", async || {
        let answer = client.try_request(http::Method::GET, COLLECTION, None, "").await;
        answer.is_ok_and(|response| response.status == 200)
    })
    .await;
    child.kill().expect("killed");
    child.wait().expect("ended");
}

/// What a kubeconfig of this server says, line by line.
fn read_kubeconfig(text: &str) -> serde_json::Value {
    use base64::Engine as _;
    let value = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_default().trim().to_owned();
    let ca = base64::engine::general_purpose::STANDARD.decode(value("certificate-authority-data:")).expect("base64");
    serde_json::json!({"server": value("server:"), "token": value("token:"), "ca": String::from_utf8(ca).expect("PEM")})
}

#[tokio::test]
async fn sigterm_ends_the_waiting_for_etcd() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = std::process::Command::new(BINARY)
        .args(["serve", "--secure-port", "0", "--etcd-servers", "http://127.0.0.1:1", "--data-dir"])
        .arg(folder.path().join("data"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("a server");
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stderr.take().expect("a pipe")), &mut line).expect("a line");
    assert!(line.contains("waiting for etcd"), "{line}");
    let told = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(told.success());
    // Without the signal it would wait for ever.
    let mut ended = None;
    vci_testkit::wait_for("an end", || {
        ended = child.try_wait().expect("a child");
        std::future::ready(ended.is_some())
    })
    .await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
}
