//! A small tenant and a small cluster in memory, and a driver that takes the steps of a pass in order: what the laws
//! are tested on. It checks at every write that the write was permitted, claimed first, and touched nothing else.
//!
//! It shares no judgement with the planner: what a write may do is decided here anew, from the records and the specs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::upstream_params::{AdoptionPolicy, ManagementPolicy, ParamState, UpstreamParamsStatus};
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::pass::claims::{self, Place};
use crate::core::pass::plan::{Participant, Plan, Role, Site, plan};
use crate::core::spec::{self, Target};
use crate::core::status::{self, Context, Finalizer, Outcome, Planned, WriteOutcome};
use crate::core::world::{Declared, Uid};
use crate::model::document::{Document, Entry};
use crate::testing::builders::{ELSEWHERE, ELSEWHERE_NAME, HERE, HERE_NAME, TENANT, described};

/// The members of a JSON object as text.
pub(crate) fn members(text: &str) -> BTreeMap<String, String> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
    members.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect()
}

/// A connection as its tenant stores it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Remote {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) options: String,
}

impl Remote {
    fn document(&self, id: &str) -> Document {
        let Self { name, display_name, options } = self;
        let text = format!(r#"{{"id":"{id}","name":"{name}","display_name":{display_name},"strategy":"oauth2","options":{options}}}"#);
        Document::parse(&text).unwrap()
    }

    /// Replaces `options` whole, and resets the display name unless it came along, as the API does.
    fn patch(&mut self, body: &str) {
        let mut body = members(body);
        self.options = body.remove("options").unwrap();
        self.display_name = body.remove("display_name").unwrap_or_else(|| format!("\"{}\"", self.name));
        assert!(body.is_empty(), "nothing else may be sent");
    }

    /// Everything that is not ours.
    pub(crate) fn foreign(&self) -> BTreeMap<String, String> {
        let mut foreign = members(&self.options);
        foreign.remove("upstream_params");
        foreign.insert("display_name of the connection".into(), self.display_name.clone());
        foreign
    }

    /// The parameters as text.
    pub(crate) fn params(&self) -> BTreeMap<String, String> {
        members(&self.options).get("upstream_params").filter(|text| *text != "null").map(|text| members(text)).unwrap_or_default()
    }

    /// What somebody else does to one parameter.
    pub(crate) fn meddle(&mut self, name: &str, entry: Option<&str>) {
        let mut options = members(&self.options);
        let mut params = self.params();
        match entry {
            Some(entry) => params.insert(name.to_owned(), entry.to_owned()),
            None => params.remove(name),
        };
        options.insert("upstream_params".into(), join(&params));
        self.options = join(&options);
    }
}

/// A JSON object of members that are text already.
pub(crate) fn join(members: &BTreeMap<String, String>) -> String {
    let members: Vec<String> = members.iter().map(|(name, text)| format!("{}:{text}", Value::from(name.as_str()))).collect();
    format!("{{{}}}", members.join(","))
}

/// What becomes of a PATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It takes effect and is answered.
    Works,
    /// It takes no effect, and the pass knows nothing of that.
    Fails,
    /// It takes effect, and the answer is lost.
    AnswerLost,
}

/// Where a pass is cut short: after this many calls, as by a crash. And whose writes the API server refuses throughout, as where
/// somebody edits an object all the time: the one of this number among the objects of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Luck {
    pub(crate) calls: usize,
    pub(crate) fate: Fate,
    pub(crate) refused: Option<usize>,
}

impl Luck {
    pub(crate) const GOOD: Self = Self { calls: usize::MAX, fate: Fate::Works, refused: None };

    fn call(&mut self) -> Result<(), Cut> {
        self.calls = self.calls.checked_sub(1).ok_or(Cut)?;
        Ok(())
    }
}

/// The pass was cut short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

/// One object's part in a pass.
struct Part {
    object: Declared,
    placed: bool,
    observes: bool,
    role: Option<Role>,
    warnings: Vec<String>,
    settled: Option<Outcome>,
}

/// The tenant and the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Simulator {
    pub(crate) connections: BTreeMap<String, Remote>,
    pub(crate) objects: BTreeMap<Uid, Declared>,
    /// Which object the tenant does not admit to which connection.
    pub(crate) denied: BTreeSet<(Uid, String)>,
    pub(crate) tenant_observes: bool,
    /// The connections to which a write may still be under way: nothing is written to them meanwhile.
    pub(crate) unsettled: BTreeSet<String>,
    now: i64,
    pub(crate) patches: usize,
}

