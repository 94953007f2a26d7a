//! The stage: a control plane, the emulated tenants, the replicas of the operator; and everything that is done to them.

#![allow(clippy::wildcard_enum_match_arm, reason = "`Stage::act` names every kind, and brings each to the function that knows it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use auth0_emulator::{Emulator, Fault, Limits, RateLimited};
use control_plane::supervise::Signal;
use control_plane::{ControlPlane, User};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use parking_lot::Mutex;
use serde_json::{Value, json};
use test_support::journal::error;
use test_support::{OPERATOR_NAMESPACE, SCOPES, from};
use upstream_params_operator::api::tenant::ClusterAuth0Tenant;
use upstream_params_operator::api::upstream_params::UpstreamParams;

use crate::book::Book;
use crate::door::{Calls, Edit, Harm, Site, Street};
use crate::ledger::Process;
use crate::line::Mode;
use crate::plan::{Act, Kind};
use crate::replica::{Gone, Replica};
use crate::shape::{self, CONNECTIONS, FOREIGN, MARKER, OBJECTS, Object, SITES};

/// How long a request to the API server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the API server is, as far as the run made it so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiServer {
    /// It serves.
    Up,
    /// It is frozen.
    Frozen,
    /// It is down.
    Down,
    /// It is being started.
    Coming,
    /// It could not be started.
    Lost(String),
}

/// What is done later, because of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Later {
    /// A replica is started, if it is down.
    Start(usize),
    /// A process is thawed, if it is there.
    Thaw(usize, Process),
    /// The line of a replica to the API server is put in order.
    Reconnect(usize),
    /// The API server is started.
    ApiBack,
    /// The API server is thawed.
    ApiThaw,
    /// A connection is made anew.
    ConnectionBack(usize, usize),
    /// The application gets its scopes back.
    ScopesBack(usize),
    /// The limits are lifted.
    LimitsOff(usize),
    /// The Secret is as it should be.
    SecretBack(usize),
    /// An object is made anew.
    ObjectBack(usize),
    /// A tenant object is made anew.
    TenantBack(usize),
    /// A tenant object enforces.
    EnforceBack(usize),
    /// The label of a namespace is put back.
    LabelBack(usize),
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It was done; this follows.
    Yes(Vec<(Duration, Later)>),
    /// There was nothing to do it to.
    Nothing,
    /// It waits for a call, and is counted when it meets one.
    Waits,
    /// It could not be done now, and is tried again.
    Again,
}

impl Done {
    fn then(after: Duration, later: Later) -> Self {
        Self::Yes(vec![(after, later)])
    }

    fn simply() -> Self {
        Self::Yes(Vec::new())
    }
}

/// The stage.
pub(crate) struct Stage {
    /// The control plane.
    pub(crate) control_plane: Arc<ControlPlane>,
    /// How the API server is.
    pub(crate) api_server: Arc<Mutex<ApiServer>>,
    /// The administrator.
    pub(crate) client: Client,
    /// The way to the tenants.
    pub(crate) street: Arc<Street>,
    /// The replicas.
    pub(crate) replicas: Vec<Replica>,
    /// What was taken from whom.
    pub(crate) book: Book,
    /// What went wrong on the way.
    pub(crate) violations: Vec<String>,
    /// How long ends took that were asked for.
    pub(crate) ends: Vec<Duration>,
    /// The record of the API server of what replicas wrote.
    pub(crate) audit: PathBuf,
    secrets: Vec<String>,
    /// The replica of each process, from number 1.
    starts: Vec<String>,
    next_value: usize,
    _emulator: Emulator,
}

