//! How programs are built from a Go module, once for each version: into the user's cache, behind a lock.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use super::Error;
use super::error::{io_error, last_lines};
use super::estimate::{self, Work, span};
use super::hex;
use super::progress::{Listener, Progress};
use super::supervise::{self, supervise};

/// A variable of the environment, unless it is empty.
pub(super) fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

pub(super) fn cache_folder(xdg: Option<OsString>, home: Option<OsString>) -> Result<PathBuf, Error> {
    // The XDG specification says to ignore a relative path.
    xdg.map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home.map(|home| Path::new(&home).join(".cache")))
        .map(|cache| cache.join("upstream-params-operator").join("control-plane"))
        .ok_or(Error::NoCacheFolder)
}

pub(super) async fn lock(path: &Path, what: &str, progress: &Listener) -> Result<File, Error> {
    let file = File::create(path).map_err(io_error("open the lock", path))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(io_error("lock", path)(source)),
        }
        progress(&Progress::Running(format!("waiting for another build before {what}: {}", span(start.elapsed()))));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A program, and the Go package that it is built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
}

impl Target {
    /// What Go calls it: the last part of its path, but for a version.
    fn go_name(self) -> &'static str {
        let is_version = |part: &str| part.strip_prefix('v').is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        self.package.rsplit('/').find(|part| !is_version(part)).unwrap_or(self.program)
    }
}

/// How programs are built.
pub(super) struct Recipe {
    /// What they are together.
    pub(super) what: &'static str,
    pub(super) version: String,
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
    pub(super) targets: Vec<Target>,
    pub(super) linker_flags: String,
    /// Build tags, separated by commas.
    pub(super) tags: Option<&'static str>,
}

impl Recipe {
    /// The folder of the user's cache that has all of them: what it lacks is built into it.
    pub(super) async fn find_or_build(&self, progress: &Listener) -> Result<PathBuf, Error> {
        let cache = cache_folder(environment("XDG_CACHE_HOME"), environment("HOME"))?;
        let folder = cache.join(self.key());
        if self.missing(&folder).is_empty() {
            return Ok(folder);
        }
        std::fs::create_dir_all(&cache).map_err(io_error("make the cache folder", &cache))?;
        // One build at a time, of whatever: they share most of what is compiled, and each takes all cores.
        let _lock = lock(&cache.join("build.lock"), self.what, progress).await?;
        // Whoever held the lock may have built them.
        let missing = self.missing(&folder);
        if !missing.is_empty() {
            self.build(&folder, &missing, progress).await?;
        }
        Ok(folder)
    }

    /// Those of them that a folder does not have. A program appears there only when it is whole.
    pub(super) fn missing(&self, folder: &Path) -> Vec<Target> {
        self.targets.iter().copied().filter(|target| !folder.join(target.program).is_file()).collect()
    }

    /// Names all that decides what comes out of a build, whichever of the programs are asked for.
    pub(super) fn key(&self) -> String {
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        let parts = [self.go_mod, self.go_sum, &self.linker_flags, std::env::consts::OS, std::env::consts::ARCH];
        for part in parts.into_iter().chain(self.tags) {
            digest.update(part.as_bytes());
            digest.update(b"\0");
        }
        let mut key = hex(digest.finish().as_ref());
        key.truncate(16);
        key
    }

