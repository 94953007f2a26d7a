//! What the demo plays on: a control plane, an emulated tenant, the operator, the examples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use auth0_emulator::{Emulator, TenantHandle, seed};
use control_plane::{ControlPlane, Options};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::crd;
use crate::auth0::{Transport, TransportOptions};
use crate::cli::print;
use crate::clock::WallClock;
use crate::model::domain::AllowedDomains;
use crate::run;
use crate::telemetry::RequestTimes;

/// The tenant of the examples.
const DOMAIN: &str = "example.eu.auth0.com";

/// The operator's namespace, where the Secret of the examples is.
const OPERATOR_NAMESPACE: &str = "upstream-params-operator";

/// How long the examples may take to settle.
const PATIENCE: Duration = Duration::from_mins(1);

/// The scopes that the operator's application has: these and no more.
const SCOPES: [&str; 4] = ["read:connections", "read:connections_options", "update:connections", "update:connections_options"];

/// The examples, as they are in the repository, in the order they are applied.
const EXAMPLES: [(&str, &str); 7] = [
    ("namespace.yaml", include_str!("../../../examples/namespace.yaml")),
    ("tenant.yaml", include_str!("../../../examples/tenant.yaml")),
    ("wordpress.yaml", include_str!("../../../examples/wordpress.yaml")),
    ("twitter.yaml", include_str!("../../../examples/twitter.yaml")),
    ("oidc.yaml", include_str!("../../../examples/oidc.yaml")),
    ("entra.yaml", include_str!("../../../examples/entra.yaml")),
    ("saml-refused.yaml", include_str!("../../../examples/saml-refused.yaml")),
];

/// An example object, its connection, the condition it has to come to, and the parameters the connection then has.
pub(super) struct Expected {
    pub(super) object: &'static str,
    pub(super) connection: &'static str,
    pub(super) condition: (&'static str, &'static str, &'static str),
    pub(super) params: Value,
}

/// What every example has to come to.
pub(super) fn expected() -> Vec<Expected> {
    let ready = ("Ready", "True", "Ready");
    let refused = ("Accepted", "False", "UnsupportedStrategy");
    let theirs = json!({"theme": {"value": "set-by-somebody-else"}, "blog": {"value": "myblog.wordpress.com"}});
    let oidc = json!({
        "audience": {"value": "https://api.corporate.example.com"},
        "login_hint": {"alias": "login_hint"},
        "ui_locales": {"alias": "ui_locales"},
    });
    let entra = json!({"prompt": {"value": "select_account"}, "domain_hint": {"value": "contoso.com"}});
    let all = [
        ("wordpress-blog", "wordpress", ready, theirs),
        ("twitter-screen-name", "twitter", ready, json!({"screen_name": {"alias": "login_hint"}})),
        ("corporate-oidc", "corporate-oidc", ready, oidc),
        ("contoso-accounts", "contoso", ready, entra),
        ("legacy-saml", "legacy-saml", refused, json!({})),
    ];
    all.into_iter().map(|(object, connection, condition, params)| Expected { object, connection, condition, params }).collect()
}

/// Everything that runs.
pub(super) struct Stage {
    pub(super) control_plane: ControlPlane,
    pub(super) emulator: Emulator,
    pub(super) tenant: TenantHandle,
    /// The connections before the operator came.
    pub(super) before: Vec<(String, Value)>,
    stop: CancellationToken,
    operator: JoinHandle<Result<(), run::Error>>,
}

impl Stage {
    /// Starts everything and applies the examples.
    pub(super) async fn set() -> anyhow::Result<Self> {
        print("starting a control plane (built with Go the first time, about ten minutes; then cached)\n")?;
        let control_plane = ControlPlane::start(Options { controllers: true, ..Options::default() }).await?;
        let emulator = Emulator::start(auth0_emulator::Options::default())?;
        let tenant = seeded(&emulator)?;
        let before = tenant.connection_names().into_iter().map(|name| (name.clone(), tenant.connection(&name))).collect();
        print(&format!("kube-apiserver {} and an emulated tenant {DOMAIN} at {} are up\n", control_plane.server(), emulator.url()))?;
        install(&control_plane).await?;
        let stop = CancellationToken::new();
        let operator = tokio::spawn(run::run(settings(&control_plane, &emulator).await?, stop.clone()));
        let stage = Self { control_plane, emulator, tenant, before, stop, operator };
        stage.apply_examples().await?;
        Ok(stage)
    }

