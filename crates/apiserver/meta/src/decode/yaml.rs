//! YAML bytes to the same tree as JSON.
//!
//! A plain scalar becomes what its field's type says: `yes` is true in a boolean field and a text in a text field. Where no
//! schema says a type, nothing is guessed beyond what JSON knows: `yes`, `0755` and `1_000` stay texts, as do times.
//!
//! Refused: merge keys, which JSON's data model lacks; and documents that aliases make much larger than their bytes. The
//! parser gives events, so that nothing is expanded before it is counted.

use super::path::Path;
use super::tree::Notes;
use super::{DecodeError, MAX_DEPTH, Parsed, parse_json};
use crate::schema::{Schema, Shape};
use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, StrInput, Tag};
use serde_json::map::Entry;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ops::Range;

mod scalar;

/// How many events of anchored nodes are kept for their aliases.
const MOST_RECORDED: usize = 100_000;

/// Reads the first document of a YAML stream into the JSON data model. Keys become strings as they are written; nothing at
/// all is `null`.
///
/// # Errors
/// Malformed YAML or UTF-8, keys that are no scalars, merge keys, excessive aliasing, nesting deeper than 128 levels.
pub fn parse_yaml(bytes: &[u8]) -> Result<Parsed, DecodeError> {
    parse(bytes, None)
}

/// Reads YAML of an object with this schema, whose types decide how plain scalars are read.
///
/// # Errors
/// As [`parse_yaml`].
pub fn parse_yaml_as(bytes: &[u8], schema: &Schema) -> Result<Parsed, DecodeError> {
    parse(bytes, Some(schema))
}

fn parse(bytes: &[u8], schema: Option<&Schema>) -> Result<Parsed, DecodeError> {
    // Most of what claims to be YAML is JSON, which is read much faster as such.
    if bytes.trim_ascii_start().starts_with(b"{")
        && let Ok(parsed) = parse_json(bytes)
    {
        return Ok(parsed);
    }
    document(bytes, schema).map_err(|error| DecodeError(format!("error converting YAML to JSON: yaml: {error}")))
}

