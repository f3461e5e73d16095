//! `deletecollection`: the objects of a list, deleted one by one. Not atomic, as upstream.

use super::failure::WriteFailure;
use crate::list::List;
use crate::registry::Registry;
use apiserver_meta::options::{DeleteOptions, ListOptions};
use apiserver_meta::{ObjectFilter, RequestContext};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::sync::Arc;

/// How many deletions of one request run at a time.
const CONCURRENT_DELETES: usize = 8;

impl Registry {
    /// Deletes the objects that a list with these options shows; answers with that list. Objects that vanish meanwhile are no error.
    ///
    /// # Errors
    /// The first deletion that fails; others may have been carried out.
    pub async fn delete_collection(
        self: &Arc<Self>,
        ctx: &RequestContext,
        namespace: &str,
        selection: &ListOptions,
        options: &DeleteOptions,
        view: &ObjectFilter,
    ) -> Result<List, WriteFailure> {
        let list = self.cache.list(ctx, namespace, selection, view).await?;
        let (registry, ctx2, options, view, doomed) = (Arc::clone(self), ctx.clone(), options.clone(), view.clone(), list.items.clone());
        let largest = list.items.iter().map(|item| item.bytes.len()).max().unwrap_or(0);
        self.detached(ctx, largest, async move {
            stream::iter(doomed)
                .map(Ok)
                .try_for_each_concurrent(CONCURRENT_DELETES, |item| {
                    let (registry, ctx, options, view) = (&registry, &ctx2, &options, &view);
                    async move {
                        match registry.delete_now(ctx, &item.key(), options, view).await {
                            Ok(_) | Err(WriteFailure::Missing(_)) => Ok(()),
                            Err(failure) => Err(failure),
                        }
                    }
                })
                .await
        })
        .await?;
        Ok(list)
    }
}
