//! `simulation`: runs histories until one breaks a law, and tells that one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use simulation::coverage::Coverage;
use simulation::history::{History, Seed};
use simulation::laws::Violation;
use simulation::{log, mutants, run, shrink};

/// After so many histories a survey says how far it is.
const PROGRESS: u64 = 10_000;

/// With the system's allocator a quarter of a history's time is allocation, with this one little of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the operator's own code through histories of edits, faults and crashes, in simulated time, and checks its laws.
///
/// One seed is one history, the same on every machine. The first history that breaks a law is told, and the exit code is 1.
#[derive(Debug, Parser)]
#[command(version)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Arguments {
    /// How many histories to run at most; without this and without --seconds, 10,000.
    #[arg(long)]
    histories: Option<u64>,

    /// For how many seconds to run at most.
    #[arg(long)]
    seconds: Option<u64>,

    /// The seed of the first history; each further one has the next.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Somebody asks for looks in every history, and not in one of six only.
    #[arg(long)]
    asking: bool,

    /// On how many threads. Which histories are run does not depend on it.
    #[arg(long, default_value_t = 1)]
    threads: usize,

    /// Cut a history that breaks a law down to what still breaks it, before it is told.
    #[arg(long)]
    shrink: bool,

    /// Do not stop at the first history that breaks a law: list all that do. Each is also said on standard error when it is found.
    #[arg(long)]
    survey: bool,

    /// Tell the history of the first seed, whatever comes of it.
    #[arg(long)]
    tell: bool,

    /// Put faults into the operator's code, one after the other, and say after how many histories each is found. Takes the
    /// names of some of them, or nothing for all.
    #[arg(long, num_args = 0.., value_name = "NAME")]
    mutants: Option<Vec<String>>,

    /// Write what was found of the mutants into this file, as a table between the lines that mark one.
    #[arg(long, value_name = "FILE", requires = "mutants")]
    table: Option<PathBuf>,
}

impl Arguments {
    fn history(&self, seed: u64) -> History {
        History::of(Seed { number: seed, asks: self.asking })
    }

    fn histories(&self) -> u64 {
        self.histories.unwrap_or(if self.seconds.is_some() { u64::MAX } else { 10_000 })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.mutants.is_some() {
        let histories = arguments.histories();
        let Arguments { seed, threads, table, mutants, .. } = arguments;
        return mutants::check(&mutants::Check { names: mutants.unwrap_or_default(), histories, seed, threads, table });
    }
    if tracing::subscriber::set_global_default(log::Listening).is_err() {
        eprintln(format_args!("the log can't be listened to"));
        return ExitCode::FAILURE;
    }
    if arguments.tell {
        let told = run::run(&arguments.history(arguments.seed), true);
        tell(&told);
        return if told.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let total = Total::run(&arguments);
    print(format_args!("{total}"));
    let Some((seed, violation)) = total.broken.first() else {
        print(format_args!("no law was broken"));
        return ExitCode::SUCCESS;
    };
    if arguments.survey {
        for (seed, violation) in &total.broken {
            print(format_args!("seed {seed}: {violation}"));
        }
        return ExitCode::FAILURE;
    }
    let mut history = arguments.history(*seed);
    let whole = history.len();
    if arguments.shrink {
        history = shrink::shrink(history, violation.law);
        print(format_args!("cut down from {whole} things that happen to {}", history.len()));
    }
    print(format_args!("\nThe history of seed {seed}:\n"));
    tell(&run::run(&history, true));
    let asking = if arguments.asking { " --asking" } else { "" };
    print(format_args!("\nAgain: cargo run --release -p simulation -- --seed {seed}{asking} --histories 1 --shrink"));
    ExitCode::FAILURE
}

fn tell(report: &run::Report) {
    for line in &report.story {
        print(format_args!("{line}"));
    }
}

/// What came of all histories.
#[derive(Default)]
struct Total {
    histories: u64,
    steps: u64,
    fewest_steps: u64,
    simulated: Duration,
    took: Duration,
    threads: usize,
    coverage: Coverage,
    broken: Vec<(u64, Violation)>,
}

impl Total {
    fn run(arguments: &Arguments) -> Self {
        let (next, stop, begin) = (AtomicU64::new(arguments.seed), AtomicBool::new(false), Instant::now());
        let end = arguments.seed.saturating_add(arguments.histories());
        let work = || {
            let mut part = Self { fewest_steps: u64::MAX, ..Self::default() };
            while !stop.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end || arguments.seconds.is_some_and(|seconds| begin.elapsed() >= Duration::from_secs(seconds)) {
                    break;
                }
                let report = run::run(&arguments.history(seed), false);
                part.histories += 1;
                part.steps += report.steps;
                part.fewest_steps = part.fewest_steps.min(report.steps);
                part.simulated += report.lasted;
                part.coverage.add(report.coverage);
                if let Some(violation) = report.violation {
                    if arguments.survey {
                        // A run of hours may be cut off before it says what it came to.
                        eprintln(format_args!("seed {seed}: {violation}"));
                    } else {
                        stop.store(true, Ordering::Relaxed);
                    }
                    part.broken.push((seed, violation));
                }
                // Other threads may be one behind or ahead.
                let number = seed - arguments.seed + 1;
                if arguments.survey && number.is_multiple_of(PROGRESS) {
                    eprintln(format_args!("{number} histories, {:.0} s", begin.elapsed().as_secs_f64()));
                }
            }
            part
        };
        let parts: Vec<Self> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..arguments.threads.max(1)).map(|_| scope.spawn(work)).collect();
            workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
        });
        let mut total = Self { fewest_steps: u64::MAX, threads: arguments.threads.max(1), ..Self::default() };
        for part in parts {
            total.histories += part.histories;
            total.steps += part.steps;
            total.fewest_steps = total.fewest_steps.min(part.fewest_steps);
            total.simulated += part.simulated;
            total.coverage.add(part.coverage);
            total.broken.extend(part.broken);
        }
        total.took = begin.elapsed();
        total.broken.sort_by_key(|(seed, _)| *seed);
        total
    }
}

impl std::fmt::Display for Total {
    #[expect(clippy::cast_precision_loss, reason = "counts of histories are far below 2^52")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.took.as_secs_f64().max(0.001);
        let each = |count: u64| count as f64 / self.histories.max(1) as f64;
        writeln!(
            f,
            "{} histories in {seconds:.1} s on {} thread(s): {:.0} a second; {} steps, {:.0} a second, {:.0} in each, {} at least; {:.1} hours of simulated time",
            self.histories,
            self.threads,
            self.histories as f64 / seconds,
            self.steps,
            self.steps as f64 / seconds,
            each(self.steps),
            if self.histories == 0 { 0 } else { self.fewest_steps },
            self.simulated.as_secs_f64() / 3600.0,
        )?;
        write!(f, "{}", self.coverage)?;
        write!(f, "{} histories broke a law", self.broken.len())
    }
}

/// Writes a line to standard output. A reader that went away, as `head` does, is no error.
fn print(line: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn eprintln(line: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
