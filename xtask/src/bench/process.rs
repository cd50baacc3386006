//! What the kernel says of the server: CPU, memory, files, and of the machine.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// The unit of /proc/PID/stat. Linux has told user space 100 since 2.6, on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system seconds used so far.
///
/// **Rule:** proc_pid_stat(5), fields 14 and 15, counted after the name in parentheses.
pub(super) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("an odd /proc/PID/stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("an odd /proc/PID/stat")?;
    Ok((user + system) / TICKS_PER_SECOND)
}

/// `VmRSS` (now) or `VmHWM` (the most so far), in bytes.
pub(super) fn memory_bytes(pid: u32, field: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(kilobytes(&status, field).context("an odd /proc/PID/status")? * 1024)
}

/// The size of every file below a folder.
pub(super) fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        bytes += if kind.is_dir() { folder_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// Cores, memory, processor and kernel in one line.
pub(super) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory = kilobytes(&read("/proc/meminfo"), "MemTotal").unwrap_or(0) >> 20;
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores ({model}), {memory} GiB, Linux {}", kernel.trim())
}

/// Today, as `2026-01-31`.
pub(super) fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map_or(String::new(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
}

fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_are_read() {
        assert_eq!(kilobytes("VmPeak:\t 1 kB\nVmHWM:\t  512 kB\n", "VmHWM"), Some(512));
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
        assert!(memory_bytes(std::process::id(), "VmRSS").unwrap() > 0);
    }
}
