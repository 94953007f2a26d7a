//! The programs of a control plane, Helm and promtool: taken from `KUBEBUILDER_ASSETS`, from the user's cache, or built from Go modules.

use std::path::{Path, PathBuf};

use super::Error;
use super::error::io_error;
use super::progress::Listener;
use super::recipe::{Recipe, Target, environment};

// Embedded, so that an installed program can build them too.
const GO_MOD: &str = include_str!("../go/go.mod");
const GO_SUM: &str = include_str!("../go/go.sum");
const HELM3_MOD: &str = include_str!("../go/helm3/go.mod");
const HELM3_SUM: &str = include_str!("../go/helm3/go.sum");
const HELM4_MOD: &str = include_str!("../go/helm4/go.mod");
const HELM4_SUM: &str = include_str!("../go/helm4/go.sum");
const PROMTOOL_MOD: &str = include_str!("../go/promtool/go.mod");
const PROMTOOL_SUM: &str = include_str!("../go/promtool/go.sum");

/// A program of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The store.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The client.
    Kubectl,
    /// The controllers.
    KubeControllerManager,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Etcd, Self::KubeApiserver, Self::Kubectl, Self::KubeControllerManager];

    fn target(self) -> Target {
        let (program, package) = match self {
            Self::Etcd => ("etcd", "go.etcd.io/etcd/server/v3"),
            Self::KubeApiserver => ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            Self::Kubectl => ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            Self::KubeControllerManager => ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        };
        Target { program, package }
    }

    /// Its file in a folder, if it is there.
    fn at(self, folder: &Path) -> Option<PathBuf> {
        Some(folder.join(self.target().program)).filter(|path| path.is_file())
    }
}

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
        let (go_mod, go_sum, module, package) = match self {
            Self::V3 => (HELM3_MOD, HELM3_SUM, "helm.sh/helm/v3", "helm.sh/helm/v3/cmd/helm"),
            Self::V4 => (HELM4_MOD, HELM4_SUM, "helm.sh/helm/v4", "helm.sh/helm/v4/cmd/helm"),
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
            version: version.to_owned(),
            go_mod,
            go_sum,
            targets: vec![Target { program: "helm", package }],
            linker_flags: format!("-s -w -X {module}/internal/version.version=v{version}{stamps}"),
            tags: None,
        })
    }

    /// Finds the program, or builds it, as [`find_or_build`] does. The folder in `KUBEBUILDER_ASSETS` may have it as `helm3` or
    /// `helm4`; else it is built although that is set.
    pub async fn find_or_build(self, progress: &Listener) -> Result<PathBuf, Error> {
        tool(&self.recipe()?, "helm", progress).await
    }
}

/// Finds promtool, or builds it, as [`find_or_build`] does. The folder in `KUBEBUILDER_ASSETS` may have it; else it is built although
/// that is set.
pub async fn promtool(progress: &Listener) -> Result<PathBuf, Error> {
    tool(&promtool_recipe()?, "promtool", progress).await
}

fn promtool_recipe() -> Result<Recipe, Error> {
    let version = required(PROMTOOL_MOD, PROMETHEUS).ok_or(Error::NoPinnedVersion(PROMETHEUS))?;
    Ok(Recipe {
        what: "promtool",
        version: version.to_owned(),
        go_mod: PROMTOOL_MOD,
        go_sum: PROMTOOL_SUM,
        targets: vec![Target { program: "promtool", package: "github.com/prometheus/prometheus/cmd/promtool" }],
        linker_flags: "-s -w".to_owned(),
        // Without the clients of a dozen clouds, which take longer to compile than all the rest.
        tags: Some("remove_all_sd"),
    })
}

/// A single program: from `KUBEBUILDER_ASSETS` when that folder has it under the name of the recipe, else from the user's cache or
/// a build.
async fn tool(recipe: &Recipe, program: &str, progress: &Listener) -> Result<PathBuf, Error> {
    let ready_made = environment("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join(recipe.what));
    if let Some(path) = ready_made.filter(|path| path.is_file()) {
        return std::path::absolute(&path).map_err(io_error("resolve", &path));
    }
    Ok(recipe.find_or_build(progress).await?.join(program))
}

/// The programs of a control plane, as absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The store.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// The client.
    pub kubectl: Option<PathBuf>,
    /// The controllers.
    pub kube_controller_manager: Option<PathBuf>,
}

/// The Kubernetes version that is built, such as `1.36.3`. `KUBEBUILDER_ASSETS` may hold another.
pub fn kubernetes_version() -> Result<&'static str, Error> {
    pinned_version(GO_MOD)
}

