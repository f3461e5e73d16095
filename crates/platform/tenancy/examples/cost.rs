//! What it costs one request to find out who is calling and whether they may.
//!
//!     cargo run --release -p vci-tenancy --example cost
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a command-line program that ends at the first surprise")]

use apiserver_auth::{AlwaysAllowedPaths, Attributes, Authentication, Authenticator, Authorizer, Credentials, Decision, Masters, Target};
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest as _, Sha256};
use std::hint::black_box;
use std::sync::Arc;
use vci_tenancy::directory::{
    Directory, Holder, HolderIdentity, KeyRecord, KeyScope, Lifetime, Member, Principal, ProjectRecord, Role, ScopeParts, TeamRecord,
    UserRecord,
};
use vci_tenancy::{AccessKeys, KeyScopes, ProjectRules};

const USERS: usize = 1000;
const TEAMS: usize = 50;
const PROJECTS: usize = 200;
const ROUNDS: u64 = 1_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let directory = Arc::new(directory());
    let keys = AccessKeys::new(Arc::clone(&directory));
    let authorizers: [Box<dyn Authorizer>; 4] = [
        Box::new(AlwaysAllowedPaths),
        Box::new(KeyScopes::new(Arc::clone(&directory))),
        Box::new(Masters),
        Box::new(ProjectRules::new(Arc::clone(&directory))),
    ];
    println!("{USERS} users with a key each, {TEAMS} teams, {PROJECTS} projects\n");
    println!("| caller | who is calling, ns | may they get one object, ns |");
    println!("|---|---|---|");
    for (label, secret) in [
        ("one of system:masters", secret("masters")),
        ("member of the project", secret("user-7")),
        ("member, by a key with a scope", secret("scoped")),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {secret}")).unwrap());
        let credentials = || Credentials { headers: &headers, certificates: &[] };
        let begin = cpu_time();
        for _ in 0..ROUNDS {
            black_box(keys.authenticate(credentials()).await);
        }
        let who = (cpu_time() - begin) / ROUNDS;
        let Authentication::Authenticated(identity) = keys.authenticate(credentials()).await else { panic!("{label} is not known") };
        let begin = cpu_time();
        for _ in 0..ROUNDS {
            let attributes = Attributes { identity: identity.clone(), verb: "get".into(), target: target() };
            black_box(allowed(&authorizers, &attributes).await);
        }
        println!("| {label} | {} | {} |", who, (cpu_time() - begin) / ROUNDS);
    }
}

/// What this thread has used of a processor, in nanoseconds, as the kernel counts it: others may use it too.
fn cpu_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

async fn allowed(authorizers: &[Box<dyn Authorizer>], attributes: &Attributes) -> Decision {
    for authorizer in authorizers {
        match authorizer.authorize(attributes).await {
            Decision::NoOpinion(_) | Decision::Failed(_) => {}
            decision => return decision,
        }
    }
    panic!("nobody is sure")
}

fn target() -> Target {
    Target::Resource {
        group: "management.loft.sh".into(),
        version: "v1".into(),
        resource: "virtualclusterinstances".into(),
        subresource: String::new(),
        namespace: "loft-p-project-7".into(),
        name: "bench-00007".into(),
    }
}

/// As long as those that the server makes.
fn secret(of: &str) -> String {
    format!("{of:x<64}")
}

fn directory() -> Directory {
    let directory = Directory::default();
    let key = |name: &str, user: &str, scope: Option<KeyScope>| KeyRecord {
        name: name.into(),
        digest: Sha256::digest(secret(name)).into(),
        holder: Holder::User(user.into()),
        holder_identity: HolderIdentity::CreatedBy(0),
        disabled: false,
        lifetime: Lifetime::Idle { seconds: 1 << 40, since: 0 },
        last_activity: 0,
        scope: scope.map(Arc::new),
    };
    for n in 0..TEAMS {
        let users = (0..USERS).filter(|user| user % TEAMS == n).map(|user| format!("user-{user}")).collect();
        directory.put_team(TeamRecord { name: format!("team-{n}"), users, ..TeamRecord::default() });
    }
    for n in 0..USERS {
        let name = format!("user-{n}");
        directory.put_user(UserRecord { name: name.clone(), ..UserRecord::default() });
        directory.put_key(key(&name, &name, None));
    }
    directory.put_user(UserRecord { name: "masters".into(), groups: vec!["system:masters".into()], ..UserRecord::default() });
    directory.put_key(key("masters", "masters", None));
    let parts = ScopeParts { projects: vec!["project-7".into()], ..ScopeParts::default() };
    directory.put_key(key("scoped", "user-7", Some(KeyScope { parts: Some(parts), rules: None })));
    for n in 0..PROJECTS {
        let members = (0..20).map(|user| Member { who: Principal::User(format!("user-{user}")), role: Role::User }).collect();
        directory.put_project(ProjectRecord { name: format!("project-{n}"), members, ..ProjectRecord::default() });
    }
    directory
}
