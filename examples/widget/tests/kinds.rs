//! The kinds keep the promises of every kind in Kubernetes, and have rules of their own.

use apiserver::meta::{Object, Resource};
use apiserver::registry::suite::{Sample, Subject};
use apiserver::server::embedded_store;
use serde_json::json;
use std::sync::Arc;
use tempfile::TempDir;

async fn subject(kind: Arc<dyn Resource>, sample: Sample) -> (Subject, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let store = embedded_store(folder.path()).await.expect("a new store");
    (Subject::start(kind, store, sample).await, folder)
}

mod widgets {
    use super::*;

    apiserver::registry::resource_suite!(subject(
        Arc::new(widget::Widgets::default()),
        Sample {
            object: json!({"spec": {"material": "brass"}}),
            change: json!({"spec": {"width": 20}}),
            status: json!({"status": {"phase": "Polished"}}),
        }
    ));

    #[test]
    fn a_width_is_positive() {
        let errors = |width: i64| {
            let object = Object::from_value(json!({"spec": {"width": width}})).expect("an object");
            widget::Widgets::default().validate(&object).len()
        };
        assert_eq!((errors(1), errors(0), errors(-1)), (0, 1, 1));
    }
}

mod factories {
    use super::*;

    apiserver::registry::resource_suite!(subject(
        Arc::new(widget::Factories::default()),
        Sample {
            object: json!({"spec": {"city": "Ulm"}}),
            change: json!({"spec": {"machines": 20}}),
            status: json!({"status": {"running": 19}}),
        }
    ));

    #[test]
    fn a_factory_does_not_move() {
        let in_city = |city: &str| Object::from_value(json!({"spec": {"city": city}})).expect("an object");
        let errors = |to: &str| widget::Factories::default().validate_update(&in_city(to), &in_city("Ulm")).len();
        assert_eq!((errors("Ulm"), errors("Bonn")), (0, 1));
    }
}
