//! Each law can be broken: a scene that breaks it, beside one like it that does not.

mod halves;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::Level;

use super::seen::{Document, Object, Tenant, fingerprint};
use super::{Law, Violation, kept, rest, said, seen, write};
use crate::action::Action;
use crate::declare::{DOMAINS, TenantDeclaration};
use crate::history::History;
use crate::network::{Ending, Network, ProcessId, Request, Server};
use crate::noise::{MARKER, TOKEN};
use crate::run;
use crate::world::World;

const HOST: &str = DOMAINS[0];
const V1: &str = r#"{"value":"v1"}"#;
const V2: &str = r#"{"value":"v2"}"#;
/// A PATCH of what a connection of this type begins with.
const AS_READ: &str = r#"{"options":{"scope":["profile"],"profile":true}}"#;

/// Every law, with what breaks it, and with what is like it and does not. The match has no `_`: a new law needs its own.
#[test]
fn every_law_can_be_broken() {
    for law in Law::ALL {
        let (broken, kept): (Vec<Violation>, Vec<Violation>) = match law {
            Law::Foreign => {
                (in_a_world(|world| patch(world, 0, r#"{"options":{"other":1}}"#)), in_a_world(|world| patch(world, 0, AS_READ)))
            }
            Law::Fresh => (written_after(Duration::from_millis(2_100)), written_after(Duration::from_millis(1_900))),
            Law::Alone => (written_by(Some(0), &[0, 0]), written_by(Some(0), &[0])),
            Law::Heard => (
                answered(&[Answer::Refused(""), Answer::Refused("")]),
                answered(&[Answer::Refused("icon_url"), Answer::Refused("icon_url")]),
            ),
            Law::Patient => (answered(&[Answer::Taken; 3]), answered(&[Answer::Taken; 2])),
            Law::Budget => (read_at_once(22), read_at_once(20)),
            Law::Frugal => (rests_on(&[7], 6), rests_on(&[6], 7)),
            Law::Fair => (overtaken(25), overtaken(24)),
            Law::Secret => {
                let logged = |text: String| in_a_world(|world| world.logged(Level::INFO, &text));
                (logged(format!("it is {MARKER}")), logged("it is a secret".to_owned()))
            }
            Law::Alive => (
                in_a_world(|world| world.ended(ProcessId(0), 0, None, false)),
                in_a_world(|world| world.ended(ProcessId(0), 0, None, true)),
            ),
            Law::Least => {
                let body = |more: &str| format!(r#"{{"options":{{"upstream_params":{{"blog":{V1}}}}}{more}}}"#);
                let check = |more| written(&[claiming(V1)], r#""options":{}"#, &body(more));
                (check(r#","strategy":"oidc""#), check(""))
            }
            Law::Needed => (written(&[claiming(V1)], &options(V1), &setting(V1)), written(&[claiming(V1)], &options(V2), &setting(V1))),
            Law::Permitted => (
                // Not admitted: its namespace has another label.
                written(&[in_namespace(claiming(V1), "team-b")], r#""options":{}"#, &setting(V1)),
                written(&[claiming(V1)], r#""options":{}"#, &setting(V1)),
            ),
            Law::Proved => {
                // Live is v1; the record proves v1, or v2.
                let remove = |recorded| written(&[deleted(claiming(recorded))], &options(V1), r#"{"options":{}}"#);
                (remove(V2), remove(V1))
            }
            Law::Claimed => {
                (written(&[declaring(V1, &[])], r#""options":{}"#, &setting(V1)), written(&[claiming(V1)], r#""options":{}"#, &setting(V1)))
            }
            Law::Rest => (at_rest(&[waiting(in_sync(V1))], V1), at_rest(&[in_sync(V1)], V1)),
            Law::True => (at_rest(&[in_sync(V1)], V2), at_rest(&[in_sync(V1)], V1)),
            Law::Served => (at_rest(&[conflicted()], V1), at_rest(&[in_sync(V1), conflicted()], V1)),
            Law::OneOwner => (at_rest(&[in_sync(V1), named(in_sync(V1), "two")], V1), at_rest(&[in_sync(V1), conflicted()], V1)),
            Law::NothingLeft => (at_rest(&[], V1), at_rest(&[], V2)),
            Law::Sound => {
                let mut old = in_sync(V1);
                old["status"]["conditions"][3]["observedGeneration"] = json!(1);
                (at_rest(&[old], V1), at_rest(&[in_sync(V1)], V1))
            }
        };
        assert!(broken.iter().any(|violation| violation.law == law), "{law:?} is not broken: {broken:#?}");
        assert!(kept.iter().all(|violation| violation.law != law), "{law:?} is broken by what keeps it: {kept:#?}");
    }
}

/// Without an operator nothing comes to rest: a whole history breaks a law as well, and tells so.
#[test]
fn a_history_in_which_nobody_works_breaks_a_law() {
    let (report, ()) = run::run_and_look(&nobody(), true, |_| ());
    let violation = report.violation.unwrap();
    let last = report.story.last().unwrap();
    assert!(last.text.contains(&violation.text), "{last} does not say {violation}");
}

/// A panic of the operator is seen, although it ends nothing but its task.
#[test]
fn a_process_that_panics_is_not_alive() {
    let violations = in_a_world(|world| world.panic_in_a_process());
    assert!(violations.iter().any(|violation| violation.law == Law::Alive), "{violations:?}");
}

// ---- what goes over the wire ----

fn nobody() -> History {
    History {
        seed: 1,
        replicas: 0,
        options: vec![vec!["{}".to_owned(); 3]; 2],
        tenant: TenantDeclaration::open(0),
        steps: vec![(Duration::ZERO, Action::Backup)],
        calls: BTreeMap::new(),
    }
}

/// What is said of what happens in a world without an operator.
fn in_a_world(happens: impl FnOnce(&Arc<World>)) -> Vec<Violation> {
    in_a_world_for(Duration::ZERO, happens, |_| ())
}

fn in_a_world_for(pause: Duration, first: impl FnOnce(&Arc<World>), then: impl FnOnce(&Arc<World>)) -> Vec<Violation> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new(&History { replicas: 1, ..nobody() }, false);
        read(&world, 0);
        first(&world);
        tokio::time::sleep(pause).await;
        then(&world);
        tokio::task::yield_now().await;
        world.is_broken();
        world.violations()
    })
}

fn request(world: &World, process: u32, method: &str, body: &str) -> Request {
    let id = world.connection_id(0);
    Request {
        process: ProcessId(process),
        server: Server::Auth0,
        method: method.to_owned(),
        path: format!("/api/v2/connections/{id}"),
        host: HOST.to_owned(),
        body: body.as_bytes().to_vec(),
        number: 0,
    }
}

fn read(world: &World, process: u32) {
    let mut request = request(world, process, "GET", "");
    assert_eq!(world.fate(&mut request).ending, Ending::Answered);
    world.arrives(&request);
    world.took_effect(&request, 200);
}

fn patch(world: &World, process: u32, body: &str) {
    let mut request = request(world, process, "PATCH", body);
    world.fate(&mut request);
}

/// A process writes the Lease, with this holder.
fn write_lease(world: &World, process: u32, holder: &str) {
    let body = json!({"spec": {"holderIdentity": holder}}).to_string();
    let mut request = Request {
        server: Server::Kubernetes,
        path: "/apis/coordination.k8s.io/v1/namespaces/default/leases/upstream-params-operator".to_owned(),
        host: String::new(),
        ..request(world, process, "PUT", &body)
    };
    world.fate(&mut request);
    world.took_effect(&request, 200);
}

/// How Auth0 answers a write.
#[derive(Clone, Copy)]
enum Answer {
    /// It takes effect.
    Taken,
    /// It is refused, for what this is.
    Refused(&'static str),
}

/// What is said of a write that sets back what somebody changed, sent so often a second apart and answered like this.
fn answered(answers: &[Answer]) -> Vec<Violation> {
    in_a_world(|world| {
        let (document, id) = (document(r#""options":{}"#), world.connection_id(0));
        let owner = ("uid-one".to_owned(), 2);
        let concerned = write::Concerned { uid: owner.0.clone(), generation: owner.1, ..write::Concerned::default() };
        let corrections = vec![write::Correction { name: "blog".to_owned(), owner: owner.clone() }];
        for (number, answer) in (1..).zip(answers) {
            let request = Request { number, path: format!("/api/v2/connections/{id}"), ..request(world, 0, "PATCH", "") };
            let changed = vec![("blog".to_owned(), Some(V1.to_owned()))];
            world.look_at_answers(&request, &document, (changed, corrections.clone()), vec![concerned.clone()]);
            let (status, body) = match answer {
                Answer::Taken => (200, format!(r#"{{"id":"{id}",{}}}"#, options(V1))),
                Answer::Refused("") => {
                    (400, r#"{"message":"Payload validation error on property options.upstream_params.blog."}"#.to_owned())
                }
                Answer::Refused(other) => (400, format!(r#"{{"message":"Payload validation error on property options.{other}."}}"#)),
            };
            world.is_answered(&request, status, body.as_bytes());
        }
    })
}

fn written_after(pause: Duration) -> Vec<Violation> {
    in_a_world_for(pause, |_| (), |world| patch(world, 0, AS_READ))
}

/// What is said when these processes write, one right after the other, while this one holds the Lease and no answer has come.
fn written_by(holder: Option<u32>, processes: &[u32]) -> Vec<Violation> {
    in_a_world(|world| {
        if let Some(holder) = holder {
            write_lease(world, holder, "somebody");
        }
        for process in processes {
            patch(world, *process, AS_READ);
        }
    })
}

fn read_at_once(times: usize) -> Vec<Violation> {
    // One was read already.
    in_a_world(|world| (1..times).for_each(|_| read(world, 0)))
}

/// What is said where a process writes a status for a version, after it made these.
fn rests_on(made: &[u64], version: u64) -> Vec<Violation> {
    let body = |version: u64| json!({"metadata": {"resourceVersion": version.to_string()}}).to_string();
    in_a_world(|world| {
        let path = "/apis/upstreamparams.dev/v1alpha1/namespaces/team-a/upstreamparams/one/status".to_owned();
        let mut put = Request { server: Server::Kubernetes, path, ..request(world, 0, "PUT", &body(version)) };
        for version in made {
            world.is_answered(&put, 200, body(*version).as_bytes());
        }
        world.fate(&mut put);
    })
}

/// What is said where a connection is read so often while somebody waits for a look at another.
fn overtaken(times: usize) -> Vec<Violation> {
    in_a_world(|world| {
        let declaration = |connection| crate::declare::Declaration {
            tenant: 0,
            connection: crate::declare::Named::ByName(connection),
            params: vec![(0, 1)],
            observe: false,
            overwrite: false,
            retain: false,
            broken: false,
        };
        world.happen(&Action::Declare(0, declaration(1)));
        world.knows_everything(0);
        (0..times).for_each(|_| read(world, 0));
    })
}

// ---- objects and documents ----

fn options(entry: &str) -> String {
    format!(r#""options":{{"upstream_params":{{"blog":{entry}}}}}"#)
}

fn setting(entry: &str) -> String {
    format!("{{{}}}", options(entry))
}

fn document(members: &str) -> Document {
    Document::read(&format!(r#"{{"id":"con_1","name":"wordpress","strategy":"wordpress",{members}}}"#))
}

fn print(entry: &str) -> String {
    fingerprint(HOST, "con_1", "blog", entry)
}

/// An object of the team that is admitted; it declares `blog`, and has a record of these fingerprints.
fn declaring(entry: &str, owned: &[String]) -> Value {
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "message": "so it is", "observedGeneration": 2});
    json!({
        "metadata": {"name": "one", "namespace": "team-a", "uid": "uid-one", "generation": 2, "finalizers": [seen::FINALIZER]},
        "spec": {
            "tenantRef": {"name": "default"}, "connection": {"name": "wordpress"},
            "params": {"blog": serde_json::from_str::<Value>(entry).unwrap()},
            "managementPolicy": "Enforce", "adoptionPolicy": "Overwrite", "deletionPolicy": "Delete",
        },
        "status": {
            "observedGeneration": 2,
            "conditions": [
                condition("Ready", "True", "Ready"), condition("Accepted", "True", "Accepted"),
                condition("ResolvedRefs", "True", "Resolved"), condition("Synced", "True", "InSync"),
            ],
            "connections": [{"id": "con_1", "tenant": HOST, "params": [{"name": "blog", "state": "Pending", "owned": owned}]}],
        },
    })
}

/// One that has recorded an entry, and declares it.
fn claiming(entry: &str) -> Value {
    declaring(entry, &[print(entry)])
}

fn in_namespace(mut object: Value, namespace: &str) -> Value {
    object["metadata"]["namespace"] = json!(namespace);
    object
}

fn named(mut object: Value, name: &str) -> Value {
    object["metadata"]["name"] = json!(name);
    object["metadata"]["uid"] = json!(format!("uid-{name}"));
    object
}

fn deleted(mut object: Value) -> Value {
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    object
}

fn in_sync(entry: &str) -> Value {
    let mut object = claiming(entry);
    object["status"]["connections"][0]["params"][0]["state"] = json!("InSync");
    object
}

/// One that is told that `blog` is another's.
fn conflicted() -> Value {
    let mut object = named(declaring(V1, &[]), "two");
    object["status"]["connections"][0]["params"][0]["state"] = json!("Conflicted");
    not_ready(object, "Conflicted", "Stalled")
}

/// One whose parameter is still on its way.
fn waiting(mut object: Value) -> Value {
    object["status"]["connections"][0]["params"][0]["state"] = json!("Pending");
    not_ready(object, "Progressing", "Reconciling")
}

fn not_ready(mut object: Value, reason: &str, more: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array_mut().unwrap();
    conditions[0]["status"] = json!("False");
    conditions[0]["reason"] = json!(reason);
    conditions.push(json!({"type": more, "status": "True", "reason": reason, "message": "so it is", "observedGeneration": 2}));
    object
}

/// The tenant, which admits team a to everything.
fn tenant() -> Tenant {
    let access = json!([{"namespaceSelector": {"matchLabels": {"team": "a"}}, "connections": ["*"]}]);
    serde_json::from_value(json!({
        "metadata": {"name": "default", "generation": 1},
        "spec": {"domain": HOST, "access": access, "managementPolicy": "Enforce"},
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}]},
    }))
    .unwrap()
}

fn labels(team: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), team.to_owned())])
}

/// What is said of a PATCH where these objects are there, and a connection with these members was read.
fn written(objects: &[Value], members: &str, body: &str) -> Vec<Violation> {
    written_where(&["b"], objects, members, body)
}

/// The same, where the namespace of team b had these labels since the process was shown any.
fn written_where(teams: &[&str], objects: &[Value], members: &str, body: &str) -> Vec<Violation> {
    let teams: Vec<Option<&str>> = teams.iter().map(|team| Some(*team)).collect();
    let mut violations = Vec::new();
    write::check(&scene(&teams, objects), &document(members), body, &mut violations);
    violations
}

/// What a process may have known where the namespace of team b had these labels; none: there was no such namespace.
fn scene(teams: &[Option<&str>], objects: &[Value]) -> write::Scene {
    let objects: Vec<Object> = objects.iter().map(|object| serde_json::from_value(object.clone()).unwrap()).collect();
    write::Scene {
        host: HOST.to_owned(),
        objects: objects.into_iter().map(|object| (object.metadata.uid.clone(), vec![Arc::new(object)])).collect(),
        tenants: BTreeMap::from([("default".to_owned(), vec![Some(Arc::new(tenant()))])]),
        namespaces: BTreeMap::from([
            ("team-a".to_owned(), vec![Some(labels("a"))]),
            ("team-b".to_owned(), teams.iter().map(|team| team.map(labels)).collect()),
        ]),
    }
}

/// What is said where these objects are there at rest, and the connection has this entry; the operator set `v1`.
fn at_rest(objects: &[Value], live: &str) -> Vec<Violation> {
    let place = (HOST.to_owned(), "con_1".to_owned(), "blog".to_owned());
    rest::check(&rest::Scene {
        objects: objects.iter().map(|object| serde_json::from_value(object.clone()).unwrap()).collect(),
        tenants: vec![tenant()],
        namespaces: BTreeMap::from([("team-a".to_owned(), labels("a"))]),
        documents: BTreeMap::from([(HOST.to_owned(), vec![document(&options(live))])]),
        ours: BTreeMap::from([(place, V1.to_owned())]),
    })
}
