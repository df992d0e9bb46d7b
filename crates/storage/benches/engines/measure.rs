//! What the operating system says of this process and its files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Processor time of all threads so far, in µs. The kernel counts in hundredths of a second.
pub(crate) fn cpu_micros() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The second field, the name, may hold spaces; it ends with the last parenthesis.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
    let ticks: f64 = fields[12].parse::<f64>().unwrap() + fields[13].parse::<f64>().unwrap();
    ticks * 10_000.0
}

/// Processor time of this thread so far, in seconds: how fast it reads when nobody else takes its processor.
pub(crate) fn thread_seconds() -> f64 {
    let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// The most memory this process has had, in MB.
pub(crate) fn peak_memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// Bytes that the files in a folder take on the disk: logs made larger than what is in them do not take all of it.
pub(crate) fn bytes_on_disk(path: &Path) -> u64 {
    let metadata = fs::symlink_metadata(path).unwrap();
    if !metadata.is_dir() {
        return metadata.blocks() * 512;
    }
    fs::read_dir(path).unwrap().map(|entry| bytes_on_disk(&entry.unwrap().path())).sum()
}