impl Simulator {
    /// A tenant with two connections of these options.
    pub(crate) fn new(here: &str, elsewhere: &str) -> Self {
        let remote =
            |name: &str, options: &str| Remote { name: name.into(), display_name: r#""As \u0061lways""#.into(), options: options.into() };
        Self {
            connections: BTreeMap::from([
                (HERE.to_owned(), remote(HERE_NAME, here)),
                (ELSEWHERE.to_owned(), remote(ELSEWHERE_NAME, elsewhere)),
            ]),
            objects: BTreeMap::new(),
            denied: BTreeSet::new(),
            tenant_observes: false,
            unsettled: BTreeSet::new(),
            now: 0,
            patches: 0,
        }
    }

    fn observes(&self, object: &Declared) -> bool {
        self.tenant_observes || object.policies.management == ManagementPolicy::Observe
    }

    fn permits(&self, object: &Declared, id: &str) -> bool {
        !self.denied.contains(&(object.uid.clone(), id.to_owned()))
    }

    fn names(&self, object: &Declared, id: &str) -> bool {
        let name = &self.connections[id].name;
        object.spec.as_ref().is_ok_and(|spec| match &spec.target {
            Target::Name(target) => **target == **name,
            Target::Id(target) => *target == id,
        })
    }

    fn target(&self, object: &Declared) -> Option<&String> {
        self.connections.keys().find(|id| self.names(object, id))
    }

    /// The contract between the driver and the core: who may do what on a connection.
    fn part(&self, object: &Declared, id: &str, document: &Document) -> Option<Part> {
        let (placed, observes) = (self.names(object, id), self.observes(object));
        let recorded = claims::connections(&object.status).any(|recorded| recorded == id);
        if !placed && !recorded {
            return None;
        }
        let part = |role, settled| Part { object: object.clone(), placed, observes, role, warnings: Vec::new(), settled };
        let bystander = recorded.then_some(Role::Bystander);
        let released = |why: &str| part(None, Some(Outcome::Released(why.to_owned())));
        let accepted = self.target(object).is_some_and(|target| status::is_accepted_on(object, &target.as_str().into()));
        if !self.permits(object, id) {
            return Some(match (object.deleting, placed) {
                (true, _) => released("the tenant does not admit it"),
                (false, true) => part(bystander, Some(Outcome::NotPermitted("the tenant does not admit it".into()))),
                // What became invalid may still mean this connection, and what observes carries its record.
                (false, false) => {
                    part(bystander, (accepted && !observes).then(|| Outcome::Planned(Planned::left(object, &id.into(), described(id)))))
                }
            });
        }
        if object.deleting {
            let removes = object.cleans_up() && !self.tenant_observes;
            let lost = !claims::any(&object.status);
            if removes && lost && !object.spec.as_ref().is_ok_and(|spec| spec::against_connection(spec, document, &BTreeSet::new()).is_ok())
            {
                return Some(released("nothing is recorded as its own"));
            }
            return Some(if removes { part(Some(Role::Leaver), None) } else { released("it only observes, or retains") });
        }
        // An object that only observes holds nothing.
        let holder = if observes { bystander } else { recorded.then_some(Role::Holder) };
        let Ok(spec) = &object.spec else { return Some(part(holder, None)) };
        if !placed {
            let role = match (observes, accepted) {
                (true, _) => bystander,
                (false, true) => Some(Role::Leaver),
                (false, false) => Some(Role::Mover),
            };
            return Some(part(role, None));
        }
        Some(match spec::against_connection(spec, document, &BTreeSet::new()) {
            Err((reason, message)) => part(holder, Some(Outcome::Refused { reason, message })),
            Ok(warnings) => Part { warnings, ..part(Some(if observes { Role::Observer } else { Role::Owner }), None) },
        })
    }

    fn parts(&self, id: &str) -> Vec<Part> {
        let document = self.connections[id].document(id);
        self.objects.values().filter_map(|object| self.part(object, id, &document)).collect()
    }

    /// What the planner is given, in the order of `sorted`.
    pub(crate) fn plan(&self, id: &str, reversed: bool) -> Plan {
        let mut parts = self.parts(id);
        if reversed {
            parts.reverse();
        }
        self.plan_for(id, &parts)
    }

    fn plan_for(&self, id: &str, parts: &[Part]) -> Plan {
        let live = self.connections[id].document(id).live().unwrap();
        let participants: Vec<Participant<'_>> =
            parts.iter().filter_map(|part| part.role.map(|role| Participant { object: &part.object, role })).collect();
        let site = Site {
            place: Place { tenant: &TENANT, connection: &id.into() },
            live: &live,
            disputes: &BTreeMap::new(),
            unsettled: self.unsettled.contains(id),
        };
        plan(site, &participants, self.tenant_observes)
    }

    /// One pass over one connection.
    pub(crate) fn pass(&mut self, id: &str, mut luck: Luck) -> Result<(), Cut> {
        self.now += 1;
        let before = self.clone();
        let parts = self.parts(id);
        let mut plan = self.plan_for(id, &parts);
        let refused = luck.refused.and_then(|number| parts.get(number)).map(|part| part.object.uid.clone());
        let mut ending = WriteOutcome::Nothing;
        if self.unsettled.contains(id) {
            return self.conclude(id, &plan, parts, &WriteOutcome::Postponed(unavailable()), refused.as_ref(), &mut luck);
        }
        let mut parts = parts;
        let writes = !plan.changes.is_empty();
        if !plan.is_empty() {
            assert!(!self.tenant_observes, "nothing is written to a tenant that only observes");
            let claimed = self.claim(id, &plan, refused.as_ref(), &mut luck)?;
            let left: BTreeSet<Uid> = plan.acted_for().difference(&claimed).cloned().collect();
            plan.retain_adopted(&claimed);
            plan.retain_claimed(&claimed);
            if if writes { plan.changes.is_empty() } else { plan.adopted.is_empty() } {
                // It came to no result.
                return Ok(());
            }
            if luck.fate == Fate::Works && writes {
                parts.retain(|part| !left.contains(&part.object.uid));
            }
        }
        if writes {
            luck.call()?;
            if luck.fate != Fate::Fails {
                self.write(id, &plan, &before);
            }
            luck.call()?;
            plan.written = luck.fate == Fate::Works;
            ending = if plan.written { WriteOutcome::Written } else { WriteOutcome::Failed(unavailable()) };
        }
        self.conclude(id, &plan, parts, &ending, refused.as_ref(), &mut luck)?;
        if luck.fate == Fate::Works && refused.is_none() {
            assert!(self.plan(id, false).changes.is_empty(), "a plan that was carried out leaves nothing to plan");
        }
        Ok(())
    }

    fn claim(&mut self, id: &str, plan: &Plan, refused: Option<&Uid>, luck: &mut Luck) -> Result<BTreeSet<Uid>, Cut> {
        let now = self.timestamp();
        let mut claimed = BTreeSet::new();
        for uid in plan.acted_for().into_iter().filter(|uid| Some(uid) != refused) {
            let object = self.objects.get_mut(&uid).unwrap();
            if object.cleans_up() && !object.finalizer && !object.deleting {
                luck.call()?;
                object.finalizer = true;
            }
            luck.call()?;
            object.status = status::claimed(object, &described(id), &plan.claims_of(&uid), &plan.removed_for(&uid), now);
            assert_small(object);
            claimed.insert(uid);
        }
        Ok(claimed)
    }

    fn timestamp(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.now).unwrap()
    }

