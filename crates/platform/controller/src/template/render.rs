//! Renders the texts of a definition as Go templates, by `helm template`.
//!
//! Each text of the definition (a field, or a name or value of a label or an annotation) is a template of its own, where the
//! original may take the definition as one text. Both give the same for templates that anybody writes: actions, ranges and
//! conditions within the YAML of `helmRelease.values` or `objects`, white space control, `toYaml | nindent`. But what one text
//! makes cannot leave its field: a parameter that holds quotes, line breaks or braces cannot add a chart, an access rule or another
//! repository to the definition. Within a text, as in every Helm chart, it is the author's part to quote (`{{ .Values.x | quote }}`
//! or `toYaml`) or to restrict a parameter by `validation`. What is lost: a variable, a `define` or a condition that spans fields.
//!
//! The chart that helm gets holds no word of anybody's: a fixed template that reaches everything by number in its values, where
//! it stands in base64. So no text can end a string or begin an action there, and each arrives as it is. Each template is executed by helm's `tpl` with `.Values` as all that it knows:
//!
//! - no `.Files`, `.Capabilities` or `.Release`; helm has no functions `env` and `expandenv`;
//! - `lookup` finds nothing and `getHostByName` gives "", since helm runs without a cluster and without `--enable-dns`;
//! - `include` and `template` find nothing but this fixed template, which renders what it is given, with the same bounds;
//! - whatever loops or grows is ended by the limits of [`Helm`](crate::helm::Helm) on time, memory and output.
//!
//! Some functions give something else each time (`now`, `uuidv4`, `randAlphaNum`, `genCA`). So render only when
//! [`input_digest`] has changed.

use super::{ERROR_RENDERING_TEMPLATE, TemplateError};
use crate::helm::{HelmError, HelmRunner, OneFileChart};
use apiserver_meta::excerpt::shorten;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use vci_management::types::VirtualClusterTemplateDefinition;

#[cfg(test)]
mod tests;

/// How many texts of a definition may hold actions.
const MOST_TEXTS: usize = 5000;
/// How many bytes the texts and the values may have.
const LARGEST: usize = 4 << 20;
/// How much a message holds.
const LONGEST_MESSAGE: usize = 500;
/// The keys of these maps are free, so they may hold actions too.
const FREE_KEYS: [&str; 2] = ["labels", "annotations"];

/// A text that may hold actions, and its field for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Such as `helmRelease.values`.
    pub field: String,
    /// The template.
    pub template: String,
}

/// Renders a definition. One without any actions is returned as it is, without a run of helm.
///
/// # Errors
/// A text cannot be rendered, or the engine does not work. The message names the field.
pub async fn definition(
    helm: &dyn HelmRunner,
    definition: &VirtualClusterTemplateDefinition,
    values: &Value,
) -> Result<VirtualClusterTemplateDefinition, TemplateError> {
    let mut tree = serde_json::to_value(definition).map_err(|error| refuse(error.to_string()))?;
    let mut found = Vec::new();
    collect(&tree, "", &mut found);
    if found.is_empty() {
        return Ok(definition.clone());
    }
    let rendered = texts(helm, &found, values).await?;
    replace(&mut tree, "", &mut rendered.into_iter())?;
    serde_json::from_value(tree).map_err(|error| refuse(error.to_string()))
}

/// Renders texts, in one run of helm.
///
/// # Errors
/// As of [`definition`].
pub async fn texts(helm: &dyn HelmRunner, texts: &[Text], values: &Value) -> Result<Vec<String>, TemplateError> {
    let size: usize = texts.iter().map(|text| text.template.len()).sum();
    let values_size = values.to_string().len();
    if texts.len() > MOST_TEXTS || size.saturating_add(values_size) > LARGEST {
        return Err(refuse(format!(
            "the template may have at most {MOST_TEXTS} texts with actions, and {LARGEST} bytes with its parameters"
        )));
    }
    let said = helm.template(&chart(texts, values)).await.map_err(|error| explain(&error, texts))?;
    let rendered: Option<Vec<_>> = (0..texts.len())
        .zip(said.lines().chain(std::iter::repeat("")))
        .map(|(index, line)| {
            let encoded = line.strip_prefix(&format!("t{index}: \""))?.strip_suffix('"')?;
            String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
        })
        .collect();
    rendered.ok_or_else(|| refuse("the engine's answer cannot be read, or a text is not UTF-8"))
}

