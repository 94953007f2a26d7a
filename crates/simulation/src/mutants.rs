//! Faults put into the operator's code, one after the other, each of which a simulation has to find: what a law that never broke
//! anything is worth is not known.
//!
//! A mutant is data: a file, a text that occurs in it exactly once, and what stands in its place. The operator holds nothing of it;
//! each is put into a copy of the sources, which is built and run there. [`check`] runs the unmutated copy first: one that finds
//! something there can't tell a mutant from a fault that is there anyway.
//!
//! Assumes `git` and `cargo`, and the sources where this was built from. A mutant that does not compile, or whose simulation does
//! not come to its end, is an error of the check, and is no more found than one that nobody notices.

mod access;
mod claims;
mod client;
mod document;
mod lease;
mod pass;
mod plan;
mod schedule;
mod status;
mod table;
mod workshop;
mod world;

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use self::workshop::{Ended, Workshop};
use crate::laws::Law;

/// A fault that somebody could make.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// What it is called.
    pub name: &'static str,
    /// Where it is.
    pub room: Room,
    /// What is wrong, as a sentence.
    pub wrong: &'static str,
    /// What is changed: one place, but where two have to agree for the fault to be one.
    pub edits: &'static [Edit],
}

/// A change of one place: the file, the text that occurs in it exactly once, and the text in its place.
#[derive(Clone, Copy, Debug)]
pub struct Edit(pub &'static str, pub &'static str, pub &'static str);

/// The part of the operator that a mutant is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Which part an object has in a pass.
    Role,
    /// Whom a tenant admits to what, and which tenant object counts.
    Access,
    /// Whose a name is, and what is written.
    Plan,
    /// What proves a value to be ours.
    Claims,
    /// The steps of a pass: read, claim, fence, write.
    Pass,
    /// What is concluded: status, record, finalizer.
    Status,
    /// When what is looked at.
    Schedule,
    /// The connection as text.
    Document,
    /// Calls to Auth0, and what is made of their answers.
    Client,
    /// Tokens.
    Token,
    /// How often Auth0 is asked.
    Budget,
    /// What must not be shown.
    Secrets,
    /// Who leads.
    Lease,
    /// What is folded into the world, and by which watch.
    World,
    /// What is written to Kubernetes.
    Report,
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Role => "role",
            Self::Access => "access",
            Self::Plan => "plan",
            Self::Claims => "claims",
            Self::Pass => "pass",
            Self::Status => "status",
            Self::Schedule => "schedule",
            Self::Document => "document",
            Self::Client => "client",
            Self::Token => "token",
            Self::Budget => "budget",
            Self::Secrets => "secrets",
            Self::Lease => "lease",
            Self::World => "world",
            Self::Report => "report",
        })
    }
}

/// All of them, room by room.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    let groups = [
        access::MUTANTS,
        plan::MUTANTS,
        claims::MUTANTS,
        pass::MUTANTS,
        status::MUTANTS,
        schedule::MUTANTS,
        document::MUTANTS,
        client::MUTANTS,
        lease::MUTANTS,
        world::MUTANTS,
    ];
    groups.into_iter().flatten()
}

/// What is to be checked, and how.
#[derive(Clone, Debug)]
pub struct Check {
    /// The names of the mutants; empty: all.
    pub names: Vec<String>,
    /// How many histories each has to be found within.
    pub histories: u64,
    /// The seed of the first.
    pub seed: u64,
    /// On how many threads they are run.
    pub threads: usize,
    /// The file whose table is written.
    pub table: Option<PathBuf>,
}

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A law was broken.
    Found {
        /// After so many histories.
        histories: u64,
        /// Which law; none where what was printed names none that is known.
        law: Option<Law>,
    },
    /// No law was broken.
    Missed,
    /// It can't be said: the mutant is no fault that could be made, or the simulation did not come to an end.
    Broken(String),
}

/// A mutant, and what became of it.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The mutant.
    pub mutant: &'static Mutant,
    /// What became of it.
    pub verdict: Verdict,
    /// How long its build took.
    pub built_in: Duration,
    /// How long its histories took.
    pub ran_for: Duration,
}

