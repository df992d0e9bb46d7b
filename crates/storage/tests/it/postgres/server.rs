//! A real PostgreSQL server in a temporary folder, made and started by the test, gone when the test process is, however
//! it ends: a small shell beside the server waits for the end of its standard input, which this process holds.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use base::{Clock, task};
use tempfile::TempDir;
use tokio_postgres::NoTls;

const CONFIGURATION: &str = "
listen_addresses = ''
fsync = on
shared_buffers = 32MB
max_connections = 300
wal_level = minimal
max_wal_senders = 0
logging_collector = off
log_min_messages = warning
deadlock_timeout = 50ms
";

/// Everybody may connect, but for one role that needs its password.
const AUTHENTICATION: &str = "
local all secretive scram-sha-256
local all all trust
";

/// Runs the server and stops it when its input ends; unless it was told to keep the folder, takes that away. `$1` is the
/// folder, the rest the command.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
folder=$1; shift
"$@" >>"$folder/log" 2>&1 </dev/null &
told=$(cat)
kill -QUIT $! 2>/dev/null
wait
[ "$told" = keep ] || rm -rf "$folder"
"#;

/// A server that can be stopped and started.
pub(crate) struct Server {
    folder: PathBuf,
    /// Removed when the server goes; the shared one's by its watchdog.
    _owned: Option<TempDir>,
    watchdog: Option<Child>,
    databases: AtomicU32,
}

/// The server that the tests of this process share; `None`, once with a reason, where PostgreSQL is not installed.
pub(crate) fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start_in(tempfile::tempdir().unwrap().keep(), None)).as_ref()
}

impl Server {
    /// A server of its own, for a test that stops it.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder.path().to_owned(), Some(folder))
    }

    fn start_in(folder: PathBuf, owned: Option<TempDir>) -> Option<Self> {
        let Some(binaries) = binaries() else {
            println!("skipped: PostgreSQL is not installed (no initdb in PATH or /usr/lib/postgresql/*/bin)");
            return None;
        };
        let Some(user) = user() else {
            println!(
                "skipped: PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody"
            );
            return None;
        };
        if let Some((id, group)) = user.drop_to {
            chown(&folder, Some(id), Some(group)).unwrap();
        }
        let data = folder.join("data");
        let options = ["--auth=trust", "--username=holdfast", "--encoding=UTF8", "--locale=C", "--no-sync"];
        let made = run(user.command(&binaries.join("initdb")).arg("-D").arg(&data).args(options));
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let configuration = format!("{CONFIGURATION}unix_socket_directories = '{}'\n", folder.display());
        let file = data.join("postgresql.conf");
        fs::write(&file, fs::read_to_string(&file).unwrap() + &configuration).unwrap();
        fs::write(data.join("pg_hba.conf"), AUTHENTICATION).unwrap();
        let mut server = Self { folder, _owned: owned, watchdog: None, databases: AtomicU32::new(0) };
        server.up();
        Some(server)
    }

    /// Starts it, after `stop`, and waits until it answers.
    pub(crate) fn up(&mut self) {
        let (binaries, user) = (binaries().unwrap(), user().unwrap());
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG, "watchdog"]).arg(&self.folder);
        command.args(user.prefix()).arg(binaries.join("postgres")).arg("-D").arg(self.folder.join("data"));
        // Ctrl-C is for the test: the watchdog sees it end.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        self.watchdog = Some(command.spawn().unwrap());
        let started = Clock::system().monotonic();
        while self.try_execute("postgres", "SELECT 1").is_err() {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Clock::system().monotonic().since(started).as_secs() < 60, "the server does not start: {}", log());
            pause();
        }
    }

    /// Stops it at once, as a crash would: nothing is finished, nobody is told.
    pub(crate) fn stop_immediately(&mut self) {
        let (binaries, user) = (binaries().unwrap(), user().unwrap());
        let data = self.folder.join("data");
        let stopped = run(user.command(&binaries.join("pg_ctl")).args(["stop", "-m", "immediate", "-D"]).arg(data));
        assert!(stopped.status.success(), "pg_ctl: {}", String::from_utf8_lossy(&stopped.stderr));
        self.end_watchdog();
    }

    /// The folder of the server's socket.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a database and gives its URL.
    pub(crate) fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.url("holdfast", &name)
    }

    /// The URL of `database` for `user` (which may have `:password` behind it).
    pub(crate) fn url(&self, user: &str, database: &str) -> String {
        let host = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://{user}@{host}/{database}")
    }

    /// Runs statements in a database.
    pub(crate) fn execute(&self, database: &str, statements: &str) {
        self.try_execute(database, statements).unwrap();
    }

    fn try_execute(&self, database: &str, statements: &str) -> Result<(), tokio_postgres::Error> {
        execute(&self.url("holdfast", database), statements)
    }

    fn end_watchdog(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            // Its folder is used again, or goes with its owner.
            watchdog.stdin.take().unwrap().write_all(b"keep").unwrap();
            watchdog.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end_watchdog();
    }
}

/// Runs statements in the database at `url`, also from within a runtime.
pub(crate) fn execute(url: &str, statements: &str) -> Result<(), tokio_postgres::Error> {
    let (url, statements) = (url.to_owned(), statements.to_owned());
    let (sender, receiver) = std::sync::mpsc::channel();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ran = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            let driver = task::spawn(connection);
            let ran = client.batch_execute(&statements).await;
            drop(client);
            let _ = driver.await;
            ran
        });
        sender.send(ran).unwrap();
    };
    task::thread("statements", work).unwrap().join().unwrap();
    receiver.recv().unwrap()
}

/// As whom the server runs: it refuses to run as root.
struct User {
    /// The ids of the user to become; `None` when this process is not root.
    drop_to: Option<(u32, u32)>,
}

impl User {
    fn prefix(&self) -> Vec<String> {
        let Some((id, group)) = self.drop_to else { return vec!["env".to_owned()] };
        ["setpriv", &format!("--reuid={id}"), &format!("--regid={group}"), "--clear-groups"].map(str::to_owned).to_vec()
    }

    fn command(&self, program: &Path) -> Command {
        let prefix = self.prefix();
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).arg(program).env("LC_ALL", "C").current_dir("/");
        command
    }
}

fn user() -> Option<User> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Some(User { drop_to: None });
    }
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].into_iter().find_map(|name| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(|field| field.parse().ok());
        Some(User { drop_to: Some((fields.next()??, fields.next()??)) })
    })
}

/// The folder of the server's programs: in PATH, told by `pg_config`, or the newest where Debian puts them.
fn binaries() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    if let Ok(told) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(String::from_utf8_lossy(&told.stdout).trim().into());
    }
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let folder = folders.into_iter().find(|folder| {
        ["initdb", "postgres", "pg_ctl"].iter().all(|name| folder.is_absolute() && folder.join(name).is_file())
    })?;
    // A link would not do: the server looks for its files beside its program.
    fs::canonicalize(folder.join("postgres")).ok()?.parent().map(Path::to_owned)
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn pause() {
    let _ = Command::new("sleep").arg("0.05").status();
}
