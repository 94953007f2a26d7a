//! A small tenant and a small cluster in memory, and a driver that takes the steps of a pass in order: what the laws
//! are tested on. It checks at every write that the write was permitted, claimed first, and touched nothing else.
//!
//! It shares no judgement with the planner: what a write may do is decided here anew, from the records and the specs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::upstream_params::{AdoptionPolicy, DeletionPolicy, ManagementPolicy, ParamState};
use crate::core::obstacle::{Obstacle, ObstacleReason};
use crate::core::pass::claims::{self, ConnectionRef};
use crate::core::pass::plan::{ConnectionState, Participant, Plan, plan};
use crate::core::pass::role::{Admission, Facts, Life, Names, Part};
use crate::core::spec::{self, Target, UnfitReason};
use crate::core::status::{self, Context, Finalizer, Outcome, Planned, WriteOutcome};
use crate::core::world::Declared;
use crate::model::document::{Document, Entry};
use crate::model::identity::Uid;
use crate::tests::builders::{ELSEWHERE, ELSEWHERE_NAME, HERE, HERE_NAME, TENANT, described};

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
pub(crate) enum WriteEnds {
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
pub(crate) struct Faults {
    pub(crate) calls: usize,
    pub(crate) write: WriteEnds,
    pub(crate) refused: Option<usize>,
}

impl Faults {
    pub(crate) const GOOD: Self = Self { calls: usize::MAX, write: WriteEnds::Works, refused: None };

    fn call(&mut self) -> Result<(), Cut> {
        self.calls = self.calls.checked_sub(1).ok_or(Cut)?;
        Ok(())
    }
}

/// The pass was cut short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

/// One object in a pass.
struct Member {
    object: Declared,
    names_it: bool,
    observes: bool,
    part: Part,
    /// The warnings about its spec on this connection, or what is wrong with it; none for a spec that is invalid anyway.
    check: Option<Result<Vec<String>, (UnfitReason, String)>>,
}

/// A pass on its way.
struct Run {
    id: String,
    members: Vec<Member>,
    plan: Plan,
    write: WriteOutcome,
    /// Whose writes the API server refuses.
    refused: Option<Uid>,
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

    /// An object's part in a pass over a connection, if it names it or has a record there.
    fn member(&self, object: &Declared, id: &str, document: &Document) -> Option<Member> {
        let (names_it, observes) = (self.names(object, id), self.observes(object));
        let recorded_here = claims::connections(&object.status).any(|recorded| recorded == id);
        let check = object.spec.as_ref().ok().map(|spec| spec::against_connection(spec, document, &BTreeSet::new()));
        let facts = Facts {
            admission: if self.permits(object, id) { Admission::Granted } else { Admission::Denied },
            life: Life::of(object),
            names: match &check {
                None => Names::Nothing,
                Some(check) if names_it => Names::This { fits: check.is_ok() },
                Some(_) => Names::Another {
                    accepted: self.target(object).is_some_and(|target| status::is_accepted_on(object, &target.as_str().into())),
                },
            },
            recorded_here,
            recorded_elsewhere: claims::connections(&object.status).any(|recorded| recorded != id),
            recorded_on_gone: false,
            observes,
            retains: object.policies.deletion == DeletionPolicy::Retain,
            rejected: false,
        };
        (names_it || recorded_here).then(|| Member { object: object.clone(), names_it, observes, part: facts.part(), check })
    }

    fn members(&self, id: &str) -> Vec<Member> {
        let document = self.connections[id].document(id);
        self.objects.values().filter_map(|object| self.member(object, id, &document)).collect()
    }

    /// What the planner is given, in the order of `sorted`.
    pub(crate) fn plan(&self, id: &str, reversed: bool) -> Plan {
        let mut members = self.members(id);
        if reversed {
            members.reverse();
        }
        self.plan_for(id, &members)
    }

