//! The first step: the connection is read, and with it everybody whom it concerns.
//!
//! Guarantees: a pass goes on only from a document whose parameters can be used, while the tenant is declared as it was; the
//! objects are the latest, not those from before the read.

use std::collections::BTreeMap;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;

use super::Pass;
use super::reading::Reading;
use crate::auth0::{Client, Failure, Route};
use crate::clock::{self, WallClock};
use crate::core::pass::member::{Gathering, Member};
use crate::core::schedule::pace::{NextLook, Pace};
use crate::core::schedule::{ConnectionKey, Lane, Next};
use crate::core::spec::{Spec, Target};
use crate::core::world::{Declared, DeclaredTenant, World};
use crate::model::document::Live;
use crate::model::identity::{ConnectionId, ConnectionName};
use crate::reconcile::tenant::Tenant;

/// Nothing is known yet but which connection is asked for.
pub(super) struct Asked;

/// The connection was read.
pub(super) struct Read {
    /// The tenant as it is declared.
    pub(super) declared: Arc<DeclaredTenant>,
    pub(super) reading: Reading,
    /// Its parameters.
    pub(super) live: BTreeMap<String, Live>,
    /// Everybody whom it concerns.
    pub(super) members: Vec<Member>,
}

/// Who was concerned by the connection as it was known, and whether he named it.
type Concerned = Vec<(Arc<Declared>, bool)>;

