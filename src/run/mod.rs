//! The operator as a whole: watches, the Lease, drivers, health.
//!
//! Watches run always, drivers while this process leads: a replica that stands by knows all that there is, and begins when it
//! takes over. Who loses the Lease ends its drivers at once, and stands by.
//!
//! Guarantees: one driver for each tenant that exists, and one for all objects that name none, so that nobody makes
//! drivers by making up names; a driver ends with its tenant, after the pass it is in. Asked to stop, every driver
//! finishes the pass it is in, which ends within its own time-outs, and then this returns. A task that ends unasked ends
//! the operator with an error: half of it must not go on as if it were the whole.

mod server;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::auth0::Transport;
use crate::clock::WallClock;
use crate::core::world::Wake;
use crate::kubernetes::hub::Hub;
use crate::kubernetes::lease::{Elector, Leadership, Situation};
use crate::kubernetes::report::Report;
use crate::kubernetes::watch as watches;
use crate::model::domain::AllowedDomains;
use crate::model::identity::ObjectKey;
use crate::reconcile::driver::{Change, Driver};
use crate::reconcile::tenant::{Auth0Tenants, Shared};
use crate::telemetry::{Metrics, RequestTimes};
use tasks::{Ended, Task, Tasks};

/// How long drivers get to finish what they are in: a pass is at most two reads, a few status writes and one PATCH.
const GRACE: Duration = Duration::from_secs(45);

/// How long the last requests may take after that: the Lease is given back, and whoever asked for metrics gets them.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// What the operator runs with.
pub struct Settings {
    /// The API server.
    pub client: Client,
    /// How long the requests of this client take, where it tells them.
    pub requests: RequestTimes,
    /// The operator's own namespace, where the Secrets of tenants are.
    pub namespace: String,
    /// The namespaces whose objects are served; empty: all.
    pub watched: BTreeSet<String>,
    /// Which hosts tenants may have.
    pub allowed: AllowedDomains,
    /// How tenants are reached.
    pub transport: Transport,
    /// The name of this instance of the operator, as which events are reported and the Lease is held: that of its pod.
    pub instance: Option<String>,
    /// The clock for what is shown to people.
    pub wall: WallClock,
    /// Where `/healthz`, `/readyz` and `/metrics` are served; port 0 takes any. None: nowhere.
    pub http: Option<SocketAddr>,
}

/// Why the operator can't run, or can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for health and metrics can't be listened on.
    #[error("can't listen on {address} for health and metrics: {source}; choose another --http-address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A part of the operator ended unasked.
    #[error("{task} {how} unexpectedly; this is a bug in the operator, which exits so that it is restarted")]
    Ended {
        /// Which part.
        task: String,
        /// `panicked` or `ended`.
        how: &'static str,
    },
}

impl From<Ended> for Error {
    fn from(ended: Ended) -> Self {
        Self::Ended { task: ended.task.to_string(), how: if ended.panicked { "panicked" } else { "ended" } }
    }
}

/// Runs until the token is cancelled.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    let (hub, wakes) = Hub::new();
    let hub = Arc::new(hub);
    let metrics = Arc::new(Metrics::new(hub.clone(), &settings.requests));
    let mut tasks = Tasks::default();
    let whose = (settings.namespace.as_str(), settings.instance.as_deref());
    let write = settings.transport.request_timeout();
    let (elector, situation) = Elector::new(settings.client.clone(), whose, hub.clone(), settings.wall.clone(), write);
    if let Some(address) = settings.http {
        let listener = server::listen(address).map_err(|source| Error::Listen { address, source })?;
        let routes = server::routes(hub.clone(), metrics.clone(), situation.clone());
        tasks.spawn(Task::Server, server::serve(listener, routes, stop.clone()));
    }
    for (what, watch) in watches::all(&settings.client, &settings.namespace, &settings.watched, &hub) {
        tasks.spawn(Task::Watch(what), watch);
    }
    let (end, ended) = oneshot::channel();
    tasks.spawn(Task::Elector, elector.run(ended));
    let shared = Shared {
        leadership: Leadership::none(),
        report: Report::new(settings.client, hub.clone(), settings.instance, settings.wall.clone()),
        hub,
        transport: settings.transport,
        allowed: settings.allowed,
        namespace: settings.namespace,
        metrics,
        auth0_tenants: Arc::new(Auth0Tenants::default()),
        wall: settings.wall,
        stop: stop.clone(),
    };
    let mut operator = Operator { shared, tasks, work: Tasks::default(), drivers: BTreeMap::new(), orphans: None };
    let result = operator.until_told(&mut Told { wakes, situation }, &stop).await;
    stop.cancel();
    // Of a driver that panicked nobody knows what it had sent.
    let orderly = !matches!(&result, Err(ended) if ended.task.is_driver());
    result.map_err(Error::from).and(operator.finish(end, orderly).await)
}

