//! The child: started, watched line by line, ended by its own id and no other.
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::Boot;
use super::folder::RunFolder;
use crate::judge::Ending;

/// Chunks in flight between the reader and the judge; the guest waits beyond that.
const CHANNEL_CHUNKS: usize = 64;
/// How often a child that has closed its console is asked whether it has exited.
const EXIT_POLL: Duration = Duration::from_millis(5);
/// Console bytes kept per run; a guest that prints more is broken.
const LOG_MAX: usize = 16 << 20;

/// The slot of recipes/system.toml's `virtio-console`.
const CONTROL_BUS: &str = "virtio-mmio-bus.0";

/// The slot of recipes/system.toml's `virtio-blk`.
const DISK_BUS: &str = "virtio-mmio-bus.2";

/// Judged boots do without the host's own flushes: what they prove ends with the guest's, and the
/// power-cut test records those.
const JUDGED_CACHE: &str = "unsafe";
/// A machine in use keeps what it was told to keep.
const KEPT_CACHE: &str = "writeback";

/// The slot of recipes/system.toml's `virtio-rng`.
const ENTROPY_BUS: &str = "virtio-mmio-bus.1";

/// How a child is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Time limit on the host's clock.
    pub(super) timeout: Duration,
    /// Copy the console to the terminal as it comes.
    pub(super) show: bool,
}

/// A watched child's run.
pub(super) struct Watched {
    pub(super) ending: Ending,
    pub(super) log: String,
    pub(super) elapsed: Duration,
}

/// The QEMU command line every judged boot uses: deterministic, one instruction per tick.
pub(super) fn command(boot: &Boot) -> Command {
    let mut command = machine(boot, JUDGED_CACHE);
    command.args(["-nographic", "-icount", "shift=0,sleep=off"]);
    // A device hears of a request in the instruction that tells it, not when QEMU's other thread
    // has the time: the guest's clock runs on meanwhile, or jumps to the next timer.
    command.args(["-global", "virtio-mmio.ioeventfd=off"]);
    command
}

/// The same machine on the terminal and in real time, its console also logged.
///
/// Its control channel listens on `control`, a path below the tree's top: QEMU runs there, since
/// a socket's address has no room for a long path.
pub(super) fn interactive_command(boot: &Boot, serial: &Path, control: &str) -> Command {
    let mut console = std::ffi::OsString::from("stdio,id=console,mux=on,signal=off,logfile=");
    console.push(serial);
    let mut command = machine(boot, KEPT_CACHE);
    command.args(["-display", "none", "-serial", "chardev:console"]);
    command.args(["-mon", "chardev=console,mode=readline", "-chardev"]).arg(console);
    command.args(["-chardev", &format!("socket,id=control,path={control},server=on,wait=off")]);
    command.args(["-device", &format!("virtio-serial-device,bus={CONTROL_BUS},max_ports=1")]);
    command.args(["-device", "virtconsole,chardev=control"]);
    command.current_dir(&boot.root);
    command
}

fn machine(boot: &Boot, cache: &str) -> Command {
    let mut command = Command::new("qemu-system-riscv64");
    command.args(["-machine", "virt", "-cpu", "rv64", "-m", "128M", "-bios", "default"]);
    command.arg("-smp").arg(boot.smp.to_string()).arg("-kernel").arg(&boot.image);
    command.args(["-global", "virtio-mmio.force-legacy=false"]);
    match &boot.writes {
        None => {
            command.arg("-drive").arg(drive(&boot.disk, cache));
        }
        Some(writes) => {
            for node in recorded(&boot.disk, writes) {
                command.arg("-blockdev").arg(node);
            }
        }
    }
    command.args(["-device", &format!("virtio-blk-device,bus={DISK_BUS},drive=state")]);
    let source = match &boot.entropy {
        Some(file) => format!("rng-random,id=entropy,filename={file}"),
        None => "rng-builtin,id=entropy".to_owned(),
    };
    command.arg("-object").arg(source);
    command.args(["-device", &format!("virtio-rng-device,rng=entropy,bus={ENTROPY_BUS}")]);
    command
}

/// In QEMU's option syntax a comma in a path is written twice.
fn drive(disk: &Path, cache: &str) -> std::ffi::OsString {
    let path = disk.to_string_lossy().replace(',', ",,");
    format!("if=none,id=state,format=raw,cache={cache},file={path}").into()
}

