//! How a pass ends that has nothing to plan from: the connection could not be read, does not exist, or can't be used.
//!
//! Guarantees: an object that is not admitted to what it names is told that, and nothing of what was found or not.

use std::sync::Arc;

use super::Pass;
use super::read::Asked;
use super::reading::Reading;
use crate::auth0::{Failure, Route};
use crate::clock;
use crate::core::pass::member::Member;
use crate::core::schedule::pace::{NextLook, Pace};
use crate::core::schedule::{ConnectionKey, Lane, Next};
use crate::core::status::Outcome;
use crate::core::world::{Declared, LetGo};
use crate::model::document::DocumentError;
use crate::reconcile::failure::{Phase, obstacle_of};

impl Pass<'_, Asked> {
    /// The call failed.
    pub(super) async fn unread(mut self, concerned: Vec<(Arc<Declared>, bool)>, failure: Failure) -> Next {
        let name = self.tenant.display_name(&self.connection);
        tracing::warn!(tenant = %self.tenant.name, connection = name, error = %failure, "the operator could not read the connection");
        let failure = self.tenant.learn_from_failure(&self.connection, Phase::Read, failure).await;
        let outcome = Outcome::Unread(obstacle_of(&failure));
        for (object, named) in concerned {
            if named || object.deleting {
                self.tell_unseen(&object, &outcome, named).await;
            }
        }
        let pace = self.pace(&failure, Phase::Read);
        self.look_again(Lane::Retry, &NextLook::of(pace));
        self.next
    }

    /// The tenant has no such connection: who names it waits for it, who only holds a record on it has nothing there any
    /// more.
    pub(super) async fn not_found(mut self, concerned: Vec<(Arc<Declared>, bool)>) -> Next {
        let id = match &self.connection {
            ConnectionKey::Id(id) => Some(id.clone()),
            ConnectionKey::Name(_) => None,
        };
        if let Some(id) = &id {
            self.tenant.known_connections.forget(id);
        }
        self.tenant.memory.failures.forget(&self.connection);
        for (object, named) in concerned {
            let outcome = self.tenant.not_found(&object, id.as_ref(), named);
            let reasons = self.tenant.as_known_now(&object);
            let told = self.tell(&object, &object, (&outcome, named), reasons).await;
            let Ok(spec) = &object.spec else { continue };
            let there = self.tenant.key_of(&spec.target);
            if named && !object.deleting {
                let again = NextLook::of(Pace::Routine).at(self.clock());
                self.next.at(there, Lane::Routine, again);
            } else if told && !named && id.as_ref().is_some_and(|id| self.has_left(&object, id)) {
                // It has left here, so what it names can be concluded. Where that could not be stored, that is tried again first. One
                // that is gone, and is still known here, has nothing to be concluded.
                self.next.at(there, Lane::Edit, clock::now());
            }
        }
        self.next
    }

    /// The connection was read, but its options can't be used.
    pub(super) async fn unusable(mut self, members: Vec<Member>, reading: &Reading, error: DocumentError) -> Next {
        let failure = Failure::BadDocument { route: Route::ReadConnection, error };
        let failure = self.tenant.learn_from_failure(&self.connection, Phase::Read, failure).await;
        let name = self.tenant.display_name(&self.connection);
        tracing::warn!(tenant = %self.tenant.name, connection = name, error = %failure, "the operator cannot manage the connection");
        let unread = Outcome::Unread(obstacle_of(&failure));
        let described = self.described(&reading.document);
        for member in members.into_iter().filter(|member| member.named || member.stored.deleting) {
            let own = member.outcome_of_its_own(&member.stored, &reading.document.id, &described).filter(|_| member.named);
            let reasons = LetGo { labels: member.labels, ..LetGo::default() };
            self.tell(&member.stored, &member.stored, (own.as_ref().unwrap_or(&unread), member.named), reasons).await;
        }
        let pace = self.pace(&failure, Phase::Read);
        self.look_again(Lane::Routine, &NextLook::of(pace));
        self.next
    }

    async fn tell_unseen(&mut self, object: &Declared, outcome: &Outcome, named: bool) -> bool {
        let refusal = if named && !object.deleting { self.tenant.name_not_admitted(object) } else { None };
        let reasons = self.tenant.as_known_now(object);
        self.tell(object, object, (refusal.as_ref().unwrap_or(outcome), named), reasons).await
    }
}
