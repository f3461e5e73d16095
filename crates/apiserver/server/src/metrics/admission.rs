//! How long admission took: each rule, and all of them together.

use super::Source;
use super::buckets::ADMISSION;
use super::histogram::Histogram;
use super::text::Text;
use apiserver_meta::{ApiError, Object, RequestContext, Verb};
use apiserver_registry::{Admission, AdmissionRequest, Consistency, Guards, Registry};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Label `operation`.
const OPERATIONS: [&str; 3] = ["CREATE", "UPDATE", "DELETE"];

/// Label `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Admit,
    Validate,
}

const STEPS: [&str; 2] = ["admit", "validate"];
/// Label `rejected`.
const REJECTED: [&str; 2] = ["false", "true"];

/// The times of all rules.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    together: Times,
    /// By the names of the rules. Locked when the server starts and when the page is written, never by a request.
    rules: Mutex<Vec<(&'static str, Arc<Times>)>>,
}

/// Times by operation, step and outcome.
#[derive(Debug, Default)]
struct Times([OnceLock<Histogram>; OPERATIONS.len() * STEPS.len() * REJECTED.len()]);

impl Times {
    fn add(&self, verb: Verb, step: Step, outcome: &Result<(), ApiError>, time: Duration) {
        let operation = match verb {
            Verb::Create => 0,
            Verb::Delete | Verb::DeleteCollection => 2,
            Verb::Get | Verb::List | Verb::Patch | Verb::Update | Verb::Watch => 1,
        };
        let index = (operation * STEPS.len() + step as usize) * REJECTED.len() + usize::from(outcome.is_err());
        if let Some(times) = self.0.get(index) {
            times.get_or_init(|| Histogram::new(&ADMISSION)).time(time);
        }
    }

    /// Iterates over the histograms with their labels: operation, type, rejected.
    fn seen(&self) -> impl Iterator<Item = ([&'static str; 3], &Histogram)> {
        let types = OPERATIONS.into_iter().flat_map(|operation| STEPS.into_iter().map(move |step| (operation, step)));
        let all = types.flat_map(|(operation, step)| REJECTED.into_iter().map(move |rejected| [operation, step, rejected]));
        all.zip(&self.0).filter_map(|(labels, times)| Some((labels, times.get()?)))
    }
}

impl Admissions {
    /// Wraps plugins, in their order, so that their calls are timed.
    pub(crate) fn around(self: &Arc<Self>, rules: Vec<Arc<dyn Admission>>) -> Vec<Arc<dyn Admission>> {
        let timed = rules.into_iter().map(|rule| (self.times(rule.name()), rule)).collect();
        vec![Arc::new(Timed { admissions: Arc::clone(self), rules: timed })]
    }

    fn times(&self, name: &'static str) -> Arc<Times> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, times)) = rules.iter().find(|(known, _)| *known == name) {
            return Arc::clone(times);
        }
        let times = Arc::<Times>::default();
        rules.push((name, Arc::clone(&times)));
        times
    }
}

impl Source for Admissions {
    fn write(&self, text: &mut Text) {
        let help = "Seconds that one rule of admission took.";
        let mut times = text.histogram("apiserver_admission_controller_admission_duration_seconds", help);
        for (name, rule) in self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for ([operation, step, rejected], seen) in rule.seen() {
                let labels = [("name", *name), ("operation", operation), ("rejected", rejected), ("type", step)];
                times.distribution(&labels, &seen.read());
            }
        }
        let help = "Seconds that all rules of admission took together.";
        let mut times = text.histogram("apiserver_admission_step_admission_duration_seconds", help);
        for ([operation, step, rejected], seen) in self.together.seen() {
            times.distribution(&[("operation", operation), ("rejected", rejected), ("type", step)], &seen.read());
        }
    }
}

/// Rules, one after the other.
#[derive(Debug)]
struct Timed {
    admissions: Arc<Admissions>,
    rules: Vec<(Arc<Times>, Arc<dyn Admission>)>,
}

