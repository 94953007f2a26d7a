//! A real kube-apiserver with etcd, on free ports of this machine and in a folder of its own.
//!
//! - Nothing outlives the process that started it, however that ends: see [`mod@supervise`].
//! - Any number may run side by side, in one process or in many.
//! - Data is not synced to disk: a power failure loses it, which a test does not mind.
//! - There are no nodes: a pod is stored and never runs.
//!
//! The programs are built once from the Go modules in `go/`, or taken from `KUBEBUILDER_ASSETS`; Helm and promtool too: see
//! [`binaries`]. What goes wrong is an [`Error`] that says what to do. This crate knows nothing of the operator.

use std::{
    ffi::OsStr,
    net::TcpListener,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub mod binaries;
mod credentials;
mod error;
mod estimate;
pub mod npm;
mod probe;
mod progress;
mod recipe;
pub mod supervise;
#[cfg(test)]
mod tests;

pub use self::{
    binaries::{Binaries, Program},
    credentials::User,
    error::Error,
    progress::{Listener, Progress, on_standard_error},
};

use self::{
    credentials::SigningKey,
    error::io_error,
    probe::{ApiServer, healthy, listening, until_ready},
    supervise::{Scratch, Supervised, supervise},
};

/// Below the ports that systems give to outgoing connections, so that none of those takes a port between our look and its use, or
/// while the API server is down.
const PORTS: Range<u16> = 20_000..32_000;

/// How long an orderly stop may take until it is cut short. Nothing of value is lost then.
const STOP: Duration = Duration::from_secs(10);

/// The controllers that tests see the work of; the rest would only cost memory.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
                           clusterrole-aggregation-controller,deployment-controller,replicaset-controller";

/// How to start a control plane.
///
/// ```no_run
/// # async fn example() -> Result<(), control_plane::Error> {
/// use control_plane::{ControlPlane, Options};
///
/// let control_plane = ControlPlane::start(Options { controllers: true, ..Options::default() }).await?;
/// println!("{}", control_plane.run(["get", "namespaces"]).await?);
/// control_plane.stop().await
/// # }
/// ```
#[derive(Clone)]
pub struct Options {
    /// The programs; without them [`binaries::find_or_build`] looks for them, or builds those that are needed.
    pub binaries: Option<Binaries>,
    /// Has kubectl too, for [`ControlPlane::run`]. Without it the one of the `PATH` is run.
    pub kubectl: bool,
    /// Runs kube-controller-manager too: namespaces really go away, owned objects are collected, service accounts appear, aggregated
    /// roles fill, deployments make pods. Costs about 100 MB and a second.
    pub controllers: bool,
    /// Where logs, keys and data go: a folder that is empty or does not exist, and that is left behind. Without it, a temporary
    /// folder that is removed.
    pub folder: Option<PathBuf>,
    /// Users beside the administrator of [`ControlPlane::kubeconfig`]. See also [`ControlPlane::kubeconfig_with_token`].
    pub users: Vec<User>,
    /// More arguments for kube-apiserver, such as `--audit-policy-file=..`. They come last, so they win.
    pub api_server_arguments: Vec<String>,
    /// How long each component may take to become ready.
    pub timeout: Duration,
    /// Is told when programs are built or waited for.
    pub progress: Arc<Listener>,
}

impl Default for Options {
    /// No controllers, kubectl, a temporary folder, a minute for each component, and progress on standard error.
    fn default() -> Self {
        Self {
            binaries: None,
            kubectl: true,
            controllers: false,
            folder: None,
            users: Vec::new(),
            api_server_arguments: Vec::new(),
            timeout: Duration::from_mins(1),
            progress: Arc::new(on_standard_error()),
        }
    }
}

impl Options {
    /// The programs that it takes beside etcd and kube-apiserver.
    fn programs(&self) -> Vec<Program> {
        let wanted = [(self.kubectl, Program::Kubectl), (self.controllers, Program::KubeControllerManager)];
        wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, program)| program).collect()
    }
}

