//! The network of a history: what becomes of each call, and what the laws say of it.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::lease::{LANDS_WITHIN, is_lease};
use super::{Bucket, FRESH, InFlight, Read, World};
use crate::cluster::Key;
use crate::coverage::Kind;
use crate::history::AtCall;
use crate::laws::seen::{self, Document, RateLimit};
use crate::laws::{Law, write};
use crate::network::{Ending, Fate, Network, Request, Server};
use crate::noise::{MARKER, TOKEN};
use crate::story::Who;
use crate::tenant::REQUEST_TIMEOUT;

/// How many requests a history may take at most: one that takes more goes in circles.
const MOST_REQUESTS: u64 = 40_000;

/// How often a write that is refused may be sent again within [`REFUSALS_WITHIN`], also where there is news of the object meanwhile.
const MOST_REFUSALS: usize = 30;

/// See [`MOST_REFUSALS`].
const REFUSALS_WITHIN: Duration = Duration::from_secs(10);

/// For how long a 429 closes at least, whatever it says.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Within what time another rate limit is kept that its process was shown.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(15);

impl Network for World {
    fn fate(&self, request: &mut Request) -> Fate {
        let (is_dead, serial) = self.number(request);
        if serial == MOST_REQUESTS {
            self.break_law(Law::Rest, format!("{MOST_REQUESTS} requests were sent; the last is {} {}", request.method, request.path));
        }
        if is_dead || serial >= MOST_REQUESTS {
            return Fate { ending: Ending::Swallowed, ..Fate::PROMPT };
        }
        let request = &*request;
        if request.server == Server::Kubernetes && self.is_cut_off(request) {
            return Fate { ending: Ending::Dropped, ..Fate::PROMPT };
        }
        self.look_at(request);
        let at_call = self.at(request);
        let fate = match at_call {
            Some(AtCall::Fate(fate)) => fate,
            _ if self.is_refused(request) => Fate { ending: Ending::Refused(500), ..Fate::PROMPT },
            _ if is_lease(request) => self.fate_at_lease(request).unwrap_or(Fate::PROMPT),
            _ => self.slowed(request, self.plain(request, serial)),
        };
        if let Some(AtCall::Fate(fate)) = &at_call {
            self.count(Kind::Fate, name_of(fate.ending));
        }
        if self.told && !is_lease(request) {
            let odd = if matches!(at_call, Some(AtCall::Fate(_))) { format!("  [{fate:?}]") } else { String::new() };
            let body =
                if request.server == Server::Auth0 && request.is_write() { String::from_utf8_lossy(&request.body) } else { "".into() };
            self.tell(Who::Process(request.process.0), || format!("{} {}{} {body}{odd}", request.method, request.host, request.path));
        }
        if request.server == Server::Auth0 && request.is_write() {
            let mut state = self.state.lock();
            let changes = std::mem::take(&mut state.changes);
            state.in_flight.push(InFlight {
                process: request.process,
                place: (request.host.clone(), request.path.clone()),
                number: request.number,
                since: Instant::now(),
                changes,
            });
        }
        fate
    }

    fn arrives(&self, request: &Request) {
        match self.at(request) {
            Some(AtCall::Before(action)) => self.happen_at(&action),
            Some(AtCall::KilledBefore) => {
                self.tell(Who::World, || format!("process {} is killed", request.process.0));
                self.kill(request.process);
            }
            _ => {}
        }
        if request.server == Server::Auth0 && request.method == "GET" {
            self.remember_read(request);
        }
    }

    fn is_over(&self, request: &Request, status: Option<u16>) {
        let mut state = self.state.lock();
        state.in_flight.retain(|write| write.number != request.number);
        if request.server != Server::Auth0 {
            return;
        }
        if matches!(status, Some(401 | 403)) && request.method == "GET" {
            state.asked.note_refused(request);
        }
        // Who is refused for its token asks again with a new one, and who gets 404 for an id looks the name up.
        if matches!(status, Some(400 | 401 | 403 | 404)) {
            state.refused_last.insert(request.process);
        } else if request.path != "/oauth/token" {
            state.refused_last.remove(&request.process);
        }
    }

    fn is_answered(&self, request: &Request, status: u16, body: &[u8]) {
        match request.server {
            Server::Kubernetes => {
                self.hears_version(request, status, body);
                return self.hears_that_it_is_gone(request, status, body);
            }
            Server::Auth0 => self.hears_that_none_is_there(request, status, body),
        }
        if request.is_write() {
            self.hears(request, status, body);
        }
        if status == 429 && request.path != "/oauth/token" {
            let key = (request.process, request.host.clone(), request.is_write());
            self.state.lock().closed.insert(key, Instant::now() + SHORTEST_PAUSE);
        }
    }

