//! How a function's process is started: program, arguments, environment.
//!
//! In:   a version, where its files are, where its Runtime API listens.
//! Out:  a command, not started. Its environment is made from nothing: no variable of the service's own gets in.
//! Rule: AWS Lambda developer guide, "Defined runtime environment variables" and "Modifying the runtime environment"
//!       (wrapper scripts).

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::super::config::Surroundings;
use super::super::registry::Version;
use super::super::settings::Runtime;
use super::extensions::EXTENSIONS_MAX;
use super::opt::Mount;

/// Mounts `$1` at `/opt`, `$2` at `/etc/hosts` unless it is empty, and becomes the rest.
const MOUNT_SCRIPT: &str = r#"mount --bind "$1" /opt && { [ -z "$2" ] || mount --bind "$2" /etc/hosts; } && shift 2 && exec "$@""#;
/// What extensions find of Lambda's own variables is less than what the function finds.
const NOT_FOR_EXTENSIONS: [&str; 11] = [
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];
const WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";

/// Everything that a process is started with.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) version: &'a Version,
    pub(crate) around: &'a Surroundings,
    /// The unpacked code.
    pub(crate) task: &'a Path,
    /// The layers, laid over each other; `None`: the function has none.
    pub(crate) opt: Option<(&'a Path, Mount)>,
    /// For `/etc/hosts`, where extensions listen on names of Lambda's own; `None`: it has no extensions.
    pub(crate) hosts: Option<&'a Path>,
    /// Our runtime clients.
    pub(crate) runtimes: &'a Path,
    /// An empty folder, so that nothing of the user's home is found.
    pub(crate) home: &'a Path,
    /// `127.0.0.1:PORT`.
    pub(crate) runtime_api: String,
    /// Of this process alone: by it the front door knows who calls.
    pub(crate) access_key_id: &'a str,
    pub(crate) log_group: &'a str,
    pub(crate) log_stream: &'a str,
}

/// Why there is nothing to start: what the log says, the type of error, the exit status it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoEntry {
    pub(crate) line: String,
    pub(crate) error_type: &'static str,
    pub(crate) message: String,
}