impl Stage {
    /// Sets it up: everything is there but the operator.
    pub(crate) async fn set_up(folder: &Path, binary: &Path, replicas: usize) -> anyhow::Result<Self> {
        let users: Vec<User> = (0..replicas).map(user).collect();
        let audit = folder.join("audit.log");
        let options = control_plane::Options {
            controllers: true,
            folder: Some(folder.join("control-plane")),
            api_server_arguments: audit_arguments(folder, &audit, &users)?,
            users: users.clone(),
            ..control_plane::Options::default()
        };
        let control_plane = ControlPlane::start(options).await?;
        control_plane.apply(&test_support::repository::root().join("crds")).await?;
        control_plane.run(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await?;
        let client = test_support::client(control_plane.kubeconfig_yaml(), |_| {}).await;
        let emulator = Emulator::start(auth0_emulator::Options::default())?;
        let sites = (0..SITES.len()).map(|site| (shape::domain(site), emulator.tenant(&shape::domain(site)))).collect();
        let street = Street::new(emulator.url(), sites, &folder.join("calls.log"))?;
        let mut all = Vec::new();
        for user in &users {
            all.push(Replica::new(&user.name, &user.token, binary, &control_plane, folder).await?);
        }
        let mut stage = Self {
            control_plane: Arc::new(control_plane),
            api_server: Arc::new(Mutex::new(ApiServer::Up)),
            client,
            street,
            replicas: all,
            book: Book::default(),
            violations: Vec::new(),
            ends: Vec::new(),
            audit,
            secrets: SITES.iter().map(|site| format!("{MARKER}client-secret-of-{site}")).collect(),
            starts: Vec::new(),
            next_value: 0,
            _emulator: emulator,
        };
        stage.furnish().await?;
        Ok(stage)
    }

    async fn furnish(&mut self) -> anyhow::Result<()> {
        self.create::<Namespace>(&Api::all(self.client.clone()), json!({"metadata": {"name": OPERATOR_NAMESPACE}})).await?;
        for (nth, site) in SITES.iter().enumerate() {
            self.street.sites[nth].auth0.add_client("operator", &self.secrets[nth], SCOPES);
            for connection in 0..CONNECTIONS.len() {
                let document = shape::connection(connection, &self.foreign_value());
                self.street.make(&self.street.sites[nth], &document).await?;
            }
            self.put_secret(nth).await?;
            self.create(&self.tenants(), json!({"metadata": {"name": site}, "spec": shape::tenant(nth)})).await?;
        }
        for namespace in shape::namespaces() {
            let labels = json!({"tenant": namespace.split('-').next()});
            self.create::<Namespace>(&self.namespaces(), json!({"metadata": {"name": namespace, "labels": labels}})).await?;
        }
        for number in 0..OBJECTS {
            self.make_object(&shape::object(number)).await?;
        }
        Ok(())
    }

    /// A text that nobody else says.
    fn unique(&mut self) -> usize {
        self.next_value += 1;
        self.next_value
    }

    fn foreign_value(&mut self) -> String {
        format!("{FOREIGN}{}", self.unique())
    }

    fn own_value(&mut self) -> String {
        format!("{MARKER}own-{}", self.unique())
    }

    fn tenants(&self) -> Api<ClusterAuth0Tenant> {
        Api::all(self.client.clone())
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE)
    }

    /// The objects beside this one.
    pub(crate) fn objects(&self, namespace: &str) -> Api<UpstreamParams> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Creates; what is there already stays as it is. Yields whether it was made.
    async fn create<K>(&self, api: &Api<K>, object: Value) -> anyhow::Result<bool>
    where
        K: serde::de::DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
    {
        let object: K = from(object);
        match patiently(api.create(&PostParams::default(), &object)).await {
            Ok(_) => Ok(true),
            Err(Trouble::Exists) => Ok(false),
            Err(trouble) => Err(trouble.into()),
        }
    }

    async fn make_object(&mut self, object: &Object) -> anyhow::Result<bool> {
        let values = [self.own_value(), self.own_value()];
        let spec = object.spec(object.number, values);
        self.create(&self.objects(&object.namespace), json!({"metadata": {"name": object.name}, "spec": spec})).await
    }

    async fn put_secret(&self, site: usize) -> anyhow::Result<()> {
        let data = json!({"clientId": "operator", "clientSecret": self.secrets[site]});
        let secret = json!({"metadata": {"name": SITES[site]}, "stringData": data});
        if !self.create(&self.secrets(), secret).await? {
            let patch = Patch::Merge(json!({"stringData": data}));
            patiently(self.secrets().patch(SITES[site], &PatchParams::default(), &patch)).await?;
        }
        Ok(())
    }

    /// Merges into an object; `null` removes.
    pub(crate) async fn patch_object(&self, object: &Object, change: Value) -> Result<(), Trouble> {
        let patch = Patch::Merge(change);
        patiently(self.objects(&object.namespace).patch(&object.name, &PatchParams::default(), &patch)).await.map(drop)
    }

    /// Deletes an object.
    pub(crate) async fn delete_object(&self, object: &Object) -> Result<(), Trouble> {
        patiently(self.objects(&object.namespace).delete(&object.name, &DeleteParams::default())).await.map(drop)
    }

