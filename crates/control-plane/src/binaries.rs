//! The programs of a control plane, Helm and promtool: taken from `KUBEBUILDER_ASSETS`, from the user's cache, or built from Go modules.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::{
    Error, hex, io_error,
    supervise::{self, supervise},
    tail,
};

// Embedded, so that an installed program can build them too.
const GO_MOD: &str = include_str!("../go/go.mod");
const GO_SUM: &str = include_str!("../go/go.sum");
const HELM3_MOD: &str = include_str!("../go/helm3/go.mod");
const HELM3_SUM: &str = include_str!("../go/helm3/go.sum");
const HELM4_MOD: &str = include_str!("../go/helm4/go.mod");
const HELM4_SUM: &str = include_str!("../go/helm4/go.sum");
const PROMTOOL_MOD: &str = include_str!("../go/promtool/go.mod");
const PROMTOOL_SUM: &str = include_str!("../go/promtool/go.sum");

const PACKAGES: [&str; 4] = [
    "go.etcd.io/etcd/server/v3",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kubectl",
];

/// The module that promtool is in.
const PROMETHEUS: &str = "github.com/prometheus/prometheus";

/// A major version of Helm. Both are in use, and they wait and apply in different ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helm {
    /// Applies on the client's side, and takes every custom resource for ready.
    V3,
    /// Applies on the server's side, and waits for what the status of a custom resource says.
    V4,
}

impl Helm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V3, Self::V4];

    /// What it is called in `KUBEBUILDER_ASSETS`.
    fn name(self) -> &'static str {
        match self {
            Self::V3 => "helm3",
            Self::V4 => "helm4",
        }
    }

    fn recipe(self) -> Result<Recipe, Error> {
        let (go_mod, go_sum, module, packages): (_, _, _, &[&str]) = match self {
            Self::V3 => (HELM3_MOD, HELM3_SUM, "helm.sh/helm/v3", &["helm.sh/helm/v3/cmd/helm"]),
            Self::V4 => (HELM4_MOD, HELM4_SUM, "helm.sh/helm/v4", &["helm.sh/helm/v4/cmd/helm"]),
        };
        let version = required(go_mod, module).ok_or(Error::NoPinnedVersion(module))?;
        // Version 3 takes the Kubernetes that `helm template` assumes from the linker, version 4 from its modules.
        let client = required(go_mod, "k8s.io/client-go").ok_or(Error::NoPinnedVersion("k8s.io/client-go"))?;
        let minor = client.split('.').nth(1).unwrap_or_default();
        let stamps = match self {
            Self::V3 => ["pkg/lint/rules", "pkg/chartutil"].map(|at| format!(" -X {module}/{at}.k8sVersionMinor={minor}")).concat(),
            Self::V4 => String::new(),
        };
        Ok(Recipe {
            what: self.name(),
            programs: format!("helm {version}"),
            go_mod,
            go_sum,
            packages,
            linker_flags: format!("-s -w -X {module}/internal/version.version=v{version}{stamps}"),
            tags: None,
            renamed: None,
        })
    }

    /// Finds the program, or builds it, as [`find_or_build`] does. The folder in `KUBEBUILDER_ASSETS` may have it as `helm3` or
    /// `helm4`; else it is built although that is set.
    pub async fn find_or_build(self, progress: &(dyn Fn(&str) + Sync)) -> Result<PathBuf, Error> {
        self.recipe()?.find_or_build_tool("helm", progress).await
    }
}

/// Finds promtool, or builds it, as [`find_or_build`] does. The folder in `KUBEBUILDER_ASSETS` may have it; else it is built although
/// that is set.
pub async fn promtool(progress: &(dyn Fn(&str) + Sync)) -> Result<PathBuf, Error> {
    Recipe::promtool()?.find_or_build_tool("promtool", progress).await
}

/// The programs of a control plane, as absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The store.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// The client.
    pub kubectl: PathBuf,
    /// The controllers. Ready-made folders for tests often lack it, and only some tests need it.
    pub kube_controller_manager: Option<PathBuf>,
}

/// The Kubernetes version that is built, such as `1.36.3`. `KUBEBUILDER_ASSETS` may hold another.
pub fn kubernetes_version() -> Result<&'static str, Error> {
    pinned_version(GO_MOD)
}

/// Finds the programs, or builds them: the folder in `KUBEBUILDER_ASSETS` when it is set, else the user's cache, else a Go build of
/// some minutes whose result goes to that cache. Processes that ask at the same time build once.
///
/// `progress` gets one line at each step, and one every ten seconds while a build runs.
pub async fn find_or_build(progress: &(dyn Fn(&str) + Sync)) -> Result<Binaries, Error> {
    if let Some(folder) = environment("KUBEBUILDER_ASSETS") {
        return ready_made(Path::new(&folder));
    }
    Recipe::control_plane(kubernetes_version()?).find_or_build(progress, built).await
}

