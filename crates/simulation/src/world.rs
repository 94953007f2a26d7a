//! The world of one history: the cluster, the Auth0 tenants, the processes of the operator, and the network between them, which
//! is where the laws look.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "of many actions few concern a place, and one that is new concerns none before somebody says so"
)]

#[cfg(test)]
mod by_hand;
mod fair;
mod frugal;
mod heard;
mod lease;
mod records;
mod scenes;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use auth0_emulator::Settings as TenantSettings;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Level;
use upstream_params_operator::internals::{self, AllowedDomains, RequestTimes, Settings, Transport, TransportOptions, WallClock};

use crate::action::{Action, Forgery, WATCHED};
use crate::cluster::{Break, Cluster, Key, Kind as ClusterKind, Snapshot};
use crate::coverage::{Coverage, Kind};
use crate::declare::{CONNECTIONS, DOMAINS, NAMESPACES, OPERATOR_NAMESPACE, SLOTS, SecretDeclaration, TENANTS, secret_name};
use crate::history::History;
use crate::laws::rest::Place;
use crate::laws::seen;
use crate::laws::write::Changed;
use crate::laws::{Law, Violation};
use crate::network::{Network, ProcessId};
use crate::noise::{CLIENT_SECRET, TenantAction, admit, calm, mend, nudge, secret};
use crate::run::Report;
use crate::story::{Line, Who};
use crate::tenant::{REQUEST_TIMEOUT, Tenants};

/// What time it is at the beginning: 2026-01-01.
const START: i64 = 1_767_225_600;

/// Within what time a Lease that is held was renewed.
const RENEWED: Duration = Duration::from_secs(8);

/// A finalizer of somebody else's.
const OTHER_FINALIZER: &str = "example.com/other";

/// How old a document may be when a write that was built from it is sent.
const FRESH: Duration = Duration::from_secs(2);

/// One process of the operator.
struct Process {
    replica: usize,
    task: JoinHandle<()>,
    stop: CancellationToken,
    is_dead: bool,
    ended: bool,
}

/// A document that a process read.
struct Read {
    process: ProcessId,
    at: Instant,
    /// For how long its process was asleep since.
    slept: Duration,
    host: String,
    id: String,
    text: String,
}

/// A write that is on its way.
struct InFlight {
    process: ProcessId,
    /// The connection: host and path.
    place: (String, String),
    number: u32,
    since: Instant,
    /// What it changes.
    changes: Changed,
}

/// How much may be asked: the bucket of one process for one host.
#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

#[derive(Default)]
struct State {
    calls: u32,
    serial: u64,
    processes: Vec<Process>,
    running: Vec<Option<ProcessId>>,
    reads: Vec<Read>,
    in_flight: Vec<InFlight>,
    buckets: BTreeMap<(ProcessId, String, bool), Bucket>,
    /// How often a process may ask a host, as it was known last.
    rate_limits: BTreeMap<(ProcessId, String), seen::RateLimit>,
    refused_last: BTreeSet<ProcessId>,
    /// The processes that can't reach the API server, and until when.
    cut_off: Vec<(ProcessId, Instant)>,
    /// What a process was shown last of a connection, by host and id: none where it was told that there is no such connection.
    shown: BTreeMap<(ProcessId, String, String), Option<String>>,
    /// What the write that is being looked at changes.
    changes: Changed,
    /// Until when a process asks nothing more of this sort, as it was told by a 429.
    closed: BTreeMap<(ProcessId, String, bool), Instant>,
    /// Requests for a token.
    tokens: u64,
    ours: BTreeMap<Place, String>,
    /// The last backup, and when it was made.
    backup: Option<(Instant, Snapshot)>,
    violations: Vec<Violation>,
    coverage: Coverage,
    story: Vec<Line>,
    chronicle: Chronicle,
    scenes: scenes::Scenes,
    /// The longest interval between two looks, and how many versions of tenant objects there were when it was asked for.
    interval: Option<(usize, Duration)>,
    /// The last write to Auth0, or to the API server but to the Lease.
    last_write: Option<Instant>,
    steps: u64,
    calm: bool,
    /// The objects that may leave something behind rightly.
    may_leave: BTreeSet<usize>,
    leases: lease::Leases,
    heard: heard::Heard,
    asked: frugal::Asked,
    waiting: fair::Waiting,
    looked: fair::Looked,
    /// The objects whose status somebody else wrote.
    forged: BTreeSet<usize>,
    /// Connections of which a process was told that there is none, by host and by name or id.
    gone: BTreeSet<(ProcessId, String, String)>,
    /// Objects of which a process was told that they are gone, by uid.
    known_gone: BTreeSet<(ProcessId, String)>,
    /// Until when the API server refuses writes to our kinds.
    refuses_until: Option<Instant>,
    /// When it refused which writes of whom.
    refusals: BTreeMap<(ProcessId, String), Vec<Instant>>,
    /// How long writes to connections take to arrive.
    slow_writes: Duration,
    /// How long the answers to lists are on their way.
    slow_lists: Duration,
    secrets: [String; 2],
}