    fn write(&mut self, id: &str, plan: &Plan, before: &Self) {
        let remote = self.connections[id].clone();
        let body = remote.document(id).patch_body(&plan.entries()).unwrap();
        self.patches += 1;
        self.connections.get_mut(id).unwrap().patch(body.as_str());
        self.check_write(id, before);
    }

    /// Who adopts a name has stored its claim already; it is told last, when nobody else has a record of the name.
    fn conclude(
        &mut self,
        id: &str,
        plan: &Plan,
        mut parts: Vec<Part>,
        ending: &WriteOutcome,
        refused: Option<&Uid>,
        luck: &mut Luck,
    ) -> Result<(), Cut> {
        parts.sort_by_key(|part| plan.adopts(&part.object.uid));
        let silent = |uid: Uid| plan.unadopted.contains(&uid) || parts.iter().all(|part| part.object.uid != uid);
        let mut given_up = !plan.losers().into_iter().any(silent);
        for part in parts {
            let uid = &part.object.uid;
            if (!given_up && plan.adopts(uid)) || plan.unadopted.contains(uid) {
                continue;
            }
            let losses = plan.losses(uid);
            let outcome = match (part.settled, part.role) {
                (Some(outcome), _) => outcome,
                (None, None | Some(Role::Holder | Role::Mover | Role::Bystander)) if losses.is_empty() => continue,
                (None, None | Some(Role::Holder | Role::Mover | Role::Bystander)) => Outcome::Displaced,
                (None, Some(Role::Owner | Role::Observer | Role::Leaver)) => {
                    let deferred = plan.deferred.keys().any(|name| plan.defers(name, uid));
                    let ending = match (plan.acted_for().contains(uid), deferred) {
                        (true, _) => ending.clone(),
                        (false, true) => WriteOutcome::Postponed(unavailable()),
                        (false, false) => WriteOutcome::Nothing,
                    };
                    Outcome::Planned(Planned::part(plan, &self.objects[uid], described(id), part.warnings, ending))
                }
            };
            if Some(uid) == refused {
                given_up &= plan.adopts(uid);
                continue;
            }
            let stored = self.objects[uid].status.clone();
            self.objects.get_mut(uid).unwrap().status = claims::without(stored.clone(), &id.into(), &losses);
            self.say(uid, &outcome, part.placed, part.observes, &stored, luck)?;
        }
        Ok(())
    }

