//! Whose turn it is: whoever waits for a look gets it before others are looked at again and again.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::World;
use crate::declare::SLOTS;
use crate::laws::Law;
use crate::laws::seen::Object;
use crate::laws::write::Scene;
use crate::network::{ProcessId, Request};

/// How many reads of others may come before that of somebody who waits: every fifth look is routine, and what a process finds when it
/// begins is that.
const OVERTAKEN: u32 = 24;

/// Objects that wait, by process, uid and generation: how many reads of others came before theirs; none: it had its own.
pub(super) type Waiting = BTreeMap<(ProcessId, String, i64), Option<u32>>;

/// When a process looked at a connection last, by host and name, and how many reads of others came since its next look was due.
pub(super) type Looked = BTreeMap<(ProcessId, String, String), (Instant, u32)>;

impl World {
    /// A connection is read, by its id or by its name.
    pub(super) fn look_at_turns(&self, request: &Request) {
        let scene = self.write_scene(request);
        if !scene.has_one_tenant() {
            return;
        }
        let (asked_name, asked_id) = match request.path.split_once("?name=") {
            Some((_, rest)) => (rest.split('&').next(), None),
            None => (None, request.path.rsplit('/').next()),
        };
        let name_of = |id: &str| self.tenants.get(&request.host).and_then(|tenant| tenant.connection_name(id));
        let read_name = asked_name.map(str::to_owned).or_else(|| asked_id.and_then(name_of));
        self.look_at_edits(request, &scene, read_name.as_deref(), asked_id);
        if let Some(name) = read_name {
            self.look_at_routine(request, &scene, name);
        }
    }

    /// Whoever waits for what he declares to be looked at is not overtaken again and again.
    fn look_at_edits(&self, request: &Request, scene: &Scene, read_name: Option<&str>, asked_id: Option<&str>) {
        let is_about = |object: &Object| {
            let named = &object.spec.connection;
            (named.id.is_some() && named.id.as_deref() == asked_id) || (named.name.is_some() && named.name.as_deref() == read_name)
        };
        for versions in scene.objects.values() {
            let [object] = versions.as_slice() else { continue };
            if !self.waits(scene, object, &request.host) {
                continue;
            }
            let key = (request.process, object.metadata.uid.clone(), object.metadata.generation);
            let mut state = self.state.lock();
            let count = state.waiting.entry(key).or_insert(Some(0));
            *count = if is_about(object) { None } else { count.map(|count| count + 1) };
            let is_overtaken = *count > Some(OVERTAKEN);
            drop(state);
            if is_overtaken {
                let (key, path) = (object.key(), &request.path);
                return self
                    .break_law(Law::Fair, format!("{key} waits for a look, and {path} is the {}th of another before it", OVERTAKEN + 1));
            }
        }
    }

    /// What was in sync when it was looked at last, and is to be looked at again, is not overtaken for ever.
    fn look_at_routine(&self, request: &Request, scene: &Scene, read: String) {
        let now = Instant::now();
        let interval = self.longest_interval();
        let is_in_sync = |object: &Object, name: &str| {
            object.spec.connection.name.as_deref() == Some(name)
                && ["Ready", "Synced"].iter().all(|kind| object.condition(kind).is_some_and(|said| said.status == "True"))
                && object.status.observed_generation == Some(object.metadata.generation)
                && scene.is_admitted_by_all(object)
        };
        let is_kept = |name: &str| scene.objects.values().any(|versions| versions.iter().all(|object| is_in_sync(object, name)));
        let mut state = self.state.lock();
        let key = |name: String| (request.process, request.host.clone(), name);
        state.looked.insert(key(read), (now, 0));
        let mut overtaken = None;
        for ((process, host, name), (at, count)) in &mut state.looked {
            let is_here = (*process, host.as_str()) == (request.process, request.host.as_str());
            if is_here && now.duration_since(*at) > interval * 2 && is_kept(name) {
                *count += 1;
                overtaken = overtaken.or((*count > OVERTAKEN).then(|| (name.clone(), *at)));
            }
        }
        drop(state);
        if let Some((name, at)) = overtaken {
            let text =
                format!("{name} was looked at {:?} ago, and {OVERTAKEN} reads of others came before the next look", now.duration_since(at));
            self.break_law(Law::Fair, text);
        }
    }

    /// Whether nothing but its turn keeps an object from a look: its newest generation is known, and nothing was said of it yet.
    fn waits(&self, scene: &Scene, object: &Object, host: &str) -> bool {
        let is_it = |slot: &usize| SLOTS[*slot] == (object.metadata.namespace.as_str(), object.metadata.name.as_str());
        let is_new = object.status.observed_generation != Some(object.metadata.generation);
        // Of one whose status somebody wrote it is not known what was said of it.
        let is_forged = || self.state.lock().forged.iter().any(is_it);
        let is_elsewhere = || object.status.connections.iter().any(|connection| connection.tenant.as_deref() != Some(host));
        is_new && !object.is_deleting() && object.is_valid() && !is_elsewhere() && scene.is_admitted_by_all(object) && !is_forged()
    }
}