    fn plan_for(&self, id: &str, members: &[Member]) -> Plan {
        let live = self.connections[id].document(id).live().unwrap();
        let participants: Vec<Participant<'_>> =
            members.iter().filter_map(|member| member.part.role().map(|role| Participant { object: &member.object, role })).collect();
        let state = ConnectionState {
            connection_ref: ConnectionRef { tenant: &TENANT, connection: &id.into() },
            live: &live,
            disputes: &BTreeMap::new(),
            unsettled: self.unsettled.contains(id),
        };
        plan(state, &participants, self.tenant_observes)
    }

    /// One pass over one connection.
    pub(crate) fn pass(&mut self, id: &str, mut faults: Faults) -> Result<(), Cut> {
        self.now += 1;
        let before = self.clone();
        let members = self.members(id);
        let plan = self.plan_for(id, &members);
        let refused = faults.refused.and_then(|number| members.get(number)).map(|member| member.object.uid.clone());
        let mut run = Run { id: id.to_owned(), members, plan, write: WriteOutcome::Nothing, refused };
        if self.unsettled.contains(id) {
            run.write = WriteOutcome::Postponed(unavailable());
            return self.conclude(run, &mut faults);
        }
        if !run.plan.is_empty() {
            assert!(!self.tenant_observes, "nothing is written to a tenant that only observes");
            let writes = !run.plan.changes.is_empty();
            let claimed = self.claim(&run, &mut faults)?;
            let left: BTreeSet<Uid> = run.plan.acted_for().difference(&claimed).cloned().collect();
            run.plan.retain_adopted(&claimed);
            run.plan.retain_claimed(&claimed);
            if if writes { run.plan.changes.is_empty() } else { run.plan.adopted.is_empty() } {
                // It came to no result.
                return Ok(());
            }
            if faults.write == WriteEnds::Works && writes {
                run.members.retain(|member| !left.contains(&member.object.uid));
            }
        }
        if !run.plan.changes.is_empty() {
            faults.call()?;
            if faults.write != WriteEnds::Fails {
                self.write(&run, &before);
            }
            faults.call()?;
            run.plan.written = faults.write == WriteEnds::Works;
            run.write = if run.plan.written { WriteOutcome::Written } else { WriteOutcome::Failed(unavailable()) };
        }
        let undisturbed = faults.write == WriteEnds::Works && run.refused.is_none();
        self.conclude(run, &mut faults)?;
        if undisturbed {
            assert!(self.plan(id, false).changes.is_empty(), "a plan that was carried out leaves nothing to plan");
        }
        Ok(())
    }

    fn claim(&mut self, run: &Run, faults: &mut Faults) -> Result<BTreeSet<Uid>, Cut> {
        let Run { id, plan, refused, .. } = run;
        let now = self.timestamp();
        let mut claimed = BTreeSet::new();
        for uid in plan.acted_for().into_iter().filter(|uid| Some(uid) != refused.as_ref()) {
            let object = self.objects.get_mut(&uid).unwrap();
            if object.cleans_up() && !object.finalizer && !object.deleting {
                faults.call()?;
                object.finalizer = true;
            }
            faults.call()?;
            object.status = status::claimed(object, &described(id), &plan.claims_of(&uid), &plan.removed_for(&uid), now);
            assert_small(object);
            claimed.insert(uid);
        }
        Ok(claimed)
    }

    fn timestamp(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.now).unwrap()
    }

    fn write(&mut self, run: &Run, before: &Self) {
        let Run { id, plan, .. } = run;
        let remote = self.connections[id].clone();
        let body = remote.document(id).patch_body(&plan.entries()).unwrap();
        self.patches += 1;
        self.connections.get_mut(id).unwrap().patch(body.as_str());
        self.check_write(id, before);
    }