pub(super) fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The programs in a folder that somebody else filled.
fn ready_made(folder: &Path) -> Result<Binaries, Error> {
    let folder = &std::path::absolute(folder).map_err(io_error("resolve KUBEBUILDER_ASSETS", folder))?;
    let program = |name| Some(folder.join(name)).filter(|path| path.is_file());
    let needed = |name| program(name).ok_or_else(|| Error::Incomplete { folder: folder.clone(), missing: name });
    Ok(Binaries {
        etcd: needed("etcd")?,
        kube_apiserver: needed("kube-apiserver")?,
        kubectl: needed("kubectl")?,
        kube_controller_manager: program("kube-controller-manager"),
    })
}

/// The programs of an earlier build. A build appears under this name only when it is whole.
fn built(folder: &Path) -> Option<Binaries> {
    ready_made(folder).ok().filter(|found| found.kube_controller_manager.is_some())
}

pub(super) fn cache_folder(xdg: Option<OsString>, home: Option<OsString>) -> Result<PathBuf, Error> {
    // The XDG specification says to ignore a relative path.
    xdg.map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| home.map(|home| Path::new(&home).join(".cache")))
        .map(|cache| cache.join("upstream-params-operator").join("control-plane"))
        .ok_or(Error::NoCacheFolder)
}

pub(super) async fn lock(path: &Path, what: &str, progress: &(dyn Fn(&str) + Sync)) -> Result<File, Error> {
    let file = File::create(path).map_err(io_error("open the lock", path))?;
    let start = Instant::now();
    let mut told = None;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(io_error("lock", path)(source)),
        }
        let elapsed = start.elapsed().as_secs();
        if told.is_none_or(|told| elapsed >= told + 10) {
            progress(&format!("waiting for another build before {what}: {elapsed} s"));
            told = Some(elapsed);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How programs are built.
struct Recipe {
    /// What they are together.
    what: &'static str,
    /// What each of them is.
    programs: String,
    go_mod: &'static str,
    go_sum: &'static str,
    packages: &'static [&'static str],
    linker_flags: String,
    /// Build tags, separated by commas.
    tags: Option<&'static str>,
    /// A program that Go gives another name than it should have.
    renamed: Option<(&'static str, &'static str)>,
}

impl Recipe {
    fn control_plane(version: &str) -> Self {
        Self {
            what: "the control plane",
            programs: format!("etcd, kube-apiserver, kube-controller-manager and kubectl {version}"),
            go_mod: GO_MOD,
            go_sum: GO_SUM,
            packages: &PACKAGES,
            linker_flags: format!("-s -w {}", version_stamps(version)),
            tags: None,
            // Go names a program after the last part of its path, and etcd's is `server`.
            renamed: Some(("server", "etcd")),
        }
    }

    fn promtool() -> Result<Self, Error> {
        let version = required(PROMTOOL_MOD, PROMETHEUS).ok_or(Error::NoPinnedVersion(PROMETHEUS))?;
        Ok(Self {
            what: "promtool",
            programs: format!("promtool {version}"),
            go_mod: PROMTOOL_MOD,
            go_sum: PROMTOOL_SUM,
            packages: &["github.com/prometheus/prometheus/cmd/promtool"],
            linker_flags: "-s -w".to_owned(),
            // Without the clients of a dozen clouds, which take longer to compile than all the rest.
            tags: Some("remove_all_sd"),
            renamed: None,
        })
    }

    /// A single program: from `KUBEBUILDER_ASSETS` when that folder has it under the name in `what`, else from the user's cache or a build.
    async fn find_or_build_tool(&self, program: &str, progress: &(dyn Fn(&str) + Sync)) -> Result<PathBuf, Error> {
        let found = |folder: &Path, name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        if let Some(path) = environment("KUBEBUILDER_ASSETS").and_then(|folder| found(Path::new(&folder), self.what)) {
            return std::path::absolute(&path).map_err(io_error("resolve", &path));
        }
        self.find_or_build(progress, |folder| found(folder, program)).await
    }

