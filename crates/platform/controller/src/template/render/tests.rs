#![allow(clippy::unwrap_used)]
use super::*;
use crate::helm::{Helm, Limits, Release, Upgrade};
use async_trait::async_trait;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::time::Duration;
use vci_testkit::program::cached;

async fn helm(limits: Limits) -> Option<Helm> {
    Some(Helm::new(cached("bin/helm")?, limits).await.unwrap())
}

fn parse(value: Value) -> VirtualClusterTemplateDefinition {
    serde_json::from_value(value).unwrap()
}

async fn text(helm: &Helm, template: &str, values: Value) -> Result<String, TemplateError> {
    let text = Text { field: "f".into(), template: template.into() };
    Ok(texts(helm, &[text], &values).await?.remove(0))
}

/// Answers nothing, and counts.
#[derive(Debug, Default)]
struct Nobody(std::sync::atomic::AtomicUsize);

#[async_trait]
impl HelmRunner for Nobody {
    async fn template(&self, _chart: &OneFileChart) -> Result<String, HelmError> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(String::new())
    }

    async fn upgrade(&self, _upgrade: &Upgrade) -> Result<(), HelmError> {
        unreachable!("rendering installs nothing")
    }

    async fn uninstall(&self, _release: &Release) -> Result<(), HelmError> {
        unreachable!("rendering removes nothing")
    }
}

#[tokio::test]
async fn what_holds_no_action_stays_as_it_is_without_a_run() {
    let nobody = Nobody::default();
    let plain = parse(json!({"objects": "a: '}}'\n# { {", "metadata": {"labels": {"a": "b"}}, "forwardToken": true}));
    assert_eq!(definition(&nobody, &plain, &json!({})).await.unwrap(), plain);
    assert_eq!(nobody.0.load(std::sync::atomic::Ordering::Relaxed), 0);
    // And an answer that is none is an error, not an empty text.
    let error = definition(&nobody, &parse(json!({"objects": "{{ 1 }}"})), &json!({})).await.unwrap_err();
    assert_eq!(error.reason, ERROR_RENDERING_TEMPLATE);
}

#[tokio::test]
async fn every_text_of_a_definition_is_rendered_in_its_place() {
    let Some(helm) = helm(Limits::default()).await else { return };
    let before = parse(json!({
        "metadata": {"labels": {"team-{{ .Values.loft.team.name }}": "{{ .Values.size }}", "plain": "p"}},
        "instanceTemplate": {"metadata": {"annotations": {"a.b/c": "{{ .Values.loft.name }}"}}},
        "charts": [{"name": "c"}, {"name": "{{ .Values.chart }}", "values": "a: {{ .Values.size }}", "wait": true}],
        "access": {"rules": [{"users": ["{{ .Values.loft.user.name }}", "bob"], "clusterRole": "{{ .Values.role }}"}]},
        "helmRelease": {"chart": {"version": "{{ .Values.version }}"}, "values": "# é \"x\" \\n\nx: '{{ .Values.size }}'\n"},
        "spaceTemplate": {"objects": "{{ .Values.loft.clusterAnnotations | toJson }}"},
        "pro": {"enabled": true},
    }));
    let values = json!({
        "size": 3, "chart": "d", "role": "view", "version": "0.36.1",
        "loft": {"name": "vc", "user": {"name": "ann"}, "team": {"name": "t"}, "clusterAnnotations": {"k": "v"}},
    });
    let want = parse(json!({
        "metadata": {"labels": {"team-t": "3", "plain": "p"}},
        "instanceTemplate": {"metadata": {"annotations": {"a.b/c": "vc"}}},
        "charts": [{"name": "c"}, {"name": "d", "values": "a: 3", "wait": true}],
        "access": {"rules": [{"users": ["ann", "bob"], "clusterRole": "view"}]},
        "helmRelease": {"chart": {"version": "0.36.1"}, "values": "# é \"x\" \\n\nx: '3'\n"},
        "spaceTemplate": {"objects": "{\"k\":\"v\"}"},
        "pro": {"enabled": true},
    }));
    assert_eq!(definition(&helm, &before, &values).await.unwrap(), want);

    let same = parse(json!({"metadata": {"labels": {"{{ .Values.size }}": "a", "3": "b"}}}));
    let error = definition(&helm, &same, &values).await.unwrap_err();
    assert!(error.message.contains("metadata.labels") && error.message.contains("same name"), "{error}");
}

