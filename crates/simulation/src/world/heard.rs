//! What a process was answered to its writes, and what it does about that: what Auth0 refused, and what somebody keeps changing.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{State, World};
use crate::laws::Law;
use crate::laws::seen::{self, Document, Object};
use crate::laws::write::{Changed, Concerned, Correction};
use crate::network::{ProcessId, Request};

/// How often a value that somebody keeps changing is set back as soon as that is seen, within [`WINDOW`].
const AT_ONCE: usize = 2;

/// How long it takes at least after that until it is set back again, a little less than it is meant to be.
const PACE: Duration = Duration::from_secs(59);

/// For how long a correction counts.
const WINDOW: Duration = Duration::from_hours(1);

/// What every refusal of the parameters names.
const PROPERTY: &str = "options.upstream_params";

/// A connection, as a process knows it.
type At = (ProcessId, String, String);

/// A write that was sent.
struct Sent {
    document: Document,
    changed: Changed,
    corrections: Vec<Correction>,
    concerned: Vec<Concerned>,
}

impl Sent {
    /// Whether everybody whom it concerned is as then.
    fn is_declared_alike(&self, concerned: &[Concerned]) -> bool {
        let declares = |concerned: &Concerned| (concerned.uid.clone(), concerned.generation);
        self.concerned.iter().map(declares).eq(concerned.iter().map(declares))
    }

    /// Whether the status of an object listed a name when it was sent.
    fn was_listed(&self, uid: &str, name: &str) -> bool {
        self.concerned.iter().any(|concerned| concerned.uid == uid && concerned.lists.contains(name))
    }
}

/// One that Auth0 refused.
struct Refused {
    at: At,
    sent: Sent,
    /// Whether it says that it is for what was changed.
    is_ours: bool,
    /// Whether the process may have forgotten it, or rightly: it asked for the Lease anew, its tenant or the connection changed.
    may_be_forgotten: bool,
}

impl Refused {
    /// Its process is shown the connection: where something has changed, it may be as it was again by and by.
    fn shown(&mut self, document: &Document) {
        let before = &self.sent.document;
        self.may_be_forgotten |= (&before.foreign, &before.params, before.has_usable_params)
            != (&document.foreign, &document.params, document.has_usable_params);
    }
}

/// The corrections of one parameter.
struct Fight {
    owner: (String, i64),
    times: Vec<Instant>,
    /// Whether another value was seen since the last: where ours is seen after that, whoever changed it has given in.
    saw_another: bool,
}

/// What was answered.
#[derive(Default)]
pub(super) struct Heard {
    sent: BTreeMap<u32, Sent>,
    refused: Vec<Refused>,
    fights: BTreeMap<(At, String), Fight>,
}

fn at(request: &Request) -> At {
    (request.process, request.host.clone(), request.path.rsplit('/').next().unwrap_or_default().to_owned())
}

/// What a refusal of the parameters is about.
enum About {
    /// All of them.
    Whole,
    /// What has this path.
    Entry(String),
}

/// What a refusal is about; nothing where it is not about the parameters.
fn about(body: &[u8]) -> Option<About> {
    #[derive(serde::Deserialize)]
    struct Complaint {
        message: String,
    }
    let complaint: Complaint = serde_json::from_slice(body).ok()?;
    let (_, rest) = complaint.message.split_once(PROPERTY)?;
    let path = rest.strip_prefix('.').filter(|path| !path.is_empty());
    Some(path.map_or(About::Whole, |path| About::Entry(path.trim_end_matches('.').to_owned())))
}

impl World {
    /// A process may have forgotten what it was answered.
    pub(super) fn may_forget(&self, who: Option<ProcessId>) {
        for refused in &mut self.state.lock().heard.refused {
            refused.may_be_forgotten |= who.is_none_or(|process| refused.at.0 == process);
        }
    }

    /// A write is sent: not one that was refused as it is, and none that sets back too soon what somebody keeps changing.
    pub(crate) fn look_at_answers(
        &self,
        request: &Request,
        document: &Document,
        (changed, corrections): (Changed, Vec<Correction>),
        concerned: Vec<Concerned>,
    ) {
        let (at, now) = (at(request), Instant::now());
        let mut broken = Vec::new();
        let mut state = self.state.lock();
        let is_same = |refused: &&Refused| {
            let Refused { sent, .. } = refused;
            refused.at == at
                && sent.changed == changed
                && sent.is_declared_alike(&concerned)
                && (&sent.document.foreign, &sent.document.params) == (&document.foreign, &document.params)
        };
        if state.heard.refused.iter().filter(|refused| refused.is_ours && !refused.may_be_forgotten).any(|refused| is_same(&refused)) {
            broken.push((Law::Heard, format!("{changed:?} of {} was refused, and is sent again as it was", document.name)));
        }
        for Correction { name, owner } in &corrections {
            let Some(fight) = state.heard.fights.get(&(at.clone(), name.clone())).filter(|fight| fight.owner == *owner) else { continue };
            let recent = fight.times.iter().filter(|time| now.duration_since(**time) < WINDOW).count();
            let last = fight.times.last().map_or(WINDOW, |time| now.duration_since(*time));
            if recent >= AT_ONCE && last < PACE {
                let text = format!("{name} of {} is set back for the {}th time, {last:?} after the last", document.name, recent + 1);
                broken.push((Law::Patient, text));
            }
        }
        state.heard.sent.insert(request.number, Sent { document: document.clone(), changed, corrections, concerned });
        drop(state);
        for (law, text) in broken {
            self.break_law(law, text);
        }
    }