/// Finds etcd, kube-apiserver and what else is asked for, or builds what is not there: the folder in `KUBEBUILDER_ASSETS` when it is
/// set, else the user's cache, else a Go build of some minutes whose result goes to that cache. Processes that ask at the same time
/// build once.
pub async fn find_or_build(also: &[Program], progress: &Listener) -> Result<Binaries, Error> {
    let wanted: Vec<Program> = [Program::Etcd, Program::KubeApiserver].into_iter().chain(also.iter().copied()).collect();
    if let Some(folder) = environment("KUBEBUILDER_ASSETS") {
        return ready_made(Path::new(&folder), &wanted);
    }
    let folder = control_plane(kubernetes_version()?, &wanted).find_or_build(progress).await?;
    ready_made(&folder, &wanted)
}

/// The programs in a folder, which has to hold those that are wanted.
fn ready_made(folder: &Path, wanted: &[Program]) -> Result<Binaries, Error> {
    let folder = &std::path::absolute(folder).map_err(io_error("resolve KUBEBUILDER_ASSETS", folder))?;
    let lacks = |program: Program| Error::Incomplete { folder: folder.clone(), missing: program.target().program };
    let needed = |program: Program| program.at(folder).ok_or_else(|| lacks(program));
    for program in wanted {
        needed(*program)?;
    }
    Ok(Binaries {
        etcd: needed(Program::Etcd)?,
        kube_apiserver: needed(Program::KubeApiserver)?,
        kubectl: Program::Kubectl.at(folder),
        kube_controller_manager: Program::KubeControllerManager.at(folder),
    })
}

fn control_plane(version: &str, wanted: &[Program]) -> Recipe {
    Recipe {
        what: "the control plane",
        version: format!("of Kubernetes {version}"),
        go_mod: GO_MOD,
        go_sum: GO_SUM,
        targets: wanted.iter().map(|program| program.target()).collect(),
        linker_flags: format!("-s -w {}", version_stamps(version)),
        tags: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::Scratch;

    #[test]
    fn the_pinned_version_is_read_from_the_requirement_alone() {
        let go_mod = "module x\nreplace (\n\tk8s.io/kubernetes-api v0 => x v1\n)\nrequire (\n\tk8s.io/kubernetes v1.35.4 // indirect\n)\n";
        assert_eq!(pinned_version(go_mod).unwrap(), "1.35.4");
        assert!(matches!(pinned_version("module x\n"), Err(Error::NoPinnedVersion("k8s.io/kubernetes"))));
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
        for Target { package, .. } in Program::ALL.map(Program::target) {
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
        for recipe in [Helm::V3.recipe(), Helm::V4.recipe(), promtool_recipe()].map(Result::unwrap) {
            let is_tool = |target: &Target| recipe.go_mod.contains(&format!("tool {}\n", target.package));
            assert!(recipe.targets.iter().all(is_tool), "{}", recipe.what);
        }
    }

    #[test]
    fn another_version_or_other_flags_have_another_place_in_the_cache() {
        let key = control_plane("1.36.3", &[]).key();
        assert_eq!(key, control_plane("1.36.3", &[]).key());
        assert_ne!(key, control_plane("1.35.4", &[]).key());
        assert_ne!(Helm::V3.recipe().unwrap().key(), Helm::V4.recipe().unwrap().key());
        assert_eq!((key.len(), key.chars().all(|c| c.is_ascii_hexdigit())), (16, true));
    }

    #[test]
    fn a_ready_made_folder_has_to_have_what_is_asked_for_and_no_more() {
        let scratch = Scratch::new("control-plane-assets").unwrap();
        let add = |name: &str| std::fs::write(scratch.path().join(name), "").unwrap();
        let found = |wanted: &[Program]| ready_made(scratch.path(), wanted);
        add("etcd");
        let message = found(&[]).unwrap_err().to_string();
        assert!(message.contains("lacks kube-apiserver"), "{message}");
        add("kube-apiserver");
        let least = found(&[]).unwrap();
        assert_eq!((least.kubectl, least.kube_controller_manager), (None, None));
        for (program, name) in [(Program::Kubectl, "kubectl"), (Program::KubeControllerManager, "kube-controller-manager")] {
            let message = found(&[program]).unwrap_err().to_string();
            assert!(message.contains(&format!("lacks {name}:")), "{message}");
            add(name);
            assert!(found(&[program]).is_ok(), "{name}");
        }
        assert!(found(&[]).unwrap().kubectl.is_some());
    }
}