    /// Takes the programs from the user's cache, or builds them into it. `built` looks into a folder for all of them.
    async fn find_or_build<T>(&self, progress: &(dyn Fn(&str) + Sync), built: impl Fn(&Path) -> Option<T>) -> Result<T, Error> {
        let cache = cache_folder(environment("XDG_CACHE_HOME"), environment("HOME"))?;
        let folder = cache.join(self.key());
        if let Some(found) = built(&folder) {
            return Ok(found);
        }

        std::fs::create_dir_all(&cache).map_err(io_error("make the cache folder", &cache))?;
        // One build at a time, of whatever: they share most of what is compiled, and each takes all cores.
        let _lock = lock(&cache.join("build.lock"), self.what, progress).await?;
        // Whoever held the lock may have built them.
        if let Some(found) = built(&folder) {
            return Ok(found);
        }
        self.build(&folder, progress).await?;
        built(&folder).ok_or(Error::Incomplete { folder, missing: "a program that go build reported as built" })
    }

    /// Names all that decides what comes out of a build.
    fn key(&self) -> String {
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

    /// Builds into a folder beside `target` and renames it, so that an interrupted build is never taken for a whole one.
    async fn build(&self, target: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<(), Error> {
        match Command::new("go").args(["env", "GOVERSION"]).output() {
            Ok(_) => {}
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::GoMissing { what: self.what, needed: needed_go(self.go_mod) });
            }
            Err(source) => return Err(io_error("run", Path::new("go"))(source)),
        }
        let folder = target.with_extension("building");
        if folder.exists() {
            // Left by a build that was interrupted: only the holder of the lock gets here.
            std::fs::remove_dir_all(&folder).map_err(io_error("remove", &folder))?;
        }
        let out = folder.join("out");
        std::fs::create_dir_all(&out).map_err(io_error("make", &out))?;
        for (name, content) in [("go.mod", self.go_mod), ("go.sum", self.go_sum)] {
            let path = folder.join(name);
            std::fs::write(&path, content).map_err(io_error("write", &path))?;
        }

        self.compile(&folder, &out, progress).await?;
        if let Some((from, to)) = self.renamed {
            let from = out.join(from);
            std::fs::rename(&from, out.join(to)).map_err(io_error("rename", &from))?;
        }
        std::fs::rename(&out, target).map_err(io_error("rename", &out))?;
        std::fs::remove_dir_all(&folder).map_err(io_error("remove", &folder))
    }

    async fn compile(&self, folder: &Path, out: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<(), Error> {
        let mut go = Command::new("go");
        go.current_dir(folder)
            .args([
                "build",
                "-mod=readonly",
                "-buildvcs=false",
                "-trimpath",
                "-ldflags",
                &self.linker_flags,
                "-tags",
                self.tags.unwrap_or_default(),
                "-o",
            ])
            .arg(out)
            .args(self.packages)
            // A workspace around the cache, or a target for another machine, would change what is built.
            .env("GOWORK", "off")
            .env_remove("GOOS")
            .env_remove("GOARCH");
        let log = folder.join("build.log");
        let start = Instant::now();
        progress(&format!("building {} with Go; the first time takes minutes, later it is cached", self.programs));
        // Supervised, because a build that goes on after Ctrl-C would race the next one.
        let build = supervise(&go, &supervise::Options::new(&log).grace(Duration::ZERO))?;
        let status = loop {
            match tokio::time::timeout(Duration::from_secs(10), build.wait()).await {
                Ok(status) => break status?,
                Err(_) => progress(&format!("building {}: {} s", self.what, start.elapsed().as_secs())),
            }
        };
        if !status.success() {
            return Err(Error::Build { what: self.what, status, needed: needed_go(self.go_mod), tail: tail(&log) });
        }
        progress(&format!("built {} in {} s", self.what, start.elapsed().as_secs()));
        Ok(())
    }
}

/// kubectl refuses to run when it was linked without its version.
fn version_stamps(version: &str) -> String {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let values = [("gitVersion", format!("v{version}")), ("gitMajor", major.to_owned()), ("gitMinor", minor.to_owned())];
    values.map(|(name, value)| format!("-X k8s.io/component-base/version.{name}={value}")).join(" ")
}

/// The version of `k8s.io/kubernetes` that a `go.mod` requires.
fn pinned_version(go_mod: &str) -> Result<&str, Error> {
    required(go_mod, "k8s.io/kubernetes").ok_or(Error::NoPinnedVersion("k8s.io/kubernetes"))
}

/// The version of a module that a `go.mod` requires, without the `v`.
fn required<'a>(go_mod: &'a str, module: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| line.trim().strip_prefix(module)?.strip_prefix(" v")?.split_whitespace().next())
}

