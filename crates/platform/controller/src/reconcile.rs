//! One pass over one instance: what is wanted against what is there, step by step.
//!
//! Every step looks before it does something, so that a pass may end anywhere, in the middle of a step as well, and the next one goes
//! on: nothing is remembered between passes but what can be worked out again. A step that cannot be done ends the pass with
//! a condition; whatever was found out by then is written.

mod access;
mod applied;
mod charts;
mod deletion;
mod inside;
mod namespace;
mod pass;
mod placement;
mod readiness;
mod release;
mod sleeping;
mod template;

use crate::api::Instance;
use crate::conditions::Rest;
use crate::context::Context;
use crate::halt::Again;
use kube::runtime::controller::Action;
use pass::{Pass, Stop};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument as _;

/// How soon a pass is made again when somebody else has written the instance in the meantime.
const AFTER_CONFLICT: Duration = Duration::from_millis(200);

/// Makes a pass. It never fails: what goes wrong is told on the instance.
pub(crate) async fn reconcile(instance: Arc<Instance>, context: Arc<Context>) -> Result<Action, Infallible> {
    let span =
        tracing::info_span!("reconcile", controller = "virtualclusterinstance", namespace = instance.namespace(), name = instance.name());
    let begun = Instant::now();
    let working = context.metrics.worker();
    let outcome = pass(&instance, &context).instrument(span).await;
    drop(working);
    context.metrics.reconciled(&outcome, begun.elapsed());
    Ok(match outcome {
        Outcome::Done => Action::await_change(),
        Outcome::Again(after) | Outcome::Failed(after) => Action::requeue(after),
    })
}

/// How a pass has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is nothing to do until something changes.
    Done,
    /// As it should, and it is looked at again after this time.
    Again(Duration),
    /// Something is in the way; it is tried again after this time.
    Failed(Duration),
}

async fn pass(instance: &Instance, context: &Context) -> Outcome {
    if instance.status.ignore_reconciliation {
        return Outcome::Done;
    }
    let mut pass = Pass::new(instance.clone(), context);
    let ended = if instance.metadata.deletion_timestamp.is_some() { deletion::run(&mut pass).await } else { steps(&mut pass).await };
    let outcome = match ended {
        Ok(outcome) => {
            context.backoff.forget(instance.uid());
            outcome
        }
        Err(Stop::Conflict) => return Outcome::Again(AFTER_CONFLICT),
        // Gone while it was worked on.
        Err(Stop::Gone) => {
            context.backoff.forget(instance.uid());
            return Outcome::Done;
        }
        Err(Stop::Halt(halt)) => {
            pass.conditions.fail(halt.aspect, &halt.cause);
            let (condition, reason, message) = (halt.aspect.name(), &halt.cause.reason, &halt.cause.message);
            match halt.again {
                Again::After(time) => {
                    tracing::debug!(condition, %reason, message, "waits");
                    Outcome::Again(time)
                }
                Again::WithBackoff => {
                    tracing::info!(condition, %reason, message, "failed");
                    Outcome::Failed(context.backoff.failed(instance.uid()))
                }
            }
        }
    };
    match pass.write_status().await {
        Ok(()) => outcome,
        Err(Stop::Conflict) => Outcome::Again(AFTER_CONFLICT),
        Err(Stop::Gone) => Outcome::Done,
        Err(Stop::Halt(halt)) => {
            tracing::warn!(message = halt.cause.message, "the status was not written");
            Outcome::Failed(context.backoff.failed(instance.uid()))
        }
    }
}

/// The steps towards a virtual cluster, in their order.
async fn steps(pass: &mut Pass<'_>) -> Result<Outcome, Stop> {
    pass.ensure_finalizer().await?;
    if pass.instance.spec.external || pass.instance.spec.standalone {
        return readiness::look_only(pass).await;
    }
    placement::place(pass).await?;
    template::resolve(pass).await?;
    namespace::ensure(pass).await?;
    release::ensure(pass).await?;
    let settled = sleeping::settle(pass).await?;
    if settled.rest == Rest::Awake {
        readiness::check(pass).await?;
        inside::ensure(pass).await?;
    }
    Ok(Outcome::Again(settled.look_again))
}