    fn took_effect(&self, request: &Request, status: u16) {
        let is_lease = is_lease(request);
        let is_ok = (200..300).contains(&status);
        {
            let mut state = self.state.lock();
            state.steps += u64::from(!is_idle(request));
            if request.is_write() && !is_lease && is_ok {
                state.last_write = Some(Instant::now());
            }
        }
        if is_lease && is_ok {
            self.look_at_lease(request);
        }
        if !is_idle(request) {
            self.count_call(request, status);
            self.tell(Who::Process(request.process.0), || format!("  {} {} is answered {status}", request.method, request.path));
        }
        // Two may write where somebody deleted the Lease or set it back: one does not know what the other has under way.
        if request.server == Server::Auth0 && request.is_write() && is_ok && !self.is_excused(Instant::now()) {
            self.remember_written(request);
            self.look_at_landed(request);
        }
        if request.server == Server::Auth0 && request.method == "GET" {
            self.remember_shown(request, status);
        }
        match self.at(request) {
            Some(AtCall::After(action)) => self.happen_at(&action),
            Some(AtCall::KilledAfter) => {
                self.tell(Who::World, || format!("process {} is killed", request.process.0));
                self.kill(request.process);
            }
            _ => {}
        }
    }
}

/// What a process asks again and again, and what says nothing.
fn is_idle(request: &Request) -> bool {
    request.server == Server::Kubernetes && (request.method == "GET" || is_lease(request))
}

/// Whether a watch lists what there is.
fn is_list(request: &Request) -> bool {
    is_idle(request) && !request.path.contains("watch=") && !is_lease(request)
}

fn name_of(ending: Ending) -> &'static str {
    match ending {
        Ending::Answered => "slow",
        Ending::AnswerLost => "answer lost",
        Ending::NeverAnswered => "never answered",
        Ending::Dropped => "dropped",
        Ending::Swallowed => "swallowed",
        Ending::Refused(_) => "refused on the way",
    }
}

impl World {
    /// Numbers a call, from one on, where something may happen to it. Yields whether its sender is dead, and how many calls there
    /// were of all.
    fn number(&self, request: &mut Request) -> (bool, u64) {
        let mut state = self.state.lock();
        state.serial += 1;
        if !is_idle(request) {
            state.calls += 1;
            request.number = state.calls;
        }
        (state.processes.get(request.process.0 as usize).is_some_and(|process| process.is_dead), state.serial)
    }

    /// What happens to this call, if anything does.
    fn at(&self, request: &Request) -> Option<AtCall> {
        let at = self.history.calls.get(&request.number)?;
        (!self.is_calm()).then(|| at.clone())
    }

    /// Whether its sender can't reach the API server.
    fn is_cut_off(&self, request: &Request) -> bool {
        let (now, state) = (Instant::now(), self.state.lock());
        !state.calm && state.cut_off.iter().any(|(process, until)| *process == request.process && now < *until)
    }

    /// A few milliseconds there and back, another number for each call.
    fn plain(&self, request: &Request, serial: u64) -> Fate {
        let mut mixed = (self.history.seed ^ serial).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
        if is_list(request) && !self.is_calm() {
            // One kind is listed long before another.
            let millis = usize::try_from(mixed % 4).ok().and_then(|way| [0, 5, 400, 2_500].get(way).copied()).unwrap_or_default();
            return Fate { out: Duration::from_millis(millis), back: self.state.lock().slow_lists, ..Fate::PROMPT };
        }
        if is_idle(request) {
            return Fate::PROMPT;
        }
        let millis = |bits: u64| Duration::from_millis(bits % 8);
        Fate { out: millis(mixed >> 8), ending: Ending::Answered, back: millis(mixed >> 16) }
    }

    /// Whether the API server refuses a write, which is to be sent again at a pace.
    fn is_refused(&self, request: &Request) -> bool {
        let is_ours = request.path.contains("/upstreamparams/") || request.path.contains("/clusterauth0tenants/");
        let now = Instant::now();
        let mut state = self.state.lock();
        if request.method == "GET" || !is_ours || state.calm || state.refuses_until.is_none_or(|until| now >= until) {
            return false;
        }
        let times = state.refusals.entry((request.process, request.path.clone())).or_default();
        times.push(now);
        times.retain(|time| now.duration_since(*time) < REFUSALS_WITHIN);
        let count = times.len();
        drop(state);
        if count > MOST_REFUSALS {
            let text = format!(
                "{} {} is sent for the {count}th time within {REFUSALS_WITHIN:?}, and refused each time",
                request.method, request.path
            );
            self.break_law(Law::Patient, text);
        }
        true
    }

