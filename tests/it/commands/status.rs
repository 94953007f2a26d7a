//! `status`: what is said of objects in every kind of trouble, to whom, and how it ends.

use auth0_emulator::Fault;
use serde_json::{Value, json};
use test_support::manifest::{on, theirs, value};
use test_support::status::handled;
use test_support::{Scope, World};
use upstream_params_operator::api::reason::Reason;
use upstream_params_operator::api::upstream_params::ParamState;

use super::{Ended, Run};

/// An object in sync, one that has something to do, and one without a tenant.
async fn troubled(name: &str) -> Scope<'static> {
    let scope = World::shared().quiet_scope(name).await;
    scope.connection_of("shop", "oidc", theirs());
    scope.connection_of("taken", "oidc", value("blog", "marker-of-somebody-else"));
    scope.create("well", on("shop").value("blog", "x")).await;
    scope.create("taken", on("taken").value("blog", "ours")).await;
    scope.create("orphan", on("shop").value("other", "x").tenant("nobody-has-this")).await;
    scope.settle("well").await;
    scope.until_condition("taken", "Synced", "False", "ExistingValue").await;
    scope.until_condition("orphan", "ResolvedRefs", "False", "TenantNotFound").await;
    scope
}

async fn status(scope: &Scope<'_>, words: &[&str]) -> Ended {
    Run::of(scope, &[&["status", "-n", &scope.namespace], words].concat()).end().await
}

