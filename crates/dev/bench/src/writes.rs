//! The steps that write: create, patch, apply, delete. Each does a bounded number of operations, however many objects there are.

use crate::step::{Run, Until};

/// The most operations of a step.
const OPERATIONS: usize = 3000;
/// How many clients create what is not measured.
const FILLERS: usize = 64;

/// Creates all objects. Only the last of them are measured: that is what a create costs at this size.
pub(crate) async fn create(run: &mut Run<'_>) {
    let unmeasured = run.objects.saturating_sub(OPERATIONS);
    if unmeasured > 0 {
        run.calls(FILLERS, Until::Count(unmeasured), |api, i| api.create(i)).await;
        run.settle().await;
    }
    run.step("create", Until::Count(run.objects - unmeasured), move |api, i| api.create(unmeasured + i)).await;
}

/// Changes objects, and deletes some that were created for that: all others stay.
pub(crate) async fn change_and_delete(run: &mut Run<'_>) {
    let objects = run.objects;
    let until = Until::Count(objects.min(OPERATIONS));
    run.step("merge patch", until, move |api, i| api.merge_patch(scattered(i, objects))).await;
    run.step("apply", until, move |api, i| api.apply(scattered(i, objects))).await;
    run.calls(FILLERS, until, move |api, i| api.create(objects + i)).await;
    run.step("delete", until, move |api, i| api.delete(objects + i)).await;
}

/// The objects in an order that has nothing to do with their names.
pub(crate) fn scattered(i: usize, objects: usize) -> usize {
    i.wrapping_mul(7919) % objects
}
