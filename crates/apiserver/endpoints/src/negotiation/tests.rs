#![allow(clippy::unwrap_used)]

use super::*;

const TABLE: Target = Target::Table(MetaVersion::V1, IncludeObject::Metadata);

fn headers(accept: &str, agent: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("accept", accept.parse().unwrap());
    headers.insert("user-agent", agent.parse().unwrap());
    headers
}

#[test]
fn accepted() {
    use Layout::{Compact, Pretty};
    use Media::{Json, Yaml};
    let object = Target::Object;
    // Accept, query, User-Agent, what comes of it
    let cases = [
        ("", "", "", Json, Compact, object),
        ("*/*", "", "", Json, Compact, object),
        ("application/*", "", "", Json, Compact, object),
        ("application/json", "", "", Json, Compact, object),
        ("application/yaml", "", "", Yaml, Compact, object),
        ("application/json;q=0.1, application/yaml", "", "", Yaml, Compact, object),
        ("application/json; pretty=1", "", "", Json, Pretty, object),
        ("unrecognized/stuff,application/json; pretty=1", "", "", Json, Pretty, object),
        ("application/json", "pretty=1", "", Json, Pretty, object),
        ("application/json", "pretty=false", "curl/8.0", Json, Compact, object),
        ("application/json", "", "curl", Json, Pretty, object),
        ("application/json", "", "Wget", Json, Pretty, object),
        ("application/json", "", "Mozilla/5.0", Json, Pretty, object),
        ("application/json", "", "kubectl/v1.33.0", Json, Compact, object),
        ("application/json;as=BOGUS;v=v1beta1;g=meta.k8s.io, application/json", "", "", Json, Compact, object),
        ("application/BOGUS, application/json", "", "", Json, Compact, object),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "", "", Json, Compact, TABLE),
        ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", "", "", Json, Compact, object),
        ("application/json;as=Table;g=meta.k8s.io,application/json", "", "", Json, Compact, object),
        ("application/json;stream=watch", "", "", Json, Compact, object),
        ("application/json;profile=nopeer", "", "", Json, Compact, object),
        ("application/yaml;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "", "", Yaml, Compact, Target::Metadata(MetaVersion::V1)),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
             application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            "",
            "",
            Json,
            Compact,
            Target::MetadataList(MetaVersion::V1),
        ),
    ];
    for (accept, query, agent, media, layout, target) in cases {
        let found = negotiate(&headers(accept, agent), &Query::parse(query), Offer::Objects).unwrap();
        assert_eq!(found, Representation { media, layout, target }, "{accept} {query} {agent}");
    }
}

#[test]
fn refused() {
    let cases = [
        ("text/html", Offer::Objects, "only the following media types are accepted: application/json, application/yaml"),
        ("application", Offer::Objects, "only the following media types are accepted: application/json, application/yaml"),
        (
            "application/json;stream=other",
            Offer::Objects,
            "only the following media types are accepted: application/json, application/yaml",
        ),
        (
            "application/vnd.kubernetes.protobuf",
            Offer::Objects,
            "only the following media types are accepted: application/json, application/yaml",
        ),
        ("text/html", Offer::Frames, "only the following media types are accepted: application/json, application/yaml"),
        ("application/yaml", Offer::Frames, "only the following media types are accepted: application/json;stream=watch"),
        (
            "application/json;as=Table;v=v1;g=meta.k8s.io",
            Offer::Documents,
            "only the following media types are accepted: application/json, application/yaml",
        ),
    ];
    for (accept, offer, want) in cases {
        let error = negotiate(&headers(accept, ""), &Query::default(), offer).unwrap_err();
        assert_eq!((error.reason, error.message.as_str()), (Reason::NotAcceptable, want), "{accept}");
    }
}

#[test]
fn what_a_row_carries() {
    let accept = headers("application/json;as=Table;v=v1;g=meta.k8s.io", "");
    let cases = [
        ("", Ok(IncludeObject::Metadata)),
        ("includeObject=None", Ok(IncludeObject::None)),
        ("includeObject=Object", Ok(IncludeObject::Object)),
        (
            "includeObject=All",
            Err("Unable to convert to Table as requested: includeObject: Invalid value: \"All\": \
                 must be 'Metadata', 'Object', 'None', or empty"
                .to_owned()),
        ),
    ];
    for (query, want) in cases {
        let found = negotiate(&accept, &Query::parse(query), Offer::Objects);
        let want = want.map(|include| Target::Table(MetaVersion::V1, include));
        assert_eq!(found.map(|r| r.target).map_err(|error| error.message), want, "{query}");
    }
}

#[test]
fn errors_are_never_refused() {
    let found = for_errors(&headers("text/html", ""), &Query::default());
    assert_eq!(found, Representation { media: Media::Json, layout: Layout::Compact, target: Target::Object });
    let table = "application/yaml;as=Table;v=v1;g=meta.k8s.io";
    for (accept, media) in [("application/yaml", Media::Yaml), (table, Media::Json)] {
        assert_eq!(for_errors(&headers(accept, ""), &Query::default()).media, media, "{accept}");
    }
}