/// Versions of objects that were read already.
#[derive(Default)]
struct Chronicle {
    objects: BTreeMap<usize, Arc<seen::Object>>,
    tenants: BTreeMap<usize, Arc<seen::Tenant>>,
    labels: BTreeMap<usize, BTreeMap<String, String>>,
}

/// The world of one history.
pub struct World {
    history: History,
    told: bool,
    cluster: Cluster,
    tenants: Tenants,
    begin: Instant,
    skews: Vec<Arc<AtomicI64>>,
    state: Mutex<State>,
}

impl World {
    /// The world as it is before anything happens.
    pub fn new(history: &History, told: bool) -> Arc<Self> {
        let begin = Instant::now();
        let state = State {
            running: vec![None; history.replicas],
            secrets: [CLIENT_SECRET.to_owned(), CLIENT_SECRET.to_owned()],
            ..State::default()
        };
        let world = Self {
            cluster: Cluster::new(),
            tenants: Tenants::new(Duration::from_secs(START.unsigned_abs())),
            begin,
            skews: (0..history.replicas).map(|_| Arc::default()).collect(),
            state: Mutex::new(state),
            told,
            history: history.clone(),
        };
        world.furnish();
        Arc::new(world)
    }

    fn furnish(&self) {
        for (number, host) in DOMAINS.iter().enumerate() {
            let tenant = self.tenants.add(host, TenantSettings::default());
            admit(&tenant);
            for ((name, strategy), options) in CONNECTIONS.iter().zip(&self.history.options[number]) {
                let body = format!(r#"{{"name":"{name}","strategy":"{strategy}","display_name":"As \u0061lways","options":{options}}}"#);
                if let Err(error) = tenant.create_connection_text(&body) {
                    self.break_law(Law::Alive, format!("a connection can't be made: {error}"));
                }
            }
        }
        drop(self.cluster.create_namespace(OPERATOR_NAMESPACE, &[]));
        for (namespace, team) in NAMESPACES.iter().zip(["a", "b"]) {
            drop(self.cluster.create_namespace(namespace, &[("team", team)]));
        }
        self.act(&Action::Secret(0, SecretDeclaration::Right));
        self.act(&Action::Secret(1, SecretDeclaration::Right));
        self.act(&Action::Tenant(0, self.history.tenant.clone()));
    }

    /// Starts a replica, if it does not run.
    pub fn start(self: &Arc<Self>, replica: usize) {
        let id = {
            let mut state = self.state.lock();
            if state.running.get(replica).is_none_or(Option::is_some) {
                return;
            }
            let id = ProcessId(u32::try_from(state.processes.len()).unwrap_or(u32::MAX));
            state.running[replica] = Some(id);
            id
        };
        let network: Arc<dyn Network> = self.clone();
        let wall = self.wall(replica);
        let options = TransportOptions { request_timeout: REQUEST_TIMEOUT, max_body: 256 * 1024, ..TransportOptions::default() };
        let settings = Settings {
            client: self.cluster.client(id, network.clone()),
            requests: RequestTimes::default(),
            namespace: OPERATOR_NAMESPACE.to_owned(),
            watched: BTreeSet::new(),
            allowed: AllowedDomains::default(),
            transport: Transport::over(self.tenants.client(id, network, REQUEST_TIMEOUT), &options, wall.clone()),
            wall,
            instance: Some(format!("replica-{replica}")),
            http: None,
        };
        self.cluster.begins(id);
        self.note_work(id);
        let stop = CancellationToken::new();
        let (world, stopped) = (self.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let result = internals::run(settings, stopped.clone()).await;
            world.ended(id, replica, result.err().map(|error| error.to_string()), stopped.is_cancelled());
            // One that was still at its end when everything became calm is started again as the others were.
            if stopped.is_cancelled() && world.is_calm() {
                world.start(replica);
            }
        });
        self.state.lock().processes.push(Process { replica, task, stop, is_dead: false, ended: false });
    }

