//! Paths of virtual clusters: `/kubernetes/project/P/virtualcluster/N/...`. Their form is fixed: command lines find project and
//! instance again in the URLs of kubeconfigs.

/// What all of them begin with.
pub(crate) const PREFIX: &str = "/kubernetes/project";

/// Project, instance and the path for the virtual cluster, in what follows [`PREFIX`]. Neither name may hold escapes: none of a project
/// or an instance needs one.
pub(crate) fn split(rest: &str) -> Option<(&str, &str, &str)> {
    let (project, rest) = rest.strip_prefix('/')?.split_once("/virtualcluster/")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (instance, path) = rest.split_at(end);
    (is_name(project) && is_name(instance)).then_some((project, instance, path))
}

/// The path of a virtual cluster's API on this server.
pub(crate) fn of(project: &str, instance: &str) -> String {
    format!("{PREFIX}/{project}/virtualcluster/{instance}")
}

/// Whether this can be the name of an object: an RFC 1123 subdomain.
fn is_name(name: &str) -> bool {
    let is_good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    name.len() <= 253 && name.bytes().all(is_good) && is_edge(name.as_bytes().first()) && is_edge(name.as_bytes().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_instance_and_the_rest() {
        for (rest, want) in [
            ("/blue/virtualcluster/vc", Some(("blue", "vc", ""))),
            ("/blue/virtualcluster/vc/", Some(("blue", "vc", "/"))),
            ("/blue/virtualcluster/vc/api/v1/pods", Some(("blue", "vc", "/api/v1/pods"))),
            ("/blue/virtualcluster/vc/virtualcluster/x", Some(("blue", "vc", "/virtualcluster/x"))),
            ("/blue/virtualcluster/vc//%2e%2e/x", Some(("blue", "vc", "//%2e%2e/x"))),
            ("/b.1/virtualcluster/v-c", Some(("b.1", "v-c", ""))),
            ("", None),
            ("/", None),
            ("/blue", None),
            ("/blue/virtualcluster", None),
            ("/blue/virtualcluster/", None),
            ("/blue/virtualcluster//x", None),
            ("//virtualcluster/vc", None),
            ("/blue/red/virtualcluster/vc", None),
            ("/blue/space/vc", None),
            ("/%62lue/virtualcluster/vc", None),
            ("/../virtualcluster/vc", None),
            ("/blue/virtualcluster/v%63", None),
            ("/blue/virtualcluster/..", None),
            ("/Blue/virtualcluster/vc", None),
        ] {
            assert_eq!(split(rest), want, "{rest}");
        }
        assert_eq!(of("blue", "vc"), "/kubernetes/project/blue/virtualcluster/vc");
    }
}
