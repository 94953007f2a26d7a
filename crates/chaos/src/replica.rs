//! One replica of the operator: its process, killed and started again and again, with its own doors to Auth0 and line to the API server.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use control_plane::ControlPlane;
use control_plane::supervise::Signal;
use test_support::{Launch, Operator, get, get_status};

use crate::door::{Door, Street};
use crate::ledger::Process;
use crate::line::{Line, Mode};

/// How long a process may take to end that was asked to: it lets its passes end, for 45 seconds at most.
const END: Duration = Duration::from_mins(1);

/// The number of the signal that asks to end.
const SIGTERM: i32 = 15;

/// What became of a process that is gone.
#[derive(Clone, Debug)]
pub(crate) enum Gone {
    /// It ended, as it was asked to.
    Asked {
        /// How long it took.
        took: Duration,
        /// After what time it is started again.
        down: Duration,
    },
    /// It must not have ended, or not like this.
    Wrong(String),
}

/// A replica.
#[derive(Debug)]
pub(crate) struct Replica {
    /// Its name, which is also its user's at the API server.
    pub(crate) name: String,
    /// Its line to the API server.
    pub(crate) line: Line,
    /// Where all of its processes log.
    pub(crate) log: PathBuf,
    launch: Launch,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    operator: Operator,
    process: Process,
    frozen: bool,
    ending: Option<Ending>,
    /// How long the log was when it started.
    log_before: u64,
    _door: Door,
}

#[derive(Debug)]
struct Ending {
    asked: Duration,
    down: Duration,
    /// Whether it had said anything by then. Before it does it has not begun, and the signal ends it as it ends any program.
    had_begun: bool,
}

impl Replica {
    /// A replica that comes to the API server as this user.
    pub(crate) async fn new(name: &str, token: &str, binary: &Path, control_plane: &ControlPlane, folder: &Path) -> anyhow::Result<Self> {
        let server = control_plane.server();
        let port = server.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
        let line = Line::to(port).await?;
        let kubeconfig = folder.join(format!("{name}.kubeconfig"));
        let text = control_plane.kubeconfig_with_token(token).replace(server, &format!("https://127.0.0.1:{}", line.port));
        std::fs::write(&kubeconfig, text)?;
        let log = folder.join(format!("{name}.log"));
        let mut launch = Launch::new(kubeconfig, log.clone());
        launch.port = quiet_port()?;
        launch.binary = Some(binary.to_owned());
        launch.variables = vec![("UPO_LOG".to_owned(), "info".to_owned()), ("HOSTNAME".to_owned(), name.to_owned())];
        Ok(Self { name: name.to_owned(), line, log, launch, running: None })
    }

    /// Starts its next process.
    pub(crate) async fn start(&mut self, street: &Arc<Street>, process: Process) -> anyhow::Result<()> {
        let door = street.open(process).await?;
        self.launch.arguments = vec!["--insecure-tenant-endpoint".to_owned(), door.url.clone()];
        let log_before = self.log_length();
        let operator = self.launch.start();
        self.running = Some(Running { operator, process, frozen: false, ending: None, log_before, _door: door });
        Ok(())
    }

    /// The number of its process, if there is one.
    pub(crate) fn process(&self) -> Option<Process> {
        self.running.as_ref().map(|running| running.process)
    }

