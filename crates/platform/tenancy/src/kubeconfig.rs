//! The administrator's kubeconfig: where the server is, whom to trust, and the one place where the key stands in clear.

use apiserver_meta::decode::parse_yaml;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What a kubeconfig says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kubeconfig<'a> {
    /// The server's URL.
    pub(crate) server: &'a str,
    /// The certificate authority to trust, PEM; empty: the system's.
    pub(crate) ca_certificate: &'a str,
    /// The user's name.
    pub(crate) user: &'a str,
    /// The access key, if it is known here.
    pub(crate) token: Option<&'a str>,
    /// The namespace for commands that name none.
    pub(crate) namespace: &'a str,
}

impl Kubeconfig<'_> {
    /// The file's text.
    pub(crate) fn render(&self) -> String {
        let Self { server, user, namespace, .. } = self;
        let trust = match self.ca_certificate {
            "" => String::new(),
            pem => format!("\n    certificate-authority-data: {}", STANDARD.encode(pem)),
        };
        let credentials = match self.token {
            Some(token) => format!("\n    token: {token}"),
            None => " {} # another server made the administrator: put a key here as `token`".to_owned(),
        };
        format!(
            "# Written by vci-apiserver at its start. A lost key is replaced at the next start.
apiVersion: v1
kind: Config
clusters:
- name: vci
  cluster:
    server: {server}{trust}
users:
- name: {user}
  user:{credentials}
contexts:
- name: vci
  context:
    cluster: vci
    user: {user}
    namespace: {namespace}
current-context: vci
"
        )
    }
}

/// The access key that a kubeconfig of this server holds; `None` for other files.
pub(crate) fn token_of(text: &str) -> Option<String> {
    let value = parse_yaml(text.as_bytes()).ok()?.value;
    Some(value.pointer("/users/0/user/token")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let file = Kubeconfig {
            server: "https://127.0.0.1:8443",
            ca_certificate: "PEM",
            user: "admin",
            token: Some("0123456789abcdef"),
            namespace: "loft-p-my-project",
        };
        let text = file.render();
        assert_eq!(token_of(&text).as_deref(), Some("0123456789abcdef"));
        let value = parse_yaml(text.as_bytes()).unwrap().value;
        assert_eq!(value["clusters"][0]["cluster"]["certificate-authority-data"], "UEVN");
        assert_eq!(value["contexts"][0]["context"]["namespace"], "loft-p-my-project");
        assert_eq!(token_of(&Kubeconfig { token: None, ..file.clone() }.render()), None);
        assert!(!Kubeconfig { ca_certificate: "", ..file }.render().contains("certificate-authority"));
        assert_eq!(token_of("nonsense"), None);
        assert_eq!(token_of("users: []"), None);
    }
}