    /// The same, where writes to connections are slow.
    fn slowed(&self, request: &Request, fate: Fate) -> Fate {
        let state = self.state.lock();
        let is_slow = request.server == Server::Auth0 && request.is_write() && !state.calm && !state.slow_writes.is_zero();
        if is_slow { Fate { out: state.slow_writes, ..fate } } else { fate }
    }

    /// Whoever writes to an object that is gone is told so, also where another one has its name by now.
    fn hears_that_it_is_gone(&self, request: &Request, status: u16, body: &[u8]) {
        let is_gone = (status == 404 && contains(body, "\"details\"")) || (status == 409 && contains(body, "UID in object meta"));
        if request.method == "GET" || !is_gone || !request.path.contains("/upstreamparams/") {
            return;
        }
        if let Ok(sent) = serde_json::from_slice::<seen::Object>(&request.body) {
            self.state.lock().known_gone.insert((request.process, sent.metadata.uid));
        }
    }

    /// What the laws say of a call when it is sent.
    fn look_at(&self, request: &Request) {
        match request.server {
            Server::Kubernetes if request.method != "GET" => {
                self.look_for_secrets(&request.body, || format!("{} {}", request.method, request.path));
                if !is_lease(request) {
                    self.look_at_leader(request, Duration::ZERO);
                }
                self.look_at_version(request);
                if request.path.contains("/upstreamparams/") {
                    self.look_at_record(request);
                } else if !is_lease(request) {
                    self.count_told(request);
                    self.look_at_tenant(request);
                }
            }
            Server::Kubernetes if is_list(request) => self.note_list(),
            Server::Kubernetes => {}
            Server::Auth0 if request.path == "/oauth/token" => self.state.lock().tokens += 1,
            Server::Auth0 => {
                self.look_at_pause(request);
                self.look_at_budget(request);
                if !request.is_write() {
                    self.note_read(request);
                    self.look_at_turns(request);
                }
                if request.is_write() {
                    self.look_at_leader(request, REQUEST_TIMEOUT);
                    self.look_at_write(request);
                }
            }
        }
    }

    /// Looks for what must not be shown.
    pub(super) fn look_for_secrets(&self, text: &[u8], place: impl FnOnce() -> String) {
        if contains(text, MARKER) || contains(text, TOKEN) {
            let text = format!("{}: {}", place(), String::from_utf8_lossy(text));
            self.break_law(Law::Secret, text);
        }
    }

    /// Who was told by a 429 to come back later asks nothing before.
    fn look_at_pause(&self, request: &Request) {
        let key = (request.process, request.host.clone(), request.is_write());
        let until = self.state.lock().closed.remove(&key);
        if until.is_some_and(|until| Instant::now() < until) {
            let text = format!("{} {} of {} within a second after a 429", request.method, request.path, request.host);
            self.break_law(Law::Budget, text);
        }
    }

    fn look_at_budget(&self, request: &Request) {
        let now = Instant::now();
        let RateLimit { reads_per_minute, requests_per_minute, burst } = self.rate_limit(request);
        let per_second = f64::from(if request.is_write() { requests_per_minute } else { reads_per_minute }) / 60.0;
        let full = f64::from(burst);
        let mut state = self.state.lock();
        // One that was refused for its token is asked again with a new one, at once; what it costs is waited for after it.
        let is_repeated = state.refused_last.contains(&request.process);
        let key = (request.process, request.host.clone(), request.is_write());
        let bucket = state.buckets.entry(key).or_insert(Bucket { left: full, at: now });
        bucket.left = (bucket.left + now.duration_since(bucket.at).as_secs_f64() * per_second).min(full) - 1.0;
        bucket.at = now;
        let left = bucket.left;
        drop(state);
        // One call that was cut off with its leadership may not have been counted.
        if left < -1.5 && !is_repeated {
            self.break_law(Law::Budget, format!("{} {} of {}: {left:.2} left of {full}", request.method, request.path, request.host));
        }
    }

    /// How often the host of a request may be asked, by all that its process may know, or knew before the check that is under way. For
    /// one whose tenant object is gone, by what was known last.
    fn rate_limit(&self, request: &Request) -> RateLimit {
        let scene = self.scene(request.process, &request.host, TAKEN_UP_WITHIN);
        let tenants = scene.tenants.values().flatten().flatten().filter(|tenant| tenant.spec.domain == request.host);
        let known = tenants.map(|tenant| tenant.spec.rate_limit).reduce(RateLimit::max);
        let mut state = self.state.lock();
        let last = state.rate_limits.entry((request.process, request.host.clone())).or_default();
        *last = known.unwrap_or(*last);
        *last
    }