    /// Whether it has a process that runs and was not asked to end.
    pub(crate) fn is_up(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.frozen && running.ending.is_none())
    }

    /// How it is, in a word.
    pub(crate) fn state(&self) -> &'static str {
        match &self.running {
            None => "down",
            Some(Running { frozen: true, .. }) => "frozen",
            Some(Running { ending: Some(_), .. }) => "ending",
            Some(_) => "up",
        }
    }

    /// Kills its process. Yields whether there was one.
    pub(crate) fn kill(&mut self, street: &Street) -> bool {
        let Some(running) = self.running.take() else { return false };
        running.operator.process.signal(Signal::Kill);
        street.sleeps(running.process, false);
        // Its end is waited for with the value.
        true
    }

    /// Freezes its process.
    pub(crate) fn freeze(&mut self, street: &Street) {
        if let Some(running) = &mut self.running {
            running.frozen = true;
            street.sleeps(running.process, true);
            running.operator.process.signal(Signal::Stop);
        }
    }

    /// Thaws the process of this number, if it is still there.
    pub(crate) fn thaw(&mut self, street: &Street, process: Process) {
        if let Some(running) = self.running.as_mut().filter(|running| running.process == process) {
            running.frozen = false;
            street.sleeps(process, false);
            running.operator.process.signal(Signal::Continue);
        }
    }

    /// Asks its process to end.
    pub(crate) fn terminate(&mut self, now: Duration, down: Duration) {
        let log = self.log_length();
        if let Some(running) = &mut self.running {
            let had_begun = log > running.log_before;
            running.operator.process.signal(Signal::Terminate);
            running.ending = Some(Ending { asked: now, down, had_begun });
        }
    }

    fn log_length(&self) -> u64 {
        std::fs::metadata(&self.log).map(|log| log.len()).unwrap_or_default()
    }

    /// Whether its process is gone, and how.
    pub(crate) async fn look(&mut self, now: Duration) -> Option<Gone> {
        let running = self.running.as_ref()?;
        let place = format!("{} (process {})", self.name, running.process);
        if running.operator.process.is_running() {
            let ending = running.ending.as_ref().filter(|ending| now > ending.asked + END)?;
            let message = format!("{place} did not end within {} s of SIGTERM", now.saturating_sub(ending.asked).as_secs());
            let running = self.running.take()?;
            running.operator.process.signal(Signal::Kill);
            return Some(Gone::Wrong(message));
        }
        let running = self.running.take()?;
        let status = running.operator.process.wait().await;
        match (status, running.ending) {
            (Ok(status), Some(Ending { asked, down, had_begun })) if is_an_end(status, had_begun) => {
                Some(Gone::Asked { took: now.saturating_sub(asked), down })
            }
            (Ok(status), Some(_)) => Some(Gone::Wrong(format!("{place} ended with {status} when asked to end"))),
            (Ok(status), None) => Some(Gone::Wrong(format!("{place} ended unasked with {status}"))),
            (Err(error), _) => Some(Gone::Wrong(format!("{place}: {error}"))),
        }
    }

    /// What it says at `/metrics`, if it says anything.
    pub(crate) async fn metrics(&self) -> Option<String> {
        let asked = tokio::time::timeout(Duration::from_secs(2), get(("127.0.0.1", self.launch.port), "/metrics")).await;
        asked.ok()?.ok().map(|(_, text)| text)
    }

    /// Whether it says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        let asked = tokio::time::timeout(Duration::from_secs(2), get_status(("127.0.0.1", self.launch.port), "/readyz")).await;
        asked.is_ok_and(|status| status == Some(200))
    }

    /// Puts its line in order.
    pub(crate) fn mend_line(&self) {
        self.line.set(Mode::Open);
    }
}

/// Whether a process that was asked to end did so.
fn is_an_end(status: ExitStatus, had_begun: bool) -> bool {
    status.success() || (!had_begun && status.signal() == Some(SIGTERM))
}

/// A port that nobody has, and that no outgoing connection takes while the replica is down.
fn quiet_port() -> anyhow::Result<u16> {
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..100).map(|_| fastrand::u16(10_000..20_000)).find(free).context("no free port for an operator")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ends_as_asked_also_before_it_has_begun_but_not_by_the_signal_after_that() {
        // As wait(2) says them: the exit code is in the second byte, a signal in the first.
        let [well, badly, by_signal, killed] = [0, 1 << 8, SIGTERM, 9].map(ExitStatus::from_raw);
        assert!(is_an_end(well, true) && is_an_end(well, false));
        assert!(is_an_end(by_signal, false) && !is_an_end(by_signal, true));
        for status in [badly, killed] {
            assert!(!is_an_end(status, false) && !is_an_end(status, true), "{status}");
        }
    }
}
