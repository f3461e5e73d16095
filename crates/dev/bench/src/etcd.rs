//! The etcd that a server stores in.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running etcd.
pub(crate) struct Etcd {
    child: Child,
    pub(crate) url: String,
}

impl Etcd {
    /// The binary to use where none is named: a new one from the tests' cache, or what the path has.
    pub(crate) fn default_binary() -> PathBuf {
        let cached = std::env::var_os("VCI_TEST_CACHE").map(|cache| Path::new(&cache).join("bin/etcd-3.6"));
        cached.filter(|binary| binary.exists()).unwrap_or_else(|| "etcd".into())
    }

    /// What a binary says of its version.
    pub(crate) fn version(binary: &Path) -> String {
        let told = Command::new(binary).arg("--version").output().expect("etcd tells its version").stdout;
        String::from_utf8_lossy(&told).lines().next().unwrap_or_default().replace("etcd Version: ", "etcd ")
    }

    pub(crate) fn start(binary: &Path, folder: &Path) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (client, peer) = (format!("http://127.0.0.1:{}", free()), format!("http://127.0.0.1:{}", free()));
        let child = Command::new(binary)
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client, "--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer, "--initial-cluster", &format!("default={peer}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd starts");
        Self { child, url: client }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