    /// The oldest Go that builds what its `go.mod` requires.
    pub(super) fn needed_go(&self) -> &'static str {
        self.go_mod.lines().find_map(|line| line.strip_prefix("go ")).unwrap_or("of the newest kind")
    }

    /// Builds into a folder beside `target` and moves each program, so that an interrupted build is never taken for a whole one.
    async fn build(&self, target: &Path, missing: &[Target], progress: &Listener) -> Result<(), Error> {
        match Command::new("go").args(["env", "GOVERSION"]).output() {
            Ok(_) => {}
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::GoMissing { what: self.what, needed: self.needed_go(), programs: names(&self.targets) });
            }
            Err(source) => return Err(io_error("run", Path::new("go"))(source)),
        }
        let folder = target.with_extension("building");
        if folder.exists() {
            // Left by a build that was interrupted: only the holder of the lock gets here.
            std::fs::remove_dir_all(&folder).map_err(io_error("remove", &folder))?;
        }
        let out = folder.join("out");
        for folder in [&out, target] {
            std::fs::create_dir_all(folder).map_err(io_error("make", folder))?;
        }
        for (name, content) in [("go.mod", self.go_mod), ("go.sum", self.go_sum)] {
            let path = folder.join(name);
            std::fs::write(&path, content).map_err(io_error("write", &path))?;
        }

        self.compile(&folder, &out, missing, progress).await?;
        for one in missing {
            let from = out.join(one.go_name());
            std::fs::rename(&from, target.join(one.program)).map_err(io_error("move", &from))?;
        }
        std::fs::remove_dir_all(&folder).map_err(io_error("remove", &folder))
    }

    async fn compile(&self, folder: &Path, out: &Path, missing: &[Target], progress: &Listener) -> Result<(), Error> {
        let programs = format!("{} {}", names(missing), self.version);
        progress(&Progress::Step(format!("building {programs} with Go: minutes this time, nothing from then on")));
        let start = Instant::now();

        // Whatever of the modules is not there yet is downloaded by this, so that the build only builds.
        let mut list = self.go(folder, "list");
        list.args(["-deps", "-f", estimate::FORMAT]).args(missing.iter().map(|target| target.package));
        let log = folder.join("list.log");
        let listing = self.go_run(&list, &log, |said| {
            let modules = said.lines().filter(|line| line.starts_with("go: downloading ")).count();
            let what = if modules == 0 { "finding out what to compile".to_owned() } else { format!("{modules} Go modules downloaded") };
            progress(&Progress::Running(format!("building {}: {what}, {} so far", names(missing), span(start.elapsed()))));
        });
        let (status, said) = listing.await?;
        let work = Work::listed(&said, std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
        self.judged(status, missing, &work.complaints(&said))?;

        let mut build = self.go(folder, "build");
        build.args(["-v", "-ldflags", &self.linker_flags, "-o"]).arg(out).args(missing.iter().map(|target| target.package));
        let began = Instant::now();
        let log = folder.join("build.log");
        let building = self.go_run(&build, &log, |said| {
            progress(&Progress::Running(format!("building {}: {}", names(missing), work.far(said).said(began.elapsed()))));
        });
        let (status, said) = building.await?;
        self.judged(status, missing, &work.complaints(&said))?;
        progress(&Progress::Step(format!("built {} in {}", names(missing), span(start.elapsed()))));
        Ok(())
    }

    /// Go in a folder, with what both of its commands have to agree on.
    fn go(&self, folder: &Path, command: &str) -> Command {
        let mut go = Command::new("go");
        go.current_dir(folder)
            .args([command, "-mod=readonly", "-buildvcs=false", "-trimpath", "-tags", self.tags.unwrap_or_default()])
            // A workspace around the cache, or a target for another machine, would change what is built.
            .env("GOWORK", "off")
            .env_remove("GOOS")
            .env_remove("GOARCH");
        go
    }

    /// Runs Go, and yields how it ended and all that it said. Meanwhile `tell` gets what it said so far, once a second.
    async fn go_run(&self, go: &Command, log: &Path, tell: impl Fn(&str)) -> Result<(ExitStatus, String), Error> {
        let said = || std::fs::read(log).map(|said| String::from_utf8_lossy(&said).into_owned()).map_err(io_error("read", log));
        // Supervised, because a build that goes on after Ctrl-C would race the next one.
        let run = supervise(go, &supervise::Options::new(log).grace(Duration::ZERO))?;
        loop {
            match tokio::time::timeout(Duration::from_secs(1), run.wait()).await {
                Ok(status) => return Ok((status?, said()?)),
                Err(_) => tell(&said()?),
            }
        }
    }

    fn judged(&self, status: ExitStatus, missing: &[Target], complaints: &[&str]) -> Result<(), Error> {
        if status.success() {
            return Ok(());
        }
        let programs = names(missing);
        Err(Error::Build { what: self.what, status, needed: self.needed_go(), programs, tail: last_lines(complaints) })
    }
}

