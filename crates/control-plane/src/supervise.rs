//! Child processes and folders that never outlive the process that asked for them.
//!
//! A test run ends in many ways: it returns, panics, times out, gets Ctrl-C or `SIGKILL`; a `static` is never dropped at all. What
//! all of them share is that the kernel closes the pipes of the process. So each child gets a small shell between it and us, which
//! holds the other end of a pipe and ends the child as soon as that pipe closes.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::watch;

const SUPERVISOR: &str = include_str!("supervisor.sh");
const SWEEPER: &str = include_str!("sweeper.sh");

/// Why a process could not be supervised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log of the process could not be opened.
    #[error("cannot open the log {}: {source}; is its folder there and writable?", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No shell could be started to supervise the process.
    #[error("cannot start /bin/sh to supervise {program}: {source}")]
    Shell {
        /// The program that was to be supervised.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The supervising shell ended without telling how the process ended.
    #[error("the supervisor of {program} is gone: something killed it, and the end of {program} went unseen")]
    SupervisorGone {
        /// The supervised program.
        program: String,
    },
    /// The process did not end in time. It keeps running until it is killed or dropped.
    #[error("{program} (process {pid}) is still running {} s after {signal:?}; see its log, or call `kill`", within.as_secs_f32())]
    StillRunning {
        /// The supervised program.
        program: String,
        /// Its process.
        pid: u32,
        /// The signal that was to end it.
        signal: Signal,
        /// How long was waited.
        within: Duration,
    },
    /// The temporary folder could not be made.
    #[error("cannot make the temporary folder {}: is there space, and is its parent writable (TMPDIR)?", path.display())]
    Scratch {
        /// The folder.
        path: PathBuf,
    },
}

/// What can be sent to a supervised process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM`: asks for an orderly end.
    Terminate,
    /// `SIGKILL`: ends it at once.
    Kill,
    /// `SIGINT`: what Ctrl-C sends. A shell starts its background jobs with it ignored, so it has an effect only on programs that
    /// install a handler of their own.
    Interrupt,
    /// `SIGSTOP`: freezes it, connections stay open.
    Stop,
    /// `SIGCONT`: thaws it.
    Continue,
}

impl Signal {
    fn order(self) -> &'static [u8] {
        match self {
            Self::Terminate => b"TERM\n",
            Self::Kill => b"KILL\n",
            Self::Interrupt => b"INT\n",
            Self::Stop => b"STOP\n",
            Self::Continue => b"CONT\n",
        }
    }
}

/// Where a supervised process writes, and how it ends when it is no longer wanted.
#[derive(Debug, Clone)]
pub struct Options {
    /// Takes standard output and standard error. It is appended to.
    pub log: PathBuf,
    /// Time between `SIGTERM` and `SIGKILL` when the value is dropped or this process dies, in steps of 100 ms.
    pub grace: Duration,
}

impl Options {
    /// Writes to `log`, with five seconds to end in an orderly way.
    pub fn new(log: impl Into<PathBuf>) -> Self {
        Self { log: log.into(), grace: Duration::from_secs(5) }
    }

    /// Another time between `SIGTERM` and `SIGKILL`; zero kills at once.
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended(ExitStatus),
    Unseen,
}

/// A running process that ends with this value, or with this process, whichever goes first.
///
/// - It leads no terminal: Ctrl-C reaches this process alone, which then decides in which order things stop.
/// - Whatever it started ends with it, unless that moved to a process group of its own.
/// - Dropping the value sends `SIGTERM`, after the grace `SIGKILL`, and returns when the process is gone.
#[derive(Debug)]
pub struct Supervised {
    program: String,
    pid: u32,
    log: PathBuf,
    supervisor: Child,
    orders: Option<ChildStdin>,
    state: watch::Receiver<State>,
    reader: Option<JoinHandle<()>>,
}

/// Starts `command` under supervision. A program that does not exist ends with status 127, and its log says so.
///
/// Of the command, the program, its arguments, its folder and its changes to the environment count; standard input is empty,
/// output goes to the log. `Command::env_clear` cannot be seen from here: name what has to go with `Command::env_remove`.
pub fn supervise(command: &Command, options: &Options) -> Result<Supervised, Error> {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    // The shell would tell nobody that it cannot open the log.
    std::fs::File::options()
        .create(true)
        .append(true)
        .open(&options.log)
        .map_err(|source| Error::Log { path: options.log.clone(), source })?;
    let tenths = options.grace.as_millis().div_ceil(100);
    let arguments = [options.log.clone().into_os_string(), OsString::from(tenths.to_string())];
    let mut shell = shell(SUPERVISOR);
    shell.args(arguments).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }

    let failed = |source| Error::Shell { program: program.clone(), source };
    let mut supervisor = shell.spawn().map_err(failed)?;
    let orders = supervisor.stdin.take();
    let mut reports = BufReader::new(supervisor.stdout.take().ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?);
    let mut first = String::new();
    reports.read_line(&mut first).map_err(failed)?;
    let Some(pid) = report(&first, "pid ") else {
        return Err(Error::SupervisorGone { program });
    };

    let (tell, state) = watch::channel(State::Running);
    let reader = std::thread::spawn(move || {
        let mut last = String::new();
        let ended = match reports.read_line(&mut last) {
            Ok(_) => report(&last, "exit ").map(exit_status),
            Err(_) => None,
        };
        tell.send_replace(ended.map_or(State::Unseen, State::Ended));
    });
    Ok(Supervised { program, pid, log: options.log.clone(), supervisor, orders, state, reader: Some(reader) })
}

