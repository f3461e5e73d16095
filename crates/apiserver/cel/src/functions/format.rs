//! Named formats: `format.dns1123Label().validate(x)` is an empty optional, or a list of faults.

use crate::overload::{Context, Error, Outcome, Overload, Value, global, member};
use crate::types::format::FORMATS;

pub(super) const FUNCTIONS: &[Overload] = &[
    global("format.named", 1, |_, args| match args {
        [Value::String(name)] => Ok(named(name).map_or(Value::Optional(None), Value::some)),
        _ => Err(Error::NoSuchOverload),
    }),
    global("format.dns1123Label", 0, |_, _| known("dns1123Label")),
    global("format.dns1123Subdomain", 0, |_, _| known("dns1123Subdomain")),
    global("format.dns1035Label", 0, |_, _| known("dns1035Label")),
    global("format.qualifiedName", 0, |_, _| known("qualifiedName")),
    global("format.dns1123LabelPrefix", 0, |_, _| known("dns1123LabelPrefix")),
    global("format.dns1123SubdomainPrefix", 0, |_, _| known("dns1123SubdomainPrefix")),
    global("format.dns1035LabelPrefix", 0, |_, _| known("dns1035LabelPrefix")),
    global("format.labelValue", 0, |_, _| known("labelValue")),
    global("format.uri", 0, |_, _| known("uri")),
    global("format.uuid", 0, |_, _| known("uuid")),
    global("format.byte", 0, |_, _| known("byte")),
    global("format.date", 0, |_, _| known("date")),
    global("format.datetime", 0, |_, _| known("datetime")),
    member("validate", 2, validate),
];

/// Finds a format by the name of its function.
fn named<'a>(name: &str) -> Option<Value<'a>> {
    FORMATS.iter().find(|it| it.function == name).map(Value::Format)
}

fn known<'a>(name: &str) -> Outcome<'a> {
    named(name).ok_or(Error::NoSuchOverload)
}

fn validate<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Format(format), Value::String(text)] = args else { return Err(Error::NoSuchOverload) };
    context.charge_text(text.len() * 10)?;
    let wrong = (format.validate)(text);
    if wrong.is_empty() {
        return Ok(Value::Optional(None));
    }
    Ok(Value::some(Value::list(wrong.into_iter().map(Value::text).collect())))
}