    /// Who adopts a name has stored its claim already; it is told last, when nobody else has a record of the name.
    fn conclude(&mut self, mut run: Run, faults: &mut Faults) -> Result<(), Cut> {
        let members = std::mem::take(&mut run.members);
        let plan = &run.plan;
        let (adopting, others): (Vec<Member>, Vec<Member>) = members.into_iter().partition(|member| plan.adopts(&member.object.uid));
        let is_there = |uid: &Uid| others.iter().chain(&adopting).any(|member| member.object.uid == *uid);
        let mut given_up = plan.losers().iter().all(|uid| is_there(uid) && !plan.unadopted.contains(uid));
        for member in others.into_iter().chain(adopting) {
            let uid = &member.object.uid;
            if (!given_up && plan.adopts(uid)) || plan.unadopted.contains(uid) {
                continue;
            }
            let stored = self.objects[uid].status.clone();
            let planned =
                Declared { status: claims::without(stored, &run.id.as_str().into(), &plan.losses(uid)), ..self.objects[uid].clone() };
            let Some(outcome) = outcome(&member, &planned, &run) else { continue };
            if Some(uid) == run.refused.as_ref() {
                given_up &= plan.adopts(uid);
                continue;
            }
            self.say(&planned, &outcome, (member.names_it, member.observes), faults)?;
        }
        Ok(())
    }

    /// `planned` may lack records that have just been lost, and are still stored.
    fn say(&mut self, planned: &Declared, outcome: &Outcome, (names_it, observing): (bool, bool), faults: &mut Faults) -> Result<(), Cut> {
        let context = Context {
            now: self.timestamp(),
            observing,
            names_it,
            since_good_look: Duration::ZERO,
            stale_after: Duration::from_mins(30),
            unready_for: Duration::ZERO,
        };
        let conclusion = status::conclude(planned, outcome, &context);
        let uid = &planned.uid;
        let object = self.objects.get_mut(uid).unwrap();
        if conclusion.finalizer == Finalizer::Add {
            faults.call()?;
            object.finalizer = true;
        }
        // What goes with the finalizer takes its status along: two writes could be cut short in between.
        let goes = object.deleting && conclusion.finalizer == Finalizer::Remove;
        if conclusion.status != object.status && !goes {
            faults.call()?;
            object.status = conclusion.status;
        }
        assert_small(object);
        if names_it && !object.deleting {
            crate::tests::kstatus::assert_sound(object);
        }
        if conclusion.finalizer == Finalizer::Remove {
            faults.call()?;
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
                let object = object.clone();
                self.say(&object, &outcome, (true, observes), &mut Faults { ..Faults::GOOD }).unwrap();
            }
        }
    }

    /// Passes over everything, until a round changes nothing.
    pub(crate) fn settle(&mut self) {
        for _ in 0..8 {
            let before = self.clone();
            self.conclude_homeless();
            for id in before.connections.keys() {
                self.pass(id, Faults::GOOD).unwrap();
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
        let print = ConnectionRef { tenant: &TENANT, connection: &id.into() }.fingerprint(name, &entry);
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

/// What is said of an object; none where nothing is.
fn outcome(member: &Member, object: &Declared, run: &Run) -> Option<Outcome> {
    let (Run { id, plan, write, .. }, uid) = (run, &object.uid);
    Some(match member.part {
        Part::Owner | Part::Observer | Part::Leaver => {
            let deferred = plan.deferred.keys().any(|name| plan.defers(name, uid));
            let write = match (plan.acted_for().contains(uid), deferred) {
                (true, _) => write.clone(),
                (false, true) => WriteOutcome::Postponed(unavailable()),
                (false, false) => WriteOutcome::Nothing,
            };
            let warnings = member.check.clone().and_then(Result::ok).unwrap_or_default();
            Outcome::Planned(Planned::part(plan, object, described(id), warnings, write))
        }
        Part::Mover | Part::Waiting(_) if plan.losses(uid).is_empty() => return None,
        Part::Mover | Part::Waiting(_) => Outcome::Displaced,
        Part::NotPermitted(_) => Outcome::NotPermitted("the tenant does not admit it".into()),
        Part::Refused(_) => {
            let (reason, message) = member.check.clone()?.err()?;
            Outcome::Refused { reason, message }
        }
        Part::Left => Outcome::Planned(Planned::left(object, &id.as_str().into(), described(id))),
        Part::Released(why) => Outcome::Released(format!("{why:?}")),
        Part::RejectedLeaver | Part::StillRejected(_) | Part::ConnectionGone => {
            unreachable!("nothing is refused here, and no connection goes")
        }
    })
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
