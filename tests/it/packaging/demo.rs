//! The demo, as somebody who tries the operator meets it: what it needs, what it shows, how it ends.
//!
//! `UPDATE_EXPECT=1 cargo test --test it packaging::demo` writes its picture.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use control_plane::supervise::Scratch;
use test_support::repository::{read, root};
use test_support::wait::{eventually, until};
use test_support::{World, get, operator_binary};

/// What Ctrl-C makes of an exit status.
const INTERRUPTED: Option<i32> = Some(130);

/// A demo that runs, with a folder for all that it leaves anywhere, and little else of this machine.
struct Demo {
    child: Child,
    scratch: Scratch,
}

impl Demo {
    /// With the programs that envtest brings, and nothing on the PATH but a shell's own tools.
    fn with_envtest(arguments: &[&str]) -> Self {
        let scratch = Scratch::new("demo").unwrap();
        let assets = scratch.path().join("assets");
        std::fs::create_dir(&assets).unwrap();
        let programs = World::shared().control_plane.binaries();
        for (name, program) in [("etcd", &programs.etcd), ("kube-apiserver", &programs.kube_apiserver)] {
            symlink(program, assets.join(name)).unwrap();
        }
        symlink(programs.kubectl.as_ref().unwrap(), assets.join("kubectl")).unwrap();
        Self::start(scratch, arguments, |demo| {
            demo.env("KUBEBUILDER_ASSETS", assets).env("PATH", "/usr/bin:/bin");
        })
    }

    /// With nothing built, and with this script as Go, if there is one.
    fn with_go(script: Option<&str>) -> Self {
        let scratch = Scratch::new("demo").unwrap();
        let bin = scratch.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for tool in ["sleep", "sh", "mkdir", "rm"] {
            symlink(Path::new("/bin").join(tool), bin.join(tool)).unwrap();
        }
        if let Some(script) = script {
            std::fs::write(bin.join("go"), format!("#!/bin/sh\n[ \"$1\" = env ] && exit 0\n{script}\n")).unwrap();
            std::fs::set_permissions(bin.join("go"), Permissions::from_mode(0o755)).unwrap();
        }
        Self::start(scratch, &["--once"], |demo| {
            demo.env_remove("KUBEBUILDER_ASSETS").env("PATH", bin);
        })
    }

    fn start(scratch: Scratch, arguments: &[&str], set: impl FnOnce(&mut Command)) -> Self {
        for folder in ["tmp", "cache"] {
            std::fs::create_dir(scratch.path().join(folder)).unwrap();
        }
        let mut demo = Command::new(operator_binary());
        demo.arg("demo").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        demo.env("TMPDIR", scratch.path().join("tmp")).env("XDG_CACHE_HOME", scratch.path().join("cache"));
        // Nobody listens there: a proxy is for tenants that are far away.
        demo.env("HTTP_PROXY", "http://127.0.0.1:9").env("HTTPS_PROXY", "http://127.0.0.1:9").env_remove("NO_PROXY");
        set(&mut demo);
        Self { child: demo.spawn().unwrap(), scratch }
    }

    /// What it printed up to a line that holds this; all of it if there is none.
    fn until(&mut self, text: &str) -> String {
        let mut lines = BufReader::with_capacity(1, self.child.stdout.as_mut().unwrap());
        let mut said = String::new();
        while !said.lines().last().unwrap_or_default().contains(text) && lines.read_line(&mut said).unwrap() > 0 {}
        said
    }

    fn press_ctrl_c(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("/bin/sh").args(["-c", "kill -INT \"$1\"", "press", &pid]).status().unwrap().success());
    }

    /// Presses Ctrl-C while it does something, and sees that it ends.
    async fn interrupt(self) {
        self.press_ctrl_c();
        let (status, said, errors) = self.end().await;
        assert_eq!(status.code(), INTERRUPTED, "{said}\n{errors}");
        assert!(errors.contains("stopped before the end"), "{errors}");
    }

    /// Waits for its end, and until nothing of it is left. Yields how it ended, and what it printed since it was looked at last.
    async fn end(mut self) -> (ExitStatus, String, String) {
        drop(self.child.stdin.take());
        let (mut said, mut errors) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        let status = self.child.wait().unwrap();
        let folder = self.scratch.path();
        eventually("nothing is left running", async || running_in(folder).is_empty().then_some(()), async || running_in(folder).join("\n"))
            .await;
        until("nothing is left behind", async || std::fs::read_dir(folder.join("tmp")).unwrap().next().is_none()).await;
        (status, said, errors)
    }
}

/// The command lines of all processes that name something in a folder.
fn running_in(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
    let lines = processes.filter_map(|file| Some(String::from_utf8_lossy(&std::fs::read(file).ok()?).replace('\0', " ")));
    // With the slash: whatever removes the folder itself names it, too.
    let inside = format!("{}/", folder.display());
    lines.filter(|line| line.contains(&inside)).collect()
}