    /// The answer to a write arrived.
    pub(super) fn hears(&self, request: &Request, status: u16, body: &[u8]) {
        let mut state = self.state.lock();
        let Some(sent) = state.heard.sent.remove(&request.number) else { return };
        let at = at(request);
        match status {
            200 => {
                let answer = Document::read(&String::from_utf8_lossy(body));
                for refused in state.heard.refused.iter_mut().filter(|refused| refused.at == at) {
                    refused.shown(&answer);
                }
                for Correction { name, owner } in &sent.corrections {
                    let entry = sent.changed.iter().find(|(changed, _)| changed == name).and_then(|(_, entry)| entry.clone());
                    if answer.params.get(name).and_then(|text| seen::canonical_text(text)) != entry {
                        continue;
                    }
                    let fresh = || Fight { owner: owner.clone(), times: Vec::new(), saw_another: false };
                    let fight = state.heard.fights.entry((at.clone(), name.clone())).or_insert_with(fresh);
                    if fight.owner != *owner {
                        *fight = fresh();
                    }
                    fight.times.push(Instant::now());
                    fight.saw_another = false;
                }
            }
            400 => {
                let is_of = |path: &str| {
                    let mut entries = sent.changed.iter().filter(|(_, entry)| entry.is_some());
                    entries.any(|(name, _)| path.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
                };
                let is_ours = match about(body) {
                    Some(About::Whole) => true,
                    Some(About::Entry(path)) => is_of(&path),
                    None => false,
                };
                state.heard.refused.push(Refused { at, sent, is_ours, may_be_forgotten: false });
            }
            _ => {}
        }
    }

    /// A process is shown a connection: whether it has changed since it was refused, and who has given in.
    pub(super) fn sees(&self, request: &Request, id: &str, text: &str) {
        let mut state = self.state.lock();
        let is_here = |at: &At| (at.0, at.1.as_str(), at.2.as_str()) == (request.process, request.host.as_str(), id);
        let State { heard, ours, .. } = &mut *state;
        if !heard.refused.iter().any(|refused| is_here(&refused.at)) && !heard.fights.keys().any(|(at, _)| is_here(at)) {
            return;
        }
        let document = Document::read(text);
        for refused in heard.refused.iter_mut().filter(|refused| is_here(&refused.at)) {
            refused.shown(&document);
        }
        heard.fights.retain(|(at, name), fight| {
            if !is_here(at) {
                return true;
            }
            let live = document.params.get(name).and_then(|text| seen::canonical_text(text));
            let is_ours = live.is_some() && live.as_ref() == ours.get(&(at.1.clone(), at.2.clone(), name.clone()));
            if is_ours && fight.saw_another {
                return false;
            }
            fight.saw_another |= !is_ours;
            true
        });
    }

    /// An object is told that Auth0 refuses what it declares: so it did, and for nothing of others.
    pub(crate) fn look_at_rejection(&self, request: &Request, old: &Object, sent: &Object) {
        let is_rejected = |object: &Object| object.condition("Synced").is_some_and(|synced| synced.reason == "Rejected");
        if !is_rejected(sent) || is_rejected(old) {
            return;
        }
        let is_its_own = |refused: &Refused| {
            // Somebody may have changed its status meanwhile, which is no change of what it declares.
            let own = |name: &String| {
                let lists = old.params_on(&refused.at.2).any(|param| param.name == *name);
                lists || old.spec.params.contains_key(name) || refused.sent.was_listed(&old.metadata.uid, name)
            };
            refused.at.0 == request.process && refused.is_ours && refused.sent.changed.iter().all(|(name, _)| own(name))
        };
        if !self.state.lock().heard.refused.iter().any(is_its_own) {
            let text = format!("{} is told that its parameters are refused, and Auth0 refused no write of its own for them", old.key());
            self.break_law(Law::Heard, text);
        }
    }
}
