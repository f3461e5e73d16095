//! The administrator's kubeconfig: the server's address, the certificate authority to trust, and the administrator's access key in
//! clear text. The key is in clear text in no other place.

use apiserver_meta::decode::parse_yaml;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// The first line of the file.
const HEAD: &str = "# Written by vci-apiserver at its start. A lost key is replaced at the next start.\n";
/// The second line of a file without a key.
const WITHOUT_KEY: &str = "# Another server made the administrator. Put an access key into users[0].user.token.\n";

/// The values of a kubeconfig.
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
    ///
    /// # Errors
    /// The text cannot be written as YAML.
    pub(crate) fn render(&self) -> Result<String, serde_yaml::ser::Error> {
        let mut cluster = json!({ "server": self.server });
        if !self.ca_certificate.is_empty() {
            cluster["certificate-authority-data"] = STANDARD.encode(self.ca_certificate).into();
        }
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "vci", "cluster": cluster }],
            "users": [{ "name": self.user, "user": self.token.map_or_else(|| json!({}), |token| json!({ "token": token })) }],
            "contexts": [{ "name": "vci", "context": { "cluster": "vci", "user": self.user, "namespace": self.namespace } }],
            "current-context": "vci",
        });
        // Scripts find the key by its line.
        let options = serde_yaml::ser_options! { prefer_block_scalars: false };
        let text = serde_yaml::to_string_with_options(&config, options)?;
        let note = if self.token.is_some() { "" } else { WITHOUT_KEY };
        Ok(format!("{HEAD}{note}{text}"))
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
        let pem = "PEM".repeat(500);
        let file = Kubeconfig {
            server: "https://127.0.0.1:8443",
            ca_certificate: &pem,
            user: "admin",
            token: Some("0123456789abcdef"),
            namespace: "loft-p-my-project",
        };
        let text = file.render().unwrap();
        assert_eq!(token_of(&text).as_deref(), Some("0123456789abcdef"));
        assert!(text.lines().any(|line| line.trim() == "token: 0123456789abcdef"), "{text}");
        let value = parse_yaml(text.as_bytes()).unwrap().value;
        assert_eq!(value["clusters"][0]["cluster"]["certificate-authority-data"], STANDARD.encode(&pem));
        assert_eq!(value["contexts"][0]["context"]["namespace"], "loft-p-my-project");
        let without_key = Kubeconfig { token: None, ..file.clone() }.render().unwrap();
        assert_eq!((token_of(&without_key), without_key.contains(WITHOUT_KEY)), (None, true));
        assert!(!Kubeconfig { ca_certificate: "", ..file }.render().unwrap().contains("certificate-authority"));
        assert_eq!(token_of("nonsense"), None);
        assert_eq!(token_of("users: []"), None);
    }

    #[test]
    fn values_that_yaml_would_read_otherwise_stay_texts() {
        for strange in ["1", "1e3", "true", "null", "a: b", "a #b", "'", "\"", "\n", "{}", "- a", ""] {
            let file = Kubeconfig { server: strange, ca_certificate: "", user: strange, token: Some(strange), namespace: strange };
            let text = file.render().unwrap();
            let value = parse_yaml(text.as_bytes()).unwrap().value;
            let context = &value["contexts"][0]["context"];
            for read in [&value["clusters"][0]["cluster"]["server"], &value["users"][0]["name"], &context["user"], &context["namespace"]] {
                assert_eq!(read, strange, "{text}");
            }
            assert_eq!(token_of(&text).as_deref(), Some(strange), "{text}");
        }
    }
}
