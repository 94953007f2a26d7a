//! What each value does, and which values are refused.

use std::collections::{BTreeMap, BTreeSet};

use control_plane::binaries::Helm;
use serde_json::{Value, json};

use super::{RELEASE, chart, files, helm, kind, name, objects, refusal, rendered, run, succeeds, template, text, the};
use test_support::OPERATOR_NAMESPACE;

/// A value, and where it shows: kind, pointer, what is there.
struct Effect {
    path: &'static str,
    value: Value,
    kind: &'static str,
    at: &'static str,
    shows: Value,
}

fn effect(path: &'static str, value: impl Into<Value>, kind: &'static str, at: &'static str, shows: impl Into<Value>) -> Effect {
    Effect { path, value: value.into(), kind, at, shows: shows.into() }
}

const POD: &str = "/spec/template/spec";

/// One effect of each value that can be set together with all others, and shows in an object of its own kind.
#[allow(clippy::too_many_lines, reason = "a table")]
fn effects() -> Vec<Effect> {
    let (all, on) = ("Deployment", || true);
    let container = |at: &str| -> &'static str { format!("{POD}/containers/0/{at}").leak() };
    let pod = |at: &str| -> &'static str { format!("{POD}/{at}").leak() };
    let digest = format!("sha256:{}", "0a".repeat(32));
    vec![
        effect(
            "global.imagePullSecrets",
            json!(["plain", {"name": "named"}]),
            all,
            pod("imagePullSecrets"),
            json!([{"name": "plain"}, {"name": "named"}]),
        ),
        effect("fullnameOverride", "full", all, "/metadata/name", "full"),
        effect("nameOverride", "short", all, "/spec/selector/matchLabels/app.kubernetes.io~1name", "short"),
        effect("commonLabels", json!({"l": "1"}), "Role", "/metadata/labels/l", "1"),
        effect("commonAnnotations", json!({"a": "1"}), "Role", "/metadata/annotations/a", "1"),
        effect(
            "image.repository",
            "localhost:5000/mirror/operator",
            all,
            container("image"),
            format!("localhost:5000/mirror/operator@{digest}"),
        ),
        effect("image.digest", digest.clone(), all, container("image"), format!("localhost:5000/mirror/operator@{digest}")),
        effect("image.pullPolicy", "Always", all, container("imagePullPolicy"), "Always"),
        effect("crds.annotations", json!({"c": "1"}), "CustomResourceDefinition", "/metadata/annotations/c", "1"),
        effect("crds.keep", false, "CustomResourceDefinition", "/metadata/annotations/helm.sh~1resource-policy", Value::Null),
        effect("scope.namespaces", json!(["one"]), all, container("env/2"), json!({"name": "UPO_WATCH_NAMESPACES", "value": "one"})),
        effect("serviceAccount.name", "runner", all, pod("serviceAccountName"), "runner"),
        effect("serviceAccount.annotations", json!({"s": "1"}), "ServiceAccount", "/metadata/annotations/s", "1"),
        effect(
            "config.allowedDomains",
            json!(["*.auth0.com", "login.example.com"]),
            all,
            container("env/3"),
            json!({"name": "UPO_ALLOWED_DOMAINS", "value": "*.auth0.com,login.example.com"}),
        ),
        effect(
            "config.permitPrivateAddresses",
            on(),
            all,
            container("env/4"),
            json!({"name": "UPO_PERMIT_PRIVATE_ADDRESSES", "value": "true"}),
        ),
        effect(
            "config.extraCA.configMap",
            "proxy-ca",
            all,
            pod("volumes/1"),
            json!({"name": "extra-ca", "configMap": {"name": "proxy-ca", "items": [{"key": "ca.pem", "path": "ca.pem"}]}}),
        ),
        effect(
            "config.extraCA.key",
            "ca.pem",
            all,
            container("env/5"),
            json!({"name": "UPO_EXTRA_CA", "value": "/etc/upstream-params-operator/ca/ca.pem"}),
        ),
        effect(
            "config.proxy.url",
            "http://proxy:3128",
            all,
            container("env/6"),
            json!({"name": "HTTPS_PROXY", "value": "http://proxy:3128"}),
        ),
        effect("config.proxy.noProxy", "a,b", all, container("env/7"), json!({"name": "NO_PROXY", "value": "a,b"})),
        effect("http.address", "127.0.0.1", all, container("env/8/value"), "127.0.0.1:9090"),
        effect("http.port", 9090, "Service", "/spec/ports/0/port", 9090),
        effect("config.log.level", "debug", all, container("env/9"), json!({"name": "UPO_LOG", "value": "debug"})),
        effect("config.log.format", "human", all, container("env/10"), json!({"name": "UPO_LOG_FORMAT", "value": "human"})),
        effect("extraEnv", json!([{"name": "X", "value": "1"}]), all, container("env/11"), json!({"name": "X", "value": "1"})),
        effect("extraArgs", json!(["--log=trace"]), all, container("args"), json!(["controller", "--log=trace"])),
        effect("replicaCount", 0, all, "/spec/replicas", 0),
        effect("revisionHistoryLimit", 1, all, "/spec/revisionHistoryLimit", 1),
        effect("podAnnotations", json!({"p": "1"}), all, "/spec/template/metadata/annotations/p", "1"),
        effect("podLabels", json!({"p": "1"}), all, "/spec/template/metadata/labels/p", "1"),
        effect("podSecurityContext", json!({"runAsUser": 1}), all, pod("securityContext/runAsUser"), 1),
        effect("securityContext", json!({"runAsGroup": 1}), all, container("securityContext/runAsGroup"), 1),
        effect("resources", json!({"limits": {"memory": "1Gi"}}), all, container("resources/limits/memory"), "1Gi"),
        effect("livenessProbe", json!({"periodSeconds": 99}), all, container("livenessProbe/periodSeconds"), 99),
        effect("readinessProbe", json!({"periodSeconds": 98}), all, container("readinessProbe/periodSeconds"), 98),
        effect("terminationGracePeriodSeconds", 90, all, pod("terminationGracePeriodSeconds"), 90),
        effect("nodeSelector", json!({"disk": "ssd"}), all, pod("nodeSelector/disk"), "ssd"),
        effect("tolerations", json!([{"operator": "Exists"}]), all, pod("tolerations/0/operator"), "Exists"),
        effect("affinity", json!({"nodeAffinity": {}}), all, pod("affinity"), json!({"nodeAffinity": {}})),
        effect("topologySpreadConstraints", json!([{"maxSkew": 2}]), all, pod("topologySpreadConstraints/0/maxSkew"), 2),
        effect("priorityClassName", "high", all, pod("priorityClassName"), "high"),
        effect("extraVolumes", json!([{"name": "v", "emptyDir": {}}]), all, pod("volumes/2/name"), "v"),
        effect("extraVolumeMounts", json!([{"name": "v", "mountPath": "/v"}]), all, container("volumeMounts/2/mountPath"), "/v"),
        effect(
            "extraObjects",
            json!([{"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "{{ .Release.Name }}-x"}}]),
            "LimitRange",
            "/metadata/name",
            "upstream-params-operator-x",
        ),
        effect("service.enabled", on(), "Service", "/spec/type", "ClusterIP"),
        effect("service.annotations", json!({"s": "1"}), "Service", "/metadata/annotations/s", "1"),
        effect("networkPolicy.enabled", on(), "NetworkPolicy", "/spec/policyTypes", json!(["Ingress", "Egress"])),
        effect(
            "networkPolicy.ingressFrom",
            json!([{"podSelector": {}}]),
            "NetworkPolicy",
            "/spec/ingress/0/from",
            json!([{"podSelector": {}}]),
        ),
        effect("networkPolicy.apiServerPorts", json!([16443]), "NetworkPolicy", "/spec/egress/1/ports/1/port", 16443),
        effect("networkPolicy.extraEgress", json!([{"ports": [{"port": 3128}]}]), "NetworkPolicy", "/spec/egress/2/ports/0/port", 3128),
        effect("serviceMonitor.enabled", on(), "ServiceMonitor", "/spec/endpoints/0/path", "/metrics"),
        effect("serviceMonitor.renderMode", "alwaysRender", "ServiceMonitor", "/apiVersion", "monitoring.coreos.com/v1"),
        effect("serviceMonitor.interval", "11s", "ServiceMonitor", "/spec/endpoints/0/interval", "11s"),
        effect("serviceMonitor.scrapeTimeout", "7s", "ServiceMonitor", "/spec/endpoints/0/scrapeTimeout", "7s"),
        effect("serviceMonitor.labels", json!({"r": "1"}), "ServiceMonitor", "/metadata/labels/r", "1"),
        effect(
            "serviceMonitor.metricRelabelings",
            json!([{"action": "keep"}]),
            "ServiceMonitor",
            "/spec/endpoints/0/metricRelabelings/0/action",
            "keep",
        ),
        effect(
            "serviceMonitor.relabelings",
            json!([{"action": "drop"}]),
            "ServiceMonitor",
            "/spec/endpoints/0/relabelings/0/action",
            "drop",
        ),
        effect("podMonitor.enabled", on(), "PodMonitor", "/spec/podMetricsEndpoints/0/path", "/metrics"),
        effect("podMonitor.renderMode", "alwaysRender", "PodMonitor", "/apiVersion", "monitoring.coreos.com/v1"),
        effect("podMonitor.interval", "12s", "PodMonitor", "/spec/podMetricsEndpoints/0/interval", "12s"),
        effect("podMonitor.scrapeTimeout", "8s", "PodMonitor", "/spec/podMetricsEndpoints/0/scrapeTimeout", "8s"),
        effect("podMonitor.labels", json!({"r": "2"}), "PodMonitor", "/metadata/labels/r", "2"),
        effect(
            "podMonitor.metricRelabelings",
            json!([{"action": "keep"}]),
            "PodMonitor",
            "/spec/podMetricsEndpoints/0/metricRelabelings/0/action",
            "keep",
        ),
        effect(
            "podMonitor.relabelings",
            json!([{"action": "drop"}]),
            "PodMonitor",
            "/spec/podMetricsEndpoints/0/relabelings/0/action",
            "drop",
        ),
        effect("prometheusRule.enabled", on(), "PrometheusRule", "/spec/groups/0/name", "upstream-params-operator"),
        effect("prometheusRule.renderMode", "alwaysRender", "PrometheusRule", "/apiVersion", "monitoring.coreos.com/v1"),
        effect("prometheusRule.labels", json!({"r": "3"}), "PrometheusRule", "/metadata/labels/r", "3"),
        effect("grafanaDashboard.enabled", on(), "ConfigMap", "/metadata/labels/grafana_dashboard", "1"),
        effect("grafanaDashboard.labels", json!({"g": "1"}), "ConfigMap", "/metadata/labels/g", "1"),
        effect("grafanaDashboard.annotations", json!({"folder": "Auth0"}), "ConfigMap", "/metadata/annotations/folder", "Auth0"),
    ]
}

/// The values that take something away, or that another value hides: each has a test of its own below.
const ALONE: [&str; 11] = [
    "image.tag",
    "crds.enabled",
    "rbac.create",
    "rbac.aggregateToView",
    "rbac.aggregateToEdit",
    "rbac.tenantsRole",
    "rbac.tenantsViewRole",
    "rbac.tenantsViewers",
    "serviceAccount.create",
    "podDisruptionBudget.enabled",
    "podDisruptionBudget.maxUnavailable",
];

/// Sets a value at a dotted path.
fn set(values: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(values, |place, key| {
        if place.is_null() {
            *place = json!({});
        }
        &mut place[key]
    });
    *place = value;
}

/// Values with everything on.
fn everything() -> Value {
    let mut values = json!({});
    for Effect { path, value, .. } in effects() {
        set(&mut values, path, value);
    }
    values
}

fn shows(objects: &[Value], effect: &Effect) -> bool {
    let of_kind: Vec<&Value> = objects.iter().filter(|object| kind(object) == effect.kind).collect();
    !of_kind.is_empty() && of_kind.iter().all(|object| object.pointer(effect.at).unwrap_or(&Value::Null) == &effect.shows)
}

#[test]
fn every_value_has_the_effect_that_it_should_and_nothing_else_has_it() {
    let (default, everything) = (rendered(&json!({})), rendered(&everything()));
    let wrong: Vec<_> = effects().iter().filter(|effect| !shows(&everything, effect)).map(|effect| effect.path).collect();
    assert!(wrong.is_empty(), "without the effect they should have: {wrong:?}\n{}", serde_json::to_string_pretty(&everything).unwrap());
    let dead: Vec<_> = effects().iter().filter(|effect| shows(&default, effect)).map(|effect| effect.path).collect();
    assert!(dead.is_empty(), "their effect is there without them: {dead:?}");
    let tested: BTreeSet<String> = effects().iter().map(|effect| effect.path).chain(ALONE).map(str::to_owned).collect();
    assert_eq!(files::all_paths(), tested, "every value is in the table or alone");
}

#[test]
fn both_versions_of_helm_find_nothing_to_complain_about_and_render_the_same() {
    for values in [json!({}), everything()] {
        let [three, four] = Helm::ALL.map(|version| {
            let mut lint = helm(version);
            lint.args(["lint", "--strict", "--values", "-"]).arg(chart());
            succeeds(&run(lint, &values.to_string()));
            objects(&succeeds(&template(version, &values, &[])))
        });
        let key = |object: &Value| format!("{} {} {}", kind(object), object["metadata"]["namespace"], name(object));
        let by_key = |all: Vec<Value>| all.into_iter().map(|object| (key(&object), object)).collect::<BTreeMap<_, _>>();
        assert_eq!(by_key(three), by_key(four));
    }
}

#[test]
fn nothing_but_what_is_needed_is_there_by_default() {
    let objects = rendered(&json!({}));
    let mut found: Vec<String> = objects.iter().map(|object| format!("{} {}", kind(object), name(object))).collect();
    found.sort();
    let expected = [
        "ClusterRole upstream-params-operator",
        "ClusterRole upstream-params-operator-edit",
        "ClusterRole upstream-params-operator-tenants",
        "ClusterRole upstream-params-operator-tenants-view",
        "ClusterRole upstream-params-operator-view",
        "ClusterRoleBinding upstream-params-operator",
        "CustomResourceDefinition clusterauth0tenants.upstreamparams.dev",
        "CustomResourceDefinition upstreamparams.upstreamparams.dev",
        "Deployment upstream-params-operator",
        "PodDisruptionBudget upstream-params-operator",
        "Role upstream-params-operator-lease",
        "Role upstream-params-operator-secrets",
        "RoleBinding upstream-params-operator-lease",
        "RoleBinding upstream-params-operator-secrets",
        "ServiceAccount upstream-params-operator",
    ];
    assert_eq!(found, expected);
}

#[test]
fn everything_has_the_labels_and_the_namespace_of_the_release() {
    for object in rendered(&everything()).iter().filter(|object| kind(object) != "LimitRange") {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/instance"], RELEASE, "{}", name(object));
        assert_eq!(labels["app.kubernetes.io/version"], env!("CARGO_PKG_VERSION"), "{}", name(object));
        assert_eq!((&labels["l"], &object["metadata"]["annotations"]["a"]), (&json!("1"), &json!("1")), "{}", name(object));
        let cluster = ["CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"].contains(&kind(object));
        let namespace = &object["metadata"]["namespace"];
        // Of the namespace that is served, and of the one that events about tenants and the Lease are in.
        let scoped = ["Role", "RoleBinding"].contains(&kind(object)) && (*namespace == "one" || *namespace == "default");
        assert!(if cluster { namespace.is_null() } else { scoped || *namespace == OPERATOR_NAMESPACE }, "{}: {namespace}", name(object));
    }
}

#[test]
fn names_follow_the_release() {
    let of = |release: &str| {
        let mut command = helm(Helm::V4);
        command.args(["template", release]).arg(chart());
        name(the(&objects(&succeeds(&run(command, ""))), "Deployment")).to_owned()
    };
    assert_eq!(of("prod"), "prod-upstream-params-operator");
    assert_eq!(of("my-upstream-params-operator"), "my-upstream-params-operator");
    assert_eq!(of("my.prod"), "my-prod-upstream-params-operator", "a Service takes no dots");
    assert_eq!(of(&"long-".repeat(10)[..49]).len(), 52);
}

/// The rules of the policy `restricted`, and what it leaves open. That the API server agrees is tested where a pod is made.
#[test]
fn the_pod_has_no_privilege_and_no_token_but_the_projected_one() {
    let objects = rendered(&json!({}));
    let pod = &the(&objects, "Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
    );
    for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        assert_eq!(pod[field], Value::Null, "{field}");
    }
    assert_eq!(container["resources"], json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}));
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(the(&objects, "ServiceAccount")["automountServiceAccountToken"], false);
    let mounts = json!([{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}]);
    assert_eq!(container["volumeMounts"], mounts);
    let volumes = pod["volumes"].as_array().unwrap();
    assert_eq!(volumes.len(), 1);
    let sources = volumes[0]["projected"]["sources"].as_array().unwrap();
    let files: Vec<_> = ["/0/serviceAccountToken/path", "/1/configMap/items/0/path", "/2/downwardAPI/items/0/path"]
        .map(|at| Value::from(sources.clone()).pointer(at).cloned().unwrap())
        .into();
    assert_eq!(files, ["token", "ca.crt", "namespace"], "where client libraries look for them");
    assert_eq!(container["livenessProbe"]["httpGet"], json!({"path": "/healthz", "port": "http"}));
    assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": "/readyz", "port": "http"}));
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    assert_eq!(the(&objects, "Deployment")["spec"]["strategy"], strategy, "one that can take over is there before one ends");
}