/// The disk with every write and flush that reaches it on record.
fn recorded(disk: &Path, writes: &Path) -> [String; 3] {
    let file = |node: &str, path: &Path| {
        let path = path.to_string_lossy().replace(',', ",,");
        format!("driver=file,node-name={node},cache.no-flush=on,filename={path}")
    };
    let log = "driver=blklogwrites,node-name=state,file=disk,log=writes,log-sector-size=512";
    [file("disk", disk), file("writes", writes), log.to_owned()]
}

/// Hands the terminal to the child until it exits.
pub(super) fn foreground(mut command: Command) -> Result<u8, String> {
    let status = command.status().map_err(|why| cannot_start(&command, &why))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// Runs the child, showing and logging its output, until `on_line` says stop, it exits, or the
/// time limit runs out. The log ends with the line the run was stopped at.
pub(super) fn watch(
    mut command: Command,
    folder: &RunFolder,
    limits: Limits,
    on_line: &mut dyn FnMut(&str) -> bool,
) -> Result<Watched, String> {
    let started = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(folder.stderr()?);
    let file = folder.serial_file()?;
    let mut child = command.spawn().map_err(|why| cannot_start(&command, &why))?;
    let mut console = Console { bytes: Vec::new(), judged: 0, file, show: limits.show, on_line };
    let deadline = started + limits.timeout;
    let ending = match child.stdout.take().map(chunks) {
        Some(output) => follow(&mut child, &output, deadline, &mut console),
        None => Ending::Signal,
    };
    end(&mut child);
    let log = String::from_utf8_lossy(&console.bytes).into_owned();
    Ok(Watched { ending, log, elapsed: started.elapsed() })
}

fn cannot_start(command: &Command, why: &std::io::Error) -> String {
    format!("cannot start {}: {why} (run ./scripts/setup.sh)", command.get_program().display())
}

/// Output as it comes; the channel closes at its end.
fn chunks(mut stdout: ChildStdout) -> Receiver<Vec<u8>> {
    let (send, receive): (SyncSender<Vec<u8>>, _) = sync_channel(CHANNEL_CHUNKS);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = stdout.read(&mut buffer) {
            let chunk = buffer.get(..len).unwrap_or_default().to_vec();
            if send.send(chunk).is_err() {
                return;
            }
        }
    });
    receive
}

fn follow(
    child: &mut Child,
    output: &Receiver<Vec<u8>>,
    deadline: Instant,
    console: &mut Console<'_>,
) -> Ending {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match output.recv_timeout(left) {
            Ok(chunk) if console.take(&chunk) => return Ending::Stopped,
            Ok(_) if console.bytes.len() > LOG_MAX => return Ending::TimedOut,
            // A guest that never stops talking must not outrun the clock.
            Ok(_) if left.is_zero() => return Ending::TimedOut,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return Ending::TimedOut,
            Err(RecvTimeoutError::Disconnected) => return wait(child, deadline),
        }
    }
}

fn wait(child: &mut Child, deadline: Instant) -> Ending {
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return ending(status),
            Ok(None) => std::thread::sleep(EXIT_POLL),
            Err(_) => return Ending::Signal,
        }
    }
    Ending::TimedOut
}

fn ending(status: ExitStatus) -> Ending {
    status.code().map_or(Ending::Signal, Ending::Exit)
}

/// Ends this child if it still runs, and reaps it.
fn end(child: &mut Child) {
    if !matches!(child.try_wait(), Ok(Some(_))) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The console: shown, logged, and handed on in whole lines.
struct Console<'a> {
    bytes: Vec<u8>,
    judged: usize,
    file: File,
    show: bool,
    on_line: &'a mut dyn FnMut(&str) -> bool,
}

impl Console<'_> {
    /// True when a line said stop; what came after that line is dropped.
    fn take(&mut self, chunk: &[u8]) -> bool {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(chunk);
        let stop = self.lines();
        let fresh = self.bytes.get(before..).unwrap_or_default();
        // Losing the terminal or the disk must not change the verdict.
        let _ = self.file.write_all(fresh);
        if self.show {
            let mut terminal = std::io::stdout().lock();
            let _ = terminal.write_all(fresh).and_then(|()| terminal.flush());
        }
        stop
    }

    fn lines(&mut self) -> bool {
        while let Some(rest) = self.bytes.get(self.judged..)
            && let Some(len) = rest.iter().position(|b| *b == b'\n')
        {
            let line = String::from_utf8_lossy(rest.get(..len).unwrap_or_default()).into_owned();
            self.judged += len + 1;
            if (self.on_line)(&line) {
                self.bytes.truncate(self.judged);
                return true;
            }
        }
        false
    }
}