    /// `stored` is the status that is replaced: what is concluded from may lack records that have just been lost.
    fn say(
        &mut self,
        uid: &Uid,
        outcome: &Outcome,
        placed: bool,
        observing: bool,
        stored: &UpstreamParamsStatus,
        luck: &mut Luck,
    ) -> Result<(), Cut> {
        let context = Context {
            now: self.timestamp(),
            observing,
            placed,
            since_good_look: Duration::ZERO,
            stale_after: Duration::from_mins(30),
            unready_for: Duration::ZERO,
        };
        let object = self.objects.get_mut(uid).unwrap();
        let conclusion = status::conclude(object, outcome, &context);
        object.status = stored.clone();
        if conclusion.finalizer == Finalizer::Add {
            luck.call()?;
            object.finalizer = true;
        }
        // What goes with the finalizer takes its status along: two writes could be cut short in between.
        let goes = object.deleting && conclusion.finalizer == Finalizer::Remove;
        if conclusion.status != object.status && !goes {
            luck.call()?;
            object.status = conclusion.status;
        }
        assert_small(object);
        if placed && !object.deleting {
            crate::testing::consumers::assert_sound(object);
        }
        if conclusion.finalizer == Finalizer::Remove {
            luck.call()?;
            object.finalizer = false;
            if object.deleting {
                self.objects.remove(uid);
            }
        }
        Ok(())
    }

    /// Concludes the objects that name no connection, because their spec can't be read.
    fn conclude_homeless(&mut self) {
        let homeless: Vec<(Uid, Outcome, bool)> = self
            .objects
            .values()
            .filter_map(|object| object.spec.as_ref().err().map(|refusal| (object, refusal)))
            .map(|(object, refusal)| (object.uid.clone(), Outcome::Invalid(refusal.clone()), self.observes(object)))
            .collect();
        for (uid, outcome, observes) in homeless {
            let object = &self.objects[&uid];
            // One that is being deleted and owns something is concluded where it owns it.
            if !(object.deleting && claims::any(&object.status)) {
                let stored = object.status.clone();
                self.say(&uid, &outcome, true, observes, &stored, &mut Luck { ..Luck::GOOD }).unwrap();
            }
        }
    }

    /// Passes over everything, until a round changes nothing.
    pub(crate) fn settle(&mut self) {
        for _ in 0..8 {
            let before = self.clone();
            self.conclude_homeless();
            for id in before.connections.keys() {
                self.pass(id, Luck::GOOD).unwrap();
            }
            if before.objects == self.objects && before.connections == self.connections {
                assert_eq!(before.patches, self.patches, "a write that changes nothing is a write too many");
                return self.assert_one_owner_each();
            }
        }
        panic!("it never comes to rest: {self:#?}");
    }

    fn assert_one_owner_each(&self) {
        let mut owners = BTreeSet::new();
        for (object, entry) in self.objects.values().flat_map(|object| object.status.connections.iter().map(move |entry| (object, entry))) {
            if self.observes(object) || !self.permits(object, &entry.id) {
                continue;
            }
            for param in entry.params.iter().filter(|param| matches!(param.state, ParamState::InSync | ParamState::Applied)) {
                assert!(owners.insert((&entry.id, &param.name)), "two own {} on {}", param.name, entry.id);
            }
        }
    }

    // ---- what a write may do ----