    /// Starts a replica that is down.
    pub(crate) async fn start(&mut self, nth: usize) -> anyhow::Result<()> {
        if self.replicas[nth].process().is_none() {
            self.starts.push(self.replicas[nth].name.clone());
            self.replicas[nth].start(&self.street, self.starts.len()).await?;
        }
        Ok(())
    }

    /// How many processes there were.
    pub(crate) fn processes(&self) -> usize {
        self.starts.len()
    }

    /// The name of the replica whose process this was.
    pub(crate) fn replica_of(&self, process: Process) -> String {
        self.starts.get(process.saturating_sub(1)).cloned().unwrap_or_default()
    }

    /// Looks after the replicas: yields which are to be started, and after what time.
    pub(crate) async fn watch_replicas(&mut self) -> Vec<(Duration, Later)> {
        let mut later = Vec::new();
        for nth in 0..self.replicas.len() {
            match self.replicas[nth].look(self.street.now()).await {
                None => {}
                Some(Gone::Asked { took, down }) => {
                    self.ends.push(took);
                    later.push((down, Later::Start(nth)));
                }
                Some(Gone::Wrong(what)) => {
                    self.violations.push(what);
                    later.push((Duration::ZERO, Later::Start(nth)));
                }
            }
        }
        later
    }

    fn api_is_up(&self) -> bool {
        *self.api_server.lock() == ApiServer::Up
    }

    /// Does an act.
    pub(crate) async fn act(&mut self, act: &Act) -> Done {
        match act.kind {
            Kind::Kill | Kind::Freeze | Kind::Terminate | Kind::CutFromApi | Kind::FreezeApiLine => self.act_on_replica(act),
            Kind::ApiRestart | Kind::ApiOutage | Kind::ApiHang => self.act_on_api_server(act).await,
            Kind::ForeignOption
            | Kind::ForeignParam
            | Kind::ForeignBetween
            | Kind::ForeignBefore
            | Kind::OwnedReplaced
            | Kind::OwnedRemoved
            | Kind::ConnectionRemade => self.act_on_connection(act).await,
            Kind::Dropped
            | Kind::Hanging
            | Kind::AnswerLost
            | Kind::HangingAfter
            | Kind::AnswerCut
            | Kind::SlowAnswer
            | Kind::LateEffect
            | Kind::ServerError
            | Kind::RateLimited
            | Kind::NotJson
            | Kind::ErrorWith200
            | Kind::TooLarge
            | Kind::Redirected
            | Kind::Lagging
            | Kind::TokenRefused => self.act_on_call(act),
            Kind::TokensRevoked | Kind::TokensExpired | Kind::GrantTaken | Kind::ScopeTaken | Kind::SecretRotated | Kind::Limited => {
                self.act_on_auth0_tenant(act)
            }
            Kind::ValueEdited
            | Kind::ParamAdded
            | Kind::ParamTaken
            | Kind::Moved
            | Kind::Deleted
            | Kind::StatusErased
            | Kind::FinalizerTaken
            | Kind::TenantDeleted
            | Kind::TenantStatusErased
            | Kind::TenantObserves
            | Kind::SecretDeleted
            | Kind::LabelTaken => {
                if !self.api_is_up() {
                    return Done::Again;
                }
                match self.act_on_kubernetes(act).await {
                    Ok(done) => done,
                    Err(Trouble::Gone | Trouble::Exists) => Done::Nothing,
                    Err(Trouble::Other(_)) => Done::Again,
                }
            }
        }
    }

    fn act_on_replica(&mut self, act: &Act) -> Done {
        let (street, now) = (self.street.clone(), self.street.now());
        let nth = act.target % self.replicas.len();
        let replica = &mut self.replicas[nth];
        match act.kind {
            Kind::Kill if replica.kill(&street) => Done::then(act.lasts, Later::Start(nth)),
            Kind::Freeze if replica.is_up() => {
                replica.freeze(&street);
                replica.process().map_or(Done::Nothing, |process| Done::then(act.lasts, Later::Thaw(nth, process)))
            }
            Kind::Terminate if replica.is_up() => {
                replica.terminate(now, act.lasts);
                Done::simply()
            }
            Kind::CutFromApi | Kind::FreezeApiLine => {
                replica.line.set(if act.kind == Kind::CutFromApi { Mode::Closed } else { Mode::Silent });
                Done::then(act.lasts, Later::Reconnect(nth))
            }
            _ => Done::Nothing,
        }
    }