    fn look_at_write(&self, request: &Request) {
        let now = Instant::now();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let id = request.path.rsplit('/').next().unwrap_or_default().to_owned();
        let (sent, _) = seen::members(&body).get("options").map(|options| seen::split_options(options)).unwrap_or_default();
        let (read, any) = {
            let state = self.state.lock();
            let mut mine =
                state.reads.iter().rev().filter(|read| read.process == request.process && read.host == request.host && read.id == id);
            // Mostly the newest is it.
            let mut any = None;
            let read = mine.find_map(|read| {
                let document = Document::read(&read.text);
                if document.foreign == sent && document.has_options {
                    return Some((now.duration_since(read.at) + read.slept, document));
                }
                any.get_or_insert(document);
                None
            });
            (read, any)
        };
        self.look_at_others(request, now);
        let Some((age, document)) = read else {
            let was = any.map(|document| document.foreign);
            return self.break_law(Law::Foreign, format!("sent was {sent:?}, and read was {was:?}"));
        };
        // The read began before it took effect; a write may wait for a token no longer than a document is fresh.
        if age > FRESH {
            self.break_law(Law::Fresh, format!("the document was {age:?} old"));
        }
        let scene = self.write_scene(request);
        let mut violations = Vec::new();
        let changes = write::check(&scene, &document, &body, &mut violations);
        self.state.lock().changes.clone_from(&changes.0);
        self.look_at_answers(request, &document, changes, scene.concerned(&document));
        for violation in violations {
            self.break_law(violation.law, violation.text);
        }
    }

    fn remember_read(&self, request: &Request) {
        let Some(tenant) = self.tenants.get(&request.host) else { return };
        let name_or_id = match request.path.split_once("?name=") {
            Some((_, rest)) => rest.split('&').next().unwrap_or_default(),
            None => request.path.rsplit('/').next().unwrap_or_default(),
        };
        let Some(text) = tenant.connection_text(name_or_id) else { return };
        let id = seen::id_of(&text);
        let now = Instant::now();
        let mut state = self.state.lock();
        state.reads.retain(|read| now.duration_since(read.at) < FRESH * 8);
        state.reads.push(Read { process: request.process, at: now, slept: Duration::ZERO, host: request.host.clone(), id, text });
    }

    fn remember_shown(&self, request: &Request, status: u16) {
        let mut state = self.state.lock();
        let place = |id: &str| (request.process, request.host.clone(), id.to_owned());
        if status == 200
            && let Some(Read { id, text, .. }) =
                state.reads.last().filter(|read| read.process == request.process && read.host == request.host)
        {
            let (id, text) = (id.clone(), text.clone());
            state.shown.insert(place(&id), Some(text.clone()));
            drop(state);
            self.sees(request, &id, &text);
        }
    }