    /// Whether a record proves a value, or a deletion with a finalizer and no record finds it equal to its spec.
    fn proves(&self, object: &Declared, id: &str, name: &str, text: &str) -> bool {
        let Some(entry) = entry(text) else { return false };
        if self.observes(object) || !self.permits(object, id) {
            return false;
        }
        let recorded = object.status.connections.iter().filter(|connection| connection.id == id).flat_map(|connection| &connection.params);
        let print = Place { tenant: &TENANT, connection: &id.into() }.fingerprint(name, &entry);
        let restored = object.deleting && object.finalizer && !claims::any(&object.status) && self.names(object, id);
        recorded.filter(|param| param.name == name).any(|param| param.owned.iter().any(|owned| print == **owned))
            || (restored && object.spec.as_ref().is_ok_and(|spec| spec.params.get(name) == Some(&entry) && self.could_set(spec, id)))
    }

    fn could_set(&self, spec: &spec::Spec, id: &str) -> bool {
        spec::against_connection(spec, &self.connections[id].document(id), &BTreeSet::new()).is_ok()
    }

    fn wants<'a>(&self, object: &'a Declared, id: &str, name: &str) -> Option<&'a Entry> {
        let document = self.connections[id].document(id);
        let spec = object.spec.as_ref().ok()?;
        let may = !object.deleting && !self.observes(object) && self.permits(object, id) && self.names(object, id);
        let admitted = may && spec::against_connection(spec, &document, &BTreeSet::new()).is_ok();
        spec.params.get(name).filter(|_| admitted)
    }

    /// Whether it was ever in sync here, as its status says.
    fn was_applied(object: &Declared, id: &str, name: &str) -> bool {
        let lines = object.status.connections.iter().filter(|connection| connection.id == id).flat_map(|connection| &connection.params);
        lines.filter(|param| param.name == name && !param.owned.is_empty()).any(|param| {
            param.applied == Some(true) || matches!(param.state, ParamState::InSync | ParamState::Applied | ParamState::Contended)
        })
    }

    fn check_write(&self, id: &str, before: &Self) {
        let (old, new) = (&before.connections[id], &self.connections[id]);
        assert_eq!(old.foreign(), new.foreign(), "what is not ours stays as it was");
        let (old, new) = (old.params(), new.params());
        for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let (was, is) = (old.get(name), new.get(name));
            if was == is {
                continue;
            }
            let proved = was.is_some_and(|was| before.objects.values().any(|object| before.proves(object, id, name, was)));
            match is {
                None => {
                    let was = was.unwrap();
                    assert!(proved, "{name} was removed, and nothing proves that it was ours");
                    let wanted = before.objects.values().any(|object| before.wants(object, id, name) == entry(was).as_ref());
                    assert!(!wanted, "{name} was removed, and somebody declares it");
                    assert!(self.objects.values().any(|object| self.proves(object, id, name, was)), "a removal is claimed first");
                }
                Some(is) => {
                    let entry = entry(is).unwrap();
                    let may = |object: &&Declared| {
                        before.wants(object, id, name) == Some(&entry)
                            && (was.is_none() || proved || overwrites(object) || Self::was_applied(object, id, name))
                    };
                    assert!(before.objects.values().any(|object| may(&object)), "{name} was set by nobody who may");
                    let claimed = |object: &&Declared| self.proves(&self.objects[&object.uid], id, name, is);
                    assert!(before.objects.values().filter(may).any(|object| claimed(&object)), "a write is claimed first");
                }
            }
        }
    }
}

fn overwrites(object: &Declared) -> bool {
    object.spec.as_ref().is_ok_and(|spec| spec.adoption == AdoptionPolicy::Overwrite)
}

fn entry(text: &str) -> Option<Entry> {
    let Value::Object(members) = serde_json::from_str(text).unwrap() else { return None };
    let mut members = members.iter();
    match (members.next(), members.next()) {
        (Some((member, Value::String(text))), None) if member == "value" => Some(Entry::Value(text.clone())),
        (Some((member, Value::String(text))), None) if member == "alias" => text.parse().ok().map(Entry::Alias),
        _ => None,
    }
}

fn unavailable() -> Obstacle {
    Obstacle { reason: ObstacleReason::RemoteUnavailable, message: "no answer".into(), tenant_wide: true }
}

fn assert_small(object: &Declared) {
    let params = object.status.connections.iter().flat_map(|entry| &entry.params);
    assert!(params.into_iter().all(|param| param.owned.len() <= claims::MAX_OWNED));
}