    async fn apply_examples(&self) -> anyhow::Result<()> {
        let folder = self.control_plane.folder().join("examples");
        std::fs::create_dir_all(&folder).context("can't write the examples")?;
        for (name, text) in EXAMPLES {
            let path = folder.join(name);
            std::fs::write(&path, text).context("can't write the examples")?;
            let said = self.control_plane.run(["apply".as_ref(), "-f".as_ref(), path.as_os_str()]).await?;
            print(&format!("$ kubectl apply -f examples/{name}\n{said}"))?;
        }
        // The examples are for production: there, ten minutes between two looks are right. Nobody watches a demo so long.
        let quick = json!({"spec": {"resyncIntervalSeconds": 5, "rateLimit": {"readsPerMinute": 600, "requestsPerMinute": 600}}});
        self.control_plane.run(["patch", "clusterauth0tenant", "default", "--type=merge", "-p", &quick.to_string()]).await?;
        Ok(())
    }

    /// Waits until every example came to what is expected of it. Yields what did not.
    pub(super) async fn settle(&self) -> Vec<String> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let mut open = Vec::new();
            for expected in expected() {
                let (kind, status, reason) = expected.condition;
                if !self.has_condition(expected.object, kind, status, reason).await {
                    open.push(format!("{} has no {kind}={status} with reason {reason}", expected.object));
                }
            }
            if open.is_empty() || Instant::now() > give_up {
                return open;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn has_condition(&self, object: &str, kind: &str, status: &str, reason: &str) -> bool {
        let path = format!(
            "jsonpath={{.metadata.generation}} {{.status.conditions[?(@.type==\"{kind}\")]['observedGeneration','status','reason']}}"
        );
        let found = self.control_plane.run(["get", "uparams", object, "-n", "identity", "-o", &path]).await.unwrap_or_default();
        let generation = found.split(' ').next().unwrap_or_default().to_owned();
        found == format!("{generation} {generation} {status} {reason}")
    }

    /// Plays a colleague who changes one parameter in the Auth0 dashboard.
    pub(super) fn drift(&self) -> String {
        self.tenant.edit("wordpress", |options| {
            options.insert(
                "upstream_params".to_owned(),
                json!({"theme": {"value": "set-by-somebody-else"}, "blog": {"value": "changed-in-the-dashboard"}}),
            );
        });
        "a colleague set blog of the connection wordpress to another value; within seconds it is set back:\n  \
         kubectl get events -n identity --field-selector reason=DriftCorrected\n"
            .to_owned()
    }

    /// Ends everything, the operator first.
    pub(super) async fn strike(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.operator.await.context("the operator ended unexpectedly")??;
        self.control_plane.stop().await?;
        self.emulator.stop();
        Ok(())
    }

    /// A kubeconfig for another terminal.
    pub(super) fn kubeconfig(&self) -> &Path {
        self.control_plane.kubeconfig()
    }

    /// The kubectl that was built, for whoever has none.
    pub(super) fn kubectl(&self) -> PathBuf {
        self.control_plane.binaries().kubectl.clone()
    }
}

fn seeded(emulator: &Emulator) -> anyhow::Result<TenantHandle> {
    let tenant = emulator.tenant(DOMAIN);
    tenant.add_client("demo-operator", "demo-secret", SCOPES);
    seed::demo(&tenant)?;
    tenant.edit("twitter", |options| {
        options.remove("upstream_params");
    });
    tenant.edit("wordpress", |options| {
        options.insert("upstream_params".to_owned(), json!({"theme": {"value": "set-by-somebody-else"}}));
    });
    tenant.clear_journal();
    Ok(tenant)
}

async fn install(control_plane: &ControlPlane) -> anyhow::Result<()> {
    let path = control_plane.folder().join("crds.yaml");
    std::fs::write(&path, crd::crds_yaml()?).context("can't write the CRDs")?;
    control_plane.apply(&path).await?;
    control_plane.run(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await?;
    control_plane.run(["create", "namespace", OPERATOR_NAMESPACE]).await?;
    control_plane
        .run([
            "create",
            "secret",
            "generic",
            "auth0-credentials",
            "--namespace",
            OPERATOR_NAMESPACE,
            "--from-literal=clientId=demo-operator",
            "--from-literal=clientSecret=demo-secret",
        ])
        .await?;
    Ok(())
}

async fn settings(control_plane: &ControlPlane, emulator: &Emulator) -> anyhow::Result<run::Settings> {
    let kubeconfig = kube::config::Kubeconfig::from_yaml(control_plane.kubeconfig_yaml())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
    let allowed = AllowedDomains::default();
    let transport = Transport::new(&TransportOptions {
        allowed_domains: allowed.clone(),
        endpoint_override: Some(emulator.url()),
        ..TransportOptions::default()
    })?;
    Ok(run::Settings {
        wall: WallClock::system(),
        instance: None,
        client: kube::Client::try_from(config)?,
        requests: RequestTimes::default(),
        namespace: OPERATOR_NAMESPACE.to_owned(),
        watched: BTreeSet::new(),
        allowed,
        transport,
        http: None,
    })
}