impl<'t> Pass<'t, Asked> {
    /// Reads the connection. Yields what is next where there is nothing to plan.
    pub(super) async fn read(mut self) -> ControlFlow<Next, Pass<'t, Read>> {
        let concerned = self.concerned();
        if concerned.is_empty() {
            self.tenant.forget_vacant(&self.connection);
            self.next.forget(self.connection);
            return Break(self.next);
        }
        let found = self.find(&concerned).await;
        if found.is_ok() {
            self.tenant.answered(&self.connection, &self.client).await;
        }
        match found {
            // Told to those that it concerns by now, as they are by now.
            Err(failure) => {
                let concerned = self.concerned();
                Break(self.unread(concerned, failure).await)
            }
            // And only to those for whom it was asked: it may be there as whoever came since names it.
            Ok(None) => {
                let asked_for = |(object, named): &(Arc<Declared>, bool)| {
                    concerned.iter().any(|(before, was_named)| is_asked_for_alike((before, *was_named), (object, *named)))
                };
                let concerned = self.concerned().into_iter().filter(asked_for).collect();
                Break(self.not_found(concerned).await)
            }
            Ok(Some(reading)) => self.take_in(reading).await,
        }
    }

    /// Whom the connection concerns, as far as anything can be said of them: not before their namespace is known.
    fn concerned(&self) -> Concerned {
        let mut objects = self.tenant.concerned(&self.connection);
        self.tenant.shared.hub.read(|world| objects.retain(|object| world.labels(&object.key.namespace).is_some()));
        let connection = self.tenant.connection_of(&self.connection);
        let named = |object: &Declared| connection.is_some_and(|connection| connection.is_named_by(object));
        objects.into_iter().map(|object| (object.clone(), named(&object))).collect()
    }

    /// Finds the connection. A known id that is gone is looked up by its name once: it may have been made anew, or what
    /// answered the first time did not know it yet. Where that could not be asked, it is what the next pass asks first: a
    /// tenant that lets through one request at a time would never come to the second.
    async fn find(&mut self, concerned: &Concerned) -> Result<Option<Reading>, Failure> {
        let id = match &self.connection {
            ConnectionKey::Name(name) => return find_by_name((&self.client, &self.tenant.shared.wall), name, None).await,
            ConnectionKey::Id(id) => id,
        };
        let known = self.name_to_look_up(id, concerned);
        if known.is_none() || !self.tenant.known_connections.is_missing(id) {
            let asked = self.tenant.shared.wall.stopwatch();
            if let Some(document) = self.client.read(id).await? {
                return Ok(Some(Reading { document, asked, gone: None }));
            }
        }
        let Some(name) = known else { return Ok(None) };
        match find_by_name((&self.client, &self.tenant.shared.wall), &name, Some(id)).await {
            Err(failure) => {
                self.tenant.known_connections.miss(id);
                Err(failure)
            }
            // Another one, which nobody here speaks of.
            Ok(Some(Reading { gone: Some(_), .. })) if !is_named(concerned, &name) => Ok(None),
            found => found,
        }
    }

    /// The name under which a connection is looked up that is gone. One that this process has not seen yet has the name that
    /// was recorded with it.
    fn name_to_look_up(&self, id: &ConnectionId, concerned: &Concerned) -> Option<ConnectionName> {
        let objects = || concerned.iter().map(|(object, _)| object);
        let recorded = || objects().flat_map(|object| &object.status.connections).find(|entry| *id == *entry.id)?.name.as_deref();
        self.tenant.known_connections.name_of(id).cloned().or_else(|| recorded().map(ConnectionName::from_auth0))
    }

    /// Notes what was read, and gathers everybody whom it concerns.
    async fn take_in(mut self, reading: Reading) -> ControlFlow<Next, Pass<'t, Read>> {
        let live = reading.document.live();
        if live.is_ok() {
            // Before anybody is gathered: where that is news of the tenant, all its objects are told so.
            self.tenant.proved(&self.connection, &self.client, Route::ReadConnection).await;
        }
        let declared = self.tenant.shared.hub.read(|world| world.tenant(&self.tenant.name));
        let Some(declared) = declared.filter(|_| !self.tenant.is_outdated()) else {
            // What the tenant admits changed during the read: the news is taken in before the next pass.
            self.next.at(self.connection, Lane::Edit, clock::now());
            return Break(self.next);
        };
        let asked = self.connection.clone();
        let concerned = self.concerned();
        self.note(&reading);
        let members = self.gather(&reading);
        self.look_elsewhere(&asked, concerned, &members);
        match live {
            Err(error) => Break(self.unusable(members, &reading, error).await),
            Ok(live) => {
                self.tenant.shared.metrics.good_look(&self.tenant.name);
                for member in &members {
                    self.tenant.memory.clocks.note_look(&member.stored, clock::now());
                }
                Continue(self.then(|Asked| Read { declared, reading, live, members }))
            }
        }
    }

    /// Everybody whom the connection that was read concerns.
    fn gather(&self, Reading { document, gone, .. }: &Reading) -> Vec<Member> {
        let Tenant { known_connections, memory, .. } = &*self.tenant;
        let connection = self.tenant.connection(Some(&document.id), Some(&document.name));
        let gathering = |world: &World| {
            let (settings, gone, refusals) = (&self.settings, gone.as_ref(), &memory.refusals);
            Gathering { world, settings, connection, document, gone, known_connections, refusals }.members()
        };
        self.tenant.shared.hub.read(gathering)
    }

    /// Notes the connection as it was read; from now on the pass is about its id.
    fn note(&mut self, reading: &Reading) {
        let document = &reading.document;
        self.tenant.memory.refusals.saw(document);
        if self.tenant.known_connections.saw(document) {
            self.tenant.shared.metrics.foreign_difference(&self.tenant.name);
            tracing::warn!(tenant = %self.tenant.name, connection = %document.name, "other options of the connection differ from those after the last write; somebody may have edited it during that write");
        }
        if let Some(gone) = &reading.gone {
            self.tenant.known_connections.forget(gone);
        }
        let found = ConnectionKey::Id(document.id.clone());
        if self.connection != found {
            self.next.forget(found.clone());
            self.next.forget(std::mem::replace(&mut self.connection, found));
        }
    }

    /// Whoever was concerned by the connection as it was known and is not by the one that was read is looked at where he
    /// belongs: who named it, under the name or id that he gives; who holds a record on it, under the id that is gone.
    fn look_elsewhere(&mut self, asked: &ConnectionKey, concerned: Concerned, members: &[Member]) {
        let mut belongs_there = false;
        for (object, named) in concerned {
            let member = members.iter().find(|member| member.stored.uid == object.uid);
            let elsewhere = match (named, member, &object.spec) {
                (true, Some(Member { named: true, .. }), _) | (false, Some(_), _) => continue,
                (true, _, Ok(spec)) => self.tenant.key_of(&spec.target),
                (true | false, _, _) => asked.clone(),
            };
            if elsewhere == *asked {
                belongs_there = true;
            } else {
                self.next.at(elsewhere, Lane::Edit, clock::now());
            }
        }
        if belongs_there {
            // That comes to another end only when the others have let go of it, which may take as long as nothing can be stored.
            let passes = self.tenant.memory.failures.count(asked);
            let at = NextLook::of(Pace::Again(passes)).at(self.clock());
            self.next.at(asked.clone(), Lane::Edit, at);
        }
    }
}

/// Whether an object speaks of the connection as it did before.
fn is_asked_for_alike((before, was_named): (&Declared, bool), (object, named): (&Declared, bool)) -> bool {
    let target = |object: &Declared| object.spec.as_ref().ok().map(|spec| spec.target.clone());
    before.uid == object.uid && was_named == named && target(before) == target(object)
}

/// Whether one of these objects names a connection by this name.
fn is_named(concerned: &Concerned, name: &ConnectionName) -> bool {
    let names_it = |spec: &Spec| matches!(&spec.target, Target::Name(target) if target == name);
    concerned.iter().any(|(object, _)| object.spec.as_ref().is_ok_and(names_it))
}

async fn find_by_name(
    (client, wall): (&Client, &WallClock),
    name: &ConnectionName,
    known_as: Option<&ConnectionId>,
) -> Result<Option<Reading>, Failure> {
    let asked = wall.stopwatch();
    let found = client.find(name).await?;
    Ok(found.map(|document| {
        let gone = known_as.filter(|id| **id != document.id).cloned();
        Reading { document, asked, gone }
    }))
}