    fn wall(&self, replica: usize) -> WallClock {
        let (begin, skew) = (self.begin, self.skews[replica].clone());
        WallClock::new(move || {
            let since = i64::try_from(begin.elapsed().as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millisecond(START * 1000 + since + skew.load(Ordering::Relaxed) * 1000).unwrap_or_default()
        })
    }

    /// A process came to its end.
    pub(crate) fn ended(&self, id: ProcessId, replica: usize, error: Option<String>, asked: bool) {
        let mut state = self.state.lock();
        if let Some(process) = state.processes.get_mut(id.0 as usize) {
            process.ended = true;
        }
        if state.running[replica] == Some(id) {
            state.running[replica] = None;
        }
        drop(state);
        if let Some(error) = error {
            self.break_law(Law::Alive, format!("process {} ended: {error}", id.0));
        } else if !asked {
            self.break_law(Law::Alive, format!("process {} ended unasked", id.0));
        }
    }

    fn kill(&self, id: ProcessId) {
        let mut state = self.state.lock();
        let Some(process) = state.processes.get_mut(id.0 as usize).filter(|process| !process.is_dead) else { return };
        process.is_dead = true;
        process.task.abort();
        let replica = process.replica;
        if state.running[replica] == Some(id) {
            state.running[replica] = None;
        }
    }

    /// Whether a panic ended a process.
    fn look_for_panics(&self) {
        let state = self.state.lock();
        let ended = |process: &&Process| process.task.is_finished() && !process.is_dead && !process.ended;
        let panicked = state.processes.iter().filter(ended).count();
        drop(state);
        if panicked > 0 {
            self.break_law(Law::Alive, "a process panicked".to_owned());
        }
    }

    // ---- what happens ----

    /// Lets something happen.
    pub fn happen(self: &Arc<Self>, action: &Action) {
        self.count_action(action);
        self.tell(Who::World, || action.to_string());
        self.state.lock().steps += 1;
        match action {
            Action::Start(replica) => self.start(*replica),
            Action::Kill(replica) => {
                let id = self.state.lock().running.get(*replica).copied().flatten();
                if let Some(id) = id {
                    self.kill(id);
                }
            }
            Action::Stop(replica) => {
                let state = self.state.lock();
                let id = state.running.get(*replica).copied().flatten();
                if let Some(process) = id.and_then(|id| state.processes.get(id.0 as usize)) {
                    process.stop.cancel();
                }
            }
            other => self.act(other),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each action, and nothing else")]
    fn act(&self, action: &Action) {
        self.note_leave(action);
        if matches!(action, Action::Tenant(..) | Action::DeleteTenant(_) | Action::Secret(..) | Action::DeleteSecret(_)) {
            self.may_forget(None);
        }
        match action {
            Action::Declare(slot, declaration) => {
                let host = self.host_of(declaration.tenant_name());
                let tenant = host.as_deref().and_then(|host| self.tenants.get(host));
                let id_of = |number: usize| {
                    let document = tenant.as_ref()?.connection(CONNECTIONS[number].0);
                    document.get("id")?.as_str().map(str::to_owned)
                };
                let (key, mut spec) = (object(*slot), declaration.spec(id_of));
                // Which tenant it belongs to can't be changed: admission refuses it.
                if let Some(mut there) = self.cluster.read_field(&key, "spec") {
                    spec["tenantRef"] = there["tenantRef"].take();
                }
                drop(self.cluster.apply(&key, spec));
            }
            Action::Delete(slot) => drop(self.cluster.delete(&object(*slot))),
            Action::Forge(slot, how) => self.forge(*slot, *how),
            Action::TakeFinalizer(slot) => drop(self.cluster.remove_finalizer(&object(*slot), seen::FINALIZER)),
            Action::OtherFinalizer(slot, true) => drop(self.cluster.add_finalizer(&object(*slot), OTHER_FINALIZER)),
            Action::OtherFinalizer(slot, false) => drop(self.cluster.remove_finalizer(&object(*slot), OTHER_FINALIZER)),
            Action::Annotate(slot) => {
                let serial = self.state.lock().steps.to_string();
                drop(self.cluster.annotate(&object(*slot), "example.com/note", Some(&serial)));
            }
            Action::Ask(slot, value) => self.ask(&object(*slot), *value),
            Action::AskTenant(number, value) => self.ask(&Key::tenant(TENANTS[*number]), *value),
            Action::Tenant(number, declaration) => {
                let name = TENANTS[*number];
                if self.host_of(name).is_some_and(|host| host != declaration.domain()) {
                    drop(self.cluster.delete(&Key::tenant(name)));
                }
                drop(self.cluster.apply(&Key::tenant(name), declaration.spec(name)));
            }
            Action::DeleteTenant(number) => drop(self.cluster.delete(&Key::tenant(TENANTS[*number]))),
            Action::EraseTenantStatus(number) => drop(self.cluster.erase_status(&Key::tenant(TENANTS[*number]))),
            Action::Secret(number, what) => {
                let data = what.data(&self.secret(*number));
                let data: Vec<(&str, &str)> = data.iter().map(|(name, value)| (*name, value.as_str())).collect();
                drop(self.cluster.put_secret(&secret_key(*number), &data));
            }
            Action::DeleteSecret(number) => drop(self.cluster.delete(&secret_key(*number))),
            Action::Label(number, team) => drop(self.cluster.label(&Key::namespace(NAMESPACES[*number]), "team", *team)),
            Action::DeleteNamespace(number) => drop(self.cluster.delete(&Key::namespace(NAMESPACES[*number]))),
            Action::CreateNamespace(number) => {
                drop(self.cluster.create_namespace(NAMESPACES[*number], &[("team", ["a", "b"][*number])]));
            }
            Action::CreateNamespaceWith(number, team) => {
                let label = team.map(|team| ("team", team));
                drop(self.cluster.create_namespace(NAMESPACES[*number], label.as_slice()));
            }
            Action::Backup => {
                let backup = self.cluster.snapshot();
                self.state.lock().backup = Some((Instant::now(), backup));
            }
            Action::Restore => {
                if let Some(backup) = self.backup() {
                    self.cluster.restore_backup(&backup);
                }
            }
            Action::RestoreStore => {
                // That versions went back shows in those of the Lease, if it was renewed after the backup: so it was in any real one.
                let is_old = self.state.lock().backup.as_ref().is_some_and(|(at, _)| at.elapsed() > RENEWED);
                if let Some(backup) = self.backup().filter(|_| is_old) {
                    // A real one is restored while nobody can reach it.
                    self.cluster.stop();
                    self.cluster.restore_etcd(&backup);
                    self.lease_is_set_back();
                    self.state.lock().known_gone.clear();
                    self.versions_go_back();
                    self.start_after(Duration::from_secs(40));
                }
            }
            Action::Outage(span) => {
                self.cluster.stop();
                self.start_after(*span);
            }
            Action::CutOff(replica, span) => {
                let process = self.state.lock().running.get(*replica).copied().flatten();
                if let Some(process) = process {
                    self.state.lock().cut_off.push((process, Instant::now() + *span));
                    self.cluster.break_watches(process, Break::Error);
                }
            }
            Action::CutWatches(forget) => {
                if *forget {
                    self.cluster.compact();
                }
                self.each_process(|cluster, process| cluster.break_watches(process, if *forget { Break::Gone } else { Break::Error }));
            }
            Action::Lag(kind, lag) => self.each_process(|cluster, process| cluster.set_lag(process, *kind, *lag)),
            Action::LagOf(replica, kind, lag) => {
                let process = self.state.lock().running.get(*replica).copied().flatten();
                if let Some(process) = process {
                    self.cluster.set_lag(process, *kind, *lag);
                }
            }
            Action::Auth0(number, action) => {
                if let Some(tenant) = self.tenants.get(DOMAINS[*number]) {
                    action.apply(&tenant);
                    self.forget_what_others_changed(DOMAINS[*number]);
                    let mut state = self.state.lock();
                    match action {
                        TenantAction::SecretRotated(rotation) => state.secrets[*number] = secret(*rotation),
                        TenantAction::SecretRestored => CLIENT_SECRET.clone_into(&mut state.secrets[*number]),
                        _ => {}
                    }
                }
            }
            Action::JumpClock(replica, seconds) => drop(self.skews.get(*replica).map(|skew| skew.fetch_add(*seconds, Ordering::Relaxed))),
            Action::Sleep(replica, span) => self.sleep(*replica, *span),
            Action::DeleteLease => {
                drop(self.cluster.delete(&Key::lease("default", "upstream-params-operator")));
                self.lease_is_deleted();
            }
            Action::TroubleLease(replica, how, span) => self.trouble_the_lease(*replica, how.fate(), *span),
            Action::RefuseWrites(span) => self.state.lock().refuses_until = Some(Instant::now() + *span),
            Action::SlowWrites(span) => self.state.lock().slow_writes = *span,
            Action::SlowLists(span) => self.state.lock().slow_lists = *span,
            Action::Start(_) | Action::Kill(_) | Action::Stop(_) => {}
        }
    }

    /// Lets something happen in the middle of a call.
    fn happen_at(&self, action: &Action) {
        self.count_action(action);
        self.tell(Who::World, || format!("meanwhile {action}"));
        self.state.lock().steps += 1;
        // Processes start and end between calls only.
        self.act(action);
    }

    /// A replica was asleep: all that is certain to its process is older by that. Time did not pass for others here, which makes no
    /// difference to a process that knows them by what they answer.
    fn sleep(&self, replica: usize, span: Duration) {
        let Some(skew) = self.skews.get(replica) else { return };
        skew.fetch_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX), Ordering::Relaxed);
        let process = self.state.lock().running.get(replica).copied().flatten();
        if let Some(process) = process {
            self.process_slept(process, span);
        }
    }

    pub(crate) fn process_slept(&self, process: ProcessId, span: Duration) {
        let mut state = self.state.lock();
        state.leases.was_asleep(process, span);
        for read in state.reads.iter_mut().filter(|read| read.process == process) {
            read.slept += span;
        }
    }

    fn ask(&self, key: &Key, value: Option<u8>) {
        drop(self.cluster.annotate(key, seen::RECONCILE_AT, value.map(|value| value.to_string()).as_deref()));
    }

    fn forge(&self, slot: usize, how: Forgery) {
        let status = match how {
            Forgery::Erased => return drop(self.cluster.erase_status(&object(slot))),
            Forgery::Ready => {
                let condition = |kind: &str| {
                    json!({"type": kind, "status": "True", "reason": "Ready", "message": "all is well", "observedGeneration": 1,
                        "lastTransitionTime": "2026-01-01T00:00:00Z"})
                };
                let conditions = ["Ready", "Accepted", "ResolvedRefs", "Synced"].map(condition);
                json!({"observedGeneration": 1, "conditions": conditions})
            }
            Forgery::Copied(other) => {
                let Some(from) = self.cluster.read(&object(other)) else { return };
                from.get("status").cloned().unwrap_or_else(|| json!({}))
            }
        };
        drop(self.cluster.write_status(&object(slot), &status));
    }

    /// Notes who may leave something behind rightly: whose record somebody took, or who lets go on purpose.
    fn note_leave(&self, action: &Action) {
        let all = || (0..SLOTS.len()).collect();
        let within = |namespace: usize| (0..SLOTS.len()).filter(|slot| SLOTS[*slot].0 == NAMESPACES[namespace]).collect();
        let leaves: Vec<usize> = match action {
            Action::Declare(slot, declaration)
                if declaration.retain || declaration.observe || declaration.broken || declaration.tenant > 0 =>
            {
                vec![*slot]
            }
            Action::Forge(slot, _) | Action::TakeFinalizer(slot) => vec![*slot],
            Action::Tenant(..) | Action::DeleteTenant(_) | Action::Restore | Action::RestoreStore => all(),
            Action::Label(namespace, _) | Action::DeleteNamespace(namespace) => within(*namespace),
            _ => Vec::new(),
        };
        let forged: Vec<usize> = match action {
            Action::Forge(slot, _) => vec![*slot],
            Action::Restore | Action::RestoreStore => all(),
            _ => Vec::new(),
        };
        if !self.begin_is_now() {
            let mut state = self.state.lock();
            state.may_leave.extend(leaves);
            state.forged.extend(forged);
        }
    }

    /// Whether nothing has happened yet: what is declared at the beginning takes nothing away.
    fn begin_is_now(&self) -> bool {
        self.state.lock().processes.is_empty()
    }

    /// The Auth0 tenant that a tenant object stands for.
    fn host_of(&self, tenant: &str) -> Option<String> {
        let spec = self.cluster.read_field(&Key::tenant(tenant), "spec")?;
        spec["domain"].as_str().map(str::to_owned)
    }

    /// The secret that the Auth0 tenant of a tenant object takes at present.
    fn secret(&self, tenant: usize) -> String {
        let host = self.host_of(TENANTS[tenant]);
        let number = host.and_then(|host| DOMAINS.iter().position(|domain| **domain == *host)).unwrap_or_default();
        self.state.lock().secrets[number].clone()
    }

    fn backup(&self) -> Option<Snapshot> {
        self.state.lock().backup.as_ref().map(|(_, backup)| backup.clone())
    }

    /// The API server is there again after so long.
    fn start_after(&self, span: Duration) {
        let cluster = self.cluster.clone();
        tokio::spawn(async move {
            tokio::time::sleep(span).await;
            cluster.start();
        });
    }

    fn each_process(&self, act: impl Fn(&Cluster, ProcessId)) {
        let running: Vec<ProcessId> = self.state.lock().running.iter().flatten().copied().collect();
        for process in running {
            act(&self.cluster, process);
        }
    }

    /// Takes all faults away: what is declared stays.
    pub fn calm(self: &Arc<Self>) {
        self.tell(Who::World, || "from now on nothing fails, and nobody changes anything".to_owned());
        self.state.lock().calm = true;
        self.state.lock().secrets = [CLIENT_SECRET.to_owned(), CLIENT_SECRET.to_owned()];
        for (_, tenant) in self.tenants.all() {
            calm(&tenant);
            // What Auth0 refused is tried again when something changed.
            nudge(&tenant, 1);
        }
        self.cluster.start();
        for number in 0..TENANTS.len() {
            self.act(&Action::Secret(number, SecretDeclaration::Right));
        }
        for kind in WATCHED {
            self.act(&Action::Lag(kind, Duration::ZERO));
        }
        for slot in 0..SLOTS.len() {
            self.act(&Action::OtherFinalizer(slot, false));
        }
        self.start_all();
    }

    /// Removes what no write can carry and came with a read that was under way when all became calm. Yields whether there was any.
    pub fn mend(&self) -> bool {
        let mut is_mended = false;
        for (_, tenant) in self.tenants.all() {
            if mend(&tenant) {
                nudge(&tenant, 2);
                is_mended = true;
            }
        }
        is_mended
    }

    /// Starts all replicas that do not run.
    pub fn start_all(self: &Arc<Self>) {
        for replica in 0..self.history.replicas {
            self.start(replica);
        }
    }

    // ---- what is known ----

    fn is_calm(&self) -> bool {
        self.state.lock().calm
    }

    /// Whether a law was broken.
    pub fn is_broken(&self) -> bool {
        self.look_for_panics();
        !self.state.lock().violations.is_empty()
    }

    /// For how long nothing was written to Auth0, nor to the API server but for the Lease.
    pub fn quiet_for(&self) -> Duration {
        self.state.lock().last_write.unwrap_or(self.begin).elapsed()
    }

    /// The longest interval between two looks at a connection that a tenant object asks for.
    pub(crate) fn longest_interval(&self) -> Duration {
        let count = self.cluster.count(ClusterKind::Tenant);
        if let Some((_, interval)) = self.state.lock().interval.filter(|(then, _)| *then == count) {
            return interval;
        }
        let specs = TENANTS.iter().filter_map(|name| self.cluster.read_as::<seen::Tenant>(&Key::tenant(name)));
        let interval = Duration::from_secs(specs.map(|tenant| tenant.spec.resync_interval_seconds).max().unwrap_or_default());
        self.state.lock().interval = Some((count, interval));
        interval
    }

    /// How many requests for a token there were.
    pub(crate) fn tokens(&self) -> u64 {
        self.state.lock().tokens
    }

    /// Whether tokens may live for less than the pause between two looks.
    pub(crate) fn has_short_tokens(&self) -> bool {
        let shortens = |action: &Action| matches!(action, Action::Auth0(_, TenantAction::TokenLifetime(seconds)) if *seconds < 86_400);
        self.history.actions().any(shortens)
    }

    /// A law did not hold.
    pub(crate) fn break_law(&self, law: Law, text: String) {
        let violation = Violation { law, text };
        self.tell(Who::Law, || violation.to_string());
        self.state.lock().violations.push(violation);
    }

    fn count_action(&self, action: &Action) {
        self.count(Kind::Happened, name_of(action));
        if let Action::Auth0(_, action) = action {
            self.count(Kind::Auth0, action.kind());
        }
    }

    fn count(&self, kind: Kind, name: &str) {
        self.state.lock().coverage.count(kind, name);
    }

    fn tell(&self, who: Who, text: impl FnOnce() -> String) {
        if self.told {
            let line = Line { at: self.begin.elapsed(), who, text: text() };
            self.state.lock().story.push(line);
        }
    }

    /// A line of the operator's log.
    pub(crate) fn logged(&self, level: Level, text: &str) {
        self.look_for_secrets(text.as_bytes(), || "a line of the log".to_owned());
        for (field, kind) in [("part=", Kind::Part), ("outcome=", Kind::Outcome)] {
            if let Some((_, rest)) = text.split_once(field) {
                let name: &str = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
                self.count(kind, name);
            }
        }
        if level <= Level::DEBUG {
            self.tell(Who::Log, || text.to_owned());
        }
    }

    /// What came of it all.
    pub(crate) fn report(&self) -> Report {
        let mut state = self.state.lock();
        Report {
            violation: state.violations.first().cloned(),
            steps: state.steps,
            lasted: self.begin.elapsed(),
            coverage: std::mem::take(&mut state.coverage),
            story: std::mem::take(&mut state.story),
        }
    }
}

/// The object of a slot.
fn object(slot: usize) -> Key {
    Key::object(SLOTS[slot].0, SLOTS[slot].1)
}

/// The Secret of a tenant object.
fn secret_key(tenant: usize) -> Key {
    Key::secret(OPERATOR_NAMESPACE, &secret_name(TENANTS[tenant]))
}

/// The kind of an action, for counting.
fn name_of(action: &Action) -> &'static str {
    match action {
        Action::Declare(..) => "apply",
        Action::Delete(_) => "delete",
        Action::Forge(..) => "forge a status",
        Action::TakeFinalizer(_) => "take the finalizer",
        Action::OtherFinalizer(..) => "another finalizer",
        Action::Annotate(_) => "annotate",
        Action::Tenant(..) => "apply a tenant",
        Action::DeleteTenant(_) => "delete a tenant",
        Action::EraseTenantStatus(_) => "erase a tenant's status",
        Action::Secret(..) => "apply a Secret",
        Action::DeleteSecret(_) => "delete a Secret",
        Action::Label(..) => "label a namespace",
        Action::DeleteNamespace(_) => "delete a namespace",
        Action::CreateNamespace(_) | Action::CreateNamespaceWith(..) => "create a namespace",
        Action::Backup => "back up",
        Action::Restore => "restore objects",
        Action::RestoreStore => "restore the store",
        Action::CutWatches(_) => "cut watches",
        Action::Lag(..) | Action::LagOf(..) => "lag",
        Action::SlowLists(_) => "lists are slow",
        Action::Auth0(..) => "something at Auth0",
        Action::Kill(_) => "kill",
        Action::Stop(_) => "stop",
        Action::Start(_) => "start",
        Action::JumpClock(..) => "a clock jumps",
        Action::Sleep(..) => "a replica sleeps",
        Action::DeleteLease => "delete the Lease",
        Action::TroubleLease(..) => "requests about the Lease are lost or late",
        Action::RefuseWrites(_) => "writes to our kinds are refused",
        Action::SlowWrites(_) => "writes are slow",
        Action::Outage(_) => "outage of the API server",
        Action::CutOff(..) => "a replica is cut off",
        Action::Ask(..) => "ask for a look",
        Action::AskTenant(..) => "ask for a look at everything",
    }
}
