//! The standard metrics of a process, as the client libraries of Prometheus name them, read from `/proc` at each scrape.
//!
//! What cannot be read is left out: all of it on systems without `/proc`.

use prometheus_client::registry::Registry;

/// Registers them. Their names have no prefix: dashboards for any process know them.
#[cfg(target_os = "linux")]
pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(linux::Process));
}

/// There is no `/proc` to read.
#[cfg(not(target_os = "linux"))]
pub(super) fn register(_: &mut Registry) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt;

    use procfs::ProcResult;
    use procfs::process::LimitValue;
    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
    use prometheus_client::metrics::counter::ConstCounter;
    use prometheus_client::metrics::gauge::ConstGauge;
    use prometheus_client::registry::Unit;

    #[derive(Debug)]
    pub(super) struct Process;

    impl Collector for Process {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
            match Numbers::read() {
                Ok(numbers) => numbers.encode(&mut encoder),
                Err(_) => Ok(()),
            }
        }
    }

    /// What the kernel says of this process.
    struct Numbers {
        processor_seconds: f64,
        resident_bytes: u64,
        virtual_bytes: u64,
        threads: i64,
        open_files: Option<usize>,
        most_open_files: Option<u64>,
        started: Option<f64>,
    }

    impl Numbers {
        #[allow(clippy::cast_precision_loss, reason = "ticks and seconds of a process are far below 2^52")]
        fn read() -> ProcResult<Self> {
            let process = procfs::process::Process::myself()?;
            let stat = process.stat()?;
            let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
            let most_open_files = process.limits().ok().and_then(|limits| match limits.max_open_files.soft_limit {
                LimitValue::Value(most) => Some(most),
                LimitValue::Unlimited => None,
            });
            Ok(Self {
                processor_seconds: seconds(stat.utime + stat.stime),
                resident_bytes: stat.rss * procfs::page_size(),
                virtual_bytes: stat.vsize,
                threads: stat.num_threads,
                open_files: process.fd_count().ok(),
                most_open_files,
                started: procfs::boot_time_secs().ok().map(|boot| boot as f64 + seconds(stat.starttime)),
            })
        }

        fn encode(self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
            let Self { processor_seconds, resident_bytes, virtual_bytes, threads, open_files, most_open_files, started } = self;
            let (bytes, seconds) = (Some(&Unit::Bytes), Some(&Unit::Seconds));
            let help = "Total user and system CPU time spent in seconds";
            write(encoder, ("process_cpu", seconds), help, Some(ConstCounter::new(processor_seconds)))?;
            let help = "Resident memory size in bytes";
            write(encoder, ("process_resident_memory", bytes), help, Some(ConstGauge::new(resident_bytes)))?;
            let help = "Virtual memory size in bytes";
            write(encoder, ("process_virtual_memory", bytes), help, Some(ConstGauge::new(virtual_bytes)))?;
            let help = "Number of OS threads in the process";
            write(encoder, ("process_threads", None), help, Some(ConstGauge::new(threads)))?;
            let help = "Number of open file descriptors";
            let open_files = open_files.and_then(|count| u64::try_from(count).ok());
            write(encoder, ("process_open_fds", None), help, open_files.map(ConstGauge::new))?;
            let help = "Maximum number of open file descriptors";
            write(encoder, ("process_max_fds", None), help, most_open_files.map(ConstGauge::new))?;
            let help = "Start time of the process since the Unix epoch in seconds";
            write(encoder, ("process_start_time", seconds), help, started.map(ConstGauge::new))
        }
    }

    fn write(
        encoder: &mut DescriptorEncoder<'_>,
        (name, unit): (&str, Option<&Unit>),
        help: &str,
        metric: Option<impl EncodeMetric>,
    ) -> fmt::Result {
        let Some(metric) = metric else { return Ok(()) };
        let family = encoder.encode_descriptor(name, &format!("{help}."), unit, metric.metric_type())?;
        metric.encode(family)
    }
}