impl Supervised {
    /// The process itself, not its supervisor.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        *self.state.borrow() == State::Running
    }

    /// Sends a signal and does not wait for its effect. A process that has ended takes none, and that is no error.
    pub fn signal(&self, signal: Signal) {
        if let Some(mut orders) = self.orders.as_ref() {
            // The only way to fail is a supervisor that is gone, and it goes after the process.
            let _ = orders.write_all(signal.order());
        }
    }

    /// Waits until it ends. A death by signal N and an exit with 128 + N look the same from here and are told as the former.
    pub async fn wait(&self) -> Result<ExitStatus, Error> {
        let mut state = self.state.clone();
        let gone = || Error::SupervisorGone { program: self.program.clone() };
        match *state.wait_for(|state| *state != State::Running).await.map_err(|_| gone())? {
            State::Ended(status) => Ok(status),
            State::Running | State::Unseen => Err(gone()),
        }
    }

    /// Asks it to end and waits for that, for at most `within`. When it does not, it is left running.
    pub async fn terminate(&self, within: Duration) -> Result<ExitStatus, Error> {
        self.end(Signal::Terminate, within).await
    }

    /// Ends it at once and waits until it is gone.
    pub async fn kill(&self) -> Result<ExitStatus, Error> {
        // Only a process that hangs in the kernel survives this, and it shall not hang us.
        self.end(Signal::Kill, Duration::from_secs(30)).await
    }

    async fn end(&self, signal: Signal, within: Duration) -> Result<ExitStatus, Error> {
        self.signal(signal);
        tokio::time::timeout(within, self.wait()).await.map_err(|_| Error::StillRunning {
            program: self.program.clone(),
            pid: self.pid,
            signal,
            within,
        })?
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        let _ = self.supervisor.wait();
    }
}

/// A folder that is removed with all it holds when this value is dropped or this process dies.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    sweeper: Child,
}