fn document(bytes: &[u8], schema: Option<&Schema>) -> Result<Parsed, YamlError> {
    let text = std::str::from_utf8(bytes).map_err(|error| YamlError::Refused(error.to_string()))?;
    let mut reader = Reader {
        parser: Parser::new_from_str_with_options(text, options()),
        notes: Notes::new(),
        // A document without aliases costs less than twice its length.
        budget: bytes.len().saturating_mul(2).saturating_add(64 * 1024),
        anchors: HashMap::new(),
        recorded: Vec::new(),
        recording: 0,
        replayed: None,
    };
    loop {
        match reader.next()? {
            Event::DocumentStart(..) => break,
            Event::StreamEnd => return Ok(Parsed::default()),
            _ => {}
        }
    }
    let root = reader.next()?;
    let value = reader.node(root, &Place { schema, path: &Path::Root, depth: 0 })?;
    // The end, and that nothing but another document follows it.
    match (reader.next()?, reader.next()?) {
        (Event::DocumentEnd, Event::StreamEnd | Event::DocumentStart(..)) => Ok(Parsed { value, duplicates: reader.notes.duplicates }),
        _ => Err(refused("the document goes on behind its end")),
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options
}

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
enum YamlError {
    #[error(transparent)]
    Malformed(#[from] ScanError),
    #[error("{0}")]
    Refused(String),
}

fn refused(why: impl Into<String>) -> YamlError {
    YamlError::Refused(why.into())
}

/// Where a node stands, and what its schema says.
struct Place<'a> {
    schema: Option<&'a Schema>,
    path: &'a Path<'a>,
    depth: usize,
}

impl<'a> Place<'a> {
    fn shape(&self) -> Option<&'a Shape> {
        self.schema.map(|schema| &schema.shape)
    }

    fn item(&self) -> Option<&'a Schema> {
        match self.shape() {
            Some(Shape::List { items, .. }) => Some(items),
            _ => None,
        }
    }

    fn member(&self, name: &str) -> Option<&'a Schema> {
        match self.shape() {
            Some(Shape::Object { fields, .. }) => fields.get(name).map(|field| &*field.schema),
            Some(Shape::Map { values, .. }) => Some(values),
            _ => None,
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    notes: Notes,
    /// One for each value and each byte of text: the bound on what aliases may multiply.
    budget: usize,
    /// Where the events of each anchored node are, once it has ended.
    anchors: HashMap<usize, Range<usize>>,
    recorded: Vec<Event<'a>>,
    /// How many anchored nodes lie around what is read.
    recording: usize,
    /// The node that an alias stands for, which is read in place of the document.
    replayed: Option<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, YamlError> {
        if let Some(rest) = &mut self.replayed {
            let event = rest.next().and_then(|at| self.recorded.get(at));
            return event.cloned().ok_or_else(|| refused("an alias stands for nothing"));
        }
        let event = self.parser.next_event().ok_or_else(|| refused("the document ends too early"))??.0;
        if self.recording > 0 {
            self.record(&event)?;
        }
        Ok(event)
    }

    fn spend(&mut self, cost: usize) -> Result<(), YamlError> {
        self.budget = self.budget.checked_sub(cost).ok_or_else(|| refused("document contains excessive aliasing"))?;
        Ok(())
    }

    fn record(&mut self, event: &Event<'a>) -> Result<(), YamlError> {
        if self.recorded.len() == MOST_RECORDED {
            return Err(refused(format!("anchored nodes may hold no more than {MOST_RECORDED} nodes")));
        }
        self.recorded.push(event.clone());
        Ok(())
    }

    /// Reads the node that begins with this event, and keeps it when it is anchored.
    fn node(&mut self, first: Event<'a>, place: &Place<'_>) -> Result<Value, YamlError> {
        let anchor = first.anchor_id().filter(|_| self.replayed.is_none());
        let Some(anchor) = anchor else { return self.content(first, place) };
        if self.recording == 0 {
            self.record(&first)?;
        }
        let start = self.recorded.len() - 1;
        self.recording += 1;
        let value = self.content(first, place)?;
        self.recording -= 1;
        self.anchors.insert(anchor, start..self.recorded.len());
        Ok(value)
    }

    fn content(&mut self, first: Event<'a>, place: &Place<'_>) -> Result<Value, YamlError> {
        match first {
            Event::Scalar(text, style, _, tag) => {
                self.spend(text.len() + 1)?;
                scalar::value(text, style, tag.as_deref(), place.shape()).map_err(YamlError::Refused)
            }
            Event::SequenceStart(_, _, tag) => {
                expect(tag.as_deref(), "seq")?;
                self.list(place)
            }
            Event::MappingStart(_, _, tag) => {
                expect(tag.as_deref(), "map")?;
                self.map(place)
            }
            Event::Alias(anchor) => {
                self.spend(1)?;
                let node = self.anchored(anchor)?;
                let around = self.replayed.replace(node);
                let first = self.next()?;
                let value = self.content(first, place);
                self.replayed = around;
                value
            }
            _ => Err(refused("a value is missing")),
        }
    }

    fn anchored(&self, anchor: usize) -> Result<Range<usize>, YamlError> {
        self.anchors.get(&anchor).cloned().ok_or_else(|| refused("an anchored value contains itself"))
    }

    fn deeper(&mut self, place: &Place<'_>) -> Result<usize, YamlError> {
        self.spend(1)?;
        if place.depth == MAX_DEPTH { Err(refused("exceeded max depth")) } else { Ok(place.depth + 1) }
    }

    fn list(&mut self, place: &Place<'_>) -> Result<Value, YamlError> {
        let depth = self.deeper(place)?;
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(list)),
                first => {
                    let path = Path::Item(place.path, list.len());
                    list.push(self.node(first, &Place { schema: place.item(), path: &path, depth })?);
                }
            }
        }
    }

    fn map(&mut self, place: &Place<'_>) -> Result<Value, YamlError> {
        let depth = self.deeper(place)?;
        let mut map = Map::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(Value::Object(map)),
                first => self.key(first)?,
            };
            self.spend(key.len())?;
            let first = self.next()?;
            let path = Path::Member(place.path, &key);
            let value = self.node(first, &Place { schema: place.member(&key), path: &path, depth })?;
            match map.entry(key) {
                Entry::Vacant(slot) => _ = slot.insert(value),
                Entry::Occupied(mut slot) => {
                    self.notes.duplicate(&Path::Member(place.path, slot.key()));
                    slot.insert(value);
                }
            }
        }
    }

    /// A key of a map: a scalar, as it is written.
    fn key(&mut self, first: Event<'a>) -> Result<String, YamlError> {
        let first = match first {
            Event::Alias(anchor) => {
                let node = self.anchored(anchor)?;
                self.recorded.get(node.start).cloned().ok_or_else(|| refused("an alias stands for nothing"))?
            }
            first => {
                if let Some(anchor) = first.anchor_id().filter(|_| self.replayed.is_none()) {
                    if self.recording == 0 {
                        self.record(&first)?;
                    }
                    self.anchors.insert(anchor, self.recorded.len() - 1..self.recorded.len());
                }
                first
            }
        };
        match first {
            Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<" => {
                Err(refused("merge keys (<<) are not of the data model of JSON: write the fields out"))
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) if scalar::is_null(&text) => Err(refused("null cannot be a key")),
            Event::Scalar(text, ..) => Ok(text.into_owned()),
            _ => Err(refused("only a text, a number or a boolean can be a key")),
        }
    }
}

/// A collection may be tagged as what it is; tags of somebody's own say nothing here.
fn expect(tag: Option<&Tag>, kind: &str) -> Result<(), YamlError> {
    match tag.and_then(Tag::core_suffix) {
        Some(other) if other != kind => Err(refused(format!("cannot read a collection as !!{other}"))),
        _ => Ok(()),
    }
}
