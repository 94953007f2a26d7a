//! Programs that npm installs, each once for each lock file: into the cache that everything has which is built for tests.
//!
//! What is installed is what the lock file names, by its checksums. No script of a package is run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::Error;
use super::error::{io_error, tail};
use super::hex;
use super::progress::{Listener, Progress};
use super::recipe::{cache_folder, environment, lock};
use super::supervise::{self, supervise};

/// A package with its lock file.
#[derive(Debug, Clone, Copy)]
pub struct Package<'a> {
    /// What it is, such as `auth0-deploy-cli`.
    pub what: &'a str,
    /// The folder with its `package.json` and `package-lock.json`.
    pub folder: &'a Path,
    /// The program that is wanted of it.
    pub program: &'a str,
    /// The Node that it needs.
    pub node: &'a str,
}

impl Package<'_> {
    /// The program, from the cache or installed into it. Processes that ask at the same time install once. `progress` gets a line
    /// at each step.
    pub async fn find_or_install(&self, progress: &Listener) -> Result<PathBuf, Error> {
        let cache = cache_folder(environment("XDG_CACHE_HOME"), environment("HOME"))?;
        let files = ["package.json", "package-lock.json"].map(|name| self.folder.join(name));
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        for file in &files {
            digest.update(&std::fs::read(file).map_err(io_error("read", file))?);
            digest.update(b"\0");
        }
        let mut key = hex(digest.finish().as_ref());
        key.truncate(16);
        let target = cache.join(format!("npm-{key}"));
        let program = target.join("node_modules/.bin").join(self.program);
        if program.is_file() {
            return Ok(program);
        }
        std::fs::create_dir_all(&cache).map_err(io_error("make the cache folder", &cache))?;
        let _lock = lock(&cache.join("npm.lock"), self.what, progress).await?;
        // Whoever held the lock may have installed it.
        if !program.is_file() {
            self.install(&files, &target, progress).await?;
        }
        Ok(program)
    }

    /// Installs into a folder beside `target` and renames it, so that an interrupted installation is never taken for a whole one.
    async fn install(&self, files: &[PathBuf], target: &Path, progress: &Listener) -> Result<(), Error> {
        let folder = target.with_extension("installing");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(io_error("remove", &folder))?;
        }
        std::fs::create_dir_all(&folder).map_err(io_error("make", &folder))?;
        for file in files {
            let name = file.file_name().unwrap_or_default();
            std::fs::copy(file, folder.join(name)).map_err(io_error("copy", file))?;
        }
        match Command::new("npm").arg("--version").output() {
            Ok(_) => {}
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NpmMissing { what: self.what.to_owned(), needed: self.node.to_owned() });
            }
            Err(source) => return Err(io_error("run", Path::new("npm"))(source)),
        }
        let mut npm = Command::new("npm");
        npm.current_dir(&folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        let log = folder.join("npm.log");
        let start = Instant::now();
        progress(&Progress::Step(format!("installing {} with npm; later it is cached", self.what)));
        let status = supervise(&npm, &supervise::Options::new(&log).grace(Duration::ZERO))?.wait().await?;
        if !status.success() {
            return Err(Error::Npm { what: self.what.to_owned(), status, tail: tail(&log) });
        }
        std::fs::rename(&folder, target).map_err(io_error("rename", &folder))?;
        progress(&Progress::Step(format!("installed {} in {} s", self.what, start.elapsed().as_secs())));
        Ok(())
    }
}