    async fn act_on_api_server(&mut self, act: &Act) -> Done {
        if !self.api_is_up() {
            return Done::Nothing;
        }
        if act.kind == Kind::ApiHang {
            let Some(process) = self.control_plane.api_server() else { return Done::Nothing };
            process.signal(Signal::Stop);
            *self.api_server.lock() = ApiServer::Frozen;
            return Done::then(act.lasts, Later::ApiThaw);
        }
        *self.api_server.lock() = ApiServer::Down;
        if let Err(error) = self.control_plane.pause_api_server().await {
            *self.api_server.lock() = ApiServer::Lost(error.to_string());
        }
        Done::then(act.lasts, Later::ApiBack)
    }

    async fn act_on_connection(&mut self, act: &Act) -> Done {
        let street = self.street.clone();
        let nth_site = act.target % SITES.len();
        let (site, nth) = (&street.sites[nth_site], act.target / SITES.len() % CONNECTIONS.len());
        let name = CONNECTIONS[nth].0;
        let edit = match act.kind {
            Kind::ForeignOption => Edit::Option(format!("other-{}", act.pick % 8), self.foreign_value()),
            Kind::ForeignParam => Edit::Param(format!("their-{}", act.pick % 4), self.foreign_value()),
            Kind::ForeignBetween | Kind::ForeignBefore => {
                let edit = Edit::Option(format!("other-{}", act.pick % 8), self.foreign_value());
                let reads = act.kind == Kind::ForeignBetween;
                let calls = if reads { Calls::ReadsOf(name.to_owned()) } else { Calls::WritesTo(name.to_owned()) };
                street.harm(site, act.kind, Harm::Edit(edit), calls);
                return Done::Waits;
            }
            Kind::OwnedReplaced | Kind::OwnedRemoved => {
                let Some(param) = owned_param(site, name, act.pick) else { return Done::Nothing };
                if act.kind == Kind::OwnedReplaced { Edit::Param(param, self.foreign_value()) } else { Edit::WithoutParam(param) }
            }
            _ => {
                let there = street.delete(site, name).await;
                return if there { Done::then(act.lasts, Later::ConnectionBack(nth_site, nth)) } else { Done::Nothing };
            }
        };
        if street.edit(site, name, edit).await { Done::simply() } else { Done::Nothing }
    }

    fn act_on_call(&mut self, act: &Act) -> Done {
        let site = &self.street.sites[act.target % SITES.len()];
        let any = [Calls::Any, Calls::Reads, Calls::Writes, Calls::Writes].into_iter().nth(act.pick % 4).unwrap_or(Calls::Any);
        let (harm, calls) = match act.kind {
            Kind::Dropped => (Harm::Drop, any),
            Kind::Hanging => (Harm::Hang, any),
            Kind::AnswerLost => (Harm::LoseAnswer, Calls::Writes),
            Kind::HangingAfter => (Harm::HangAfter, Calls::Writes),
            Kind::AnswerCut => (Harm::CutAnswer, any),
            Kind::SlowAnswer => (Harm::SlowAnswer(act.lasts), any),
            Kind::LateEffect => (Harm::LateEffect(act.lasts), any),
            Kind::ServerError => (Harm::Fault(Fault::status([500, 502, 503][act.pick / 4 % 3])), any),
            Kind::RateLimited => (Harm::Fault(too_many(act.pick)), any),
            Kind::NotJson => (Harm::Fault(Fault::new(auth0_emulator::Effect::NotJson)), any),
            Kind::ErrorWith200 => (Harm::Fault(Fault::error_body_with_200()), any),
            Kind::TooLarge => (Harm::Fault(Fault::huge_body(5 << 20)), any),
            Kind::Redirected => (Harm::Fault(Fault::redirect("https://elsewhere.example.com/")), any),
            Kind::Lagging => {
                let gone = error(404, "inexistent_connection", "The connection does not exist");
                (Harm::Fault(gone), Calls::ReadsById)
            }
            _ => {
                let refused = json!({"error": "access_denied", "error_description": "Unauthorized"}).to_string();
                let fault = match act.pick % 3 {
                    0 => Fault::status_with(401, refused),
                    1 => too_many(act.pick),
                    _ => Fault::status(503),
                };
                site.auth0.revoke_tokens();
                (Harm::Fault(fault), Calls::Tokens)
            }
        };
        self.street.harm(site, act.kind, harm, calls);
        Done::Waits
    }

