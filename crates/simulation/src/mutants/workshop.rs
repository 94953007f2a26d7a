//! Where mutants are built and run: a copy of the sources, and one target folder for all of them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Check, Edit, Mutant};
use crate::laws::Law;

/// How long the histories of a mutant may take. One that spins without ever coming to an end is not found by that.
const PATIENCE: Duration = Duration::from_mins(30);

/// What of the repository is needed to build the simulation: the workspace, and what its manifest names.
const NEEDED: [&str; 7] = ["Cargo.toml", "Cargo.lock", ".cargo/", "src/", "crates/", "benches/", "tests/it/main.rs"];

/// The repository that this was built from.
pub(super) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().and_then(Path::parent).unwrap_or(package)
}

/// How a simulation ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// No law was broken.
    Quiet,
    /// A law was broken.
    Broke {
        /// At this seed.
        seed: u64,
        /// The law, as far as it is known.
        law: Option<Law>,
        /// What was told of it.
        told: String,
    },
    /// It did not come to its end.
    Failed(String),
}

/// The copy.
pub(super) struct Workshop {
    source: PathBuf,
    target: PathBuf,
}

/// A mutant that is in the copy, and is taken out again.
pub(super) struct PutIn(Vec<(PathBuf, String)>);

impl Drop for PutIn {
    fn drop(&mut self) {
        // The first change of a file was made to the file as it is.
        for (path, text) in self.0.iter().rev() {
            // What is left behind is set right when the sources are copied the next time.
            let _ = fs::write(path, text);
        }
    }
}

impl Workshop {
    /// Copies the sources as they are now. What is the same there already keeps its age, so that it need not be built again.
    pub(super) fn open() -> Result<Self, String> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let place = std::path::absolute(target.join("mutants")).map_err(|error| format!("{}: {error}", target.display()))?;
        let workshop = Self { source: place.join("source"), target: place.join("target") };
        workshop.copy()?;
        Ok(workshop)
    }

    fn copy(&self) -> Result<(), String> {
        let files = sources()?;
        for file in &files {
            copy(&root().join(file), &self.source.join(file)).map_err(|error| format!("{file} can't be copied: {error}"))?;
        }
        let known: BTreeSet<PathBuf> = files.iter().map(|file| self.source.join(file)).collect();
        remove_others(&self.source, &known).map_err(|error| format!("{} can't be tidied: {error}", self.source.display()))
    }

    /// Puts a mutant in, for as long as what this yields is there.
    pub(super) fn put_in(&self, mutant: &Mutant) -> Result<PutIn, String> {
        let mut put_in = PutIn(Vec::new());
        for Edit(file, find, instead) in mutant.edits {
            let path = self.source.join(file);
            let text = fs::read_to_string(&path).map_err(|error| format!("{file} can't be read: {error}"))?;
            if text.matches(find).count() != 1 {
                return Err(format!("{file} does not hold this exactly once: {find}"));
            }
            let changed = text.replacen(find, instead, 1);
            put_in.0.push((path.clone(), text));
            fs::write(&path, changed).map_err(|error| format!("{file} can't be written: {error}"))?;
        }
        Ok(put_in)
    }

    /// Builds the simulation of the copy as it is now.
    pub(super) fn build(&self) -> Result<(), String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--locked", "--profile", "mutants", "--package", "simulation", "--bin", "simulation"])
            .arg("--target-dir")
            .arg(&self.target)
            .current_dir(&self.source)
            // A mutant may well leave something unused, which is no reason not to build it.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cargo can't be run: {error}"))?;
        if built.status.success() { Ok(()) } else { Err(format!("it does not compile:\n{}", String::from_utf8_lossy(&built.stderr))) }
    }

    /// Runs what was built last.
    pub(super) fn run(&self, check: &Check) -> Ended {
        let mut command = Command::new(self.target.join("mutants/simulation"));
        for (name, number) in [("--histories", check.histories), ("--seed", check.seed)] {
            command.args([name, &number.to_string()]);
        }
        command.args(["--threads", &check.threads.to_string()]);
        match finished(command) {
            Ok((_, Some(0))) => Ended::Quiet,
            Ok((told, Some(1))) => broke(told),
            Ok((told, code)) => Ended::Failed(format!("the simulation ended with {code:?}:\n{}", end_of(&told))),
            Err(error) => Ended::Failed(error),
        }
    }
}

/// What a simulation that ended with 1 told.
fn broke(told: String) -> Ended {
    let after = |text: &str| told.split_once(text).map(|(_, after)| after.to_owned());
    let number = after("The history of seed ").and_then(|rest| rest.split_once(':')?.0.parse().ok());
    let Some(seed) = number else { return Ended::Failed(format!("the simulation failed and names no seed:\n{}", end_of(&told))) };
    let law = after("broken: ").and_then(|rest| Law::ALL.into_iter().find(|law| rest.starts_with(law.sentence())));
    Ended::Broke { seed, law, told }
}

/// The last lines of a text.
fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// What a command wrote, and its exit code.
fn finished(mut command: Command) -> Result<(String, Option<i32>), String> {
    let failed = |error: std::io::Error| format!("the simulation can't be run: {error}");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let (out, errors) = (child.stdout.take(), child.stderr.take());
    let reading = [out.map(read), errors.map(read)];
    let begin = Instant::now();
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break Ok(status),
            None if begin.elapsed() > PATIENCE => {
                child.kill().map_err(failed)?;
                child.wait().map_err(failed)?;
                break Err(format!("the simulation did not come to its end within {} s", PATIENCE.as_secs()));
            }
            None => sleep(Duration::from_millis(20)),
        }
    };
    let text: String = reading.into_iter().flatten().filter_map(|thread| thread.join().ok()).collect();
    Ok((text, status?.code()))
}

fn read(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came until then is all that there is.
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The files of the repository that are needed, tracked or new.
fn sources() -> Result<Vec<String>, String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("git can't be run: {error}"))?;
    if !listed.status.success() {
        return Err(format!("git does not list the sources: {}", String::from_utf8_lossy(&listed.stderr)));
    }
    let text = String::from_utf8_lossy(&listed.stdout);
    let is_needed = |file: &&str| NEEDED.iter().any(|needed| file.starts_with(needed)) && root().join(file).is_file();
    Ok(text.split('\0').filter(|file| !file.is_empty()).filter(is_needed).map(str::to_owned).collect())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let bytes = fs::read(from)?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, bytes)
}

/// Removes the files of a folder that are not among these: those that are gone since the sources were copied the last time.
fn remove_others(folder: &Path, known: &BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, known)?;
        } else if !known.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