/// Names everything that a rendering depends on but the time.
pub fn input_digest(definition: &VirtualClusterTemplateDefinition, values: &Value) -> String {
    hex(&Sha256::digest(json!([definition, values]).to_string()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn refuse(message: impl Into<String>) -> TemplateError {
    TemplateError::new(ERROR_RENDERING_TEMPLATE, message)
}

fn has_action(text: &str) -> bool {
    text.contains("{{")
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn has_free_keys(path: &str) -> bool {
    path.rsplit('.').next().is_some_and(|name| FREE_KEYS.contains(&name))
}

/// The texts with actions, in the order in which [`replace`] comes by.
fn collect(tree: &Value, path: &str, found: &mut Vec<Text>) {
    let mut add = |field: String, text: &str| {
        if has_action(text) {
            found.push(Text { field, template: text.to_owned() });
        }
    };
    match tree {
        Value::String(text) => add(path.to_owned(), text),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| collect(item, &format!("{path}[{index}]"), found)),
        Value::Object(map) => {
            for (key, value) in map {
                if has_free_keys(path) && has_action(key) {
                    found.push(Text { field: below(path, key), template: key.clone() });
                }
                collect(value, &below(path, key), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts what was rendered in the place of the texts with actions.
fn replace(tree: &mut Value, path: &str, rendered: &mut dyn Iterator<Item = String>) -> Result<(), TemplateError> {
    let mut next = || rendered.next().ok_or_else(|| refuse("the engine's answer is too short"));
    match tree {
        Value::String(text) if has_action(text) => *text = next()?,
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                replace(item, &format!("{path}[{index}]"), rendered)?;
            }
        }
        Value::Object(map) => {
            let mut made = Map::new();
            for (key, mut value) in std::mem::take(map) {
                let place = below(path, &key);
                let key = if has_free_keys(path) && has_action(&key) {
                    rendered.next().ok_or_else(|| refuse("the engine's answer is too short"))?
                } else {
                    key
                };
                replace(&mut value, &place, rendered)?;
                if made.insert(key, value).is_some() {
                    return Err(refuse(format!("{place}: another one has the same name when it is rendered")));
                }
            }
            *map = made;
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// A chart that renders texts with these values. Line `n + 2` of its template is for text `n`.
fn chart(texts: &[Text], values: &Value) -> OneFileChart {
    let mut strings = Strings::default();
    let literal = strings.literal(values);
    let mut template = format!("{{{{- $s := .Values.s }}}}{{{{ $v := {literal} -}}}}\n");
    for (index, text) in texts.iter().enumerate() {
        let number = strings.number(&text.template);
        // Each gets a copy: what one changes, the others do not see.
        let _ = writeln!(template, r#"t{index}: "{{{{ tpl (index $s {number} | b64dec) (dict "Values" (deepCopy $v)) | b64enc }}}}""#);
    }
    OneFileChart { template, values: json!({"s": strings.0}).to_string() }
}

/// The texts that a template reaches by number.
#[derive(Debug, Default, Serialize)]
struct Strings(Vec<String>);

impl Strings {
    fn number(&mut self, text: &str) -> usize {
        self.0.push(STANDARD.encode(text));
        self.0.len() - 1
    }

    /// An expression that makes a value. Numbers are written out, since helm reads every number of its values as a float, which
    /// `eq`, `gt` and `until` do not take beside a whole one.
    fn literal(&mut self, value: &Value) -> String {
        match value {
            Value::Null => "nil".into(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => whole.to_string(),
                None => format!("(float64 (index $s {} | b64dec))", self.number(&number.to_string())),
            },
            Value::String(text) => format!("(index $s {} | b64dec)", self.number(text)),
            Value::Array(items) => items.iter().fold("(list".to_owned(), |text, item| text + " " + &self.literal(item)) + ")",
            Value::Object(map) => {
                let pairs = map.iter().fold("(dict".to_owned(), |text, (key, value)| {
                    let key = self.number(key);
                    text + &format!(" (index $s {key} | b64dec) ") + &self.literal(value)
                });
                pairs + ")"
            }
        }
    }
}

/// Says of a failed run which field it was, in the words of the template's author.
fn explain(error: &HelmError, texts: &[Text]) -> TemplateError {
    let HelmError::TemplateFailed(said) = error else {
        let reason = match error {
            HelmError::Timeout { .. } | HelmError::OutOfMemory | HelmError::TooMuchOutput { .. } => ERROR_RENDERING_TEMPLATE,
            other => other.reason(),
        };
        return TemplateError::new(reason, format!("rendering the template: {error}"));
    };
    let line = said.split("rendered.yaml:").nth(1).and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
    let field = line.and_then(|line| texts.get(line.checked_sub(2)?)).map(|text| text.field.as_str());
    let mut message = format!("{}: {}", field.unwrap_or("the template"), cause(said));
    shorten(&mut message, LONGEST_MESSAGE);
    refuse(message)
}

/// The innermost cause. Around it helm repeats the whole text that failed.
fn cause(said: &str) -> String {
    // From `fail` and `required`.
    if let Some(rest) = said.strip_prefix("execution error at (") {
        return rest.split_once("): ").map_or(rest, |(_, message)| message).to_owned();
    }
    let quoted = ["error during tpl function execution for \"", "cannot parse template \""];
    let inner = quoted.iter().find_map(|start| behind_quotation(said.split_once(start)?.1)).unwrap_or(said);
    // `template: gotpl:LINE:COLUMN: executing "gotpl" at ...`
    match inner.strip_prefix("template: gotpl:") {
        Some(rest) => format!("line {}", rest.replace("executing \"gotpl\" ", "")),
        None => inner.to_owned(),
    }
}

/// What comes behind a text that Go has quoted, and a colon.
fn behind_quotation(text: &str) -> Option<&str> {
    let mut escaped = false;
    let end = text.find(|char: char| {
        let ends = char == '"' && !escaped;
        escaped = char == '\\' && !escaped;
        ends
    })?;
    text.get(end + 1..)?.strip_prefix(": ")
}