#[async_trait]
impl Admission for Timed {
    async fn mutate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: &mut Object) -> Result<(), ApiError> {
        let begun = Instant::now();
        let (mut before, mut outcome) = (begun, Ok(()));
        for (times, rule) in &self.rules {
            outcome = rule.mutate(ctx, request, object).await;
            let now = Instant::now();
            times.add(request.verb, Step::Admit, &outcome, now - before);
            before = now;
            if outcome.is_err() {
                break;
            }
        }
        self.admissions.together.add(request.verb, Step::Admit, &outcome, before - begun);
        outcome
    }

    async fn validate(&self, ctx: &RequestContext, request: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
        let begun = Instant::now();
        let (mut before, mut outcome) = (begun, Ok(()));
        for (times, rule) in &self.rules {
            outcome = rule.validate(ctx, request, object).await;
            let now = Instant::now();
            times.add(request.verb, Step::Validate, &outcome, now - before);
            before = now;
            if outcome.is_err() {
                break;
            }
        }
        self.admissions.together.add(request.verb, Step::Validate, &outcome, before - begun);
        outcome
    }

    async fn guards(
        &self,
        ctx: &RequestContext,
        registry: &Registry,
        request: AdmissionRequest<'_>,
        object: &Object,
        consistency: Consistency,
    ) -> Result<Guards, ApiError> {
        let mut all = Guards::default();
        for (_, rule) in &self.rules {
            let Guards { guards, turns } = rule.guards(ctx, registry, request, object, consistency).await?;
            all.guards.extend(guards);
            all.turns.extend(turns);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use apiserver_meta::Principal;
    use apiserver_meta::options::DryRun;
    use apiserver_meta::{ObjectKey, Subresource};
    use apiserver_registry::Memo;
    use serde_json::Map;

    /// Writes 1 into objects, and refuses them then.
    #[derive(Debug)]
    struct First;
    /// Writes 2 into objects.
    #[derive(Debug)]
    struct Second;

    fn mark(object: &mut Object, name: &str) {
        let seen = object.meta_str("seen").to_owned();
        object.set_meta_str("seen", &format!("{seen}{name}"));
    }

    #[async_trait]
    impl Admission for First {
        async fn mutate(&self, _: &RequestContext, _: AdmissionRequest<'_>, object: &mut Object) -> Result<(), ApiError> {
            mark(object, "1");
            Ok(())
        }

        async fn validate(&self, _: &RequestContext, _: AdmissionRequest<'_>, object: Option<&Object>) -> Result<(), ApiError> {
            object.map_or(Ok(()), |_| Err(ApiError::bad_request("no")))
        }
    }

    #[async_trait]
    impl Admission for Second {
        async fn mutate(&self, _: &RequestContext, _: AdmissionRequest<'_>, object: &mut Object) -> Result<(), ApiError> {
            mark(object, "2");
            Ok(())
        }

        fn name(&self) -> &'static str {
            "AnotherName"
        }
    }

    #[tokio::test]
    async fn rules_are_asked_in_order_and_timed_until_one_refuses() {
        let admissions = Arc::new(Admissions::default());
        let chain = admissions.around(vec![Arc::new(First), Arc::new(Second)]);
        let shelves = apiserver_meta::testing::shelves();
        let descriptor = shelves.descriptor();
        let (key, memo) = (ObjectKey::new("", "a"), Memo::default());
        let request = |verb| AdmissionRequest {
            descriptor,
            verb,
            subresource: Subresource::Main,
            key: &key,
            old: None,
            dry_run: DryRun::No,
            schema: shelves.schema(),
            memo: &memo,
        };
        let ctx = RequestContext::new(Arc::default(), Principal::default(), Instant::now() + Duration::from_secs(5), "".into());
        let mut object = Object(Map::new());
        let [timed] = chain.as_slice() else { panic!("{chain:?}") };
        timed.mutate(&ctx, request(Verb::Create), &mut object).await.unwrap();
        assert_eq!(object.meta_str("seen"), "12");
        timed.validate(&ctx, request(Verb::Create), Some(&object)).await.unwrap_err();
        timed.validate(&ctx, request(Verb::Delete), None).await.unwrap();
        let mut text = Text::default();
        admissions.write(&mut text);
        let text = text.into_string();
        let rule = |name: &str, operation: &str, rejected: bool, step: &str| {
            let labels = format!(r#"name="{name}",operation="{operation}",rejected="{rejected}",type="{step}""#);
            format!("apiserver_admission_controller_admission_duration_seconds_count{{{labels}}} 1")
        };
        let together = |operation: &str, rejected: bool, step: &str| {
            let labels = format!(r#"operation="{operation}",rejected="{rejected}",type="{step}""#);
            format!("apiserver_admission_step_admission_duration_seconds_count{{{labels}}} 1")
        };
        let mut want = vec![
            rule("First", "CREATE", false, "admit"),
            rule("First", "CREATE", true, "validate"),
            rule("First", "DELETE", false, "validate"),
            rule("AnotherName", "CREATE", false, "admit"),
            rule("AnotherName", "DELETE", false, "validate"),
            together("CREATE", false, "admit"),
            together("CREATE", true, "validate"),
            together("DELETE", false, "validate"),
        ];
        let mut counts: Vec<_> = text.lines().filter(|line| line.contains("_count{")).map(str::to_owned).collect();
        want.sort();
        counts.sort();
        assert_eq!(counts, want);
    }
}
