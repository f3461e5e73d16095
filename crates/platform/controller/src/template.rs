//! From an instance and its template to what is deployed: the version, the parameters, the rendering, and what the result is
//! checked for.
//!
//! Everything but the run of the engine is pure. What can go wrong is a [`TemplateError`]: the reason and the message of a
//! condition, which names the field or the parameter.

pub mod command;
pub mod parameters;
pub mod render;
pub mod settings;
pub mod values;
pub mod version;

#[cfg(test)]
mod tests;

/// The reason of a condition: there is no such template.
pub const TEMPLATE_NOT_FOUND: &str = "TemplateNotFound";
/// The reason of a condition: what is asked for is no version.
pub const VERSION_ERROR: &str = "VersionError";
/// The reason of a condition: the template has no such version.
pub const VERSION_NOT_FOUND: &str = "VersionNotFound";
/// The reason of a condition: the parameters are not what the template wants.
pub const ERROR_SYNCING_PARAMETERS: &str = "ErrorSyncingParameters";
/// The reason of a condition: the template cannot be rendered.
pub const ERROR_RENDERING_TEMPLATE: &str = "ErrorRenderingTemplate";
/// The reason of a condition: the rendered values hold settings that cannot be followed.
pub const ERROR_MODIFYING_TEMPLATE: &str = "ErrorModifyingTemplate";
/// The reason of a condition that only informs: the template has a newer version than the one that is used.
pub const NEW_TEMPLATE_VERSION_AVAILABLE: &str = "NewTemplateVersionAvailable";
/// The reason of a condition that only informs: the template was changed since it was applied.
pub const TEMPLATE_CHANGES_AVAILABLE: &str = "TemplateChangesAvailable";

/// Why a template is not applied, as a condition tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({reason})")]
pub struct TemplateError {
    /// For programs; one of the constants of this module, or one of [`HelmError`](crate::helm::HelmError)'s.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl TemplateError {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// A text in a message: quoted and not too long.
fn quoted(text: &str) -> String {
    let mut shown = text.to_owned();
    apiserver_meta::excerpt::shorten(&mut shown, 100);
    format!("{shown:?}")
}
