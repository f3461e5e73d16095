//! Upstream's storage suite, asked of a registry over every store: each `RunTest...` of
//! `k8s.io/apiserver/pkg/storage/testing` (store_tests.go, watcher_tests.go) is one case here, under its own name.
//!
//! What concerns bytes and revisions alone is asked of the stores themselves as well (`apiserver_store::conformance`).
//! Two of upstream's functions have nothing to ask here: `CreateWithTTL` and `GuaranteedUpdateWithTTL`, because no object
//! of this server lives for a set time. `GetListWithErrorAggregation` belongs to a feature that names every unreadable
//! object to the client in one answer; here a list that meets one fails at once, and the operator is told which it was.
//! For the same reason, that what cannot be read cannot be deleted either, three others are left out:
//! `DeleteExpectedTransformOrDecodeError`, `DeleteWithConflictAndMissingExpectedTransformOrDecodeError` and
//! `DeleteWithSuggestionAndMissingExpectedTransformOrDecodeError`.
#![allow(clippy::unwrap_used)]

mod delete;
mod linearizable;
mod list;
mod page;
mod rig;
mod update;
mod watch;
mod watch_list;

use rig::{Backend, Rig};

macro_rules! suite {
    ($($backend:ident: $kind:expr;)*) => {
        $(
            mod $backend {
                use super::*;
                cases! {
                    $kind;
                    update::create,
                    update::create_with_key_exist,
                    update::guaranteed_update,
                    update::guaranteed_update_checks_stored_data,
                    update::guaranteed_update_with_conflict,
                    update::guaranteed_update_with_suggestion_and_conflict,
                    update::transformation_failure,
                    update::stats,
                    update::key_schema,
                    delete::unconditional_delete,
                    delete::conditional_delete,
                    delete::delete_with_suggestion,
                    delete::delete_with_suggestion_and_conflict,
                    delete::delete_with_conflict,
                    delete::delete_with_suggestion_of_deleted_object,
                    delete::validate_deletion_with_suggestion,
                    delete::validate_deletion_with_only_suggestion_valid,
                    delete::preconditional_delete_with_suggestion,
                    delete::preconditional_delete_with_only_suggestion_pass,
                    list::get,
                    list::list,
                    list::consistent_list,
                    list::get_list_non_recursive,
                    list::get_list_recursive_prefix,
                    list::get_list_without_error_aggregation,
                    list::list_resource_version_match,
                    list::namespace_scoped_list,
                    list::compact_revision,
                    page::list_continuation,
                    page::list_pagination_rare_object,
                    page::list_continuation_with_filter,
                    page::list_inconsistent_continuation,
                    page::list_paging,
                    watch::watch,
                    watch::watch_from_zero,
                    watch::delete_trigger_watch,
                    watch::watch_from_non_zero,
                    watch::watch_from_what_a_list_said,
                    watch::delayed_watch_delivery,
                    watch::watch_error,
                    watch::watch_with_unsafe_delete,
                    watch::watch_error_is_blocking_further_events,
                    watch::watch_context_cancel,
                    watch::watcher_timeout,
                    watch::watch_delete_event_object_have_latest_rv,
                    watch::watch_initialization_signal,
                    watch::cluster_scoped_watch,
                    watch::namespace_scoped_watch,
                    watch_list::progress_notify,
                    watch_list::watch_dispatch_bookmark_events,
                    watch_list::watch_bookmarks_with_correct_resource_version,
                    watch_list::send_initial_events_backward_compatibility,
                    watch_list::watch_semantics,
                    watch_list::watch_semantic_initial_events_extended,
                    watch_list::watch_list_match_single,
                    linearizable::linearizable,
                }
            }
        )*
    };
}

macro_rules! cases {
    ($kind:expr; $($module:ident::$case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(rig) = Rig::start($kind).await {
                    super::$module::$case(rig).await;
                }
            }
        )*
    };
}

suite! {
    on_embedded: Backend::Embedded;
    on_embedded_slow: Backend::EmbeddedSlow;
    on_embedded_encrypted: Backend::EmbeddedEncrypted;
    on_etcd: Backend::Etcd;
    on_etcd_3_6: Backend::Etcd36;
}