#[test]
fn a_probe_can_be_left_out() {
    let objects = rendered(&json!({"livenessProbe": null, "readinessProbe": null}));
    let container = &the(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["livenessProbe"], &container["readinessProbe"]), (&Value::Null, &Value::Null));
}

#[test]
fn the_image_is_named_by_tag_unless_it_is_by_digest() {
    let image = |values: Value| the(&rendered(&values), "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(image(json!({})), format!("upstream-params-operator:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(image(json!({"image": {"tag": "edge"}})), "upstream-params-operator:edge");
    let digest = format!("sha256:{}", "f0".repeat(32));
    assert_eq!(image(json!({"image": {"tag": "", "digest": digest}})), format!("upstream-params-operator@{digest}"));
}

#[test]
fn definitions_can_be_left_out_and_are_kept_from_helm_and_argo_cd() {
    let definitions = |values: Value| {
        let objects = rendered(&values).into_iter().filter(|object| kind(object) == "CustomResourceDefinition");
        objects.map(|object| object["metadata"]["annotations"].clone()).collect::<Vec<_>>()
    };
    let kept = json!({"helm.sh/resource-policy": "keep", "argocd.argoproj.io/sync-options": "Prune=false"});
    assert_eq!(definitions(json!({})), [kept.clone(), kept]);
    // Whatever else is asked of Argo CD, it does not prune them, unless it is told in so many words.
    let options = |annotations: Value| {
        let all = definitions(json!({"crds": {"annotations": annotations}}));
        assert!(all.iter().all(|annotations| annotations["helm.sh/resource-policy"] == "keep"));
        all[0]["argocd.argoproj.io/sync-options"].clone()
    };
    assert_eq!(options(json!({"argocd.argoproj.io/sync-options": "ServerSideApply=true"})), "Prune=false,ServerSideApply=true");
    assert_eq!(options(json!({"argocd.argoproj.io/sync-options": "Prune=confirm", "helm.sh/resource-policy": "no"})), "Prune=confirm");
    assert_eq!(definitions(json!({"crds": {"keep": false}})), [Value::Null, Value::Null]);
    assert_eq!(definitions(json!({"crds": {"enabled": false}})), [] as [Value; 0]);
}

#[test]
fn what_is_rendered_as_a_definition_is_what_the_operator_prints() {
    let printed = objects(&upstream_params_operator::api::crd::crds_yaml().unwrap());
    let mut rendered = rendered(&json!({}));
    rendered.retain(|object| kind(object) == "CustomResourceDefinition");
    for definition in printed {
        let same_name = rendered.iter().find(|object| name(object) == name(&definition)).unwrap();
        assert_eq!(same_name["spec"], definition["spec"], "{}", name(&definition));
    }
}

#[test]
fn roles_can_be_left_out() {
    let roles = |rbac: Value| {
        let objects = rendered(&json!({"rbac": rbac}));
        let roles = objects.iter().filter(|object| kind(object).contains("Role"));
        roles.map(|object| format!("{} {}", kind(object), name(object).trim_start_matches(RELEASE))).collect::<BTreeSet<_>>()
    };
    let all = roles(json!({}));
    let without = |rbac: Value| all.difference(&roles(rbac)).cloned().collect::<Vec<_>>();
    let of_operator = ["ClusterRole ", "ClusterRoleBinding ", "Role -lease", "Role -secrets", "RoleBinding -lease", "RoleBinding -secrets"];
    assert_eq!(without(json!({"create": false})), of_operator);
    assert_eq!(without(json!({"aggregateToView": false})), ["ClusterRole -view"]);
    assert_eq!(without(json!({"aggregateToEdit": false})), ["ClusterRole -edit"]);
    assert_eq!(without(json!({"tenantsRole": false})), ["ClusterRole -tenants"]);
    assert_eq!(without(json!({"tenantsViewRole": false})), ["ClusterRole -tenants-view"]);
}

#[test]
fn tenants_are_read_by_whom_the_values_name_and_by_nobody_else() {
    let everybody = json!([
        {"kind": "Group", "name": "system:authenticated"},
        {"kind": "User", "name": "ada"},
        {"kind": "ServiceAccount", "name": "deploy", "namespace": "ci"},
    ]);
    let of = |objects: &[Value]| {
        let bindings = objects.iter().filter(|object| kind(object) == "ClusterRoleBinding" && name(object).ends_with("-tenants-view"));
        bindings.cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(&rendered(&json!({}))), [] as [Value; 0]);
    let bound = of(&rendered(&json!({"rbac": {"tenantsViewers": everybody}})));
    assert_eq!(bound.len(), 1);
    assert_eq!(bound[0]["roleRef"]["name"], "upstream-params-operator-tenants-view");
    let subjects = bound[0]["subjects"].as_array().unwrap();
    assert_eq!(subjects[0], json!({"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"}));
    assert_eq!((&subjects[1]["name"], &subjects[2]["namespace"]), (&json!("ada"), &json!("ci")));
    let refused = refusal(&json!({"rbac": {"tenantsViewers": everybody, "tenantsViewRole": false}}));
    assert!(refused.contains("rbac.tenantsViewers: the role that it binds is not made; set rbac.tenantsViewRole too"), "{refused}");
    for wrong in [json!([{"kind": "Group"}]), json!([{"kind": "Robot", "name": "x"}]), json!([{"kind": "ServiceAccount", "name": "x"}])] {
        assert!(refusal(&json!({"rbac": {"tenantsViewers": wrong}})).contains("tenantsViewers"));
    }
}

#[test]
fn a_service_account_that_exists_can_be_used() {
    let objects = rendered(&json!({"serviceAccount": {"create": false, "name": "theirs"}}));
    assert!(objects.iter().all(|object| kind(object) != "ServiceAccount"));
    assert_eq!(the(&objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"], "theirs");
    assert_eq!(the(&objects, "ClusterRoleBinding")["subjects"][0]["name"], "theirs");
    let refused = refusal(&json!({"serviceAccount": {"create": false}}));
    assert!(refused.contains("serviceAccount.name: name the service account to use, or let serviceAccount.create make one"), "{refused}");
}

#[test]
fn objects_of_the_prometheus_operator_follow_the_cluster_and_the_render_mode() {
    for (value, wanted) in [("serviceMonitor", "ServiceMonitor"), ("podMonitor", "PodMonitor"), ("prometheusRule", "PrometheusRule")] {
        let with = |mode: &str, known: bool| {
            let arguments: &[&str] = if known { &["--api-versions", "monitoring.coreos.com/v1"] } else { &[] };
            template(Helm::V4, &json!({value: {"enabled": true, "renderMode": mode}}), arguments)
        };
        let renders = |mode: &str, known: bool| objects(&succeeds(&with(mode, known))).iter().any(|object| kind(object) == wanted);
        assert!(renders("skipIfMissing", true) && !renders("skipIfMissing", false), "{value}");
        assert!(renders("alwaysRender", false), "{value}");
        assert!(renders("failIfMissing", true), "{value}");
        let refused = text(&with("failIfMissing", false).stderr);
        let expected = format!(
            "{value}: the cluster does not have monitoring.coreos.com/v1: install the Prometheus operator, or set {value}.renderMode"
        );
        assert!(refused.contains(&expected), "{refused}");
    }
}

#[test]
fn a_disruption_budget_and_a_spread_come_with_the_second_replica() {
    let with = |values: Value| {
        let objects = rendered(&values);
        let budget = objects.iter().find(|object| kind(object) == "PodDisruptionBudget").cloned();
        let spec = the(&objects, "Deployment")["spec"].clone();
        (spec["replicas"].clone(), budget.map(|budget| budget["spec"]["maxUnavailable"].clone()), spec["template"]["spec"].clone())
    };
    let (replicas, budget, pod) = with(json!({}));
    assert_eq!((replicas, budget), (json!(2), Some(json!(1))));
    let spread = &pod["topologySpreadConstraints"][0];
    assert_eq!((&spread["topologyKey"], &spread["whenUnsatisfiable"]), (&json!("kubernetes.io/hostname"), &json!("ScheduleAnyway")));
    assert_eq!(spread["labelSelector"]["matchLabels"]["app.kubernetes.io/instance"], RELEASE);

    assert_eq!(with(json!({"podDisruptionBudget": {"maxUnavailable": "50%"}})).1, Some(json!("50%")));
    assert_eq!(with(json!({"podDisruptionBudget": {"enabled": false}})).1, None);
    let (replicas, budget, pod) = with(json!({"replicaCount": 1}));
    assert_eq!((replicas, budget, &pod["topologySpreadConstraints"]), (json!(1), None, &Value::Null));
}

pub(super) fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Replaces the one occurrence of a text in a file.
pub(super) fn edit(path: &std::path::Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from:?} in {}", path.display());
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn extra_objects_are_templates_but_no_secrets_and_none_of_our_kinds() {
    let text_object = "apiVersion: v1\nkind: LimitRange\nmetadata:\n  name: {{ .Release.Namespace }}\n";
    let objects = rendered(&json!({"extraObjects": [text_object]}));
    assert_eq!(name(the(&objects, "LimitRange")), OPERATOR_NAMESPACE);
    let refused = refusal(&json!({"extraObjects": [{"apiVersion": "upstreamparams.dev/v1alpha1", "kind": "ClusterAuth0Tenant"}]}));
    assert!(refused.contains("extraObjects: a ClusterAuth0Tenant cannot be installed together with its definition"), "{refused}");
    let refused = refusal(&json!({"extraObjects": [{"apiVersion": "v1", "kind": "Secret"}]}));
    assert!(refused.contains("extraObjects: a Secret in values is kept by the release"), "{refused}");
    let refused = refusal(&json!({"extraObjects": [format!("{text_object}--- # another\napiVersion: v1\nkind: Secret\n")]}));
    assert!(refused.contains("extraObjects: a Secret in values is kept by the release"), "{refused}");
    let refused = refusal(&json!({"extraObjects": [{"apiVersion": "v1", "kind": "List", "items": [{"kind": "Secret"}]}]}));
    assert!(refused.contains("extraObjects: give the items of the List one by one"), "{refused}");
}

#[test]
fn the_dashboard_and_the_rules_are_the_files() {
    let objects =
        rendered(&json!({"grafanaDashboard": {"enabled": true}, "prometheusRule": {"enabled": true, "renderMode": "alwaysRender"}}));
    let folder = |name: &str| std::fs::read_dir(chart().join("files").join(name)).unwrap().map(|entry| entry.unwrap().path());
    let dashboards = the(&objects, "ConfigMap")["data"].as_object().unwrap();
    let files: BTreeMap<String, String> = folder("dashboard")
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    assert_eq!(dashboards.len(), files.len());
    for (name, content) in &files {
        assert_eq!(dashboards[name], content.as_str());
        serde_json::from_str::<Value>(content).unwrap();
    }
    let groups = folder("rules").map(|path| serde_saphyr::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap());
    let groups: Vec<Value> = groups.flat_map(|file| file["groups"].as_array().unwrap().clone()).collect();
    assert_eq!(the(&objects, "PrometheusRule")["spec"]["groups"], Value::from(groups));
}

#[test]
fn the_notes_say_what_is_left_to_do_and_hold_no_secret() {
    let mut command = helm(Helm::V4);
    command.args(["install", RELEASE]).arg(chart()).args(["--namespace", OPERATOR_NAMESPACE, "--dry-run=client"]);
    command.args(["--set", "scope.namespaces={one,two}", "--set", "podMonitor.enabled=true"]);
    let output = succeeds(&run(command, ""));
    let (_, notes) = output.split_once("\nNOTES:\n").unwrap();
    // At the margin, or a shell would not find its end.
    let tenant = notes.split_once("<<'END'\n").unwrap().1.split_once("\nEND\n").unwrap().0;
    let tenant: Value = serde_saphyr::from_str(tenant).unwrap();
    assert_eq!((kind(&tenant), name(&tenant)), ("ClusterAuth0Tenant", "default"));
    assert!(serde_json::from_value::<upstream_params_operator::api::tenant::ClusterAuth0Tenant>(tenant).is_ok());
    assert!(notes.contains("Only these namespaces are served: one, two."), "{notes}");
    assert!(notes.contains("podMonitor.enabled has no effect: the cluster does not have monitoring.coreos.com/v1."), "{notes}");
    assert!(!notes.contains("serviceMonitor.enabled"), "{notes}");
}

#[test]
fn the_alert_of_an_operator_that_does_not_run_looks_for_the_job_of_this_release() {
    let monitored = json!({"enabled": true, "renderMode": "alwaysRender"});
    let objects = rendered(&json!({"fullnameOverride": "params", "prometheusRule": monitored, "serviceMonitor": monitored}));
    let rules = the(&objects, "PrometheusRule")["spec"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules[0]["expr"], r#"absent(up{job=~".*params.*"} == 1)"#);
    assert_eq!(name(the(&objects, "Service")), "params", "which Prometheus names the job after");
}

#[test]
fn a_value_that_is_emptied_is_refused_or_as_good_as_its_default() {
    let default = rendered(&json!({}));
    // What is left out by emptying it is documented so.
    let droppable = ["livenessProbe", "readinessProbe"];
    let sections =
        ["global", "image", "crds", "rbac", "scope", "serviceAccount", "config", "config.proxy", "config.log", "config.extraCA", "http"];
    let paths = files::all_paths().into_iter().chain(sections.map(str::to_owned)).filter(|path| !droppable.contains(&path.as_str()));
    let mut wrong = Vec::new();
    for path in paths {
        let emptied = path.rsplit('.').fold(Value::Null, |value, key| json!({key: value}));
        let output = template(Helm::V4, &emptied, &[]);
        if output.status.success() {
            if objects(&text(&output.stdout)) != default {
                wrong.push(format!("{path}: renders something else than the default"));
            }
        } else {
            let message = text(&output.stderr);
            let named = path.rsplit('.').next().unwrap();
            let refused = message.contains(&format!("missing property '{named}'")) || message.contains("image: neither image.tag nor");
            if !refused {
                wrong.push(format!("{path}: {message}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn bad_values_are_refused_with_one_clear_line() {
    let cases = [
        (json!({"http": {"port": "8080"}}), "at '/http/port': got string, want integer"),
        (json!({"crds": {"keep": "yes"}}), "at '/crds/keep': got string, want boolean"),
        (json!({"replicas": 1}), "additional properties 'replicas' not allowed"),
        (json!({"config": {"log": {"levle": "debug"}}}), "at '/config/log': additional properties 'levle' not allowed"),
        (json!({"image": {"repository": "operator:1.2.3"}}), "at '/image/repository': 'operator:1.2.3' does not match pattern"),
        (json!({"image": {"digest": "1234"}}), "at '/image/digest': '1234' does not match pattern"),
        (json!({"image": {"tag": ""}}), "image: neither image.tag nor image.digest is set, so nobody could say what runs: set one"),
        (json!({"image": {"tag": null}}), "image: neither image.tag nor image.digest is set, so nobody could say what runs: set one"),
        (json!({"config": {"proxy": {"url": "http://user:password@proxy:3128"}}}), "at '/config/proxy/url':"),
        (json!({"scope": {"namespaces": "one"}}), "at '/scope/namespaces': got string, want array"),
        (json!({"http": {"port": null}}), "at '/http': missing property 'port'"),
        (json!({"replicaCount": null}), "at '': missing property 'replicaCount'"),
        (json!({"securityContext": null}), "at '': missing property 'securityContext'"),
        (json!({"config": {"proxy": null}}), "at '/config': missing property 'proxy'"),
        (json!({"securityContext": {"privilegd": true}}), "at '/securityContext': additional properties 'privilegd' not allowed"),
        (json!({"tolerations": [{"opertor": "Exists"}]}), "at '/tolerations/0': additional properties 'opertor' not allowed"),
        (json!({"extraEnv": [{"name": "A", "valu": "x"}]}), "at '/extraEnv/0': additional properties 'valu' not allowed"),
        (json!({"extraVolumes": [{"name": "a", "emptyDri": {}}]}), "at '/extraVolumes/0': additional properties 'emptyDri' not allowed"),
        (json!({"podMonitor": {"renderMode": "never"}}), "at '/podMonitor/renderMode': value must be one of 'skipIfMissing'"),
    ];
    for version in Helm::ALL {
        for (values, expected) in &cases {
            let output = template(version, values, &[]);
            let message = text(&output.stderr);
            let clear = message.lines().filter(|line| line.contains(expected)).count();
            assert!(!output.status.success() && clear == 1, "{version:?} {values}: {message}");
        }
    }
}
