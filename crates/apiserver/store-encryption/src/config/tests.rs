#![allow(clippy::unwrap_used)]
use super::*;

const KEY16: &str = "AAECAwQFBgcICQoLDA0ODw==";
const KEY32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn read(text: &str) -> Result<Rules, String> {
    configuration(text.as_bytes())
}

fn of(resources: &str) -> String {
    format!("{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: {resources}}}")
}

/// `pattern = provider provider ...` for each rule.
fn told(rules: &Rules) -> Vec<String> {
    let rule = |rule: &Rule| {
        let providers: Vec<String> = rule.providers.iter().map(|provider| format!("{provider:?}")).collect();
        format!("{} = {}", rule.resources, providers.join(" "))
    };
    rules.0.iter().map(rule).collect()
}

#[test]
fn an_operators_file() {
    let text = format!(
        "---\n# Rotated in autumn.\napiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n  - resources:\n      - books.library.example.com\n      - \
         users.library.example.com\n    providers:\n      - aesgcm:\n          keys:\n            - name: key2\n              secret: \
         {KEY32}\n            - name: key1\n              secret: |\n                {KEY16}\n      - secretbox:\n          keys: [{{name: box, secret: \
         {KEY32}}}]\n      - identity: {{}}\n  - resources: ['*.library.example.com']\n    providers: [aescbc: {{keys: [{{name: c, secret: {KEY16}}}]}}]\n  - \
         resources: ['*.*']\n    providers: [identity: {{}}]\n"
    );
    let rules = read(&text).unwrap();
    let first = "k8s:enc:aesgcm:v1:key2: k8s:enc:aesgcm:v1:key1: k8s:enc:secretbox:v1:box: identity";
    let want = [
        format!("books.library.example.com = {first}"),
        format!("users.library.example.com = {first}"),
        "*.library.example.com = k8s:enc:aescbc:v1:c:".into(),
        "*.* = identity".into(),
    ];
    assert_eq!(told(&rules), want);
    let written = |group, resource| rules.written(group, resource).unwrap_or("plain");
    assert_eq!(written("library.example.com", "users"), "k8s:enc:aesgcm:v1:key2:");
    assert_eq!(written("library.example.com", "teams"), "k8s:enc:aescbc:v1:c:");
    assert_eq!(written("example.com", "users"), "plain");
}

#[test]
fn a_resource_that_is_named_again_gets_more_providers() {
    let text = of(&format!(
        "[{{resources: [a.b], providers: [secretbox: {{keys: [{{name: k, secret: {KEY32}}}]}}]}}, {{resources: [a.b], providers: [identity: {{}}]}}]"
    ));
    assert_eq!(told(&read(&text).unwrap()), ["a.b = k8s:enc:secretbox:v1:k: identity"]);
}

