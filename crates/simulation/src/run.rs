//! Runs one history, in simulated time, on one thread.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::Level;

use crate::coverage::Coverage;
use crate::history::History;
use crate::laws::{Law, Violation};
use crate::log::{self, Lines};
use crate::story::Line;
use crate::world::World;

/// Within what time everything has to be at rest after the last fault: what is fought over waits for up to an hour.
const REST_WITHIN: Duration = Duration::from_hours(3);

/// How many tokens may be fetched while everything is at rest: one for each tenant that revoked the last.
const TOKENS_AT_REST: u64 = 2;

/// How many may be fetched beside that while everything comes to rest, with other credentials.
const TOKENS_TO_REST: u64 = 6;

/// The longest pause between two looks whether everything is at rest.
const LONGEST_PAUSE: Duration = Duration::from_mins(20);

/// By how much what is at rest has to stay so for longer than the operator lets pass between two looks at a connection.
const BEYOND_INTERVAL: Duration = Duration::from_secs(10);

/// For how long it has to in some histories: longer than most of the operator's pauses.
const LONG_REST: Duration = Duration::from_secs(150);

/// One history in so many rests for so long.
const LONG_RESTS: u64 = 8;

/// What came of a history.
#[derive(Debug)]
pub struct Report {
    /// The first law that did not hold.
    pub violation: Option<Violation>,
    /// What happened and which calls took effect, in all.
    pub steps: u64,
    /// How much time passed in it.
    pub lasted: Duration,
    /// What it reached.
    pub coverage: Coverage,
    /// What happened, where it was to be told.
    pub story: Vec<Line>,
}

/// Runs a history. `told`: with its story.
pub fn run(history: &History, told: bool) -> Report {
    run_and_look(history, told, |_| ()).0
}

/// Runs a history, and looks at the world as it is in the end. `told`: with its story.
pub fn run_and_look<T>(history: &History, told: bool, look: impl FnOnce(&World) -> T) -> (Report, T) {
    fastrand::seed(history.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else {
        // It needs no file, no socket and no thread.
        unreachable!("a runtime without I/O can always be built");
    };
    let report = runtime.block_on(async {
        let world = World::new(history, told);
        let lines: Arc<dyn Lines> = world.clone();
        log::listen(Some(lines));
        for replica in 0..history.replicas {
            world.start(replica);
        }
        live(history, &world).await;
        (world.report(), look(&world))
    });
    log::listen(None);
    // Tasks that never end go with it.
    drop(runtime);
    report
}

async fn live(history: &History, world: &Arc<World>) {
    for (pause, action) in &history.steps {
        sleep(*pause).await;
        world.happen(action);
        if world.is_broken() {
            return;
        }
    }
    sleep(Duration::from_secs(1)).await;
    world.calm();
    // Quiet for so long that every connection was looked at once more.
    let interval = world.longest_interval() + BEYOND_INTERVAL;
    let stretch = if history.seed.is_multiple_of(LONG_RESTS) { interval.max(LONG_REST) } else { interval };
    rest(world, stretch).await;
}

/// Waits until everything is at rest, and was so for this long.
async fn rest(world: &Arc<World>, stretch: Duration) {
    let begin = Instant::now();
    let mut pause = stretch;
    loop {
        let tokens = world.tokens();
        // One that was still ending when everything calmed down is started later.
        world.start_all();
        sleep(pause).await;
        if world.is_broken() {
            return;
        }
        if world.mend() {
            pause = stretch;
            continue;
        }
        let (quiet, is_late) = (world.quiet_for().min(begin.elapsed()), begin.elapsed() > REST_WITHIN);
        if quiet < stretch && !is_late {
            pause = stretch.saturating_sub(quiet);
            continue;
        }
        let unrest = world.unrest();
        if unrest.is_empty() && quiet >= stretch {
            world.look_at_reads(stretch);
            let (tokens, is_first) = (world.tokens() - tokens, begin.elapsed() <= pause);
            let most = TOKENS_AT_REST + if is_first { TOKENS_TO_REST } else { 0 };
            if tokens > most && !world.has_short_tokens() {
                world
                    .break_law(Law::Budget, format!("{tokens} tokens were fetched within {pause:?}, although those before hold for a day"));
            }
            return;
        }
        if is_late {
            return match unrest.into_iter().next() {
                Some(violation) => world.break_law(violation.law, violation.text),
                None => world.break_law(Law::Rest, format!("a write {quiet:?} ago, although all is as it has to be")),
            };
        }
        // As long as something is to be done yet, it is looked less and less often.
        pause = (begin.elapsed() / 2).min(LONGEST_PAUSE);
    }
}

impl Lines for World {
    fn line(&self, level: Level, text: &str) {
        self.logged(level, text);
    }

    fn level(&self) -> Level {
        Level::TRACE
    }
}