    /// A process is told that there is no such connection: by Auth0 itself, in its words.
    fn hears_that_none_is_there(&self, request: &Request, status: u16, body: &[u8]) {
        let key = match request.path.split_once("?name=") {
            Some((_, rest)) if status == 200 && (body.trim_ascii() == b"[]" || contains(body, r#""connections":[]"#)) => {
                rest.split('&').next()
            }
            None if status == 404 && contains(body, "inexistent_connection") => request.path.rsplit('/').next(),
            _ => None,
        };
        if let Some(key) = key {
            let place = (request.process, request.host.clone(), key.to_owned());
            let mut state = self.state.lock();
            state.shown.insert(place.clone(), None);
            state.gone.insert(place);
        }
    }

    /// Whenever a write takes effect, somebody records what it set: so it is kept in mind as long as it may land.
    fn look_at_landed(&self, request: &Request) {
        let Some(tenant) = self.tenants.get(&request.host) else { return };
        let id = request.path.rsplit('/').next().unwrap_or_default();
        let Some(text) = tenant.connection_text(id) else { return };
        let mut state = self.state.lock();
        // Who sent it knows what it may have done, also where no answer comes.
        state.shown.insert((request.process, request.host.clone(), id.to_owned()), Some(text));
        let sent = state.in_flight.iter().find(|write| write.number == request.number);
        // One that takes longer than any write may is nobody's fault.
        let changes = sent.filter(|write| write.since.elapsed() <= LANDS_WITHIN).map(|write| write.changes.clone()).unwrap_or_default();
        let sets: Vec<(String, String)> = changes.into_iter().filter_map(|(name, entry)| Some((name, entry?))).collect();
        drop(state);
        if sets.is_empty() {
            return;
        }
        let objects = self.objects_now();
        for (name, entry) in sets {
            let print = seen::fingerprint(&request.host, id, &name, &entry);
            let is_recorded =
                objects.iter().any(|object| object.params_on(id).any(|param| param.name == name && param.owned.contains(&print)));
            if !is_recorded && !self.may_have_left(&request.host, id, &name, &entry) {
                self.break_law(Law::NothingLeft, format!("a write of {name}={entry} to {id} takes effect, and nobody records it"));
            }
        }
    }

    /// What the operator set, as it stands there now.
    fn remember_written(&self, request: &Request) {
        let Some(tenant) = self.tenants.get(&request.host) else { return };
        let id = request.path.rsplit('/').next().unwrap_or_default();
        let Some(text) = tenant.connection_text(id) else { return };
        let after = Document::read(&text);
        let mut state = self.state.lock();
        let sent = state.in_flight.iter().find(|write| write.number == request.number);
        for (name, entry) in sent.map(|write| write.changes.clone()).unwrap_or_default() {
            let place = (request.host.clone(), id.to_owned(), name);
            let live = after.params.get(&place.2).and_then(|live| seen::canonical_text(live));
            match entry.filter(|entry| live.as_ref() == Some(entry)) {
                Some(entry) => drop(state.ours.insert(place, entry)),
                None => drop(state.ours.remove(&place)),
            }
        }
    }

    /// The status of a tenant object is written where it says something else than before: nothing rests on it.
    fn look_at_tenant(&self, request: &Request) {
        let path = request.path.split('?').next().unwrap_or_default();
        let Some(name) = path.strip_suffix("/status").and_then(|path| path.rsplit_once("/clusterauth0tenants/")).map(|(_, name)| name)
        else {
            return;
        };
        let Ok(sent) = serde_json::from_slice::<Value>(&request.body) else { return };
        // One of an older version is refused.
        let is_as_stored = |stored: &Value| {
            stored["metadata"]["resourceVersion"] == sent["metadata"]["resourceVersion"] && stored["status"] == sent["status"]
        };
        if self.cluster.read(&Key::tenant(name)).as_ref().is_some_and(is_as_stored) {
            self.break_law(Law::Needed, format!("the status of the tenant {name} is written as it is"));
        }
    }

    /// What somebody else changed is not what the operator set, also where he sets it to the same again.
    pub(super) fn forget_what_others_changed(&self, host: &str) {
        let Some(tenant) = self.tenants.get(host) else { return };
        let mut state = self.state.lock();
        state.ours.retain(|(of, id, name), entry| {
            if of != host {
                return true;
            }
            let document = tenant.connection_text(id).map(|text| Document::read(&text)).unwrap_or_default();
            document.params.get(name).and_then(|live| seen::canonical_text(live)).as_ref() == Some(entry)
        });
    }

    /// Counts what the status of a tenant object, or an event, says.
    fn count_told(&self, request: &Request) {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Told {
            reason: Option<String>,
            status: seen::Status,
        }
        let Told { reason, status } = serde_json::from_slice(&request.body).unwrap_or_default();
        self.count_status(&status);
        if let Some(reason) = reason {
            self.count(Kind::Event, &reason);
        }
    }

    pub(super) fn count_status(&self, status: &seen::Status) {
        let mut state = self.state.lock();
        for condition in &status.conditions {
            state.coverage.count(Kind::Reason, &condition.reason);
        }
        for param in status.connections.iter().flat_map(|connection| &connection.params) {
            state.coverage.count(Kind::State, &param.state);
        }
    }

    fn count_call(&self, request: &Request, status: u16) {
        let what = match (request.server, request.method.as_str()) {
            (Server::Auth0, "GET") => "read",
            (Server::Auth0, "PATCH") => "PATCH",
            (Server::Auth0, _) => "token",
            (Server::Kubernetes, "PUT") => "status",
            (Server::Kubernetes, _) if request.path.contains("/events") => "event",
            (Server::Kubernetes, _) => "finalizer",
        };
        self.state.lock().coverage.count_call(what, status);
    }
}

/// Whether a text holds another.
fn contains(text: &[u8], part: &str) -> bool {
    match std::str::from_utf8(text) {
        // Much faster, and what is sent is text.
        Ok(text) => text.contains(part),
        Err(_) => text.windows(part.len()).any(|window| window == part.as_bytes()),
    }
}