    fn act_on_auth0_tenant(&mut self, act: &Act) -> Done {
        let nth = act.target % SITES.len();
        if act.kind == Kind::SecretRotated {
            self.secrets[nth] = format!("{MARKER}client-secret-{}", self.unique());
        }
        let auth0 = &self.street.sites[nth].auth0;
        match act.kind {
            Kind::TokensRevoked => auth0.revoke_tokens(),
            Kind::TokensExpired => auth0.expire_tokens(),
            Kind::GrantTaken => {
                auth0.remove_grant("operator");
                auth0.revoke_tokens();
                return Done::then(act.lasts, Later::ScopesBack(nth));
            }
            Kind::ScopeTaken => {
                let taken = SCOPES[act.pick % SCOPES.len()];
                auth0.set_scopes("operator", SCOPES.iter().filter(|scope| **scope != taken));
                auth0.expire_tokens();
                return Done::then(act.lasts, Later::ScopesBack(nth));
            }
            Kind::SecretRotated => {
                auth0.rotate_secret("operator", &self.secrets[nth]);
                return Done::then(act.lasts, Later::SecretBack(nth));
            }
            _ => {
                auth0.set_limits(if act.pick.is_multiple_of(2) { Limits::free() } else { Limits::essentials() });
                return Done::then(act.lasts, Later::LimitsOff(nth));
            }
        }
        Done::simply()
    }

    async fn act_on_kubernetes(&mut self, act: &Act) -> Result<Done, Trouble> {
        let robbed: Vec<usize> = (0..OBJECTS).filter(|number| shape::object(*number).is_robbed()).collect();
        let object = shape::object(act.target % OBJECTS);
        let victim = shape::object(robbed[act.target % robbed.len()]);
        let nth = act.target % SITES.len();
        match act.kind {
            Kind::ValueEdited | Kind::ParamAdded | Kind::ParamTaken => return self.edit_params(act, &object).await,
            Kind::Moved => {
                let name = CONNECTIONS[act.pick % CONNECTIONS.len()].0;
                let connection = if act.pick.is_multiple_of(5) {
                    json!({"name": null, "id": self.street.sites[object.site].auth0.connection(name)["id"]})
                } else {
                    json!({"name": name, "id": null})
                };
                self.patch_object(&object, json!({"spec": {"connection": connection}})).await?;
                self.book.moved(object.number, self.street.now());
            }
            Kind::Deleted => {
                self.book.deleted(object.number);
                self.delete_object(&object).await?;
                return Ok(Done::then(act.lasts, Later::ObjectBack(object.number)));
            }
            Kind::StatusErased => {
                self.book.robbed(victim.number, "its status was erased");
                let patch = Patch::Merge(json!({"status": null}));
                patiently(self.objects(&victim.namespace).patch_status(&victim.name, &PatchParams::default(), &patch)).await?;
            }
            Kind::FinalizerTaken => {
                self.book.robbed(victim.number, "its finalizer was taken");
                self.patch_object(&victim, json!({"metadata": {"finalizers": null}})).await?;
            }
            Kind::TenantDeleted => {
                self.book.suspend(shape::SUSPENDED, true);
                patiently(self.tenants().delete(SITES[shape::SUSPENDED], &DeleteParams::default())).await?;
                return Ok(Done::then(act.lasts, Later::TenantBack(shape::SUSPENDED)));
            }
            Kind::TenantStatusErased => {
                let patch = Patch::Merge(json!({"status": null}));
                patiently(self.tenants().patch_status(SITES[nth], &PatchParams::default(), &patch)).await?;
            }
            Kind::TenantObserves => {
                self.book.suspend(shape::SUSPENDED, true);
                self.patch_tenant(shape::SUSPENDED, json!({"managementPolicy": "Observe"})).await?;
                return Ok(Done::then(act.lasts, Later::EnforceBack(shape::SUSPENDED)));
            }
            Kind::SecretDeleted => {
                patiently(self.secrets().delete(SITES[nth], &DeleteParams::default())).await?;
                return Ok(Done::then(act.lasts, Later::SecretBack(nth)));
            }
            _ => {
                let unsure = shape::unsure_namespaces();
                let namespace = &unsure[act.target % unsure.len()];
                self.book.refuse(namespace, true, self.street.now());
                self.label(namespace, Value::Null).await?;
                return Ok(Done::then(act.lasts, Later::LabelBack(act.target % unsure.len())));
            }
        }
        Ok(Done::simply())
    }

