//! The declared objects: found by key, by tenant, and by the connection that concerns them.
//!
//! Guarantees: the index says what a look at every object would say, whatever was put in, changed and taken out; a find
//! costs what it finds, and a change the logarithm of how many there are, also where thousands name one connection.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::{Declared, ObjectKey};
use crate::core::pass::claims;
use crate::core::spec::Target;
use crate::model::identity::{ConnectionId, ConnectionName, TenantIdentity};

/// A connection of a tenant, by as much as is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    /// The name of the tenant object.
    pub tenant: &'a str,
    /// The identity of the Auth0 tenant that it stands for; `None` while it does not serve.
    pub identity: Option<&'a TenantIdentity>,
    /// Its id, when it is known.
    pub id: Option<&'a ConnectionId>,
    /// Its name, when it is known.
    pub name: Option<&'a ConnectionName>,
}

impl Connection<'_> {
    /// Who is concerned by a connection: every object of its tenant that names it, by its name or by its id, and every one
    /// whose status holds a record on its id.
    ///
    /// That is all there is to it. Whether an object is admitted, valid, being deleted, or in a namespace that is not known
    /// yet decides what is done about it, and not whether it is asked. A record of another Auth0 tenant, which the tenant
    /// object stood for before, is none on this connection.
    pub fn concerns(&self, object: &Declared) -> bool {
        object.policies.tenant == self.tenant && (self.is_named_by(object) || self.is_recorded_by(object))
    }

    /// Whether the spec names it.
    pub fn is_named_by(&self, object: &Declared) -> bool {
        object.spec.as_ref().is_ok_and(|spec| match &spec.target {
            Target::Name(name) => self.name == Some(name),
            Target::Id(id) => self.id == Some(id),
        })
    }

    /// Whether the status holds a record on it.
    pub fn is_recorded_by(&self, object: &Declared) -> bool {
        claims::connections_at(&object.status, self.identity).any(|id| self.id == Some(&id))
    }

    /// Whether an object has a say about one of these parameters of it: it declares one here, and is there to stay, or has a
    /// record of one.
    pub fn hears(&self, object: &Declared, names: &BTreeSet<String>) -> bool {
        let declares = object.spec.as_ref().is_ok_and(|spec| names.iter().any(|name| spec.params.contains_key(name)));
        let records = || {
            let claims = self.id.map(|id| claims::on(&object.status, id)).unwrap_or_default();
            claims.iter().any(|(name, claim)| names.contains(name) && !claim.owned.is_empty())
        };
        (declares && !object.deleting && self.is_named_by(object)) || records()
    }
}

/// Shared by the map and the index.
type Key = Arc<ObjectKey>;

/// Objects by key, with an index of whom a connection concerns.
#[derive(Debug, Default)]
pub(super) struct Objects {
    by_key: BTreeMap<Key, Arc<Declared>>,
    tenants: BTreeMap<String, OfTenant>,
}

/// The objects of one tenant: all, by the connection that they name, and by the ids that they hold records on.
#[derive(Debug, Default)]
struct OfTenant {
    all: BTreeSet<Key>,
    named: BTreeSet<(Target, Key)>,
    recorded: BTreeSet<(ConnectionId, Key)>,
}

impl Objects {
    /// The object of this name.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&Arc<Declared>> {
        self.by_key.get(key)
    }

    /// All objects.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Declared>> {
        self.by_key.values()
    }

    /// The objects of one namespace.
    pub(super) fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &Arc<Declared>> {
        let first = ObjectKey { namespace: namespace.to_owned(), name: String::new() };
        let from_there = self.by_key.range::<ObjectKey, _>((Bound::Included(&first), Bound::Unbounded)).map(|(_, object)| object);
        from_there.take_while(move |object| object.key.namespace == first.namespace)
    }

    /// The objects that name this tenant.
    pub(super) fn of(&self, tenant: &str) -> impl Iterator<Item = &Arc<Declared>> {
        self.found(self.tenants.get(tenant).into_iter().flat_map(|of| &of.all))
    }

    /// The tenants that are named, whether they exist or not.
    pub(super) fn tenants(&self) -> impl Iterator<Item = &str> {
        self.tenants.keys().map(String::as_str)
    }

    /// The objects that a connection concerns ([`Connection::concerns`]).
    pub(super) fn concerned(&self, connection: &Connection<'_>) -> impl Iterator<Item = &Arc<Declared>> {
        let Connection { tenant, identity: _, id, name } = *connection;
        let mut keys = BTreeSet::new();
        if let Some(of) = self.tenants.get(tenant) {
            keys.extend(id.into_iter().flat_map(|id| at(&of.recorded, id.clone())));
            keys.extend(id.into_iter().flat_map(|id| at(&of.named, Target::Id(id.clone()))));
            keys.extend(name.into_iter().flat_map(|name| at(&of.named, Target::Name(name.clone()))));
        }
        // The index does not know at which Auth0 tenant a record was made.
        self.found(keys.into_iter()).filter(|object| connection.concerns(object))
    }

    fn found<'a>(&'a self, keys: impl Iterator<Item = &'a Key>) -> impl Iterator<Item = &'a Arc<Declared>> {
        keys.filter_map(|key| self.by_key.get(key))
    }

    /// Puts an object in, in the place of the one of its name.
    pub(super) fn insert(&mut self, object: Declared) {
        self.remove(&object.key);
        let key = Key::new(object.key.clone());
        self.tenants.entry(object.policies.tenant.clone()).or_default().insert(&key, &object);
        self.by_key.insert(key, Arc::new(object));
    }

    /// Takes an object out.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> Option<Arc<Declared>> {
        let (key, object) = self.by_key.remove_entry(key)?;
        self.leave(&key, &object);
        Some(object)
    }

    /// Changes an object in its place.
    pub(super) fn change(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Declared)) {
        let Some((key, mut object)) = self.by_key.remove_entry(key) else { return };
        self.leave(&key, &object);
        change(Arc::make_mut(&mut object));
        self.tenants.entry(object.policies.tenant.clone()).or_default().insert(&key, &object);
        self.by_key.insert(key, object);
    }

    fn leave(&mut self, key: &Key, object: &Declared) {
        let tenant = object.policies.tenant.as_str();
        let Some(of) = self.tenants.get_mut(tenant) else { return };
        of.remove(key, object);
        if of.all.is_empty() {
            self.tenants.remove(tenant);
        }
    }
}