#[tokio::test]
async fn documented_forms_work() {
    let Some(helm) = helm(Limits::default()).await else { return };
    let values = json!({
        "n": 1_000_000, "f": 1.5, "yes": true, "s": "a \"b\"", "list": ["x", "y"], "map": {"a": {"b": 1}}, "empty": "", "none": null,
        "loft": {"name": "vc"},
    });
    let table = [
        ("{{ .Values.n }} {{ .Values.f }} {{ .Values.yes }}", "1000000 1.5 true"),
        ("{{ if gt .Values.n 5 }}many{{ end }}{{ if eq .Values.n 1000000 }}!{{ end }}", "many!"),
        ("{{ add .Values.n 1 }} {{ mul .Values.n 2 }}", "1000001 2000000"),
        ("{{ range until 3 }}{{ . }}{{ end }}", "012"),
        ("a:\n{{- range .Values.list }}\n- {{ . }}\n{{- end }}\n", "a:\n- x\n- y\n"),
        ("{{- if .Values.yes -}}\n  on\n{{- else -}}\n  off\n{{- end -}}", "on"),
        ("m:\n  {{- toYaml .Values.map | nindent 2 }}", "m:\n  a:\n    b: 1"),
        ("x: {{ .Values.s | quote }}", "x: \"a \\\"b\\\"\""),
        ("x: '{{ .Values.loft.name }}'", "x: 'vc'"),
        ("{{ .Values.empty | default \"d\" }}{{ .Values.none | default \"e\" }}{{ .Values.missing | default \"f\" }}", "def"),
        ("[{{ .Values.missing }}]", "[]"),
        ("{{ $x := 1 }}{{ with .Values.map }}{{ .a.b }}{{ $x }}{{ $.Values.f }}{{ end }}", "111.5"),
        ("{{ define \"t\" }}<{{ . }}>{{ end }}{{ include \"t\" .Values.loft.name | upper }}{{ template \"t\" 1 }}", "<VC><1>"),
        ("{{ (fromYaml \"a: b\").a }}{{ (fromJson \"{\\\"a\\\": 1}\").a }}{{ toToml .Values.map }}", "b1[a]\n  b = 1\n"),
        ("{{ \"{{\" }} {{`{{ .x }}`}} {{/* nothing */}}", "{{ {{ .x }} "),
        // What one text changes, the next does not see.
        ("{{ $_ := set .Values \"n\" 2 }}{{ .Values.n }}", "2"),
        ("{{ .Values.n }}", "1000000"),
        ("", ""),
    ];
    let all: Vec<_> = table.iter().map(|(template, _)| Text { field: "f".into(), template: (*template).into() }).collect();
    let got = texts(&helm, &all, &values).await.unwrap();
    for ((template, want), got) in table.iter().zip(&got) {
        assert_eq!(got, want, "{template}");
    }
}

#[tokio::test]
async fn nothing_of_the_host_or_the_network_can_be_reached() {
    let Some(helm) = helm(Limits::default()).await else { return };
    for (template, want) in [
        ("{{ lookup \"v1\" \"Secret\" \"\" \"\" | toJson }}", Ok("{}")),
        ("{{ getHostByName \"localhost\" }}", Ok("")),
        ("{{ env \"PATH\" }}", Err("function \"env\" not defined")),
        ("{{ expandenv \"$PATH\" }}", Err("function \"expandenv\" not defined")),
        ("{{ .Files.Get \"Chart.yaml\" }}", Err("nil pointer")),
        ("{{ $.Capabilities.KubeVersion }}", Err("nil pointer")),
        ("{{ include \"render/templates/rendered.yaml\" . }}", Err("")),
        ("{{ include \"render/templates/rendered.yaml\" (dict \"Values\" (dict \"s\" (list \"YQ==\"))) }}", Ok("t0: \"YQ==\"\n")),
        ("{{ readFile \"/etc/passwd\" }}", Err("not defined")),
    ] {
        let got = text(&helm, template, json!({})).await;
        match (&got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{template}"),
            (Err(error), Err(part)) => {
                assert!(
                    error.message.starts_with("f: ") && error.message.contains(part) && !error.message.contains("root:"),
                    "{template}: {error}"
                );
            }
            _ => panic!("{template}: {got:?}"),
        }
    }
}

#[tokio::test]
async fn errors_name_the_field_and_the_place() {
    let Some(helm) = helm(Limits::default()).await else { return };
    let long = format!("{}\n{{{{ .Values.a.b.c }}}}", "# filler \"{{ 1 }}\"\n".repeat(1000));
    for (template, want) in [
        ("{{ fail \"pick a size\" }}", "helmRelease.values: pick a size"),
        ("a\n{{ required \"no domain\" .Values.x }}", "helmRelease.values: no domain"),
        ("a: b\n{{ .Values.a.b.c }}", "helmRelease.values: line 2:10: at <.Values.a.b.c>: nil pointer evaluating interface {}.b"),
        ("a: b\n{{ if }}", "helmRelease.values: line 2: missing value for if"),
        ("{{ nope }}", "helmRelease.values: line 1: function \"nope\" not defined"),
        ("{{ if true }}", "helmRelease.values: line 1: unexpected EOF"),
        (&long, "helmRelease.values: line 1002:10: at <.Values.a.b.c>: nil pointer evaluating interface {}.b"),
    ] {
        let whole = parse(json!({"objects": "{{ .Values.loft }}", "helmRelease": {"values": template}}));
        let error = definition(&helm, &whole, &json!({})).await.unwrap_err();
        assert_eq!((error.reason, error.message.as_str()), (ERROR_RENDERING_TEMPLATE, want));
    }
}

