//! How far a Go build is, and how long it will still take.
//!
//! `go list` says which packages are not compiled yet, `go build -v` names each as it begins with it. What a package counts for is
//! made of the size of its source and of what it depends on; measured over kube-apiserver, where half of the work is done by this
//! count, 52 % of the processor's time has gone by. Nothing is said of the time left before there is a pace to judge by.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// Begins a line of `go list` in [`FORMAT`]; all other lines are what Go says beside it.
const MARK: &str = "package";

/// What `go list -deps` is asked for: the packages that are not in Go's cache, with their folder and files.
pub(super) const FORMAT: &str = "{{if .Stale}}package\t{{.ImportPath}}\t{{len .Deps}}\t{{.Dir}}{{range .GoFiles}}\t{{.}}{{end}}{{end}}";

/// What a package takes beside its source, and for each package that it depends on, in bytes of source. Fitted to the processor's
/// time of the 2,140 packages of etcd and kube-apiserver, which are compiled at 0.5 MB a second.
const EACH: u64 = 11_000;
const DEPENDENCY: u64 = 150;

/// A shorter time, or a smaller part, says nothing of the pace.
const ENOUGH: (Duration, f64) = (Duration::from_secs(15), 0.04);

/// The packages that have to be compiled.
pub(super) struct Work {
    weights: HashMap<String, u64>,
    total: u64,
    /// How many are compiled at a time.
    cores: usize,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Far {
    /// How many packages were begun.
    pub(super) begun: usize,
    /// Of how many.
    pub(super) of: usize,
    /// Which part of the work is done.
    pub(super) share: f64,
}

impl Work {
    /// Reads what `go list` said, and looks how large each package is.
    pub(super) fn listed(said: &str, cores: usize) -> Self {
        let size = |folder: &Path, file: &str| folder.join(file).metadata().map_or(0, |metadata| metadata.len());
        Self::new(said, cores, size)
    }

    fn new(said: &str, cores: usize, size: impl Fn(&Path, &str) -> u64) -> Self {
        let mut weights = HashMap::new();
        for line in said.lines() {
            let mut fields = line.split('\t');
            if let (Some(MARK), Some(package), Some(count), Some(folder)) = (fields.next(), fields.next(), fields.next(), fields.next()) {
                let source: u64 = fields.map(|file| size(Path::new(folder), file)).sum();
                weights.insert(package.to_owned(), EACH + DEPENDENCY * count.parse().unwrap_or(0) + source);
            }
        }
        let total = weights.values().sum();
        Self { weights, total, cores }
    }

    /// How far it is by what `go build -v` wrote.
    pub(super) fn far(&self, log: &str) -> Far {
        let begun: Vec<u64> = log.lines().filter_map(|line| self.weights.get(line).copied()).collect();
        // Those that were begun last are being compiled: about half of each is done.
        let (done, at_work) = begun.split_at(begun.len().saturating_sub(self.cores));
        let done = done.iter().sum::<u64>() + at_work.iter().sum::<u64>() / 2;
        Far { begun: begun.len(), of: self.weights.len(), share: ratio(done, self.total) }
    }

    /// What Go wrote beside the names of packages.
    pub(super) fn complaints<'a>(&self, log: &'a str) -> Vec<&'a str> {
        log.lines().filter(|line| !self.weights.contains_key(*line)).collect()
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share needs few digits")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Far {
    /// In words, so long after it began.
    pub(super) fn said(self, elapsed: Duration) -> String {
        if self.begun == self.of {
            return format!("linking, the last step, after {}", span(elapsed));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
        let percent = (self.share * 100.0) as u8;
        let left = self.left(elapsed).map_or_else(|| format!("{} so far", span(elapsed)), |left| format!("about {} left", rounded(left)));
        format!("{percent} %, package {} of {}, {left}", self.begun, self.of)
    }

    /// How long the rest takes at the pace so far, if that can be known yet.
    fn left(self, elapsed: Duration) -> Option<Duration> {
        let (time, share) = ENOUGH;
        (elapsed >= time && self.share >= share).then(|| elapsed.mul_f64((1.0 - self.share) / self.share))
    }
}

/// A time as `7 s` or `2 min 5 s`.
pub(super) fn span(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// An estimate, no finer than it is worth, and rather too long than too short.
fn rounded(time: Duration) -> String {
    let seconds = time.as_secs() + 1;
    if seconds <= 60 { "a minute".to_owned() } else { format!("{} min", seconds.div_ceil(60)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Work {
        let said = "go: downloading x v1\npackage\ta\t20\t/a\tone.go\ttwo.go\n\npackage\tb/c\t0\t/b\tone.go\npackage\tunsafe\t0\t/u\n";
        Work::new(said, 2, |_, file| if file == "one.go" { 40_000 } else { 30_000 })
    }

    #[test]
    fn a_package_counts_for_its_source_and_what_it_depends_on_and_those_at_work_by_half() {
        let work = work();
        assert_eq!(work.total, 84_000 + 51_000 + 11_000);
        assert_eq!(work.far("").begun, 0);
        let far = work.far("a\n# a\nwarning: something\nb/c\nunsafe\n");
        assert_eq!((far.begun, far.of), (3, 3));
        assert!((far.share - (84_000.0 + 31_000.0) / 146_000.0).abs() < 1e-9, "{far:?}");
        assert_eq!(work.complaints("a\n# a\nbad\nb/c\n"), ["# a", "bad"]);
    }

    #[test]
    fn nothing_is_said_of_the_time_left_before_there_is_a_pace() {
        let far = |share| Far { begun: 7, of: 100, share };
        let said = |share, seconds| far(share).said(Duration::from_secs(seconds));
        assert_eq!(said(0.5, 3), "50 %, package 7 of 100, 3 s so far");
        assert_eq!(said(0.01, 70), "1 %, package 7 of 100, 1 min 10 s so far");
        assert_eq!(said(0.25, 60), "25 %, package 7 of 100, about 4 min left");
        assert_eq!(said(0.9, 100), "90 %, package 7 of 100, about a minute left");
        let last = Far { begun: 100, of: 100, share: 0.99 };
        assert_eq!(last.said(Duration::from_mins(2)), "linking, the last step, after 2 min");
    }

    #[test]
    fn a_listing_without_packages_is_all_compiled() {
        let far = Work::new("go: warning\n", 2, |_, _| 1).far("");
        assert_eq!((far.begun, far.of), (0, 0));
        assert!(far.said(Duration::ZERO).starts_with("linking"));
    }
}