impl Launch<'_> {
    /// The command to start.
    pub(crate) fn command(&self) -> Result<Command, NoEntry> {
        let configuration = &self.version.configuration;
        let runtime = Runtime::of(&configuration.runtime).unwrap_or(Runtime::Provided);
        let mut words = self.namespace();
        let config = &self.around.config;
        match runtime {
            Runtime::Node => {
                words.extend(self.wrapper()?);
                words.push(locate(&config.node).into());
                words.push(self.runtimes.join("node/client.js").into());
            }
            Runtime::Python => {
                words.extend(self.wrapper()?);
                words.push(locate(&config.python).into());
                words.push(self.runtimes.join("python/client.py").into());
            }
            Runtime::Provided => words.push(self.bootstrap()?),
        }
        Ok(self.started(words, self.environment(runtime)))
    }

    /// The extensions of the layers: name and command, in the order of their names.
    ///
    /// Rule: "Lambda Extensions API", every executable file of `/opt/extensions`.
    pub(crate) fn extensions(&self) -> Vec<(String, Command)> {
        let Some((opt, _)) = self.opt else { return Vec::new() };
        let Ok(entries) = fs::read_dir(opt.join("extensions")) else { return Vec::new() };
        let is_program = |path: &Path| {
            let found = fs::metadata(path);
            found.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| is_program(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names.truncate(EXTENSIONS_MAX);
        let mut environment = self.environment(Runtime::Provided);
        environment.retain(|(name, _)| !NOT_FOR_EXTENSIONS.contains(&name.as_str()));
        let command = |name: String| {
            let mut words = self.namespace();
            words.push(self.as_seen(&format!("/opt/extensions/{name}")).into());
            let command = self.started(words, environment.clone());
            (name, command)
        };
        names.into_iter().map(command).collect()
    }

    /// The words before a command that has its layers at `/opt`.
    fn namespace(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some((folder, Mount::Namespace(flags))) = self.opt {
            words.push("unshare".into());
            words.extend(flags.iter().map(OsString::from));
            words.extend(["--", "/bin/sh", "-c", MOUNT_SCRIPT, "sh"].map(OsString::from));
            words.extend([folder.into(), self.hosts.map(OsString::from).unwrap_or_default()]);
        }
        words
    }

    fn started(&self, words: Vec<OsString>, environment: Vec<(String, OsString)>) -> Command {
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env_clear().envs(environment).current_dir(self.task);
        command
    }

    /// The script that starts the interpreter, checked as Lambda's own start does.
    fn wrapper(&self) -> Result<Option<OsString>, NoEntry> {
        let variables = self.version.configuration.environment.as_ref().map(|all| &all.variables);
        let Some(wrapper) =
            variables.and_then(|all| all.get(WRAPPER)).filter(|name| !name.is_empty())
        else {
            return Ok(None);
        };
        let refused = |text: &str, status: u8| NoEntry {
            line: format!("{wrapper}: {text}\n"),
            error_type: "Runtime.ExitError",
            message: format!("Runtime exited with error: exit status {status}"),
        };
        let here = self.on_this_machine(Path::new(wrapper));
        match fs::metadata(&here) {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => {}
            Ok(found) if found.is_file() => return Err(refused("is not an executable", 126)),
            _ => return Err(refused("does not exist", 127)),
        }
        Ok(Some(self.as_seen(wrapper).into()))
    }

    fn bootstrap(&self) -> Result<OsString, NoEntry> {
        let own = self.task.join("bootstrap");
        let layered = self.on_this_machine(Path::new("/opt/bootstrap"));
        let (found, seen) = if own.is_file() {
            (own.clone(), own.into_os_string())
        } else {
            (layered, OsString::from(self.as_seen("/opt/bootstrap")))
        };
        let error_type = "Runtime.InvalidEntrypoint";
        let refused = |message: String| NoEntry { line: String::new(), error_type, message };
        match fs::metadata(&found) {
            Ok(file) if file.permissions().mode() & 0o111 != 0 => Ok(seen),
            Ok(_) => Err(refused("fork/exec /var/task/bootstrap: permission denied".to_owned())),
            Err(_) => Err(refused(
                "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]".to_owned(),
            )),
        }
    }

    /// Where a path of the function is for us.
    fn on_this_machine(&self, path: &Path) -> PathBuf {
        if let Ok(rest) = path.strip_prefix("/var/task") {
            return self.task.join(rest);
        }
        match (self.opt, path.strip_prefix("/opt")) {
            (Some((folder, _)), Ok(rest)) => folder.join(rest),
            _ => path.to_owned(),
        }
    }

    /// What stands for a value that names `/opt` or `/var/task`.
    fn as_seen(&self, value: &str) -> String {
        let value = value.replace("/var/task", &self.task.to_string_lossy());
        match self.opt {
            Some((folder, Mount::Rewrite)) => replace_opt(&value, &folder.to_string_lossy()),
            _ => value,
        }
    }

    fn environment(&self, runtime: Runtime) -> Vec<(String, OsString)> {
        let configuration = &self.version.configuration;
        let config = &self.around.config;
        let task = self.task.to_string_lossy();
        let name = match runtime {
            Runtime::Node => "node",
            Runtime::Python => "python",
            Runtime::Provided => "provided",
        };
        let runtime_dir = self.runtimes.join(name);
        let mut path = "/usr/local/bin:/usr/bin:/bin:/opt/bin".to_owned();
        let interpreter = match runtime {
            Runtime::Node => locate(&config.node),
            Runtime::Python => locate(&config.python),
            Runtime::Provided => PathBuf::new(),
        };
        if let Some(dir) = interpreter.parent().filter(|dir| dir.is_absolute()) {
            path = format!("{path}:{}", dir.display());
        }
        let mut own: Vec<(&str, String)> = vec![
            ("LANG", "en_US.UTF-8".to_owned()),
            ("TZ", ":UTC".to_owned()),
            ("PATH", self.as_seen(&path)),
            ("LD_LIBRARY_PATH", self.as_seen(&format!("{task}:{task}/lib:/opt/lib"))),
            ("HOME", self.home.to_string_lossy().into_owned()),
            ("LAMBDA_TASK_ROOT", task.clone().into_owned()),
            ("LAMBDA_RUNTIME_DIR", runtime_dir.to_string_lossy().into_owned()),
            ("_HANDLER", configuration.handler.clone()),
            ("AWS_REGION", self.around.region.clone()),
            ("AWS_DEFAULT_REGION", self.around.region.clone()),
            ("AWS_ACCESS_KEY_ID", self.access_key_id.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
            ("AWS_SESSION_TOKEN", "local".to_owned()),
            ("AWS_ENDPOINT_URL", self.around.endpoint.clone()),
            ("AWS_LAMBDA_RUNTIME_API", self.runtime_api.clone()),
            ("AWS_LAMBDA_FUNCTION_NAME", configuration.function_name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", configuration.version.clone()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", configuration.memory_size.to_string()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", self.log_group.to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", self.log_stream.to_owned()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".to_owned()),
            ("AWS_XRAY_DAEMON_ADDRESS", self.around.xray_daemon.to_string()),
            ("_AWS_XRAY_DAEMON_ADDRESS", self.around.xray_daemon.ip().to_string()),
            ("_AWS_XRAY_DAEMON_PORT", self.around.xray_daemon.port().to_string()),
        ];
        if runtime != Runtime::Provided {
            own.push(("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", configuration.runtime)));
        }
        let of_user = configuration.environment.iter().flat_map(|all| &all.variables);
        let mut all: Vec<(String, OsString)> = Vec::new();
        all.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value.into())));
        for (name, value) in of_user {
            all.retain(|(other, _)| other != name);
            all.push((name.clone(), self.as_seen(value).into()));
        }
        match runtime {
            Runtime::Node => self.node_environment(&mut all),
            Runtime::Python => self.python_environment(&mut all),
            Runtime::Provided => {}
        }
        all
    }

    /// `NODE_PATH` as Lambda has it, and our preload before all others: it takes what it needs of `net` and `http`
    /// before a wrapper instruments them, and sends `aws-sdk` v2, which knows no `AWS_ENDPOINT_URL`, to the front door.
    fn node_environment(&self, all: &mut Vec<(String, OsString)>) {
        let major =
            self.version.configuration.runtime.trim_end_matches(".x").replace("nodejs", "node");
        let mut path = format!("/opt/nodejs/{major}/node_modules:/opt/nodejs/node_modules");
        if let Some(runtime) = &self.around.config.node_runtime {
            path.push_str(&format!(":{}", runtime.join("node_modules").display()));
        }
        path.push_str(&format!(":{}", self.task.display()));
        all.push(("NODE_PATH".to_owned(), self.as_seen(&path).into()));

        let preload = self.runtimes.join("node/first.js");
        let mut options = OsString::from(format!("--require {}", preload.display()));
        if let Some(index) = all.iter().position(|(name, _)| name == "NODE_OPTIONS") {
            let (_, of_user) = all.swap_remove(index);
            options.push(" ");
            options.push(of_user);
        }
        all.push(("NODE_OPTIONS".to_owned(), options));
        if let Some(runtime) = &self.around.config.node_runtime {
            let place = runtime.join("node_modules").into_os_string();
            all.push(("THROUGHLINE_NODE_RUNTIME".to_owned(), place));
        }
    }

    /// `PYTHONPATH` has what the runtime brings along; the client itself adds `/opt/python` and the task.
    fn python_environment(&self, all: &mut Vec<(String, OsString)>) {
        all.push(("THROUGHLINE_OPT".to_owned(), self.as_seen("/opt").into()));
        let Some(runtime) = &self.around.config.python_runtime else { return };
        let mut path = runtime.clone().into_os_string();
        if let Some(index) = all.iter().position(|(name, _)| name == "PYTHONPATH") {
            let (_, of_user) = all.swap_remove(index);
            path.push(":");
            path.push(of_user);
        }
        all.push(("PYTHONPATH".to_owned(), path));
    }
}

/// Replaces `/opt` where it is a whole path or the start of one.
fn replace_opt(value: &str, folder: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find("/opt") {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let starts =
            !before.ends_with(|last: char| last.is_alphanumeric() || "._-/".contains(last));
        let after = found.strip_prefix("/opt").unwrap_or_default();
        let ends = after.is_empty() || after.starts_with(['/', ':', ' ', ',', ';', '"', '\'']);
        out.push_str(if starts && ends { folder } else { "/opt" });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The program itself, wherever the service's own `PATH` has it.
pub(crate) fn locate(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        return program.to_owned();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
    found.unwrap_or_else(|| program.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_replaced(value: &str, expected: &str) {
        assert_eq!(replace_opt(value, "/d"), expected);
    }

    #[test]
    fn only_whole_names_of_opt_are_replaced() {
        check_replaced("/opt/wrapper", "/d/wrapper");
        check_replaced("/opt", "/d");
        check_replaced("--require /opt/a.js --import=/opt/b", "--require /d/a.js --import=/d/b");
        check_replaced("/usr/bin:/opt/bin", "/usr/bin:/d/bin");
        check_replaced(
            "/home/opt/x /optional http://host/opt",
            "/home/opt/x /optional http://host/opt",
        );
    }
}
