//! A running watch: the body of its answer.
//!
//! It sends an event when that is as old as the lag of its process and kind, in order; a bookmark every minute and once
//! before its end; and ends when its time is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Body, Frame};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};
use tower::BoxError;

use super::kind::Kind;
use super::object::Object;
use super::refusal::Refusal;
use super::selector::Selector;
use super::service;
use super::store::{State, Watcher};
use crate::network::ProcessId;

/// How often a bookmark is sent.
const BOOKMARKS: Duration = Duration::from_mins(1);
/// How long before its end a watch sends the last one.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// How a watch is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// It ends as one does whose time is over.
    Eof,
    /// The connection breaks.
    Error,
    /// The API server says that it can't go on from there: an ERROR event with 410.
    Gone,
    /// It never says anything again, and does not end.
    Silence,
}

/// What a watch is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) selector: Selector,
    /// Metadata only.
    pub(super) partial: bool,
    pub(super) bookmarks: bool,
    pub(super) lasts: Duration,
    /// From which version on; 0: from what is there.
    pub(super) from: u64,
}

/// The body of a watch.
pub(super) struct WatchBody {
    state: Arc<Mutex<State>>,
    id: u64,
    process: ProcessId,
    asked: Asked,
    /// What is sent before everything else.
    first: std::vec::IntoIter<Bytes>,
    /// Why it ends before it began.
    refused: Option<Bytes>,
    ends: Instant,
    bookmark: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
    is_over: bool,
}

/// What a watch has to do.
enum Next {
    Send(Bytes),
    End,
    Break,
    Wait(Instant),
    Never,
}

impl WatchBody {
    /// Begins a watch.
    pub(super) fn begin(shared: &Arc<Mutex<State>>, state: &mut State, process: ProcessId, asked: Asked) -> Self {
        let (kind, now) = (asked.kind, Instant::now());
        let (mut cursor, mut first, mut refused) = (asked.from, Vec::new(), None);
        if asked.from == 0 {
            cursor = state.seen_version(process, kind);
            let objects = state.objects_at(kind, cursor);
            let shown = objects.values().filter(|object| asked.selector.takes(object));
            first = shown.map(|object| super::store::line_of(super::store::Change::Added, text_of(object, asked.partial))).collect();
        } else if asked.from < state.watchable[kind.index()] {
            refused = Some(error_line(&Refusal::too_old(asked.from, state.watchable[kind.index()])));
        }
        // What it listed it has, from where the watch begins, also where it can't begin there any more.
        state.chronicle.go_on(process, kind, cursor);
        let id = state.register(Watcher { process, kind, cursor, cut: None, waker: None });
        let bookmark = (now + BOOKMARKS).min(now + asked.lasts.saturating_sub(LAST_BOOKMARK));
        let ends = now + asked.lasts;
        let first = first.into_iter();
        Self { state: shared.clone(), id, process, asked, first, refused, ends, bookmark, sleep: None, is_over: false }
    }

    fn next(&mut self, context: &Context<'_>) -> Next {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let Some(watcher) = state.watchers.get_mut(&self.id) else { return Next::End };
        match watcher.cut {
            Some(Break::Eof) => return Next::End,
            Some(Break::Error) => return Next::Break,
            Some(Break::Gone) => {
                let line = error_line(&Refusal::too_old(watcher.cursor, state.version));
                watcher.cut = Some(Break::Eof);
                return Next::Send(line);
            }
            Some(Break::Silence) => return Next::Never,
            None => {}
        }
        if let Some(line) = self.refused.take() {
            watcher.cut = Some(Break::Eof);
            return Next::Send(line);
        }
        if let Some(line) = self.first.next() {
            return Next::Send(line);
        }
        let (now, lag) = (Instant::now(), state.lags.get(&(self.process, self.asked.kind)).copied().unwrap_or_default());
        let history = &state.history[self.asked.kind.index()];
        let mut wake = self.ends;
        let mut all_sent = true;
        let begin = history.partition_point(|event| event.version() <= watcher.cursor);
        for event in history.range(begin..) {
            if event.at + lag > now {
                wake = wake.min(event.at + lag);
                all_sent = false;
                break;
            }
            watcher.cursor = event.version();
            state.chronicle.show(self.process, self.asked.kind, watcher.cursor);
            if self.asked.selector.takes(&event.object) {
                return Next::Send(event.line(self.asked.partial));
            }
        }
        if now >= self.ends {
            return Next::End;
        }
        if self.asked.bookmarks {
            if now >= self.bookmark {
                self.bookmark = (now + BOOKMARKS).min((self.ends - LAST_BOOKMARK).max(now + LAST_BOOKMARK));
                // One never tells of a version before that from which the watch began.
                if state.version >= watcher.cursor {
                    if all_sent {
                        watcher.cursor = state.version;
                    }
                    return Next::Send(bookmark_line(self.asked.kind, self.asked.partial, watcher.cursor));
                }
            }
            wake = wake.min(self.bookmark);
        }
        watcher.waker = Some(context.waker().clone());
        Next::Wait(wake)
    }
}

impl Body for WatchBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            if this.is_over {
                return Poll::Ready(None);
            }
            match this.next(context) {
                Next::Send(line) => return Poll::Ready(Some(Ok(Frame::data(line)))),
                Next::End => this.is_over = true,
                Next::Break => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(service::broken())));
                }
                Next::Never => return Poll::Pending,
                Next::Wait(until) => {
                    let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
                    if sleep.deadline() != until {
                        sleep.as_mut().reset(until);
                    }
                    ready!(sleep.as_mut().poll(context));
                }
            }
        }
    }
}

impl Drop for WatchBody {
    fn drop(&mut self) {
        let watcher = self.state.lock().watchers.remove(&self.id);
        drop(watcher);
    }
}

fn text_of(object: &Object, partial: bool) -> &Bytes {
    if partial { object.partial() } else { &object.text }
}

fn error_line(refusal: &Refusal) -> Bytes {
    [br#"{"type":"ERROR","object":"#, refusal.body().as_slice(), b"}\n"].concat().into()
}

fn bookmark_line(kind: Kind, partial: bool, version: u64) -> Bytes {
    let names = kind.names();
    let (api_version, kind) = if partial { ("meta.k8s.io/v1", "PartialObjectMetadata") } else { (names.version, names.kind) };
    format!(
        "{{\"type\":\"BOOKMARK\",\"object\":{{\"apiVersion\":\"{api_version}\",\"kind\":\"{kind}\",\"metadata\":{{\"resourceVersion\":\
         \"{version}\",\"creationTimestamp\":null}}}}}}\n"
    )
    .into()
}