/// A kubeconfig of a developer who may read the objects of the scope's namespace, with these roles beside.
pub(super) async fn developer(scope: &Scope<'_>, name: &str, roles: &[&str]) -> String {
    let control_plane = &scope.world.control_plane;
    let within = ["--namespace", scope.namespace.as_str()];
    let run = async |words: &[&str]| control_plane.run([words, &within].concat()).await.unwrap();
    run(&["create", "serviceaccount", name]).await;
    let account = format!("--serviceaccount={}:{name}", scope.namespace);
    run(&["create", "role", name, "--verb=get,list,watch", "--resource=upstreamparams.upstreamparams.dev"]).await;
    run(&["create", "rolebinding", name, &format!("--role={name}"), &account]).await;
    for role in roles {
        run(&["create", "rolebinding", &format!("{name}-{role}"), &format!("--clusterrole={role}"), &account]).await;
    }
    let token = run(&["create", "token", name]).await;
    let path = control_plane.folder().join(format!("{}-{name}.kubeconfig", scope.namespace));
    std::fs::write(&path, control_plane.kubeconfig_with_token(token.trim())).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_table_has_those_in_trouble_first_and_the_details_say_what_to_do() {
    let scope = troubled("status").await;
    let text = status(&scope, &[]).await.well();
    let lines: Vec<&str> = text.lines().collect();
    let place = |name: &str| lines.iter().position(|line| line.split_whitespace().nth(1) == Some(name)).unwrap();
    assert!(place("orphan") < place("well") && place("taken") < place("well"), "{text}");
    assert!(text.contains("3 objects: 2 not ready, 1 ready\n"), "{text}");
    assert!(lines[0].starts_with("TENANT") && lines[1].starts_with(&scope.name), "tenants first: {text}");
    assert!(text.contains("served by upstream-params-operator/"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("marker-"), "{text}");

    let text = status(&scope, &["taken"]).await.well();
    for part in [
        "taken: not ready (ExistingValue)",
        "Synced",
        "connection: taken",
        "ExistingValue  no",
        &ParamState::ExistingValue.meaning().replace('`', ""),
        &format!("to do: {}", Reason::ExistingValue.remedy().replace('`', "")),
        "next check: within about",
        "Warning",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = status(&scope, &["well", &format!("{}/orphan", scope.namespace)]).await.well();
    assert!(text.contains("/well: ready (Ready)") && text.contains("InSync"), "{text}");
    assert!(text.contains("nobody-has-this (not found, or you may not read it)"), "{text}");
    assert!(text.contains(&Reason::TenantNotFound.remedy().replace('`', "")), "{text}");
}

#[tokio::test]
async fn machines_get_a_stable_shape_and_scripts_an_exit_code() {
    let scope = troubled("status-json").await;
    let found = status(&scope, &["-o", "json"]).await.json();
    assert_eq!(found["counts"], json!({"objects": 3, "ready": 1, "notReady": 2, "notLookedAt": 0, "deleting": 0}));
    let of = |name: &str| found["objects"].as_array().unwrap().iter().find(|object| object["name"] == name).unwrap().clone();
    let taken = of("taken");
    for (key, expected) in [("standing", "NotReady"), ("reason", "ExistingValue"), ("connection", "taken"), ("tenant", &scope.name)] {
        assert_eq!(taken[key], expected, "{taken:#}");
    }
    let param = &taken["connections"][0]["params"][0];
    assert_eq!((&param["name"], &param["state"], &param["owned"]), (&json!("blog"), &json!("ExistingValue"), &json!(false)));
    let conditions: Vec<&Value> = taken["conditions"].as_array().unwrap().iter().map(|condition| &condition["type"]).collect();
    assert_eq!(conditions[..4], ["Ready", "Accepted", "ResolvedRefs", "Synced"]);
    assert_eq!(found["tenants"][0]["name"], scope.name.as_str());
    assert_eq!((&found["tenants"][0]["standing"], &found["operator"]["known"]), (&json!("Ready"), &json!(true)));
    let yaml: Value = serde_saphyr::from_str(&status(&scope, &["well", "-o", "yaml"]).await.well()).unwrap();
    assert!(yaml["objects"][0]["events"].as_array().is_some_and(|events| !events.is_empty()), "{yaml:#}");

    assert_eq!(status(&scope, &["--exit-code"]).await.code, Some(3));
    assert_eq!(status(&scope, &["well", "--exit-code"]).await.code, Some(0));
    let everywhere = Run::of(&scope, &["status", "-A", "-o", "json"]).end().await.json();
    assert!(everywhere["counts"]["objects"].as_u64() >= Some(3));
}

#[tokio::test]
async fn a_developer_with_the_role_view_in_one_namespace_is_told_all_but_what_is_the_platforms() {
    let scope = troubled("status-view").await;
    let kubeconfig = developer(&scope, "viewer", &["view"]).await;
    let ended = Run::of(&scope, &["status", "-n", &scope.namespace, "taken"]).with("KUBECONFIG", &kubeconfig).end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("taken: not ready (ExistingValue)") && ended.out.contains("EVENT"), "{}", ended.out);
    assert!(ended.err.contains("you may not list clusterauth0tenants") && !ended.err.contains("events are not shown"), "{}", ended.err);
    let bare = developer(&scope, "bare", &[]).await;
    let ended = Run::of(&scope, &["status", "-n", &scope.namespace, "taken"]).with("KUBECONFIG", &bare).end().await;
    assert!(ended.code == Some(0) && ended.err.contains("events are not shown: you may not list events"), "{ended:?}");
    let everywhere = Run::of(&scope, &["status", "-A"]).with("KUBECONFIG", &kubeconfig).end().await.refused(1);
    assert!(everywhere.contains("you may not read UpstreamParams of all namespaces") && everywhere.contains("-n"), "{everywhere}");
}

#[tokio::test]
async fn neither_shows_a_secret_or_a_value_that_is_not_ours_in_any_format_at_any_level() {
    let scope = troubled("status-secret").await;
    let kubeconfig: Value = serde_saphyr::from_str(scope.world.control_plane.kubeconfig_yaml()).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();
    let within = ["-n", scope.namespace.as_str()];
    for command in [vec!["status"], vec!["status", "taken"], vec!["reconcile", "taken"], vec!["reconcile", "--all", "--no-wait"]] {
        for output in ["human", "json", "yaml"] {
            let words = [&command[..], &within, &["-o", output, "--log", "trace"]].concat();
            let ended = Run::of(&scope, &words).end().await;
            let all = format!("{}\n{}", ended.out, ended.err);
            assert!(!ended.out.is_empty() && !all.contains("marker-") && !all.contains(token), "{words:?}: {all}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_in_one_line() {
    let scope = World::shared().quiet_scope("status-nothing").await;
    assert!(status(&scope, &[]).await.well().contains("no UpstreamParams here"));
    let said = status(&scope, &["nobody"]).await.refused(1);
    assert!(said.contains("there is no UpstreamParams nobody in the namespace"), "{said}");
    let said = status(&scope, &["A/\u{1b}[2J"]).await.refused(1);
    assert!(said.contains("NAME or NAMESPACE/NAME") && !said.contains('\u{1b}'), "{said}");
    let said = Run::new(&["status"]).with("KUBECONFIG", "/nowhere").end().await.refused(1);
    assert!(said.contains("no cluster: set KUBECONFIG"), "{said}");
    Run::of(&scope, &["status", "-A", "-n", "x"]).end().await.refused(2);
}

#[tokio::test]
async fn a_wait_ends_with_any_answer_and_the_exit_code_says_which() {
    let scope = World::shared().quiet_scope("status-wait").await;
    scope.connection("shop", "oidc");
    scope.create("good", on("shop").value("blog", "ours")).await;
    scope.create("bad", on("nowhere").value("blog", "ours")).await;
    let text = status(&scope, &["good", "--wait"]).await.well();
    assert!(text.contains("good: ready") && (text.contains("InSync") || text.contains("Applied")), "{text}");
    let ended = status(&scope, &["bad", "--wait=90s"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for part in ["bad: not ready (ConnectionNotFound)", "has no connection named nowhere", "to do: Create the connection"] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
    let all = status(&scope, &["--wait"]).await;
    assert!(all.code == Some(3) && all.out.contains("2 objects: 1 not ready, 1 ready"), "{all:?}");

    // After an edit, what was said before is no answer.
    scope.edit("bad", json!({"connection": {"name": "shop"}, "params": {"blog": null, "lang": {"value": "de"}}})).await;
    let text = status(&scope, &["bad", "--wait"]).await.well();
    assert!(text.contains("bad: ready"), "{text}");
    Run::of(&scope, &["status", "--wait=soon"]).end().await.refused(2);
}

#[tokio::test]
async fn a_look_is_asked_for_waited_for_and_said_how_it_ended() {
    let scope = World::shared().quiet_scope("reconcile").await;
    scope.connection("shop", "oidc");
    scope.create("shop", on("shop").value("blog", "ours")).await;
    scope.settle("shop").await;
    scope.auth0.edit_exact("shop", |options| drop(options.remove("upstream_params")));
    let reconcile = async |words: &[&str]| Run::of(&scope, &[&["reconcile"], words].concat()).end().await;
    let text = reconcile(&["-n", &scope.namespace, "shop"]).await.well();
    assert_eq!(scope.auth0.upstream_params("shop"), value("blog", "ours"), "{text}");
    assert!(text.contains("shop: ready") && text.contains("DriftCorrected"), "{text}");

    // One of all is not ready, so the whole is not.
    scope.connection_of("taken", "oidc", value("blog", "theirs"));
    scope.create("taken", on("taken").value("blog", "ours")).await;
    scope.until_condition("taken", "Synced", "False", "ExistingValue").await;
    let ended = reconcile(&["-n", &scope.namespace, "--all", "-o", "json"]).await;
    let found: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(ended.code, Some(1), "{found:#}");
    let items: Vec<_> =
        found["items"].as_array().unwrap().iter().map(|item| (&item["name"], &item["lookedAt"], &item["standing"])).collect();
    assert_eq!(items, [(&json!("shop"), &json!(true), &json!("Ready")), (&json!("taken"), &json!(true), &json!("NotReady"))]);

    let ended = reconcile(&["--tenant", &scope.name]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.out.contains(&format!("ClusterAuth0Tenant {}: ready", scope.name)) && ended.out.contains("2 objects: 1 not ready, 1 ready"),
        "{}",
        ended.out
    );

    let text = reconcile(&["-n", &scope.namespace, "shop", "--no-wait"]).await.well();
    let by = text.trim().rsplit_once(' ').unwrap().1.to_owned();
    scope.until("shop", "carried out", |object| handled(object) == Some(by.as_str())).await;
    // Of the object exactly the annotation is ours.
    let managed = scope.get("shop").await.metadata.managed_fields.unwrap();
    let ours: Vec<_> = managed.iter().filter(|entry| entry.manager.as_deref() == Some("upstream-params-cli")).collect();
    let fields = &ours[0].fields_v1.as_ref().unwrap().0["f:metadata"]["f:annotations"];
    assert!(ours.len() == 1 && fields.get("f:upstreamparams.dev/reconcile-at").is_some(), "{ours:#?}");

    // What could not be done is said.
    scope.auth0.inject(Fault::status(503).path("/api/v2/*"));
    let ended = reconcile(&["-n", &scope.namespace, "shop"]).await;
    assert!(ended.out.contains("503") && ended.code == Some(0), "it was in sync, and stays ready: {ended:?}");
    scope.auth0.clear_faults();
}

#[tokio::test]
async fn who_may_not_ask_or_names_nothing_is_told_so() {
    let scope = World::shared().quiet_scope("reconcile-refused").await;
    scope.connection("shop", "oidc");
    scope.create("shop", on("shop").value("blog", "ours")).await;
    scope.until_ready("shop").await;
    let kubeconfig = developer(&scope, "viewer", &["view"]).await;
    let said = Run::of(&scope, &["reconcile", "-n", &scope.namespace, "shop"]).with("KUBECONFIG", &kubeconfig).end().await.refused(1);
    assert!(said.contains("that needs the right to patch upstreamparams in the namespace"), "{said}");
    for (words, expected) in [
        (vec!["nobody", "-n", &scope.namespace], "there is no UpstreamParams nobody"),
        (vec!["--tenant", "nobody"], "there is no ClusterAuth0Tenant nobody"),
        (vec!["--all", "-n", "nowhere"], "there is no UpstreamParams in the namespace nowhere"),
    ] {
        let said = Run::of(&scope, &[vec!["reconcile"], words].concat()).end().await.refused(1);
        assert!(said.contains(expected), "{said}");
    }
    Run::of(&scope, &["reconcile"]).end().await.refused(2);
    Run::of(&scope, &["reconcile", "shop", "--all"]).end().await.refused(2);
    Run::of(&scope, &["reconcile", "shop", "--timeout", "soon"]).end().await.refused(2);
}

#[tokio::test]
async fn a_cluster_without_the_definitions_and_one_without_an_operator_are_told_apart() {
    let world = World::setup().without_operator().without_definitions().start().await;
    let scope = world.bare_scope("bare").await;
    let namespace = scope.namespace.clone();
    for words in [vec!["status"], vec!["status", "-A"], vec!["status", "x"], vec!["reconcile", "x"]] {
        let said = Run::of(&scope, &words).end().await.refused(1);
        assert!(
            said.contains("install the CRDs with: upstream-params-operator crds | kubectl apply --server-side -f -"),
            "{words:?}: {said}"
        );
    }
    world.install_definitions().await;
    scope.create("shop", on("shop").value("blog", "x")).await;
    let text = Run::of(&scope, &["status", "-n", &namespace]).end().await.well();
    assert!(text.contains("not checked yet") && text.contains("no operator holds the Lease"), "{text}");
    let ended = Run::of(&scope, &["status", "-n", &namespace, "shop", "--wait=1s"]).end().await;
    assert!(ended.code == Some(1) && ended.out.contains("not checked yet"), "{ended:?}");
    assert!(ended.err.contains("the operator did not check all of them within 1 s"), "{ended:?}");
    let ended = Run::of(&scope, &["reconcile", "-n", &namespace, "shop", "--timeout", "2s"]).end().await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("no operator holds the Lease"), "{}", ended.err);
    assert!(ended.out.contains("not checked within 2 s"), "{}", ended.out);
}