    async fn edit_params(&mut self, act: &Act, object: &Object) -> Result<Done, Trouble> {
        let stored = patiently(self.objects(&object.namespace).get(&object.name)).await?;
        let names: Vec<&String> = stored.spec.params.keys().collect();
        let one = names.get(act.pick % names.len().max(1)).map(|name| (*name).clone());
        let (name, entry) = match (act.kind, one) {
            (Kind::ValueEdited, Some(name)) => (name, json!({"value": self.own_value()})),
            (Kind::ParamTaken, Some(name)) if names.len() > 1 => (name, Value::Null),
            (Kind::ParamAdded, _) if act.pick.is_multiple_of(4) => (object.param(act.pick), json!({"value": null, "alias": "login_hint"})),
            (Kind::ParamAdded, _) => (object.param(act.pick), json!({"alias": null, "value": self.own_value()})),
            _ => return Ok(Done::Nothing),
        };
        let entry = if act.kind == Kind::ValueEdited { json!({"alias": null, "value": entry["value"]}) } else { entry };
        self.patch_object(object, json!({"spec": {"params": {name: entry}}})).await?;
        Ok(Done::simply())
    }

    async fn patch_tenant(&self, site: usize, spec: Value) -> Result<(), Trouble> {
        let patch = Patch::Merge(json!({"spec": spec}));
        patiently(self.tenants().patch(SITES[site], &PatchParams::default(), &patch)).await.map(drop)
    }

    async fn label(&self, namespace: &str, value: Value) -> Result<(), Trouble> {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"tenant": value}}}));
        patiently(self.namespaces().patch(namespace, &PatchParams::default(), &patch)).await.map(drop)
    }

    /// Does what is due because of an act. Yields whether it is done.
    pub(crate) async fn later(&mut self, later: Later) -> anyhow::Result<bool> {
        let street = self.street.clone();
        match later {
            Later::Start(nth) => self.start(nth).await?,
            Later::Thaw(nth, process) => self.replicas[nth].thaw(&street, process),
            Later::Reconnect(nth) => self.replicas[nth].mend_line(),
            Later::ApiBack => return self.resume_api_server(),
            Later::ApiThaw => {
                if let Some(process) = self.control_plane.api_server() {
                    process.signal(Signal::Continue);
                }
                *self.api_server.lock() = ApiServer::Up;
            }
            Later::ConnectionBack(site, nth) => {
                let document = shape::connection(nth, &self.foreign_value());
                street.make(&street.sites[site], &document).await.context("a connection that was deleted")?;
            }
            Later::ScopesBack(site) => {
                street.sites[site].auth0.set_scopes("operator", SCOPES);
            }
            Later::LimitsOff(site) => street.sites[site].auth0.set_limits(Limits::default()),
            Later::SecretBack(_) | Later::ObjectBack(_) | Later::TenantBack(_) | Later::EnforceBack(_) | Later::LabelBack(_) => {
                return Ok(self.api_is_up() && self.put_back(later).await.unwrap_or(false));
            }
        }
        Ok(true)
    }

    async fn put_back(&mut self, later: Later) -> anyhow::Result<bool> {
        match later {
            Later::ObjectBack(number) => {
                let object = shape::object(number);
                // It goes only when its finalizer is off.
                if !self.make_object(&object).await? {
                    let there = patiently(self.objects(&object.namespace).get(&object.name)).await?;
                    if there.metadata.deletion_timestamp.is_some() {
                        return Ok(false);
                    }
                }
                self.book.gone(number);
            }
            Later::TenantBack(site) => {
                let object = json!({"metadata": {"name": SITES[site]}, "spec": shape::tenant(site)});
                if !self.create(&self.tenants(), object).await? {
                    self.patch_tenant(site, shape::tenant(site)).await?;
                }
                self.book.suspend(site, false);
            }
            Later::EnforceBack(site) => match self.patch_tenant(site, json!({"managementPolicy": "Enforce"})).await {
                // Where it is gone it is made anew later, as one that enforces.
                Err(Trouble::Gone) => {}
                patched => {
                    patched?;
                    self.book.suspend(site, false);
                }
            },
            Later::LabelBack(nth) => {
                let namespace = shape::unsure_namespaces().swap_remove(nth);
                self.label(&namespace, json!(namespace.split('-').next())).await?;
                self.book.refuse(&namespace, false, self.street.now());
            }
            Later::SecretBack(site) => self.put_secret(site).await?,
            Later::Start(_)
            | Later::Thaw(..)
            | Later::Reconnect(_)
            | Later::ApiBack
            | Later::ApiThaw
            | Later::ConnectionBack(..)
            | Later::ScopesBack(_)
            | Later::LimitsOff(_) => {}
        }
        Ok(true)
    }

    /// Begins to start the API server. Yields whether it serves.
    fn resume_api_server(&self) -> anyhow::Result<bool> {
        let state = self.api_server.lock().clone();
        match state {
            ApiServer::Up | ApiServer::Frozen => Ok(true),
            ApiServer::Coming => Ok(false),
            ApiServer::Lost(why) => Err(anyhow::anyhow!("the API server does not come back: {why}")),
            ApiServer::Down => {
                *self.api_server.lock() = ApiServer::Coming;
                let (control_plane, state) = (self.control_plane.clone(), self.api_server.clone());
                tokio::spawn(async move {
                    let resumed = control_plane.resume_api_server().await;
                    *state.lock() = resumed.map_or_else(|error| ApiServer::Lost(error.to_string()), |()| ApiServer::Up);
                });
                Ok(false)
            }
        }
    }

    /// Every connection as it is: by tenant, with its exact text.
    pub(crate) fn connections(&self) -> BTreeMap<usize, Vec<String>> {
        let of = |site: &Site| site.auth0.connection_names().iter().filter_map(|name| site.auth0.connection_text(name)).collect();
        self.street.sites.iter().map(of).enumerate().collect()
    }
}