/// A running control plane. Dropping it kills all of it; [`ControlPlane::stop`] ends it in order.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: clients first, the folder they write into last.
    controller_manager: Option<Supervised>,
    api_server: Mutex<Option<Arc<Supervised>>>,
    etcd: Supervised,
    binaries: Binaries,
    api_server_arguments: Vec<String>,
    timeout: Duration,
    port: u16,
    server: String,
    admin_token: String,
    ca: Vec<u8>,
    kubeconfig: PathBuf,
    kubeconfig_yaml: String,
    folder: PathBuf,
    _scratch: Option<Scratch>,
}

impl ControlPlane {
    /// Starts etcd, kube-apiserver and, when asked for, kube-controller-manager, and returns when they are ready: objects can be made
    /// in the namespace `default`, which has its service account if there are controllers.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let programs = options.programs();
        let binaries = match options.binaries {
            Some(binaries) => binaries,
            None => binaries::find_or_build(&programs, &*options.progress).await?,
        };
        if options.controllers && binaries.kube_controller_manager.is_none() {
            return Err(Error::NoControllerManager);
        }
        let (folder, scratch) = fresh_folder(options.folder)?;
        let [etcd_port, peer_port, port] = free_ports()?;

        let etcd = start_etcd(&binaries.etcd, &folder, etcd_port, peer_port)?;
        until_ready("etcd", &etcd, options.timeout, || healthy(etcd_port)).await?;

        let admin_token = credentials::random_token()?;
        let mut users = options.users;
        users.push(User { name: "control-plane-admin".to_owned(), groups: vec!["system:masters".to_owned()], token: admin_token.clone() });
        write_credentials(&folder, &users)?;
        let mut api_server_arguments = api_server_arguments(&folder, etcd_port, port, options.controllers);
        api_server_arguments.extend(options.api_server_arguments);