#[tokio::test]
async fn what_never_ends_or_grows_is_ended() {
    let limits = Limits { template_time: Duration::from_secs(5), template_output: 1 << 20, ..Limits::default() };
    let Some(helm) = helm(limits).await else { return };
    for template in [
        "{{ range until 1000000000 }}x{{ end }}",
        "{{ repeat 1000000000 \"xxxxxxxxxx\" }}",
        "{{ repeat 2000000 \"x\" }}",
        "{{ range untilStep 0 100000000 1 }}{{ sha256sum \"x\" | trunc 0 }}{{ end }}",
        "{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" . }}",
        "{{ define \"t\" }}{{ include \"t\" . }}{{ end }}{{ include \"t\" . }}",
    ] {
        let error = text(&helm, template, json!({})).await.unwrap_err();
        assert!(error.reason == ERROR_RENDERING_TEMPLATE && error.message.len() <= LONGEST_MESSAGE + 100, "{template}: {error}");
    }
    // And the next one works.
    assert_eq!(text(&helm, "{{ 1 }}", json!({})).await.unwrap(), "1");
    let much = vec![Text { field: "f".into(), template: "{{ 1 }}".into() }; MOST_TEXTS + 1];
    assert!(texts(&helm, &much, &json!({})).await.is_err());
    assert!(text(&helm, "{{ 1 }}", json!({"a": "x".repeat(LARGEST)})).await.is_err());
}

#[tokio::test]
async fn values_are_data_whatever_they_hold() {
    let Some(helm) = helm(Limits::default()).await else { return };
    let mut nasty: Vec<String> = [
        "{{ fail \"x\" }}",
        "}}",
        "{{",
        "\" }} {{ fail 1 }} \"",
        "`",
        "\\",
        "\"",
        "'",
        "a\n---\nb: c\n",
        "{{/*",
        "\u{0}\u{7f}\u{85}\u{feff}",
        "é😀",
        "$s",
        "<no value>",
        "# Source: x\n",
        "",
    ]
    .map(str::to_owned)
    .into();
    let mut runner = TestRunner::deterministic();
    nasty.extend((0..300).map(|_| "\\PC{0,20}|(\\{\\{|\\}\\}|\"|`|\\\\|\n|\\$){0,8}".new_tree(&mut runner).unwrap().current()));
    let pairs: Map<String, Value> = nasty.iter().map(|text| (text.clone(), text.clone().into())).collect();
    let values = json!({"list": nasty, "map": pairs, "loft": {}});
    let each = (0..nasty.len()).map(|index| format!("{{{{ index .Values.list {index} | b64enc }}}}"));
    let mut all: Vec<_> =
        each.chain(["{{ .Values.map | toJson | b64enc }}".to_owned()]).map(|template| Text { field: "f".into(), template }).collect();
    // And as the text of a whole definition: nothing of it leaves its field.
    all.push(Text { field: "g".into(), template: "{{ join \"\" .Values.list }}".into() });
    let mut got = texts(&helm, &all, &values).await.unwrap();
    // Helm takes what it prints for an absent value out of every text.
    let joined = nasty.concat().replace("<no value>", "");
    assert_eq!(got.pop().unwrap(), joined);
    let decode = |text: &str| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&decode(&got.pop().unwrap())).unwrap(), values["map"]);
    assert_eq!(got.iter().map(|text| decode(text)).collect::<Vec<_>>(), nasty);
}

proptest! {
    #[test]
    fn the_template_holds_no_word_of_anybody(text in "\\PC{0,30}", key in "\\PC{0,10}", number in any::<f64>(), whole in any::<i64>()) {
        let values = json!({key: [text.clone(), number, whole, null, true, {"a": text.clone()}]});
        let made = chart(&[Text { field: "f".into(), template: text }], &values).template;
        let fixed = "{{- $s := .Values.s }}{{ $v := -}}t:\"tpl(index)Values()deepCopy|b64encb64decdictlistniltruefalsefloat64_ \n";
        prop_assert!(made.chars().all(|char| char.is_ascii_digit() || fixed.contains(char)), "{}", made);
    }
}
