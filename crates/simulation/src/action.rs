//! What happens in a history, one thing at a time: what people do in the cluster and at Auth0, what becomes of processes.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use fastrand::Rng;

use crate::cluster::Kind;
use crate::declare::{CONNECTIONS, Declaration, ENTRIES, NAMESPACES, PARAMS, SLOTS, SecretDeclaration, TENANTS, TenantDeclaration};
use crate::network::{Ending, Fate};
use crate::noise::{self, Around, TenantAction};

/// The kinds that the operator watches.
pub const WATCHED: [Kind; 4] = [Kind::Object, Kind::Tenant, Kind::Namespace, Kind::Secret];

/// How a status is forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// It is empty.
    Erased,
    /// It says that all is well.
    Ready,
    /// It is that of another object.
    Copied(usize),
}

/// What becomes of requests about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseTrouble {
    /// They never arrive.
    Lost,
    /// They take effect, and nobody hears of it.
    Unanswered,
    /// They arrive so late.
    Late(Duration),
    /// Something on the way refuses them.
    Refused,
}

impl LeaseTrouble {
    /// As the network carries it out.
    pub fn fate(self) -> Fate {
        match self {
            Self::Lost => Fate { ending: Ending::Swallowed, ..Fate::PROMPT },
            Self::Unanswered => Fate { ending: Ending::NeverAnswered, ..Fate::PROMPT },
            Self::Late(out) => Fate { out, ..Fate::PROMPT },
            Self::Refused => Fate { ending: Ending::Refused(503), ..Fate::PROMPT },
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Action {
    /// An object is applied.
    Declare(usize, Declaration),
    /// An object is deleted.
    Delete(usize),
    /// Somebody writes the status of an object.
    Forge(usize, Forgery),
    /// Somebody takes our finalizer from an object.
    TakeFinalizer(usize),
    /// Somebody else's finalizer is set or taken.
    OtherFinalizer(usize, bool),
    /// An annotation of an object changes.
    Annotate(usize),
    /// A tenant object is applied; one of another domain is made anew, as the domain can't be changed.
    Tenant(usize, TenantDeclaration),
    /// A tenant object is deleted.
    DeleteTenant(usize),
    /// The status of a tenant object is erased.
    EraseTenantStatus(usize),
    /// The Secret of a tenant object is applied.
    Secret(usize, SecretDeclaration),
    /// The Secret of a tenant object is deleted.
    DeleteSecret(usize),
    /// A namespace gets the label `team` with this value, or none.
    Label(usize, Option<&'static str>),
    /// A namespace is deleted.
    DeleteNamespace(usize),
    /// A namespace is made, if there is none.
    CreateNamespace(usize),
    /// The same, with another label `team` than it has else, or none.
    CreateNamespaceWith(usize, Option<&'static str>),
    /// A backup is made.
    Backup,
    /// The objects of the backup are made anew, as Velero does it: without statuses, finalizers and uids.
    Restore,
    /// The store is set back to the backup.
    RestoreStore,
    /// The watches of all processes are cut; `true`: and the API server forgets what was before.
    CutWatches(bool),
    /// From now on the processes that run see changes of a kind so late.
    Lag(Kind, Duration),
    /// The same, of the process of one replica.
    LagOf(usize, Kind, Duration),
    /// From now on the answers to lists are so long on their way.
    SlowLists(Duration),
    /// Something happens at an Auth0 tenant.
    Auth0(usize, TenantAction),
    /// A replica is killed.
    Kill(usize),
    /// A replica is asked to end.
    Stop(usize),
    /// A replica is started, if it does not run.
    Start(usize),
    /// The wall clock of a replica jumps by so many seconds.
    JumpClock(usize, i64),
    /// A replica sleeps for so long, as with its machine: its monotonic clock stands still, and its wall clock is set right when it wakes.
    Sleep(usize, Duration),
    /// The Lease is deleted.
    DeleteLease,
    /// The API server is away for so long.
    Outage(Duration),
    /// For so long the requests of a replica about the Lease, and no others, come to this.
    TroubleLease(usize, LeaseTrouble, Duration),
    /// For so long the API server refuses every write to objects and tenant objects, as where a webhook is away.
    RefuseWrites(Duration),
    /// From now on writes to connections arrive so late.
    SlowWrites(Duration),
    /// One replica can't reach the API server for so long; all else can, and it can reach Auth0.
    CutOff(usize, Duration),
    /// Somebody asks for a look at an object, by this value; or asks no more.
    Ask(usize, Option<u8>),
    /// Somebody asks for a look at everything of a tenant, by this value; or asks no more.
    AskTenant(usize, Option<u8>),
}

/// What a history may do beside edits.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Mood {
    /// Whether statuses, finalizers and backups are tampered with.
    pub tampering: bool,
    /// Whether tenants, Secrets, access and namespaces change.
    pub administration: bool,
    /// Whether processes end and start.
    pub processes: bool,
    /// Whether Auth0 is touched by others, and fails.
    pub auth0: bool,
    /// Whether watches are cut and lag.
    pub watches: bool,
    /// How many objects there are at most.
    pub slots: usize,
    /// How many replicas there are.
    pub replicas: usize,
}

impl Mood {
    /// Draws one.
    pub fn draw(rng: &mut Rng) -> Self {
        let mut may = |percent: u8| rng.u8(..100) < percent;
        Self {
            tampering: may(40),
            administration: may(60),
            processes: may(60),
            auth0: may(80),
            watches: may(50),
            slots: 1 + usize::from(may(80)) + usize::from(may(60)) + usize::from(may(40)),
            replicas: 1 + usize::from(may(30)),
        }
    }
}

impl Action {
    /// Draws one.
    pub fn draw(rng: &mut Rng, mood: &Mood) -> Self {
        loop {
            let slot = rng.usize(..mood.slots);
            let drawn = match rng.u8(..100) {
                0..30 => Some(Self::Declare(slot, Declaration::draw(rng))),
                30..38 => Some(Self::Delete(slot)),
                38..40 => Some(Self::Annotate(slot)),
                40..60 => mood.auth0.then(|| Self::Auth0(usize::from(rng.u8(..8) == 0), auth0(rng))),
                60..68 => mood.tampering.then(|| Self::tampering(rng, slot)),
                68..82 => mood.administration.then(|| Self::administration(rng)),
                82..90 => mood.watches.then(|| Self::watches(rng)),
                _ => mood.processes.then(|| Self::process(rng, mood)),
            };
            if let Some(drawn) = drawn {
                return drawn;
            }
        }
    }

    /// Draws who asks for a look. Few values, so that some are asked by again.
    pub fn asking(rng: &mut Rng, mood: &Mood) -> Self {
        let value = (rng.u8(..6) > 0).then(|| rng.u8(..4));
        if rng.u8(..3) == 0 { Self::AskTenant(usize::from(rng.u8(..4) == 0), value) } else { Self::Ask(rng.usize(..mood.slots), value) }
    }

    fn tampering(rng: &mut Rng, slot: usize) -> Self {
        match rng.u8(..12) {
            0..3 => Self::Forge(slot, Forgery::Erased),
            3 => Self::Forge(slot, Forgery::Ready),
            4 => Self::Forge(slot, Forgery::Copied(rng.usize(..SLOTS.len()))),
            5..7 => Self::TakeFinalizer(slot),
            7 => Self::OtherFinalizer(slot, rng.bool()),
            8..10 => Self::Backup,
            10 => Self::Restore,
            _ => Self::RestoreStore,
        }
    }

    fn administration(rng: &mut Rng) -> Self {
        let tenant = usize::from(rng.u8(..4) == 0);
        match rng.u8(..20) {
            0..7 => {
                let domain = usize::from(rng.u8(..6) == 0);
                Self::Tenant(tenant, TenantDeclaration::draw(rng, domain))
            }
            7 => Self::DeleteTenant(tenant),
            8 => Self::EraseTenantStatus(tenant),
            9..12 => {
                Self::Secret(tenant, [SecretDeclaration::Right, SecretDeclaration::Wrong, SecretDeclaration::Incomplete][rng.usize(..3)])
            }
            12 => Self::DeleteSecret(tenant),
            13..17 => Self::Label(rng.usize(..NAMESPACES.len()), [None, Some("a"), Some("b")][rng.usize(..3)]),
            17 => Self::DeleteNamespace(rng.usize(..NAMESPACES.len())),
            _ => Self::CreateNamespace(rng.usize(..NAMESPACES.len())),
        }
    }

    fn watches(rng: &mut Rng) -> Self {
        match rng.u8(..7) {
            0..2 => return Self::CutWatches(rng.bool()),
            2 => return Self::Outage(Duration::from_secs([1, 12, 40][rng.usize(..3)])),
            _ => {}
        }
        let lag = [0, 0, 20, 300, 4_000][rng.usize(..5)];
        Self::Lag(WATCHED[rng.usize(..4)], Duration::from_millis(lag))
    }

    fn process(rng: &mut Rng, mood: &Mood) -> Self {
        let replica = rng.usize(..mood.replicas);
        match rng.u8(..10) {
            0..3 => Self::Kill(replica),
            3..5 => Self::Stop(replica),
            5..8 => Self::Start(replica),
            8 => Self::JumpClock(replica, [-7200, -30, 5, 30, 86_400][rng.usize(..5)]),
            _ if rng.bool() => Self::CutOff(replica, Duration::from_secs([8, 18, 30, 45][rng.usize(..4)])),
            _ => Self::DeleteLease,
        }
    }
}

fn auth0(rng: &mut Rng) -> TenantAction {
    static CONNECTION_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| CONNECTIONS.map(|(name, _)| name.to_owned()).to_vec());
    static DECLARED: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
        let each = |name: &&str| ENTRIES.map(|entry| ((*name).to_owned(), entry.to_owned()));
        PARAMS[..3].iter().flat_map(each).collect()
    });
    noise::draw(rng, &Around { connections: &CONNECTION_NAMES, params: &DECLARED })
}

/// An object as a story names it.
pub fn slot_name(slot: usize) -> String {
    let (namespace, name) = SLOTS[slot];
    format!("{namespace}/{name}")
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declare(slot, declaration) => write!(f, "somebody applies {}: {declaration}", slot_name(*slot)),
            Self::Delete(slot) => write!(f, "somebody deletes {}", slot_name(*slot)),
            Self::Forge(slot, Forgery::Erased) => write!(f, "somebody erases the status of {}", slot_name(*slot)),
            Self::Forge(slot, Forgery::Ready) => write!(f, "somebody writes into the status of {} that all is well", slot_name(*slot)),
            Self::Forge(slot, Forgery::Copied(other)) => {
                write!(f, "somebody copies the status of {} to {}", slot_name(*other), slot_name(*slot))
            }
            Self::TakeFinalizer(slot) => write!(f, "somebody takes our finalizer from {}", slot_name(*slot)),
            Self::OtherFinalizer(slot, true) => write!(f, "somebody puts another finalizer on {}", slot_name(*slot)),
            Self::OtherFinalizer(slot, false) => write!(f, "somebody takes the other finalizer from {}", slot_name(*slot)),
            Self::Annotate(slot) => write!(f, "somebody annotates {}", slot_name(*slot)),
            Self::Tenant(tenant, declaration) => write!(f, "somebody applies the tenant {}: {declaration}", TENANTS[*tenant]),
            Self::DeleteTenant(tenant) => write!(f, "somebody deletes the tenant {}", TENANTS[*tenant]),
            Self::EraseTenantStatus(tenant) => write!(f, "somebody erases the status of the tenant {}", TENANTS[*tenant]),
            Self::Secret(tenant, what) => write!(f, "somebody applies the Secret of the tenant {}: {what:?}", TENANTS[*tenant]),
            Self::DeleteSecret(tenant) => write!(f, "somebody deletes the Secret of the tenant {}", TENANTS[*tenant]),
            Self::Label(namespace, Some(team)) => write!(f, "the namespace {} gets the label team={team}", NAMESPACES[*namespace]),
            Self::Label(namespace, None) => write!(f, "the namespace {} loses its label", NAMESPACES[*namespace]),
            Self::DeleteNamespace(namespace) => write!(f, "somebody deletes the namespace {}", NAMESPACES[*namespace]),
            Self::CreateNamespace(namespace) => write!(f, "somebody creates the namespace {}", NAMESPACES[*namespace]),
            Self::CreateNamespaceWith(namespace, Some(team)) => {
                write!(f, "somebody creates the namespace {} with the label team={team}", NAMESPACES[*namespace])
            }
            Self::CreateNamespaceWith(namespace, None) => {
                write!(f, "somebody creates the namespace {} without a label", NAMESPACES[*namespace])
            }
            Self::Backup => f.write_str("a backup of the cluster is made"),
            Self::Restore => f.write_str("the objects of the backup are made anew"),
            Self::RestoreStore => f.write_str("the store of the cluster is set back to the backup"),
            Self::CutWatches(false) => f.write_str("all watches are cut"),
            Self::CutWatches(true) => f.write_str("all watches are cut, and the API server forgets what was before"),
            Self::Lag(kind, lag) => write!(f, "from now on, changes of {kind:?} are seen {} ms late", lag.as_millis()),
            Self::LagOf(replica, kind, lag) => {
                write!(f, "from now on, replica {replica} sees changes of {kind:?} {} ms late", lag.as_millis())
            }
            Self::SlowLists(span) => write!(f, "from now on the answers to lists are {} ms on their way", span.as_millis()),
            Self::Auth0(tenant, action) => write!(f, "at {}: {action}", crate::declare::DOMAINS[*tenant]),
            Self::Kill(replica) => write!(f, "replica {replica} is killed"),
            Self::Stop(replica) => write!(f, "replica {replica} is asked to end"),
            Self::Start(replica) => write!(f, "replica {replica} is started"),
            Self::JumpClock(replica, seconds) => write!(f, "the wall clock of replica {replica} jumps by {seconds} s"),
            Self::Sleep(replica, span) => write!(f, "replica {replica} was asleep for {} s, and wakes", span.as_secs()),
            Self::DeleteLease => f.write_str("somebody deletes the Lease"),
            Self::TroubleLease(replica, how, span) => {
                let what = match how {
                    LeaseTrouble::Lost => "are lost".to_owned(),
                    LeaseTrouble::Unanswered => "take effect, and are not answered".to_owned(),
                    LeaseTrouble::Late(late) => format!("arrive {} ms late", late.as_millis()),
                    LeaseTrouble::Refused => "are refused on the way".to_owned(),
                };
                write!(f, "for {} s requests of replica {replica} about the Lease {what}", span.as_secs())
            }
            Self::RefuseWrites(span) => write!(f, "the API server refuses writes to our kinds for {} s", span.as_secs()),
            Self::SlowWrites(span) => write!(f, "from now on writes to connections arrive {} ms late", span.as_millis()),
            Self::CutOff(replica, span) => write!(f, "replica {replica} can't reach the API server for {} s", span.as_secs()),
            Self::Ask(slot, Some(value)) => write!(f, "somebody asks for a look at {}, by {value}", slot_name(*slot)),
            Self::Ask(slot, None) => write!(f, "nobody asks for a look at {} any more", slot_name(*slot)),
            Self::AskTenant(tenant, Some(value)) => {
                write!(f, "somebody asks for a look at all of the tenant {}, by {value}", TENANTS[*tenant])
            }
            Self::AskTenant(tenant, None) => write!(f, "nobody asks for a look at all of the tenant {} any more", TENANTS[*tenant]),
            Self::Outage(span) => write!(f, "the API server is away for {} s", span.as_secs()),
        }
    }
}
