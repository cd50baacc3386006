//! Sees to it that no function process outlives the service, however the service ends.
//!
//! In:   the process groups that run.
//! Out:  when the service is gone, a kill to each of them.
//! Rule: a shell of its own waits on a pipe whose other end only the service has. Killing the service closes the
//!       pipe, which no signal handler could promise. A parent-death signal would not do: the kernel forgets it when
//!       a process enters a user namespace.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::sync::lock;

/// Reads `add GROUP` and `end GROUP`; at the end of its input it kills what is left and removes the folder `$1`.
const SCRIPT: &str = r#"
groups=" "
while read -r verb group; do
  case "$verb" in
    add) groups="$groups$group " ;;
    end) groups="${groups%% "$group" *} ${groups#* "$group" }" ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
if [ -n "$1" ]; then rm -rf -- "$1"; fi
"#;

/// The shell that waits, and the pipe it waits on.
#[derive(Debug)]
pub(crate) struct Keeper {
    pipe: Mutex<Option<ChildStdin>>,
    shell: Mutex<Child>,
}

impl Keeper {
    /// Starts the shell. `temporary` is removed when the service is gone.
    pub(crate) fn start(temporary: Option<&Path>) -> std::io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(SCRIPT).arg("throughline-keeper");
        command.arg(temporary.map_or_else(Default::default, |path| path.as_os_str().to_owned()));
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut shell = command.spawn()?;
        Ok(Self { pipe: Mutex::new(shell.stdin.take()), shell: Mutex::new(shell) })
    }

    /// Watches over a group from now on.
    pub(crate) fn add(&self, group: i32) {
        self.tell("add", group);
    }

    /// Kills a group, all of it, and forgets it.
    pub(crate) fn end(&self, group: i32) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        self.tell("end", group);
    }

    fn tell(&self, verb: &str, group: i32) {
        let mut pipe = lock(&self.pipe);
        let told =
            pipe.as_mut().map(|pipe| writeln!(pipe, "{verb} {group}").and_then(|()| pipe.flush()));
        if let Some(Err(err)) = told {
            *pipe = None;
            tracing::warn!(error = %err, "the keeper is gone; function processes may outlive a killed service");
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        *lock(&self.pipe) = None;
        let _ = lock(&self.shell).wait();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Starts a shell with a child of its own in a new group; its output ends when both are dead.
    fn sleepers() -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 600 & echo ready; wait"]).stdout(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().unwrap()
    }

    fn wait_until_ready(child: &mut Child) {
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    }

    fn wait_until_dead(mut child: Child) {
        let mut rest = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn groups_die_when_the_pipe_closes_and_not_when_they_ended() {
        let dir = tempfile::tempdir().unwrap();
        let temporary = dir.path().join("work");
        std::fs::create_dir(&temporary).unwrap();
        let keeper = Keeper::start(Some(&temporary)).unwrap();
        let mut children = [sleepers(), sleepers(), sleepers()];
        for child in &mut children {
            wait_until_ready(child);
            keeper.add(child.id().try_into().unwrap());
        }
        let [first, second, third] = children;
        keeper.end(second.id().try_into().unwrap());
        wait_until_dead(second);
        drop(keeper);
        wait_until_dead(first);
        wait_until_dead(third);
        assert!(!temporary.exists());
    }
}