        let mut control_plane = Self {
            controller_manager: None,
            api_server: Mutex::default(),
            etcd,
            binaries,
            api_server_arguments,
            timeout: options.timeout,
            port,
            server: format!("https://127.0.0.1:{port}"),
            admin_token,
            ca: Vec::new(),
            kubeconfig: folder.join("kubeconfig"),
            kubeconfig_yaml: String::new(),
            folder,
            _scratch: scratch,
        };
        let api_server = control_plane.start_api_server().await?;
        control_plane.write_kubeconfig()?;
        control_plane.until_serving(api_server).await?;
        if options.controllers {
            control_plane.start_controllers().await?;
        }
        Ok(control_plane)
    }

    /// A kubeconfig of the administrator. It stands alone, so it may be copied.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The content of [`ControlPlane::kubeconfig`].
    pub fn kubeconfig_yaml(&self) -> &str {
        &self.kubeconfig_yaml
    }

    /// A kubeconfig for whoever the token stands for: one of [`Options::users`], or a service account (`kubectl create token`).
    pub fn kubeconfig_with_token(&self, token: &str) -> String {
        credentials::kubeconfig(&self.server, &self.ca, token)
    }

    /// The address of the API server, such as `https://127.0.0.1:20123`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The folder of logs, keys and data: `etcd.log`, `kube-apiserver.log`, `kube-controller-manager.log`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The programs it runs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The processes of etcd, kube-apiserver (unless it is paused) and kube-controller-manager (if there are controllers).
    pub fn pids(&self) -> Vec<u32> {
        let api_server = self.api_server();
        [Some(&self.etcd), api_server.as_deref(), self.controller_manager.as_ref()].into_iter().flatten().map(Supervised::pid).collect()
    }

    /// kubectl as the administrator, with caches and settings of its own: nothing of the user's home is read or written.
    pub fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(self.binaries.kubectl.as_deref().unwrap_or(Path::new("kubectl")));
        kubectl
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.folder)
            .env_remove("KUBECACHEDIR")
            .env_remove("KUBERC");
        kubectl
    }

    /// Runs kubectl and returns what it wrote to standard output.
    pub async fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String, Error> {
        let mut kubectl = self.kubectl();
        kubectl.args(arguments);
        // The first two are the kubeconfig, which the reader of an error has no use for.
        let arguments: Vec<_> = kubectl.get_args().skip(2).map(OsStr::to_string_lossy).collect();
        let arguments = arguments.join(" ");
        let output = tokio::process::Command::from(kubectl)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(io_error("run", self.binaries.kubectl.as_deref().unwrap_or(Path::new("kubectl"))))?;
        if !output.status.success() {
            let output_text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Kubectl { arguments, status: output.status, output: output_text });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Applies a file, or all files of a folder, on the server's side. It does not wait for custom resources to be served: that is
    /// `run(["wait", "--for=condition=Established", ..])`.
    pub async fn apply(&self, path: &Path) -> Result<(), Error> {
        let arguments = [OsStr::new("apply"), OsStr::new("--server-side"), OsStr::new("-f"), path.as_os_str()];
        self.run(arguments).await.map(drop)
    }

    /// An outage of the API server: it is killed, connections break, and new ones are refused. etcd and the controllers run on.
    /// For a server that hangs instead, see [`ControlPlane::api_server`]. Pausing a paused server does nothing.
    pub async fn pause_api_server(&self) -> Result<(), Error> {
        let api_server = self.api_server_slot().take();
        if let Some(api_server) = api_server {
            api_server.kill().await?;
        }
        Ok(())
    }

    /// Ends the outage: the API server starts again, on the same port and with the same certificate, tokens and data. Returns when
    /// it is ready. Resuming a running server does nothing.
    pub async fn resume_api_server(&self) -> Result<(), Error> {
        if self.api_server().is_some() {
            return Ok(());
        }
        let api_server = self.start_api_server().await?;
        self.until_serving(api_server).await
    }

    /// The API server's process, unless it is paused: `signal(Signal::Stop)` makes it hang with connections open.
    pub fn api_server(&self) -> Option<Arc<Supervised>> {
        self.api_server_slot().clone()
    }

    fn api_server_slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Supervised>>> {
        self.api_server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the controllers, the API server and etcd, in this order, and removes the temporary folder. What does not end within ten
    /// seconds is killed.
    pub async fn stop(mut self) -> Result<(), Error> {
        if let Some(controllers) = self.controller_manager.take() {
            stop(&controllers).await?;
        }
        let api_server = self.api_server_slot().take();
        if let Some(api_server) = api_server {
            stop(&api_server).await?;
        }
        stop(&self.etcd).await
    }

    /// Starts the API server. Its certificate is there when this returns, as it makes one before it listens.
    async fn start_api_server(&self) -> Result<Supervised, Error> {
        let mut command = Command::new(&self.binaries.kube_apiserver);
        command.args(&self.api_server_arguments);
        let api_server = component(&command, &self.folder, "kube-apiserver")?;
        until_ready("kube-apiserver", &api_server, self.timeout, || listening(self.port)).await?;
        Ok(api_server)
    }

    /// Writes the administrator's kubeconfig, for the certificate that the API server made.
    fn write_kubeconfig(&mut self) -> Result<(), Error> {
        let certificate = self.folder.join("certificates").join("apiserver.crt");
        self.ca = std::fs::read(&certificate).map_err(io_error("read", &certificate))?;
        self.kubeconfig_yaml = self.kubeconfig_with_token(&self.admin_token);
        write(&self.kubeconfig, &self.kubeconfig_yaml)
    }

    async fn until_serving(&self, api_server: Supervised) -> Result<(), Error> {
        let asked = self.asked()?;
        for path in ["/readyz", "/api/v1/namespaces/default"] {
            until_ready("kube-apiserver", &api_server, self.timeout, || asked.answers(path)).await?;
        }
        *self.api_server_slot() = Some(Arc::new(api_server));
        Ok(())
    }

    async fn start_controllers(&mut self) -> Result<(), Error> {
        let Some(program) = &self.binaries.kube_controller_manager else {
            return Err(Error::NoControllerManager);
        };
        let mut command = Command::new(program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args([
            &format!("--controllers={CONTROLLERS}"),
            "--leader-elect=false",
            "--secure-port=0",
            // The defaults throttle a test that makes and deletes many objects.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]);
        let controller_manager = component(&command, &self.folder, "kube-controller-manager")?;
        let service_account = "/api/v1/namespaces/default/serviceaccounts/default";
        let asked = self.asked()?;
        until_ready("kube-controller-manager", &controller_manager, self.timeout, || asked.answers(service_account)).await?;
        self.controller_manager = Some(controller_manager);
        Ok(())
    }

    /// The API server as the administrator asks it.
    fn asked(&self) -> Result<ApiServer, Error> {
        ApiServer::new(self.port, &self.ca, &self.admin_token)
    }
}

/// The folder to work in, and what removes it later if it is temporary.
fn fresh_folder(wanted: Option<PathBuf>) -> Result<(PathBuf, Option<Scratch>), Error> {
    let Some(folder) = wanted else {
        let scratch = Scratch::new("control-plane")?;
        return Ok((scratch.path().to_owned(), Some(scratch)));
    };
    let folder = std::path::absolute(&folder).map_err(io_error("resolve", &folder))?;
    std::fs::create_dir_all(&folder).map_err(io_error("make", &folder))?;
    // Data of an earlier run would be served to tokens and keys that it does not know.
    match std::fs::read_dir(&folder).map_err(io_error("read", &folder))?.next() {
        Some(_) => Err(Error::NotEmpty(folder)),
        None => Ok((folder, None)),
    }
}

/// Different free ports. They are held until all are found, or the same one could come twice.
fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    let mut held = Vec::with_capacity(N);
    for _ in 0..1000 {
        let port = fastrand::u16(PORTS);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
        if held.len() == N {
            let ports: Vec<u16> = held.into_iter().map(|(port, _)| port).collect();
            return ports.try_into().map_err(|_| Error::NoPort);
        }
    }
    Err(Error::NoPort)
}

fn start_etcd(program: &Path, folder: &Path, port: u16, peer_port: u16) -> Result<Supervised, Error> {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(folder.join("etcd")).args([
        &format!("--listen-client-urls={client}"),
        &format!("--advertise-client-urls={client}"),
        &format!("--listen-peer-urls={peer}"),
        &format!("--initial-advertise-peer-urls={peer}"),
        &format!("--initial-cluster=default={peer}"),
        // A test needs no data after a power failure, and waiting for disks is most of what etcd does.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]);
    component(&command, folder, "etcd")
}

fn api_server_arguments(folder: &Path, etcd_port: u16, port: u16, controllers: bool) -> Vec<String> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut arguments = vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        format!("--cert-dir={}", path("certificates")),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", path("tokens.csv")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-signing-key-file={}", path("service-accounts.key")),
        format!("--service-account-key-file={}", path("service-accounts.pub")),
        // No pod talks to the API server, so nothing needs the addresses behind its service.
        "--endpoint-reconciler-type=none".to_owned(),
        "--profiling=false".to_owned(),
    ];
    if !controllers {
        // It refuses a pod whose service account does not exist, and nobody makes those.
        arguments.push("--disable-admission-plugins=ServiceAccount".to_owned());
    }
    arguments
}

fn write_credentials(folder: &Path, users: &[User]) -> Result<(), Error> {
    let key = SigningKey::generate()?;
    write(&folder.join("tokens.csv"), &credentials::token_file(users))?;
    write(&folder.join("service-accounts.key"), &key.private)?;
    write(&folder.join("service-accounts.pub"), &key.public)
}

/// Writes what only this user may read.
fn write(path: &Path, content: &str) -> Result<(), Error> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(io_error("write", path))
}

/// A component is killed when it is dropped: its data goes too, so there is nothing to end in order.
fn component(command: &Command, folder: &Path, name: &str) -> Result<Supervised, Error> {
    let options = supervise::Options::new(folder.join(format!("{name}.log"))).grace(Duration::ZERO);
    Ok(supervise(command, &options)?)
}

async fn stop(component: &Supervised) -> Result<(), Error> {
    match component.terminate(STOP).await {
        Err(supervise::Error::StillRunning { .. }) => component.kill().await?,
        ended => ended?,
    };
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}