/// The oldest Go that builds what a `go.mod` requires.
fn needed_go(go_mod: &str) -> &str {
    go_mod.lines().find_map(|line| line.strip_prefix("go ")).unwrap_or("of the newest kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_version_is_read_from_the_requirement_alone() {
        let go_mod = "module x\nreplace (\n\tk8s.io/kubernetes-api v0 => x v1\n)\nrequire (\n\tk8s.io/kubernetes v1.35.4 // indirect\n)\n";
        assert_eq!(pinned_version(go_mod).unwrap(), "1.35.4");
        assert!(matches!(pinned_version("module x\n"), Err(Error::NoPinnedVersion("k8s.io/kubernetes"))));
    }

    #[test]
    fn the_needed_go_is_what_the_module_says() {
        assert_eq!(needed_go("module x\n\ngo 1.26.0\n\ngodebug default=go1.25\n"), "1.26.0");
        assert_ne!(needed_go(GO_MOD), needed_go(""));
    }

    #[test]
    fn the_stamps_carry_the_whole_version_and_its_parts() {
        assert_eq!(
            version_stamps("1.35.4"),
            "-X k8s.io/component-base/version.gitVersion=v1.35.4 -X k8s.io/component-base/version.gitMajor=1 \
             -X k8s.io/component-base/version.gitMinor=35"
        );
    }

    #[test]
    fn the_embedded_module_pins_all_that_is_built() {
        let staging = format!("k8s.io/api v0.{}", kubernetes_version().unwrap().split_once('.').unwrap().1);
        assert!(GO_MOD.contains(&staging), "{staging} does not go with Kubernetes {}", kubernetes_version().unwrap());
        for package in PACKAGES {
            assert!(GO_MOD.contains(&format!("\t{package}\n")), "{package} is no tool of go.mod");
        }
    }

    #[test]
    fn helm_is_stamped_with_its_version_and_that_of_its_client() {
        let flags = Helm::V3.recipe().unwrap().linker_flags;
        let version = required(HELM3_MOD, "helm.sh/helm/v3").unwrap();
        assert!(flags.contains(&format!("-X helm.sh/helm/v3/internal/version.version=v{version} ")), "{flags}");
        assert!(flags.contains("-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=3"), "{flags}");
    }

    #[test]
    fn a_tool_is_one_of_its_module() {
        for recipe in [Helm::V3.recipe(), Helm::V4.recipe(), Recipe::promtool()].map(Result::unwrap) {
            assert!(recipe.packages.iter().all(|package| recipe.go_mod.contains(&format!("tool {package}\n"))), "{}", recipe.what);
        }
    }

    #[test]
    fn another_version_or_other_flags_have_another_place_in_the_cache() {
        let key = Recipe::control_plane("1.36.3").key();
        assert_eq!(key, Recipe::control_plane("1.36.3").key());
        assert_ne!(key, Recipe::control_plane("1.35.4").key());
        assert_ne!(Helm::V3.recipe().unwrap().key(), Helm::V4.recipe().unwrap().key());
        assert_eq!((key.len(), key.chars().all(|c| c.is_ascii_hexdigit())), (16, true));
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

    #[test]
    fn a_ready_made_folder_may_lack_the_controllers_but_nothing_else() {
        let scratch = supervise::Scratch::new("control-plane-assets").unwrap();
        let add = |name: &str| std::fs::write(scratch.path().join(name), "").unwrap();
        add("etcd");
        add("kubectl");
        let message = ready_made(scratch.path()).unwrap_err().to_string();
        assert!(message.contains("lacks kube-apiserver"), "{message}");
        add("kube-apiserver");
        assert_eq!(ready_made(scratch.path()).unwrap().kube_controller_manager, None);
        assert_eq!(built(scratch.path()), None);
        add("kube-controller-manager");
        assert!(built(scratch.path()).is_some());
    }

    #[tokio::test]
    async fn a_second_process_waits_for_the_lock_and_says_so() {
        let scratch = supervise::Scratch::new("control-plane-lock").unwrap();
        let path = scratch.path().join("lock");
        let held = lock(&path, "the control plane", &|_| ()).await.unwrap();
        let said = std::sync::Mutex::new(String::new());
        let hear = |line: &str| said.lock().unwrap().push_str(line);
        let second = lock(&path, "the control plane", &hear);
        assert!(tokio::time::timeout(Duration::from_millis(300), second).await.is_err());
        drop(held);
        lock(&path, "the control plane", &hear).await.unwrap();
        // Perhaps twice: a process that another test starts holds a copy of the lock from its fork to its exec.
        let said = said.lock().unwrap().replace("0 s", "0 s\n");
        assert!(said.lines().all(|line| line == "waiting for another build before the control plane: 0 s"), "{said}");
        assert!(!said.is_empty());
    }
}