impl OfTenant {
    fn insert(&mut self, key: &Key, object: &Declared) {
        self.all.insert(key.clone());
        self.named.extend(named(key, object));
        self.recorded.extend(recorded(key, object));
    }

    fn remove(&mut self, key: &Key, object: &Declared) {
        self.all.remove(key);
        for entry in named(key, object) {
            self.named.remove(&entry);
        }
        for entry in recorded(key, object) {
            self.recorded.remove(&entry);
        }
    }
}

fn named(key: &Key, object: &Declared) -> impl Iterator<Item = (Target, Key)> {
    object.spec.iter().map(|spec| (spec.target.clone(), key.clone()))
}

fn recorded(key: &Key, object: &Declared) -> impl Iterator<Item = (ConnectionId, Key)> {
    claims::connections(&object.status).map(|id| (id, key.clone()))
}

/// The keys that stand behind this.
fn at<T: Ord + Clone>(index: &BTreeSet<(T, Key)>, this: T) -> impl Iterator<Item = &Key> {
    index.range((this.clone(), Key::default())..).take_while(move |(one, _)| *one == this).map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::api::upstream_params::{ConnectionStatus, ParamState, ParamStatus, UpstreamParamsStatus};
    use crate::core::world::World;
    use crate::tests::builders::object;
    use crate::tests::seeds;

    const PLACES: [&str; 3] = ["red", "green", "blue"];

    /// What may happen to the world. Numbers stand for one of few, so that things meet.
    #[derive(Clone, Debug)]
    enum Event {
        Apply(Box<Declared>),
        Delete { name: usize, uid: usize },
        List { all: bool, objects: Vec<Declared> },
        Wrote { name: usize, status: UpstreamParamsStatus },
    }

    fn place() -> impl Strategy<Value = &'static str> {
        (0..PLACES.len()).prop_map(|place| PLACES[place])
    }

    fn id(place: &str) -> ConnectionId {
        ConnectionId::parse(&format!("con_{place}")).unwrap()
    }

    fn name(place: &str) -> ConnectionName {
        ConnectionName::parse(place).unwrap()
    }

    fn key(name: usize) -> ObjectKey {
        ObjectKey { namespace: PLACES[name % 2].to_owned(), name: format!("object-{name}") }
    }

    /// A status with entries that hold a record, and with some that don't.
    fn status() -> impl Strategy<Value = UpstreamParamsStatus> {
        let entry = (place(), proptest::option::of(place()), any::<bool>()).prop_map(|(place, tenant, owns)| {
            let owned = if owns { vec!["print".to_owned()] } else { Vec::new() };
            let param = ParamStatus { name: "blog".to_owned(), state: ParamState::InSync, owned, applied: None };
            ConnectionStatus {
                id: id(place).to_string(),
                tenant: tenant.map(str::to_owned),
                params: vec![param],
                ..ConnectionStatus::default()
            }
        });
        vec(entry, 0..3).prop_map(|connections| UpstreamParamsStatus { connections, ..UpstreamParamsStatus::default() })
    }

    fn declared() -> impl Strategy<Value = Declared> {
        let target = proptest::option::weighted(0.9, (any::<bool>(), place()));
        let version = (0..2_usize, 0..4_i64);
        (0..5_usize, place(), target, status(), version).prop_map(|(nth, tenant, target, status, (uid, version))| {
            let mut new = match target {
                Some(_) => object("x"),
                None => object("x").invalid(),
            };
            if let (Ok(spec), Some((by_id, place))) = (&mut new.spec, target) {
                spec.target = if by_id { Target::Id(id(place)) } else { Target::Name(name(place)) };
            }
            new.policies.tenant = tenant.to_owned();
            Declared { key: key(nth), uid: format!("uid-{uid}").into(), resource_version: version.to_string(), status, ..new }
        })
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            6 => declared().prop_map(|object| Event::Apply(Box::new(object))),
            2 => (0..5_usize, 0..2_usize).prop_map(|(name, uid)| Event::Delete { name, uid }),
            1 => (any::<bool>(), vec(declared(), 0..4)).prop_map(|(all, objects)| Event::List { all, objects }),
            3 => (0..5_usize, status()).prop_map(|(name, status)| Event::Wrote { name, status }),
        ]
    }

    fn happens(world: &mut World, event: Event) {
        match event {
            Event::Apply(object) => drop(world.apply_object(*object)),
            Event::Delete { name, uid } => drop(world.delete_object(&key(name), &format!("uid-{uid}").into())),
            Event::List { all, mut objects } => {
                let namespace = (!all).then_some(PLACES[0]);
                objects.retain(|object| all || object.key.namespace == PLACES[0]);
                world.objects_are_listed(namespace);
                world.list_objects(namespace, objects);
            }
            Event::Wrote { name, status } => {
                for uid in ["uid-0", "uid-1"] {
                    world.wrote(&key(name), &uid.into(), "3", |object| object.status = status.clone());
                }
            }
        }
    }

    /// Everything that can be asked, answered by the index and by a look at every object.
    fn agrees(world: &World) -> Result<(), TestCaseError> {
        let scan = |keep: &dyn Fn(&Declared) -> bool| world.objects().filter(|object| keep(object)).cloned().collect::<Vec<_>>();
        let ids: Vec<_> = PLACES.into_iter().map(|place| Some(id(place))).chain([None]).collect();
        let names: Vec<_> = PLACES.into_iter().map(|place| Some(name(place))).chain([None]).collect();
        let identities: Vec<_> = PLACES.into_iter().map(|place| Some(TenantIdentity::from_status(place))).chain([None]).collect();
        for tenant in PLACES {
            prop_assert_eq!(world.objects_of(tenant).cloned().collect::<Vec<_>>(), scan(&|object| object.policies.tenant == tenant));
            let inside: Vec<_> = world.objects.in_namespace(tenant).cloned().collect();
            prop_assert_eq!(inside, scan(&|object| object.key.namespace == tenant));
            for (id, name) in ids.iter().flat_map(|id| names.iter().map(move |name| (id.as_ref(), name.as_ref()))) {
                for identity in &identities {
                    let connection = Connection { tenant, identity: identity.as_ref(), id, name };
                    prop_assert_eq!(world.concerned(&connection), scan(&|object| connection.concerns(object)), "{:?}", connection);
                }
            }
        }
        let tenants: BTreeSet<&str> = world.objects().map(|object| object.policies.tenant.as_str()).collect();
        prop_assert_eq!(world.objects.tenants().collect::<BTreeSet<_>>(), tenants);
        Ok(())
    }

    #[test]
    fn the_index_says_what_a_look_at_every_object_says_after_any_history() {
        seeds::hold(200, &vec(event(), 1..20), |events| {
            let mut world = World::default();
            for event in events {
                happens(&mut world, event);
                agrees(&world)?;
            }
            Ok(())
        });
    }

    #[test]
    fn an_object_is_concerned_by_what_it_names_and_by_what_it_has_a_record_on() {
        let record = ParamStatus { name: "blog".to_owned(), state: ParamState::InSync, owned: vec!["print".to_owned()], applied: None };
        let mut both = object("a").at("shop");
        let entry =
            ConnectionStatus { id: id("red").to_string(), tenant: Some("host".to_owned()), params: vec![record], ..Default::default() };
        both.status.connections = vec![entry];
        let (red, green, shop, store) = (id("red"), id("green"), name("shop"), name("store"));
        let (host, other) = (TenantIdentity::from_status("host"), TenantIdentity::from_status("other"));
        let connection = Connection { tenant: "default", identity: Some(&host), id: Some(&green), name: Some(&store) };
        for (connection, named, recorded) in [
            (connection, false, false),
            (Connection { name: Some(&shop), ..connection }, true, false),
            (Connection { id: Some(&red), ..connection }, false, true),
            (Connection { id: Some(&red), identity: Some(&other), ..connection }, false, false),
            (Connection { id: Some(&red), identity: None, name: None, ..connection }, false, true),
        ] {
            assert_eq!((connection.is_named_by(&both), connection.is_recorded_by(&both)), (named, recorded), "{connection:?}");
            assert_eq!(connection.concerns(&both), named || recorded, "{connection:?}");
            assert!(!Connection { tenant: "other", ..connection }.concerns(&both));
        }
    }
}
