//! Starting and stopping the binary, and a client of a few lines. Nothing started here outlives its test.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use base::task;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, to be run in `folder`, without any `HOLDFAST_` variable of ours.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOLDFAST_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

/// What a process wrote to standard error.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running server, killed when dropped.
pub(crate) struct Server {
    child: Option<Child>,
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
    /// Kept so that it is removed after the server has ended; `None` where the test keeps it.
    folder: Option<TempDir>,
    /// The lines it printed when it was ready, one a listener.
    pub(crate) ready: Vec<String>,
}

impl Server {
    /// Starts a server with `config` (none if empty) and waits until it is ready on `listeners` listeners.
    pub(crate) fn start(folder: TempDir, config: &str, variables: &[(&str, &str)], listeners: usize) -> Self {
        let mut command = command(folder.path());
        if !config.is_empty() {
            fs::write(folder.path().join("holdfast.toml"), config).expect("a configuration file");
            command.args(["--config", "holdfast.toml"]);
        }
        command.envs(variables.iter().copied());
        let mut server = Self::run(folder.path(), command, listeners);
        server.folder = Some(folder);
        server
    }

    /// Starts a server with the configuration that lies in `folder`, which outlives it, and further `arguments`.
    pub(crate) fn start_in(folder: &Path, arguments: &[&str], listeners: usize) -> Self {
        let mut command = command(folder);
        command.args(["--config", "holdfast.toml"]).args(arguments);
        Self::run(folder, command, listeners)
    }

    fn run(folder: &Path, mut command: Command, listeners: usize) -> Self {
        let log = folder.join("log");
        let stderr = fs::File::create(&log).expect("a file for the log");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the binary starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut server = Self { child: Some(child), stdout, log, folder: None, ready: Vec::new() };
        for _ in 0..listeners {
            let mut line = String::new();
            server.stdout.read_line(&mut line).expect("a line");
            assert!(!line.is_empty(), "the server ended instead of getting ready: {}", server.log());
            server.ready.push(line.trim_end().to_owned());
        }
        server
    }

    /// A server without a configuration file, on a free port.
    pub(crate) fn plain() -> Self {
        Self::start(folder(), "", &[("HOLDFAST_LISTEN", FREE_PORT)], 1)
    }

    /// The address of a listener, as it was printed.
    pub(crate) fn address(&self, listener: usize) -> SocketAddr {
        let line = &self.ready[listener];
        let (_, address) = line.rsplit_once("//").expect("an address in the line");
        address.parse().expect("an address in the line")
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running server");
        kill_process(Pid::from_child(child), signal).expect("a signal");
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running server");
        let pid = Pid::from_child(&child);
        let (sender, receiver) = mpsc::channel();
        let waiter = task::thread("wait", move || {
            let _ = sender.send(child.wait());
        });
        let status = receiver.recv_timeout(PATIENCE);
        if status.is_err() {
            let _ = kill_process(pid, Signal::KILL);
        }
        waiter.expect("a thread").join().expect("the thread that waits");
        status.expect("the server did not end in time").expect("an exit status")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A listener on whatever port is free.
pub(crate) const FREE_PORT: &str = "[{ address = \"127.0.0.1:0\" }]";

/// A fresh folder.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A connection that gives up rather than hang.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// An answer, in parts.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: serde_json::Value,
}

/// Asks over `stream`, which is closed by it.
pub(crate) fn ask(mut stream: impl Read + Write, method: &str, path: &str) -> Answer {
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("a request");
    answer(stream)
}

/// Reads the answer that ends the connection.
pub(crate) fn answer(mut stream: impl Read) -> Answer {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        // Some answer first and then close without the farewell of TLS.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(error) => panic!("no answer: {error}"),
    }
    let text = String::from_utf8(text).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or_default() }
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the repository's root")
}

/// Every file below `folder` with the ending `ending`, but for build output, what was installed and hidden folders.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str()) {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
