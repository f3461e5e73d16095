//! Named formats of strings.

use crate::types::{time, url};
use apiserver_meta::validation as names;

/// A named format.
#[derive(Debug)]
pub(crate) struct Format {
    /// Its name, in the words of messages.
    pub(crate) name: &'static str,
    pub(crate) function: &'static str,
    /// Lists the faults of a string.
    pub(crate) validate: fn(&str) -> Vec<String>,
}

pub(crate) static FORMATS: [Format; 13] = [
    Format { name: "DNS1123Label", function: "dns1123Label", validate: names::is_dns1123_label },
    Format { name: "DNS1123Subdomain", function: "dns1123Subdomain", validate: names::is_dns1123_subdomain },
    Format { name: "DNS1035Label", function: "dns1035Label", validate: dns1035_label },
    Format { name: "QualifiedName", function: "qualifiedName", validate: names::is_qualified_name },
    Format { name: "DNS1123LabelPrefix", function: "dns1123LabelPrefix", validate: |it| names::is_dns1123_label(&unprefixed(it)) },
    Format {
        name: "DNS1123SubdomainPrefix",
        function: "dns1123SubdomainPrefix",
        validate: |it| names::is_dns1123_subdomain(&unprefixed(it)),
    },
    Format { name: "DNS1035LabelPrefix", function: "dns1035LabelPrefix", validate: |it| dns1035_label(&unprefixed(it)) },
    Format { name: "LabelValue", function: "labelValue", validate: names::is_valid_label_value },
    Format { name: "URI", function: "uri", validate: |it| url::parse(it).err().into_iter().collect() },
    Format { name: "uuid", function: "uuid", validate: |it| unless(is_uuid(it), "does not match the UUID format") },
    Format { name: "byte", function: "byte", validate: |it| unless(is_base64(it), "invalid base64") },
    Format { name: "date", function: "date", validate: |it| unless(is_date(it), "invalid date") },
    Format { name: "datetime", function: "datetime", validate: |it| unless(is_datetime(it), "invalid datetime") },
];

fn unless(valid: bool, wrong: &str) -> Vec<String> {
    if valid { Vec::new() } else { vec![wrong.to_owned()] }
}

/// Replaces the dash in which the prefix of a name may end.
fn unprefixed(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(rest) if text.len() > 1 => format!("{rest}a"),
        _ => text.to_owned(),
    }
}

fn dns1035_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push("must be no more than 63 characters".to_owned());
    }
    let legal = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    if !(text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('-') && text.bytes().all(legal)) {
        let rule = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
        wrong.push(format!("{rule} (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"));
    }
    wrong
}

/// Tells whether a text is eight, four, four, four and twelve hexadecimal digits; dashes may be left out.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|it| it.len()).collect();
    let hex = groups.iter().all(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
    hex && (lengths == [8, 4, 4, 4, 12] || lengths == [32])
}

fn is_base64(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    let legal = |it: u8| it.is_ascii_alphanumeric() || it == b'+' || it == b'/';
    !text.is_empty() && text.len().is_multiple_of(4) && text.len() - bare.len() <= 2 && bare.bytes().all(legal)
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_datetime(text: &str) -> bool {
    time::Time::parse(text).is_some()
}