/// Brings wakes to the drivers they concern, starts drivers and lets them go, and notices what ends.
struct Operator {
    shared: Shared,
    /// What runs for as long as the process.
    tasks: Tasks,
    /// What runs while it leads: the drivers.
    work: Tasks,
    drivers: BTreeMap<String, Mailbox>,
    /// Of the driver of all objects whose tenant does not exist.
    orphans: Option<mpsc::UnboundedSender<Change>>,
}

/// How a tenant's driver is told something.
enum Mailbox {
    Open(mpsc::UnboundedSender<Change>),
    /// The tenant is gone, and its driver is still in its last pass. No other takes over before that has ended.
    Closed,
}

/// What the operator is told.
struct Told {
    wakes: mpsc::UnboundedReceiver<Wake>,
    situation: watch::Receiver<Situation>,
}

impl Operator {
    /// Runs until the token is cancelled, or until something ends that should not: leads and stands by, as it comes.
    async fn until_told(&mut self, told: &mut Told, stop: &CancellationToken) -> Result<(), Ended> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                ended = self.tasks.ended() => return Err(ended),
                // First of what goes on: who leads no more brings nothing to anybody.
                Ok(()) = told.situation.changed() => {
                    let leadership = match &*told.situation.borrow_and_update() {
                        Situation::Leads(leadership) => Some(leadership.clone()),
                        Situation::Unknown | Situation::Refused(_) | Situation::StandsBy(_) => None,
                    };
                    if self.leads() {
                        self.stand_by().await;
                    }
                    if let Some(leadership) = leadership {
                        self.begin(leadership);
                    }
                }
                ended = self.work.ended() => self.ended(ended)?,
                wake = told.wakes.recv() => match wake {
                    Some(wake) if self.leads() => self.deliver(wake),
                    // Whoever begins looks at everything.
                    Some(_) => {}
                    // The sender is in the hub, which is ours too.
                    None => return Ok(()),
                },
            }
        }
    }

    /// Lets every driver finish its pass, and gives the Lease back after that.
    async fn finish(mut self, end: oneshot::Sender<bool>, orderly: bool) -> Result<(), Error> {
        self.drivers.clear();
        self.orphans = None;
        let (panicked, cut) = self.work.finish(GRACE).await;
        for task in &cut {
            tracing::warn!("{task} did not stop in time and was aborted; the next start finishes its work");
        }
        // Where nobody hears it the Lease has its own end.
        let _ = end.send(orderly && panicked.is_empty() && cut.is_empty());
        let (also_panicked, _) = self.tasks.finish(LAST_REQUESTS).await;
        tracing::info!("stopped");
        panicked.into_iter().chain(also_panicked).next().map_or(Ok(()), |task| Err(Ended { task, panicked: true }.into()))
    }

    fn leads(&self) -> bool {
        self.orphans.is_some()
    }

    /// All drivers begin anew, as those of a process that was just started.
    fn begin(&mut self, leadership: Leadership) {
        tracing::info!("all watches have synced; checks begin");
        self.shared.report = self.shared.report.under(leadership.clone());
        self.shared.metrics.leads({
            let leadership = leadership.clone();
            move || leadership.since_renewal()
        });
        self.shared.leadership = leadership;
        let (sender, receiver) = mpsc::unbounded_channel();
        self.work.spawn(Task::Orphans, Driver::of_orphans(self.shared.clone(), receiver).run());
        self.orphans = Some(sender);
        // What was told while another led was told to nobody here.
        let orphans: Vec<ObjectKey> = self.shared.hub.read(|world| world.orphans().iter().map(|object| object.key.clone()).collect());
        for object in orphans {
            self.tell_orphans(Change::Object(object));
        }
        self.tell_all();
    }

    /// All drivers are ended at once, wherever they are: as with a process that is killed, the claims say what they were at.
    async fn stand_by(&mut self) {
        self.drivers.clear();
        self.orphans = None;
        self.work.cut().await;
        self.shared.metrics.stands_by();
    }

    /// A driver that was let go has ended; any other end is unasked.
    fn ended(&mut self, ended: Ended) -> Result<(), Ended> {
        let name = match &ended.task {
            Task::Driver(name) if !ended.panicked && matches!(self.drivers.get(name), Some(Mailbox::Closed)) => name.clone(),
            Task::Driver(_) | Task::Watch(_) | Task::Orphans | Task::Server | Task::Elector => return Err(ended),
        };
        self.drivers.remove(&name);
        if self.exists(&name) {
            // Made anew meanwhile.
            self.tell(&name, Change::Tenant);
        } else {
            let left: Vec<ObjectKey> = self.shared.hub.read(|world| world.objects_of(&name).map(|object| object.key.clone()).collect());
            for object in left {
                self.tell_orphans(Change::Object(object));
            }
        }
        Ok(())
    }

    fn exists(&self, tenant: &str) -> bool {
        self.shared.hub.read(|world| world.tenant(tenant).is_some())
    }

    fn deliver(&mut self, wake: Wake) {
        match wake {
            Wake::Object(key) => self.tell_of(key, Change::Object),
            Wake::Relabelled(key) => self.tell_of(key, Change::Relabelled),
            Wake::Status(key) => self.tell_of(key, Change::Status),
            Wake::Finalizer(key) => self.tell_of(key, Change::Finalizer),
            Wake::Requested(key) => self.tell_of(key, Change::Requested),
            Wake::Gone { object, tenant, target, connections, left } => {
                self.tell(&tenant, Change::Gone { object, target, connections, left });
            }
            Wake::Left { tenant, uid, left, why } => self.tell(&tenant, Change::Left { uid, left, why }),
            Wake::Tenant(name) => self.tell(&name, Change::Tenant),
            Wake::Tenants => self.tell_all(),
            Wake::EverythingRequested(name) => self.tell(&name, Change::EverythingRequested),
        }
    }

    fn tell_of(&mut self, key: ObjectKey, change: impl FnOnce(ObjectKey) -> Change) {
        let tenant = self.shared.hub.read(|world| world.object(&key).map(|object| object.policies.tenant.clone()));
        if let Some(tenant) = tenant {
            self.tell(&tenant, change(key));
        }
    }

    /// Every tenant is resolved anew. The drivers of those that are gone say so to their objects, and end.
    fn tell_all(&mut self) {
        let names: BTreeSet<String> = self.shared.hub.read(|world| world.tenants().map(|tenant| tenant.name.clone()).collect());
        for (name, mailbox) in &mut self.drivers {
            if let (Mailbox::Open(driver), false) = (&*mailbox, names.contains(name)) {
                drop(driver.send(Change::Tenant));
                *mailbox = Mailbox::Closed;
            }
        }
        for name in &names {
            self.tell(name, Change::Tenant);
        }
    }

    /// Tells the driver of a tenant, which is started where there is none yet.
    fn tell(&mut self, tenant: &str, change: Change) {
        match self.drivers.get(tenant) {
            // A driver that is gone has ended unasked, which is about to be noticed.
            Some(Mailbox::Open(driver)) => drop(driver.send(change)),
            // Its end is waited for, and everything of the tenant is looked at then; but nobody can look at what is gone.
            Some(Mailbox::Closed) => {
                if matches!(change, Change::Gone { .. } | Change::Left { .. }) {
                    self.tell_orphans(change);
                }
            }
            None if self.exists(tenant) => {
                let (sender, receiver) = mpsc::unbounded_channel();
                // Before anything else it looks at everything of its tenant.
                self.work.spawn(Task::Driver(tenant.to_owned()), Driver::new(tenant.to_owned(), self.shared.clone(), receiver).run());
                drop(sender.send(change));
                self.drivers.insert(tenant.to_owned(), Mailbox::Open(sender));
            }
            None => self.tell_orphans(change),
        }
    }

    fn tell_orphans(&self, change: Change) {
        let told = match change {
            Change::Object(_)
            | Change::Relabelled(_)
            | Change::Status(_)
            | Change::Finalizer(_)
            | Change::Requested(_)
            | Change::Left { .. } => change,
            // Without a tenant nothing is done at a connection, and nobody waits for it; what was left there is told.
            Change::Gone { object, left: left @ Some(_), .. } => Change::Gone { object, target: None, connections: Vec::new(), left },
            Change::Gone { left: None, .. } | Change::Tenant | Change::EverythingRequested => return,
        };
        if let Some(orphans) = &self.orphans {
            drop(orphans.send(told));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::world::{Kind, Left};
    use crate::tests::builders;

    /// An operator whose API server refuses every write, with this many objects, each of a tenant that somebody made up.
    fn operator(objects: usize) -> (Operator, mpsc::UnboundedReceiver<Wake>) {
        let (hub, wakes) = Hub::new();
        let hub = Arc::new(hub);
        for n in 0..objects {
            let mut object = builders::object(&format!("object-{n}"));
            object.policies.tenant = format!("made-up-{n}");
            hub.fold(|world| world.apply_object(object));
        }
        for kind in Kind::ALL {
            hub.listed(kind, 0);
        }
        let shared = Shared::refused(hub);
        (Operator { shared, tasks: Tasks::default(), work: Tasks::default(), drivers: BTreeMap::new(), orphans: None }, wakes)
    }

    fn delivered(operator: &mut Operator, wakes: &mut mpsc::UnboundedReceiver<Wake>) {
        while let Ok(wake) = wakes.try_recv() {
            operator.deliver(wake);
        }
    }

    #[tokio::test]
    async fn made_up_tenants_share_one_driver_and_one_that_is_gone_keeps_none() {
        let (mut operator, mut wakes) = operator(1000);
        let hub = operator.shared.hub.clone();
        operator.begin(Leadership::of_a_test());
        delivered(&mut operator, &mut wakes);
        assert_eq!((operator.work.len(), operator.drivers.len()), (1, 0), "tasks and drivers of a thousand made-up tenants");

        hub.fold(|world| world.apply_tenant(builders::tenant("made-up-7")));
        delivered(&mut operator, &mut wakes);
        assert_eq!((operator.work.len(), operator.drivers.len()), (2, 1), "the tenant that exists has its own");

        // Gone and made anew before its driver has ended: the same name gets another one, after that.
        hub.fold(|world| world.delete_tenant("made-up-7"));
        delivered(&mut operator, &mut wakes);
        hub.fold(|world| world.apply_tenant(builders::tenant("made-up-7")));
        delivered(&mut operator, &mut wakes);
        assert!(matches!(operator.drivers.get("made-up-7"), Some(Mailbox::Closed)), "no two of one tenant at a time");
        let ended = operator.work.ended().await;
        operator.ended(ended).unwrap();
        assert!(matches!(operator.drivers.get("made-up-7"), Some(Mailbox::Open(_))));
        assert_eq!(operator.work.len(), 2);

        hub.fold(|world| world.delete_tenant("made-up-7"));
        delivered(&mut operator, &mut wakes);
        let ended = operator.work.ended().await;
        operator.ended(ended).unwrap();
        assert_eq!((operator.work.len(), operator.drivers.len()), (1, 0), "a tenant that is gone keeps no driver");
    }

    #[tokio::test(start_paused = true)]
    async fn drivers_run_while_it_leads_and_all_begin_anew_when_it_leads_again() {
        let (mut operator, wakes) = operator(3);
        let (hub, stop) = (operator.shared.hub.clone(), CancellationToken::new());
        let (says, situation) = watch::channel(Situation::Unknown);
        let mut told = Told { wakes, situation };
        hub.fold(|world| world.apply_tenant(builders::tenant("made-up-1")));
        for (situation, work) in [
            (Situation::StandsBy("a test".to_owned()), 0),
            (Situation::Leads(Leadership::of_a_test()), 2),
            (Situation::StandsBy("a test".to_owned()), 0),
            (Situation::Leads(Leadership::of_a_test()), 2),
            // Lost and won again before it was noticed.
            (Situation::Leads(Leadership::of_a_test()), 2),
            (Situation::Refused("a test".to_owned()), 0),
        ] {
            let leads = matches!(situation, Situation::Leads(_));
            says.send_replace(situation);
            let told = tokio::time::timeout(Duration::from_millis(50), operator.until_told(&mut told, &stop)).await;
            assert!(told.is_err(), "{told:?}");
            assert_eq!((operator.work.len(), operator.drivers.len()), (work, usize::from(work > 0)));
            assert_eq!(operator.shared.metrics.text().contains("\nupstream_params_leader 1\n"), leads);
            for of_the_leader in ["upstream_params_objects", "upstream_params_waiting_connections", "upstream_params_lease_renewal_age"] {
                assert_eq!(operator.shared.metrics.text().contains(of_the_leader), leads, "only who leads shows {of_the_leader}");
            }
        }
    }

    #[tokio::test]
    async fn what_an_object_left_is_told_also_where_its_tenant_is_gone_or_about_to_be() {
        let (mut operator, _wakes) = operator(0);
        let (orphans, mut told) = mpsc::unbounded_channel();
        operator.orphans = Some(orphans);
        operator.drivers.insert("closed".to_owned(), Mailbox::Closed);
        for tenant in ["closed", "never-there"] {
            let object = ObjectKey { namespace: "team".to_owned(), name: tenant.to_owned() };
            let left = |left: Option<Left>| Wake::Gone {
                object: object.clone(),
                tenant: tenant.to_owned(),
                target: None,
                connections: Vec::new(),
                left,
            };
            operator.deliver(left(None));
            let what = Left { object: object.clone(), records: Vec::new() };
            operator.deliver(left(Some(what.clone())));
            assert!(matches!(told.try_recv(), Ok(Change::Gone { left: Some(left), .. }) if left.object == object), "{tenant}");
            operator.deliver(Wake::Left { tenant: tenant.to_owned(), uid: "uid".into(), left: what, why: "" });
            assert!(matches!(told.try_recv(), Ok(Change::Left { .. })), "{tenant}");
            assert!(told.try_recv().is_err());
        }
    }

    #[tokio::test]
    async fn the_end_of_a_driver_that_was_not_let_go_is_an_error_and_so_is_any_panic() {
        let (mut operator, _wakes) = operator(0);
        operator.drivers.insert("open".to_owned(), Mailbox::Open(mpsc::unbounded_channel().0));
        operator.drivers.insert("closed".to_owned(), Mailbox::Closed);
        let mut ended =
            |task: Task, panicked: bool| operator.ended(Ended { task, panicked }).map_err(|error| Error::from(error).to_string());
        let driver = |name: &str| Task::Driver(name.to_owned());
        for (task, panicked, how) in [
            (driver("open"), false, "the driver of the ClusterAuth0Tenant open ended"),
            (driver("closed"), true, "the driver of the ClusterAuth0Tenant closed panicked"),
            (Task::Orphans, false, "the driver of objects without a tenant ended"),
            (Task::Server, false, "the server of health and metrics ended"),
            (Task::Watch("namespaces".to_owned()), false, "the watch of namespaces ended"),
        ] {
            assert!(ended(task, panicked).unwrap_err().starts_with(how), "{how}");
        }
        ended(driver("closed"), false).unwrap();
    }
}