/// Names in a sentence: `etcd, kube-apiserver and kubectl`.
pub(super) fn names(targets: &[Target]) -> String {
    let names: BTreeSet<&str> = targets.iter().map(|target| target.program).collect();
    let names: Vec<&str> = names.into_iter().collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(targets: &[Target]) -> Recipe {
        Recipe {
            what: "the thing",
            version: "1.2.3".to_owned(),
            go_mod: "module x\n\ngo 1.26.0\n\ngodebug default=go1.25\n",
            go_sum: "",
            targets: targets.to_vec(),
            linker_flags: String::new(),
            tags: None,
        }
    }

    const ONE: Target = Target { program: "one", package: "example.com/cmd/one" };
    const TWO: Target = Target { program: "two", package: "example.com/server/v3" };

    #[test]
    fn the_needed_go_is_what_the_module_says() {
        assert_eq!(recipe(&[]).needed_go(), "1.26.0");
    }

    #[test]
    fn a_program_is_named_by_go_for_the_last_part_of_its_package() {
        assert_eq!((ONE.go_name(), TWO.go_name()), ("one", "server"));
        assert_eq!(names(&[TWO, ONE]), "one and two");
        assert_eq!(names(&[ONE]), "one");
        assert_eq!(names(&[]), "");
    }

    #[test]
    fn only_what_a_folder_lacks_is_built_and_the_place_of_a_program_does_not_depend_on_the_others() {
        let scratch = supervise::Scratch::new("control-plane-recipe").unwrap();
        let both = recipe(&[ONE, TWO]);
        assert_eq!(both.missing(scratch.path()), [ONE, TWO]);
        std::fs::write(scratch.path().join("one"), "").unwrap();
        assert_eq!(both.missing(scratch.path()), [TWO]);
        assert_eq!(both.key(), recipe(&[ONE]).key());
    }

    #[tokio::test]
    async fn what_go_says_is_told_while_it_runs_and_kept() {
        let scratch = supervise::Scratch::new("control-plane-go").unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo begun; sleep 1.5; echo ended; exit 3"]);
        let told = std::sync::Mutex::new(Vec::new());
        let tell = |said: &str| told.lock().unwrap().push(said.to_owned());
        let (status, said) = recipe(&[]).go_run(&command, &scratch.path().join("log"), tell).await.unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(3), "begun\nended\n"));
        assert_eq!(told.into_inner().unwrap().first().map(String::as_str), Some("begun\n"));
        let error = recipe(&[ONE]).judged(status, &[ONE], &["no such host"]).unwrap_err().to_string();
        assert!(error.contains("no such host") && error.contains("1.26.0"), "{error}");
    }

    #[test]
    fn the_cache_follows_xdg_then_home() {
        let cache = |xdg: Option<&str>, home: Option<&str>| cache_folder(xdg.map(Into::into), home.map(Into::into));
        let under = |root: &str| PathBuf::from(root).join("upstream-params-operator/control-plane");
        assert_eq!(cache(Some("/x"), Some("/h")).unwrap(), under("/x"));
        assert_eq!(cache(Some("relative"), Some("/h")).unwrap(), under("/h/.cache"));
        assert_eq!(cache(None, Some("/h")).unwrap(), under("/h/.cache"));
        assert!(matches!(cache(None, None), Err(Error::NoCacheFolder)));
    }

    #[tokio::test]
    async fn a_second_process_waits_for_the_lock_and_says_so() {
        let scratch = supervise::Scratch::new("control-plane-lock").unwrap();
        let path = scratch.path().join("lock");
        let held = lock(&path, "the control plane", &|_: &Progress| ()).await.unwrap();
        let said = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = said.clone();
        let hear = move |progress: &Progress| heard.lock().unwrap().push(progress.clone());
        let second = lock(&path, "the control plane", &hear);
        assert!(tokio::time::timeout(Duration::from_millis(300), second).await.is_err());
        drop(held);
        lock(&path, "the control plane", &hear).await.unwrap();
        // As often as it looked: a process that another test starts holds a copy of the lock from its fork to its exec.
        let said = said.lock().unwrap();
        let waits = Progress::Running("waiting for another build before the control plane: 0 s".to_owned());
        assert!(!said.is_empty() && said.iter().all(|one| *one == waits), "{said:?}");
    }
}