/// Tries mutants, and says after how many histories each was found. Fails where one was not.
pub fn check(check: &Check) -> ExitCode {
    match try_all(check) {
        Ok(tried) => conclude(check, &tried),
        Err(error) => {
            complain(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

fn try_all(check: &Check) -> Result<Vec<Tried>, String> {
    let mutants = chosen(&check.names)?;
    let workshop = Workshop::open()?;
    say(format_args!("the code as it is: {} histories from seed {}", check.histories, check.seed));
    let begin = Instant::now();
    workshop.build()?;
    say(format_args!("  built in {:.0} s", begin.elapsed().as_secs_f64()));
    let begin = Instant::now();
    match workshop.run(check) {
        Ended::Quiet => say(format_args!("  no law was broken, in {:.0} s", begin.elapsed().as_secs_f64())),
        Ended::Broke { seed, told, .. } => {
            return Err(format!(
                "a law is broken without any mutant, at seed {seed}, so the check is worth nothing; mend that first:\n{told}"
            ));
        }
        Ended::Failed(error) => return Err(format!("the simulation of the code as it is failed: {error}")),
    }
    Ok(mutants.into_iter().map(|mutant| try_one(&workshop, check, mutant)).collect())
}

/// The mutants of these names, or all of them.
fn chosen(names: &[String]) -> Result<Vec<&'static Mutant>, String> {
    if names.is_empty() {
        return Ok(all().collect());
    }
    let of_name = |name: &String| {
        all().find(|mutant| mutant.name == name).ok_or_else(|| format!("there is no mutant {name}; these are there: {}", listed(all())))
    };
    names.iter().map(of_name).collect()
}

fn listed<'a>(mutants: impl Iterator<Item = &'a Mutant>) -> String {
    mutants.map(|mutant| mutant.name).collect::<Vec<_>>().join(", ")
}

fn try_one(workshop: &Workshop, check: &Check, mutant: &'static Mutant) -> Tried {
    let begin = Instant::now();
    let put_in = workshop.put_in(mutant);
    let built = put_in.as_ref().map_err(String::clone).and_then(|_| workshop.build());
    let (built_in, begin) = (begin.elapsed(), Instant::now());
    let verdict = match built.map(|()| workshop.run(check)) {
        Ok(Ended::Broke { seed, law, .. }) => Verdict::Found { histories: seed.saturating_sub(check.seed) + 1, law },
        Ok(Ended::Quiet) => Verdict::Missed,
        Ok(Ended::Failed(error)) | Err(error) => Verdict::Broken(error),
    };
    let tried = Tried { mutant, verdict, built_in, ran_for: begin.elapsed() };
    say(format_args!("{tried}"));
    tried
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mutant, verdict, built_in, ran_for } = self;
        write!(f, "{:<44} {:<9} ", mutant.name, mutant.room.to_string())?;
        match verdict {
            Verdict::Found { histories, law: Some(law) } => write!(f, "{histories:>6}  {law:?}")?,
            Verdict::Found { histories, law: None } => write!(f, "{histories:>6}  by a law that this does not know")?,
            Verdict::Missed => f.write_str("NOT FOUND")?,
            Verdict::Broken(_) => f.write_str("BROKEN")?,
        }
        write!(f, "  ({:.0} s, and {:.0} s to build)", ran_for.as_secs_f64(), built_in.as_secs_f64())?;
        if let Verdict::Broken(error) = verdict { write!(f, "\n{error}") } else { Ok(()) }
    }
}

fn conclude(check: &Check, tried: &[Tried]) -> ExitCode {
    let is_found = |tried: &&Tried| matches!(tried.verdict, Verdict::Found { .. });
    let found = tried.iter().filter(is_found).count();
    say(format_args!("\n{found} of {} mutants were found within {} histories", tried.len(), check.histories));
    if let Some(file) = &check.table
        && let Err(error) = table::write(file, tried)
    {
        complain(format_args!("{error}"));
        return ExitCode::FAILURE;
    }
    let of = |wanted: fn(&Verdict) -> bool| listed(tried.iter().filter(|tried| wanted(&tried.verdict)).map(|tried| tried.mutant));
    for (names, what) in [
        (of(|verdict| *verdict == Verdict::Missed), "nobody notices, so something is missing in the laws or in what happens"),
        (of(|verdict| matches!(verdict, Verdict::Broken(_))), "could not be tried"),
    ] {
        if !names.is_empty() {
            say(format_args!("{what}: {names}"));
        }
    }
    if found == tried.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes a line to standard output. A reader that went away is no error.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn complain(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests;