#[tokio::test]
async fn the_demo_takes_etcd_and_an_api_server_and_its_picture_is_that_of_the_readme() {
    let scratch = Scratch::new("picture").unwrap();
    let picture = scratch.path().join("demo.svg");
    let demo = Demo::with_envtest(&["--once", "--svg", picture.to_str().unwrap()]);
    let (status, said, errors) = demo.end().await;
    assert!(status.success(), "{said}\n{errors}");
    assert!(said.ends_with("\nEverything is as expected.\n") && !said.contains('\u{1b}'), "{said}");
    for line in ["     + blog: {value: myblog.wordpress.com}", "     - blog: {value: changed-in-the-dashboard}"] {
        assert!(said.lines().any(|one| one == line), "{line}\n{said}");
    }
    assert_eq!(said.matches("unchanged, byte for byte").count(), 5, "{said}");
    let widest = said.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(110), "{widest:?}\n{said}");
    assert_eq!(errors, "starting etcd, kube-apiserver, an emulated Auth0 tenant and the operator\n");
    let (is, kept) = (read(&picture), root().join("docs/images/demo.svg"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&kept, &is).unwrap();
    }
    let (is, kept) = (lines_of(&is), lines_of(&read(&kept)));
    assert!(is.len() > 40 && is.iter().any(|line| line.starts_with("7. ")), "{is:?}");
    assert_eq!(is, kept, "docs/images/demo.svg is of another demo; UPDATE_EXPECT=1 makes it anew");
}

/// The lines of a picture of text, but for what the operator says in its own words, which are those of its messages.
fn lines_of(picture: &str) -> Vec<String> {
    let text = picture.split_once("<text").unwrap().1;
    let untagged = |line: &str| line.split('<').map(|part| part.rsplit_once('>').map_or(part, |(_, text)| text)).collect::<String>();
    let lines = text.lines().skip(1).map(|line| untagged(line.strip_prefix("    ").unwrap_or(line)));
    let lines = lines.filter(|line| !line.trim().is_empty());
    let (mut kept, mut words) = (Vec::new(), false);
    for line in lines {
        words = line.starts_with("   Event DriftCorrected: ") || (words && line.starts_with("   "));
        if !words {
            words = line.starts_with("6. ");
            kept.push(line);
        }
    }
    kept
}

#[tokio::test]
async fn the_demo_stays_up_serves_metrics_plays_the_colleague_and_ends_with_ctrl_c() {
    let mut demo = Demo::with_envtest(&[]);
    let said = demo.until("Here, type drift");
    let address = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("curl http://")?.split_once("/metrics"))
        .unwrap_or_else(|| panic!("{said}"))
        .0;
    let (status, metrics) = get(address, "/metrics").await.unwrap();
    assert!(status == 200 && metrics.contains("\n# EOF"), "{metrics}");
    assert_eq!(get(address, "/readyz").await.unwrap().0, 200);
    for (word, answer) in [("drift", "Everything is as expected."), ("show", "legacy-saml"), ("what", "type drift or show")] {
        writeln!(demo.child.stdin.as_mut().unwrap(), "{word}").unwrap();
        let said = demo.until(answer);
        assert!(said.contains(answer), "{word}\n{said}");
    }
    // Whoever closes standard input has not ended it.
    drop(demo.child.stdin.take());
    assert_eq!(get(address, "/readyz").await.unwrap().0, 200);
    demo.press_ctrl_c();
    let (status, said, errors) = demo.end().await;
    assert!(status.success() && said.ends_with("\nstopping\n"), "{status} {said} {errors}");
}

#[tokio::test]
async fn ctrl_c_ends_the_demo_at_every_stage_and_nothing_of_it_is_left() {
    let building = Demo::with_go(Some("sleep 1000"));
    until("Go runs", async || running_in(building.scratch.path()).iter().any(|line| line.contains("/bin/go"))).await;
    building.interrupt().await;
    let starting = Demo::with_envtest(&["--once"]);
    until("the API server starts", async || running_in(starting.scratch.path()).iter().any(|line| line.contains("--secure-port"))).await;
    starting.interrupt().await;
    // The story takes seconds from here to its end, as the operator has to find out by itself what the colleague did.
    for stage in ["1. Before", "6. What was refused"] {
        let mut telling = Demo::with_envtest(&["--once"]);
        telling.until(stage);
        telling.interrupt().await;
    }
}

#[tokio::test]
async fn where_the_demo_cannot_build_what_it_needs_it_says_what_to_do() {
    let (status, said, errors) = Demo::with_go(None).end().await;
    assert_eq!((status.code(), said.as_str()), (Some(1), ""));
    for part in ["`go` is not on PATH", "install Go 1.", "https://go.dev/dl", "KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver"]
    {
        assert!(errors.contains(part), "{part}\n{errors}");
    }
    let offline = r#"echo 'go: etcd: Get "https://proxy.example/etcd": dial tcp: lookup proxy.example: no such host' >&2; exit 1"#;
    let (status, said, errors) = Demo::with_go(Some(offline)).end().await;
    assert_eq!((status.code(), said.as_str()), (Some(1), ""));
    for part in ["building etcd and kube-apiserver", "no such host", "GOPROXY", "KUBEBUILDER_ASSETS"] {
        assert!(errors.contains(part), "{part}\n{errors}");
    }
}
