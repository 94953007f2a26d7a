//! Why there is no control plane, or why something asked of it failed.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use super::supervise;

/// Why there is no control plane, or why something asked of it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The programs have to be built, and there is no Go to build them.
    #[error(
        "{what} has to be built, and `go` is not on PATH: install Go {needed} or newer from https://go.dev/dl, \
         or set KUBEBUILDER_ASSETS to a folder with {programs}"
    )]
    GoMissing {
        /// What has to be built.
        what: &'static str,
        /// The programs that takes.
        programs: String,
        /// The oldest Go that will do.
        needed: &'static str,
    },
    /// `go build` failed.
    #[error(
        "building {what} failed ({status}); it needs Go {needed} or newer and access to Go modules (GOPROXY says from where). \
         Or set KUBEBUILDER_ASSETS to a folder with {programs}. The last lines of Go:\n{tail}"
    )]
    Build {
        /// What was built.
        what: &'static str,
        /// The programs that it takes.
        programs: String,
        /// How `go build` ended.
        status: ExitStatus,
        /// The oldest Go that will do.
        needed: &'static str,
        /// The end of its output.
        tail: String,
    },
    /// A package has to be installed, and there is no npm to install it.
    #[error("{what} has to be installed, and `npm` is not on PATH: install Node {needed}, which brings it")]
    NpmMissing {
        /// What has to be installed.
        what: String,
        /// The Node that will do.
        needed: String,
    },
    /// `npm ci` failed.
    #[error("installing {what} failed ({status}); it needs access to npm's packages. The last lines:\n{tail}")]
    Npm {
        /// What was to be installed.
        what: String,
        /// How `npm ci` ended.
        status: ExitStatus,
        /// The end of its output.
        tail: String,
    },
    /// A folder of programs is not whole.
    #[error("{} lacks {missing}: add it, or unset KUBEBUILDER_ASSETS to have all of them built with Go", folder.display())]
    Incomplete {
        /// The folder.
        folder: PathBuf,
        /// The program.
        missing: &'static str,
    },
    /// Controllers were asked for, and the folder of programs has none.
    #[error(
        "controllers were asked for, and the folder in KUBEBUILDER_ASSETS lacks kube-controller-manager: \
         add it, or unset KUBEBUILDER_ASSETS to have it built with Go"
    )]
    NoControllerManager,
    /// There is no place to keep what is built.
    #[error("no folder to cache the control plane in: set HOME, XDG_CACHE_HOME or KUBEBUILDER_ASSETS")]
    NoCacheFolder,
    /// An embedded `go.mod` does not require what is to be built.
    #[error("a go.mod under crates/control-plane/go does not require {0}: write it anew as the README there says")]
    NoPinnedVersion(&'static str),
    /// A folder that was to be fresh holds something.
    #[error("{} is not empty: a control plane starts in a fresh folder", .0.display())]
    NotEmpty(PathBuf),
    /// No port below the system's range for outgoing connections was free.
    #[error("no free port found on 127.0.0.1 between {} and {}", super::PORTS.start, super::PORTS.end)]
    NoPort,
    /// The system's random numbers failed.
    #[error("the system gave no random numbers for keys")]
    Random,
    /// The TLS library has no version of TLS to offer.
    #[error("the API server can't be asked: there is no version of TLS to speak to it")]
    Tls,
    /// A component ended instead of becoming ready.
    #[error("{component} ended instead of becoming ready. The last lines of its log:\n{tail}")]
    Ended {
        /// The component.
        component: &'static str,
        /// The end of its log.
        tail: String,
    },
    /// A component did not become ready in time.
    #[error("{component} is not ready after {} s: {last}\nThe last lines of its log:\n{tail}", within.as_secs())]
    NotReady {
        /// The component.
        component: &'static str,
        /// How long was waited.
        within: Duration,
        /// What the last attempt to reach it gave.
        last: String,
        /// The end of its log.
        tail: String,
    },
    /// kubectl failed.
    #[error("kubectl {arguments} failed ({status}): {output}")]
    Kubectl {
        /// What it was asked.
        arguments: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        output: String,
    },
    /// A file, folder or program could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A process could not be supervised.
    #[error(transparent)]
    Supervise(#[from] supervise::Error),
}

/// Completes "cannot ACTION PATH" with what the system said.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// The end of a log, for an error message.
pub(super) fn tail(log: &Path) -> String {
    match std::fs::read(log) {
        Ok(content) => last_lines(&String::from_utf8_lossy(&content).lines().collect::<Vec<_>>()),
        Err(source) => format!("(cannot read {}: {source})", log.display()),
    }
}

/// The last of many lines, for an error message.
pub(super) fn last_lines(lines: &[&str]) -> String {
    const LINES: usize = 20;
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
