//! How the server writes for itself.

use apiserver_meta::options::WriteOptions;

/// Under its own name in managedFields.
pub(crate) fn server_writes() -> WriteOptions {
    WriteOptions { field_manager: "vci-apiserver".into(), ..WriteOptions::default() }
}
