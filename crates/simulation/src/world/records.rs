//! What the laws say of a status or a finalizer that is written: of the record in it, and of what it tells.

use std::cell::LazyCell;
use std::sync::Arc;
use std::time::Duration;

use super::World;
use crate::cluster::Key;
use crate::declare::SLOTS;
use crate::laws::seen::{self, Document};
use crate::laws::{kept, said, write};
use crate::network::{ProcessId, Request};

/// Within what time what is said of an object was looked into.
const LOOKED_WITHIN: Duration = Duration::from_mins(1);

/// For how long an object that is being deleted has to wait for its namespace to be seen, a little less than it is meant to.
const WAITS: i64 = 55;

/// Whether a status records anything of a connection that another one does not.
fn has_more(connection: &seen::Connection, than: &seen::Object) -> bool {
    let has = |name: &str, print: &String| than.params_on(&connection.id).any(|param| param.name == name && param.owned.contains(print));
    connection.params.iter().any(|param| param.owned.iter().any(|print| !has(&param.name, print)))
}

impl World {
    /// What is ours and still there stays recorded.
    pub(super) fn look_at_record(&self, request: &Request) {
        let Ok(sent) = serde_json::from_slice::<seen::Object>(&request.body) else { return };
        self.count_status(&sent.status);
        let Some(old) = self.known_object(request, &sent.metadata.uid) else { return };
        let is_status = request.path.split('?').next().is_some_and(|path| path.ends_with("/status"));
        let goes = !is_status && old.is_deleting() && old.has_finalizer() && !sent.has_finalizer();
        // One of an older version is refused.
        if old.metadata.resource_version != sent.metadata.resource_version {
            return;
        }
        let mut violations = Vec::new();
        kept::check_tone(&old, &sent, is_status, &mut violations);
        let lately = LazyCell::new(|| self.scene(request.process, "", LOOKED_WITHIN));
        let told = said::Told { old: &old, sent: &sent };
        if is_status {
            self.look_at_rejection(request, &old, &sent);
            let is_gone = |named: &seen::Named| {
                let key = named.id.as_ref().or(named.name.as_ref());
                self.state.lock().gone.iter().any(|(process, _, gone)| *process == request.process && Some(gone) == key)
            };
            if said::is_news(told) {
                said::check_reasons(&lately, told, is_gone, &mut violations);
            }
        }
        let after = if is_status { kept::After::Status(&sent) } else { kept::After::Gone };
        // Of most writes nothing has to be looked up: they record what was recorded before.
        let loses = |connection: &&seen::Connection| goes || (is_status && has_more(connection, &sent));
        for connection in old.status.connections.iter().filter(loses) {
            let Some((host, is, shown)) = self.looked_at(request, connection) else { continue };
            let looked = kept::Looked { is: &is, shown: shown.as_ref() };
            if kept::is_at_stake(&host, &old, after, looked) {
                let mut scene = write::Scene::clone(&self.scene(request.process, &host, Duration::ZERO));
                scene.objects.retain(|uid, _| !self.knows_gone(request.process, uid));
                let unseen = if goes && self.may_have_waited(&old) { write::Unseen::Nothing } else { write::Unseen::Keeps };
                kept::check((&scene, |object: &seen::Object| self.is_forged(object)), (&old, unseen), after, looked, &mut violations);
            }
        }
        for connection in sent.status.connections.iter().filter(|_| is_status) {
            let (has_more, arrives) = (has_more(connection, &old), said::arrives(told, &connection.id));
            if !has_more && !arrives {
                continue;
            }
            let Some((host, is, Some(shown))) = self.looked_at(request, connection) else { continue };
            if shown.params != is.params {
                continue;
            }
            if has_more {
                let others = self.others(&host, &lately, told, &is);
                if others.has_one_tenant() {
                    said::check_records(&others, told, &is, &mut violations);
                }
            }
            if arrives {
                let others = self.others(&host, &self.scene(request.process, &host, Duration::ZERO), told, &is);
                if others.has_one_tenant() {
                    said::check_arrivals(&others, told, &is, &mut violations);
                }
            }
        }
        for violation in violations {
            self.break_law(violation.law, violation.text);
        }
    }

    /// Whether a process was told that an object is gone.
    fn knows_gone(&self, process: ProcessId, uid: &str) -> bool {
        self.state.lock().known_gone.contains(&(process, uid.to_owned()))
    }

    /// The host of a connection of a status, the connection as it is, and as the process was shown it last; nothing where there is none,
    /// as far as it knows.
    fn looked_at(&self, request: &Request, connection: &seen::Connection) -> Option<(String, Document, Option<Document>)> {
        let host = connection.tenant.clone()?;
        let text = self.tenants.get(&host).and_then(|tenant| tenant.connection_text(&connection.id))?;
        let shown = self.state.lock().shown.get(&(request.process, host.clone(), connection.id.clone())).cloned();
        if shown == Some(None) {
            return None;
        }
        Some((host, Document::read(&text), shown.flatten().map(|text| Document::read(&text))))
    }

    /// Whether an object is there for so long that its process may have given up to wait for its namespace.
    fn may_have_waited(&self, object: &seen::Object) -> bool {
        let created = object.metadata.creation_timestamp.parse::<jiff::Timestamp>().unwrap_or_default();
        self.cluster.now().as_second() - created.as_second() >= WAITS
    }

    /// The others who say something of a connection, who are still there, and whose status is what the operator made of it: nobody
    /// records anew what one of them has, or is told to have it.
    fn others(&self, host: &str, scene: &write::Scene, told: said::Told<'_>, is: &Document) -> write::Scene {
        let is_there = |object: &seen::Object| {
            let key = Key::object(&object.metadata.namespace, &object.metadata.name);
            self.cluster.uid(&key).is_some_and(|uid| uid == object.metadata.uid)
        };
        let counts = |uid: &String, versions: &[Arc<seen::Object>]| {
            let last = versions.last().filter(|last| *uid != told.old.metadata.uid && !self.is_forged(last));
            last.is_some_and(|last| last.params_on(&is.id).next().is_some() && is_there(last))
        };
        let objects = scene.objects.iter().filter(|(uid, versions)| counts(uid, versions));
        write::Scene {
            host: host.to_owned(),
            objects: objects.map(|(uid, versions)| (uid.clone(), versions.clone())).collect(),
            tenants: scene.tenants.clone(),
            namespaces: scene.namespaces.clone(),
        }
    }

    /// Whether somebody else wrote the status of an object.
    fn is_forged(&self, object: &seen::Object) -> bool {
        let state = self.state.lock();
        state.forged.iter().any(|slot| SLOTS[*slot] == (object.metadata.namespace.as_str(), object.metadata.name.as_str()))
    }
}