impl Scratch {
    /// Makes a folder of its own in the system's temporary folder, readable to this user alone. `prefix` starts its name.
    pub fn new(prefix: &str) -> Result<Self, Error> {
        let name = format!("{prefix}-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::path::absolute(std::env::temp_dir().join(&name)).map_err(|_| Error::Scratch { path: name.into() })?;
        let failed = || Error::Scratch { path: path.clone() };
        let mut sweeper = shell(SWEEPER).arg(&path).spawn().map_err(|_| failed())?;
        let mut made = String::new();
        if let Some(stdout) = sweeper.stdout.take() {
            BufReader::new(stdout).read_line(&mut made).map_err(|_| failed())?;
        }
        if made != "made\n" {
            let _ = sweeper.wait();
            return Err(failed());
        }
        Ok(Self { path, sweeper })
    }

    /// The folder, an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }
}

/// A shell in a process group of its own, so that what a terminal sends to our group does not reach it.
fn shell(script: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, "supervisor"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    shell
}

fn report<T: std::str::FromStr>(line: &str, name: &str) -> Option<T> {
    line.strip_prefix(name)?.trim_end().parse().ok()
}

/// A shell tells a death by signal N as status 128 + N.
fn exit_status(code: i32) -> ExitStatus {
    let raw = if code > 128 { code - 128 } else { code << 8 };
    ExitStatus::from_raw(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set for the process that a test starts in order to kill it.
    const VICTIM: &str = "CONTROL_PLANE_VICTIM_FOLDER";

    fn alive(pid: u32) -> bool {
        let mut ask = Command::new("/bin/sh");
        ask.args(["-c", "kill -s 0 \"$1\"", "alive", &pid.to_string()]);
        ask.stderr(Stdio::null()).status().unwrap().success()
    }

    fn script(text: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", text]);
        command
    }

    async fn until(what: &str, condition: impl Fn() -> bool) {
        for _ in 0..200 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("waited 10 s until {what}");
    }

    #[tokio::test]
    async fn a_process_reports_its_status_and_fills_its_log() {
        let scratch = Scratch::new("control-plane-supervise").unwrap();
        let options = Options::new(scratch.path().join("log"));
        let mut command = script("echo out $NAME $GONE; echo err >&2; pwd; exit 7");
        command.env("NAME", "value").env_remove("GONE").current_dir("/");
        let process = supervise(&command, &options).unwrap();
        assert_eq!(process.wait().await.unwrap().code(), Some(7));
        assert!(!process.is_running());
        assert_eq!(std::fs::read_to_string(process.log()).unwrap(), "out value\nerr\n/\n");
        process.signal(Signal::Terminate);
        assert_eq!(process.terminate(Duration::from_secs(1)).await.unwrap().code(), Some(7), "ending what has ended is no error");
    }

    #[tokio::test]
    async fn a_missing_program_ends_with_127_and_a_missing_folder_is_an_error() {
        let scratch = Scratch::new("control-plane-supervise").unwrap();
        let log = scratch.path().join("log");
        let process = supervise(&Command::new("no-such-program"), &Options::new(&log)).unwrap();
        assert_eq!(process.wait().await.unwrap().code(), Some(127));
        assert!(std::fs::read_to_string(&log).unwrap().contains("not found"));
        let nowhere = Options::new(scratch.path().join("no-such-folder/log"));
        assert!(matches!(supervise(&script("true"), &nowhere), Err(Error::Log { .. })));
    }

    #[tokio::test]
    async fn terminate_lets_a_process_finish_and_kill_does_not() {
        let scratch = Scratch::new("control-plane-supervise").unwrap();
        let options = Options::new(scratch.path().join("log"));
        let polite = supervise(&script("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"), &options).unwrap();
        until("it is up", || std::fs::read_to_string(polite.log()).unwrap().contains("up")).await;
        assert!(polite.is_running() && alive(polite.pid()));
        assert_eq!(polite.terminate(Duration::from_secs(10)).await.unwrap().code(), Some(3));
        assert_eq!(std::fs::read_to_string(polite.log()).unwrap(), "up\nbye\n");

        let deaf = Options::new(scratch.path().join("deaf.log"));
        let deaf = supervise(&script("trap '' TERM; echo up; while :; do sleep 0.05; done"), &deaf).unwrap();
        until("it is up", || std::fs::read_to_string(deaf.log()).unwrap().contains("up")).await;
        let late = deaf.terminate(Duration::from_millis(200)).await.unwrap_err().to_string();
        assert_eq!(late, format!("sh (process {}) is still running 0.2 s after Terminate; see its log, or call `kill`", deaf.pid()));
        assert_eq!(deaf.kill().await.unwrap().signal(), Some(9));
        assert!(!alive(deaf.pid()));
    }

    #[tokio::test]
    async fn dropping_ends_a_process_with_all_it_started_even_when_it_is_frozen_and_deaf() {
        let scratch = Scratch::new("control-plane-supervise").unwrap();
        let options = Options::new(scratch.path().join("log")).grace(Duration::from_millis(200));
        let process = supervise(&script("trap '' TERM; sleep 1000 & echo $!; wait"), &options).unwrap();
        let grandchild = || std::fs::read_to_string(process.log()).unwrap().trim().parse::<u32>();
        until("it has a child", || grandchild().is_ok()).await;
        let (pid, grandchild) = (process.pid(), grandchild().unwrap());
        process.signal(Signal::Stop);
        assert!(alive(pid) && alive(grandchild));
        drop(process);
        assert!(!alive(pid));
        until("its child is gone too", || !alive(grandchild)).await;
    }

    #[test]
    fn a_scratch_folder_goes_with_its_value() {
        let scratch = Scratch::new("control-plane-scratch").unwrap();
        let path = scratch.path().to_owned();
        std::fs::write(path.join("file"), "content").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn nothing_outlives_a_process_that_is_killed() {
        let scratch = Scratch::new("control-plane-supervise").unwrap();
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "supervise::tests::victim"])
            .env(VICTIM, scratch.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let said = || std::fs::read_to_string(scratch.path().join("ready")).unwrap_or_default();
        until("the victim is ready", || said().ends_with('\n')).await;
        let said = said();
        let (pid, folder) = said.trim_end().split_once(' ').unwrap();
        let (pid, folder) = (pid.parse().unwrap(), Path::new(folder));
        assert!(alive(pid) && folder.exists());

        victim.kill().unwrap();
        assert_eq!(victim.wait().unwrap().signal(), Some(9));
        until("its child is gone", || !alive(pid)).await;
        until("its folder is gone", || !folder.exists()).await;
    }

    #[test]
    #[ignore = "runs in the process that another test starts and kills"]
    fn victim() {
        let told = std::env::var_os(VICTIM).expect("only `nothing_outlives_a_process_that_is_killed` starts this");
        let told = Path::new(&told);
        let scratch = Scratch::new("control-plane-victim").unwrap();
        // Its log lies in the folder that is removed at the same time.
        let options = Options::new(scratch.path().join("log"));
        let process = supervise(Command::new("sleep").arg("1000"), &options).unwrap();
        std::fs::write(told.join("ready"), format!("{} {}\n", process.pid(), scratch.path().display())).unwrap();
        std::thread::sleep(Duration::from_mins(1));
    }
}
