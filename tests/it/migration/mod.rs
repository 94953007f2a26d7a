//! The adoption guides, run as they stand: with the tools that teams come from, unmodified, against the emulated tenant over TLS.
//!
//! A guide's commands are run section by section, in one folder, by a shell in which the programs are that a reader has. What the
//! guide says about its end is read in the tenant's journal: who wrote what.

mod deploy_cli;
mod guide;
mod operators;
mod recipe;
mod terraform;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use auth0_emulator::{ALL_SCOPES, Call, Secure, TOOL_SCOPES};
use control_plane::supervise::Scratch;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use test_support::manifest::tenant;
use test_support::{SCOPES, Scope, World, operator_binary};

use self::guide::{Block, Guide};

/// The names that the guides use.
const NAMESPACE: &str = "identity";
const TENANT: &str = "default";
const DOMAIN: &str = "example.eu.auth0.com";

/// The client of the tool that is left.
const TOOL: &str = "tool";

/// A cluster with the operator and a tenant as the guides presume them, and a folder in which a reader follows one of them.
struct Journey<'a> {
    scope: Scope<'a>,
    guide: Guide,
    folder: Scratch,
    secure: Secure,
}

impl<'a> Journey<'a> {
    /// Before the first command of a guide. The operator looks at a connection every five seconds.
    async fn begin(world: &'a World, guide: &str) -> Self {
        let auth0 = world.emulator.tenant(DOMAIN);
        auth0.add_client("operator", &format!("marker-client-secret-of-{TENANT}"), SCOPES);
        auth0.add_client(TOOL, "marker-client-secret-of-the-tool", ALL_SCOPES.iter().chain(&TOOL_SCOPES));
        let scope = Scope {
            world,
            name: TENANT.to_owned(),
            namespace: NAMESPACE.to_owned(),
            domain: DOMAIN.to_owned(),
            client: world.client().await,
            auth0,
        };
        scope.create_namespace(NAMESPACE).await;
        scope.create_secret().await;
        scope.create_tenant(tenant()).await;
        let journey = Self {
            secure: world.emulator.secure(0, &scope.auth0).unwrap(),
            guide: Guide::read(guide),
            folder: Scratch::new("guide").unwrap(),
            scope,
        };
        std::fs::write(journey.path("ca.pem"), &journey.secure.authority).unwrap();
        std::fs::create_dir(journey.path("bin")).unwrap();
        journey.program("kubectl", world.control_plane.binaries().kubectl.as_ref().unwrap());
        journey.script("upstream-params-operator", &journey.operator());
        journey
    }

    /// The operator's binary, as whoever reaches the tenant by its domain calls it.
    fn operator(&self) -> String {
        format!(
            "export AUTH0_DOMAIN={DOMAIN} UPO_INSECURE_TENANT_ENDPOINT={}\nexec {} \"$@\"",
            self.scope.world.emulator.url(),
            operator_binary().display()
        )
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a program where the shell finds it.
    fn program(&self, name: &str, target: &Path) {
        std::os::unix::fs::symlink(target, self.path("bin").join(name)).unwrap();
    }

    fn script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Follows one section of the guide: writes the files that it shows, runs its commands. Yields what they said.
    async fn follow(&self, section: &str) -> String {
        let blocks = self.guide.section(section);
        assert!(blocks.iter().any(|block| matches!(block, Block::Commands(_))), "{section} has no commands");
        let mut said = String::new();
        for block in blocks {
            match block {
                Block::File { name, text } => {
                    let path = self.path(name);
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, text).unwrap();
                }
                Block::Commands(commands) => said.push_str(&self.run(commands).await),
            }
        }
        said
    }

    /// Runs commands that have to succeed.
    async fn run(&self, commands: &str) -> String {
        let output = self.try_run(commands).await;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{commands}\n{said}\n{}", self.scope.describe("").await);
        said
    }

    async fn try_run(&self, commands: &str) -> Output {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", commands])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap()))
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.scope.world.control_plane.kubeconfig())
            .env("NODE_EXTRA_CA_CERTS", self.path("ca.pem"))
            .env("SSL_CERT_FILE", self.path("ca.pem"))
            .env("AUTH0_DOMAIN", &self.secure.host)
            .env("AUTH0_AUDIENCE", self.scope.auth0.audience())
            .env("AUTH0_CLIENT_ID", TOOL)
            .env("AUTH0_CLIENT_SECRET", "marker-client-secret-of-the-tool");
        tokio::process::Command::from(bash).kill_on_drop(true).output().await.unwrap()
    }

    /// Every connection as it is stored.
    fn connections(&self) -> Vec<Value> {
        self.scope.auth0.connection_names().iter().map(|name| self.scope.auth0.connection(name)).collect()
    }

    /// What this client wrote since the journal was cleared.
    fn writes_of(&self, client: &str) -> Vec<Call> {
        self.scope.auth0.writes().into_iter().filter(|call| call.client_id.as_deref() == Some(client)).collect()
    }

    /// Waits until the operator has looked at each of these connections once more, and says what it wrote meanwhile.
    async fn writes_of_the_operator_after_another_look(&self, connections: &[&str]) -> usize {
        let seen = self.scope.auth0.journal().len();
        for name in connections {
            let path = format!("/api/v2/connections/{}", self.scope.auth0.connection(name)["id"].as_str().unwrap());
            let looked = move |call: &Call| call.client_id.as_deref() == Some("operator") && call.method == "GET" && call.path == path;
            self.scope.until_auth0(&format!("another look at {name}"), |auth0| auth0.journal()[seen..].iter().any(&looked)).await;
        }
        self.writes_of("operator").len()
    }

    /// The name of the object that declares parameters of this connection.
    async fn object_of(&self, connection: &str) -> String {
        let objects = self.scope.api().list(&ListParams::default()).await.unwrap().items;
        let of_it: Vec<_> = objects.iter().filter(|object| object.spec.connection.name.as_deref() == Some(connection)).collect();
        let [object] = of_it.as_slice() else { panic!("{} objects declare parameters of {connection}", of_it.len()) };
        object.name_any()
    }

    /// A tenant as a team has it that comes from another tool: parameters of every kind, and connections without any.
    fn seed(&self) {
        let scope = &self.scope;
        let blog = json!({"blog": {"value": "myblog.wordpress.com"}});
        scope.connection_with("wordpress", "wordpress", json!({"upstream_params": blog}));
        let hint = json!({"login_hint": {"alias": "login_hint"}, "prompt": {"value": "select_account"}});
        scope.connection_with("corporate-oidc", "oidc", json!({"upstream_params": hint}));
        scope.connection("github", "github");
        scope.connection_with("users", "auth0", json!({"client_id": null, "client_secret": null}));
        scope.auth0.clear_journal();
    }
}

/// The upstream parameters that a PATCH sends; nothing where it sends no options.
fn sent_params(call: &Call) -> Option<Value> {
    call.body.as_ref()?.get("options").map(|options| options["upstream_params"].clone())
}