#[test]
fn what_is_wrong_is_told_by_its_path_and_without_secrets() {
    let providers = |providers: &str| of(&format!("[{{resources: ['*.*'], providers: {providers}}}]"));
    let key = |key: &str| providers(&format!("[identity: {{}}, aesgcm: {{keys: [{key}]}}]"));
    let resources = |resources: &str| of(&format!("[{{resources: {resources}, providers: [identity: {{}}]}}]"));
    let at = "resources[0].providers[1].aesgcm.keys[0]";
    let table = [
        (String::new(), "must be a mapping".to_owned()),
        ("[]".into(), "must be a mapping".into()),
        ("a: [TOPSECRET".into(), "is not good YAML".into()),
        ("a: *TOPSECRET".into(), "is not good YAML".into()),
        ("a: 1\na: TOPSECRET".into(), "is not good YAML".into()),
        ("kind: EncryptionConfiguration".into(), "apiVersion: is required".into()),
        (
            of("[]").replace("k8s.io/v1", "k8s.io/v2"),
            "must be of apiVersion apiserver.config.k8s.io/v1 and kind EncryptionConfiguration".into(),
        ),
        (of("[]").replace("kind: E", "kind: D"), "must be of apiVersion".into()),
        (of("[]"), "resources: at least one is required".into()),
        (of("[], extra: TOPSECRET"), "resources: at least one".into()),
        (of("[{resources: [a.b], providers: [identity: {}]}], extra: TOPSECRET"), "extra: unknown field".into()),
        (of("TOPSECRET"), "resources: must be a list".into()),
        (of("[TOPSECRET]"), "resources[0]: must be a mapping".into()),
        (of("[{providers: [identity: {}]}]"), "resources[0].resources: at least one is required".into()),
        (of("[{resources: [a.b]}]"), "resources[0].providers: at least one is required".into()),
        (resources("[a.b, 7]"), "resources[0].resources[1]: must be a string".into()),
        (resources("['*']"), "resources[0].resources[0]: use '*.'".into()),
        (resources("['']"), "resources[0].resources[0]: must be RESOURCE.GROUP".into()),
        (resources("[A.b]"), "resources[0].resources[0]: must be RESOURCE.GROUP in lower case".into()),
        (resources("['a.*']"), "resources[0].resources[0]: encrypting the same resource across groups".into()),
        (resources("[a.b, '*.*']"), "resources[0].resources[1]: *.* and a.b overlap in one list".into()),
        (resources("[a.b, a.b]"), "resources[0].resources[1]: a.b and a.b overlap in one list".into()),
        (
            of("[{resources: ['*.b'], providers: [identity: {}]}, {resources: [a.b], providers: [identity: {}]}]"),
            "resources[1].resources[0]: a.b is masked by the earlier rule for *.b".into(),
        ),
        (providers("[{}]"), "resources[0].providers[0]: must be exactly one of".into()),
        (providers("[{identity: {}, kms: {}}]"), "resources[0].providers[0]: must be exactly one of".into()),
        (providers("[{rot13: {keys: [TOPSECRET]}}]"), "resources[0].providers[0].rot13: unknown field".into()),
        (providers("[kms: {name: n, endpoint: TOPSECRET}]"), "resources[0].providers[0].kms: kms is not supported".into()),
        (providers("[identity: {keys: TOPSECRET}]"), "resources[0].providers[0].identity.keys: unknown field".into()),
        (providers("[aesgcm: {}]"), "resources[0].providers[0].aesgcm.keys: at least one is required".into()),
        (providers("[aescbc: {keys: TOPSECRET}]"), "resources[0].providers[0].aescbc.keys: must be a list".into()),
        (key("TOPSECRET"), format!("{at}: must be a mapping")),
        (key("{secret: TOPSECRET}"), format!("{at}.name: is required")),
        (key("{name: n}"), format!("{at}.secret: is required")),
        (key("{name: n, secret: ''}"), format!("{at}.secret: is required")),
        (key("{name: n, secret: [TOPSECRET]}"), format!("{at}.secret: must be a string")),
        (key("{name: n, secret: TOPSECRET, x: TOPSECRET}"), format!("{at}.x: unknown field")),
        (key("{name: n, secret: TOPSECRET}"), format!("{at}.secret: secrets must be base64 encoded")),
        (
            key("{name: n, secret: VE9QU0VDUkVU}"),
            format!("{at}.secret: secret is not of the expected length, got 9, expected one of [16, 24, 32] bytes"),
        ),
        (
            providers(&format!("[secretbox: {{keys: [{{name: n, secret: '{KEY16}'}}]}}]")),
            "resources[0].providers[0].secretbox.keys[0].secret: secret is not of the expected length, got 16, expected one of [32] bytes"
                .into(),
        ),
    ];
    for (text, want) in table {
        let why = read(&text).unwrap_err();
        assert!(why.contains(&want) && why.lines().count() == 1, "{text}\n{why}");
        assert!(!why.contains("TOPSECRET") && !why.contains("VE9Q") && !why.contains(KEY16), "{why}");
    }
}

#[test]
fn errors_name_the_file_and_rules_show_no_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("enc.yaml");
    assert!(Rules::read(&path).unwrap_err().to_string().contains("enc.yaml: No such file"));
    std::fs::write(&path, "x").unwrap();
    assert!(Rules::read(&path).unwrap_err().to_string().ends_with("enc.yaml: must be a mapping"));
    std::fs::write(&path, of(&format!("[{{resources: [a.b], providers: [aesgcm: {{keys: [{{name: n, secret: '{KEY16}'}}]}}]}}]"))).unwrap();
    let shown = format!("{:?}", Rules::read(&path).unwrap());
    assert!(shown.contains("k8s:enc:aesgcm:v1:n:") && !shown.contains("AAEC") && !shown.contains("[0, 1, 2"), "{shown}");
}
