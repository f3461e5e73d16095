//! Reads of one object.

use super::Cache;
use super::freshness::Freshness;
use crate::item::Item;
use crate::keys::path_of;
use crate::keys::storage_key;
use crate::store_error::from_store;
use apiserver_meta::options::GetOptions;
use apiserver_meta::{ApiError, ObjectFilter, ObjectKey, RequestContext};
use std::sync::Arc;

impl Cache {
    /// One object. `NotFound` when there is none; `Forbidden` with the view's denial when the view does not show it.
    ///
    /// # Errors
    /// Also 429 before the first load, 504 when a revision is not reached in time, and what the store fails with.
    pub async fn get(
        &self,
        ctx: &RequestContext,
        key: &ObjectKey,
        options: &GetOptions,
        view: &ObjectFilter,
    ) -> Result<Arc<Item>, ApiError> {
        self.show(key, self.find(ctx, key, options).await?, view)
    }

    /// One object, whoever may see it; `None` when there is none.
    ///
    /// # Errors
    /// 429 before the first load, 504 when a revision is not reached in time, and what the store fails with.
    pub async fn find(&self, ctx: &RequestContext, key: &ObjectKey, options: &GetOptions) -> Result<Option<Arc<Item>>, ApiError> {
        let Freshness::Cached(snapshot) = self.fresh(options.resource_version, ctx.deadline, "get").await? else {
            return self.item_of_store(key).await;
        };
        let path = path_of(self.descriptor(), key);
        if snapshot.corrupt.contains(path.as_str()) {
            return Err(self.unreadable(&path, "get"));
        }
        Ok(snapshot.objects.get(&path).cloned())
    }

    async fn item_of_store(&self, key: &ObjectKey) -> Result<Option<Arc<Item>>, ApiError> {
        let source = self.source();
        let entry = source.store.get(&storage_key(self.descriptor(), key)).await;
        let item = entry.and_then(|entry| entry.map(|entry| Item::from_entry(&*source.resource, &entry)).transpose());
        item.map(|item| item.map(Arc::new)).map_err(|error| from_store(error, self.descriptor(), "get"))
    }

    /// One object as far as the view shows it.
    fn show(&self, key: &ObjectKey, item: Option<Arc<Item>>, view: &ObjectFilter) -> Result<Arc<Item>, ApiError> {
        let what = self.descriptor().group_resource();
        match (item, view) {
            (Some(item), view) if view.allows(&key.namespace, &item.facts) => Ok(item),
            (Some(_), ObjectFilter::Access(grant)) => Err(ApiError::forbidden(what, &key.name, grant.denial())),
            (_, view) => Err(match view.denial_of_absent(&key.namespace) {
                Some(denial) => ApiError::forbidden(what, &key.name, denial),
                None => ApiError::not_found(what, &key.name),
            }),
        }
    }
}
