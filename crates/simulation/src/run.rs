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

/// When it is looked whether everything is at rest, after the last fault or after the look before.
const LOOKS: [u64; 8] = [15, 45, 150, 150, 300, 600, 1200, 1200];

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
    rest(world).await;
}

/// Waits until everything is at rest, and stays so.
async fn rest(world: &Arc<World>) {
    let begin = Instant::now();
    let mut looks = LOOKS.iter().copied();
    loop {
        let before = world.writes();
        let pause = Duration::from_secs(looks.next().unwrap_or(1200));
        // One that was still ending when everything calmed down is started later.
        world.start_all();
        sleep(pause).await;
        if world.is_broken() {
            return;
        }
        let unrest = world.unrest();
        let writes = world.writes() - before;
        // A pause that holds a whole interval between two looks of the operator.
        if unrest.is_empty() && writes == 0 && pause >= Duration::from_secs(150) {
            return;
        }
        if begin.elapsed() > REST_WITHIN {
            return match unrest.into_iter().next() {
                Some(violation) => world.break_law(violation.law, violation.text),
                None => world.break_law(Law::Rest, format!("{writes} writes within {pause:?}, although all is as it has to be")),
            };
        }
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
