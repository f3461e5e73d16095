//! The frames of a watch, in the representation that the watcher asked for.

use crate::observer::WatchObserver;
use crate::reader_view::ReaderView;
use crate::render::{Columns, Renderer, Shown};
use apiserver_meta::Descriptor;
use apiserver_registry::{EventKind, Frame};
use serde_json::json;

/// Writes frames in the representation that the watcher asked for.
pub(super) struct Frames {
    kind: &'static str,
    api_version: String,
    renderer: Renderer,
    extended: ReaderView,
    columns: Columns,
    observer: Option<Box<dyn WatchObserver>>,
}

impl Frames {
    pub(super) fn new(descriptor: &Descriptor, renderer: Renderer, extended: ReaderView, observer: Option<Box<dyn WatchObserver>>) -> Self {
        let (kind, api_version) = (descriptor.kind, descriptor.api_version());
        Self { kind, api_version, renderer, extended, columns: Columns::Shown, observer }
    }

    /// Appends one frame, ended by a newline.
    pub(super) fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        let before = out.len();
        self.append(frame, out);
        if let Some(observer) = &mut self.observer {
            observer.frame(out.len() - before);
            if matches!(frame, Frame::Bookmark { initial_events_end: true, .. }) {
                observer.initial_events_end();
            }
        }
    }

    fn append(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        match frame {
            Frame::Event { kind, item } if matches!(self.renderer, Renderer::Object) && self.extended.is_empty() => {
                let word = word(*kind);
                // Most frames go out alone: then nothing is copied over to a larger place, and the place has the right size.
                out.reserve(BEGIN[0].len() + BEGIN[1].len() + word.len() + item.bytes.len() + END.len());
                begin(word, out);
                out.extend_from_slice(&item.bytes);
                out.extend_from_slice(END);
            }
            Frame::Event { kind, item } => {
                let shown = self.extended.fill(item);
                rendered(word(*kind), &shown, &self.renderer, self.columns, out);
                self.columns = Columns::Left;
            }
            Frame::Bookmark { revision, initial_events_end } => {
                let mut metadata = json!({ "resourceVersion": revision.to_string() });
                if *initial_events_end {
                    metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
                }
                let object = json!({ "kind": self.kind, "apiVersion": self.api_version, "metadata": metadata });
                let renderer = if *initial_events_end { self.renderer.with_metadata() } else { self.renderer.clone() };
                let shown = Shown::Made(object.to_string().into_bytes().into());
                rendered("BOOKMARK", &shown, &renderer, self.columns, out);
                self.columns = Columns::Left;
            }
            Frame::Error(status) => {
                let status = serde_json::to_string(status).unwrap_or_default();
                out.extend_from_slice(format!("{{\"type\":\"ERROR\",\"object\":{status}}}\n").as_bytes());
            }
        }
    }
}

fn rendered(word: &str, shown: &Shown<'_>, renderer: &Renderer, columns: Columns, out: &mut Vec<u8>) {
    begin(word, out);
    renderer.object(shown, columns, out);
    out.extend_from_slice(END);
}

/// The beginning of a frame, around the kind of the event.
const BEGIN: [&str; 2] = ["{\"type\":\"", "\",\"object\":"];
/// The end of a frame, behind its object.
const END: &[u8] = b"}\n";

fn begin(word: &str, out: &mut Vec<u8>) {
    for part in [BEGIN[0], word, BEGIN[1]] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Added => "ADDED",
        EventKind::Modified => "MODIFIED",
        EventKind::Deleted => "DELETED",
    }
}