/// 429, as it comes in several shapes.
fn too_many(pick: usize) -> Fault {
    let seconds = u64::try_from(1 + pick % 3).unwrap_or(1);
    let (retry_after, reset) = if pick.is_multiple_of(2) { (Some(seconds), None) } else { (None, Some(seconds)) };
    Fault::rate_limited(RateLimited { global: pick.is_multiple_of(5), retry_after, reset })
}

/// One of the parameters on a connection that objects declare.
fn owned_param(site: &Site, connection: &str, pick: usize) -> Option<String> {
    let params = site.auth0.upstream_params(connection);
    let names: Vec<&String> = params.as_object()?.keys().filter(|name| shape::declarer(name).is_some()).collect();
    names.get(pick % names.len().max(1)).map(|name| (*name).clone())
}

fn user(nth: usize) -> User {
    let token = format!("token-of-operator-{nth}");
    User { name: format!("operator-{nth}"), groups: vec!["system:masters".to_owned()], token }
}

/// Has the API server write down what the replicas write.
fn audit_arguments(folder: &Path, log: &Path, users: &[User]) -> anyhow::Result<Vec<String>> {
    let policy = folder.join("audit-policy.yaml");
    let (users, verbs): (Vec<&String>, _) = (users.iter().map(|user| &user.name).collect(), ["create", "update", "patch", "delete"]);
    let leases = json!({"group": "coordination.k8s.io", "resources": ["leases"]});
    let rules = json!([
        {"level": "Request", "users": users, "verbs": verbs, "resources": [leases]},
        {"level": "Metadata", "users": users, "verbs": verbs},
        {"level": "None"},
    ]);
    let text = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules});
    std::fs::write(&policy, text.to_string()).with_context(|| policy.display().to_string())?;
    Ok(vec![format!("--audit-policy-file={}", policy.display()), format!("--audit-log-path={}", log.display())])
}

/// Why a request to the API server came to nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no such object.
    Gone,
    /// There is one already.
    Exists,
    /// Anything else.
    Other(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone => f.write_str("there is no such object"),
            Self::Exists => f.write_str("there is one already"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Trouble {}

/// Asks the API server, for so long as one waits.
pub(crate) async fn patiently<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(Trouble::Gone),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(Trouble::Exists),
        Ok(Err(error)) => Err(Trouble::Other(error.to_string())),
        Err(_) => Err(Trouble::Other(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}
