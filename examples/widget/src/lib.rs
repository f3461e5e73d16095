//! The kinds of `example.com/v1`.

mod factory;
mod widget;

pub use factory::Factories;
pub use widget::Widgets;

use apiserver::meta::Resource;
use std::sync::Arc;

/// Everything that is served. A further kind is a file and a line here.
pub fn resources() -> Vec<Arc<dyn Resource>> {
    vec![Arc::new(Widgets::default()), Arc::new(Factories::default())]
}
