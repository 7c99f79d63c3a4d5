//! Starts a real jail over a socketpair, as the worker does, and runs real commands in it.

use std::fs::File;
use std::io::{Read, Write};
use std::num::{NonZeroU32, NonZeroU64};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use kiln_jail::plan::{CustomProfile, FileIn, FileOut, Limits, Owner, Part, Plan, Profile, Rootfs, Way};
use kiln_jail::report::{Failure, FileFound, Outcome, Report};
use kiln_jail::standing::Standing;
use kiln_jail::uid_range::UidRange;
use kiln_jail::wire::{self, FilterUse, KillReason, Reply, Request, Setup};
use rustix::net::{RecvFlags, SendFlags};

pub(crate) const MIB: u64 = 1 << 20;

/// A jail process of this test's own, with an image made of this machine's /usr.
pub(crate) struct Jail {
    pub(crate) process: Child,
    pub(crate) socket: OwnedFd,
    pub(crate) uids: UidRange,
    pub(crate) setup: Setup,
    /// It was killed, or is to end with an error.
    pub(crate) has_failed: bool,
    image: tempfile::TempDir,
}

/// What came back of one command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) report: Report,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) files: Vec<Option<Vec<u8>>>,
    pub(crate) replies: Vec<Reply>,
}

/// A plan and what travels beside it.
pub(crate) struct Job {
    pub(crate) plan: Plan,
    pub(crate) stdin: Vec<u8>,
    pub(crate) contents: Vec<Content>,
}

/// What a file that is put into a sandbox is made of.
pub(crate) enum Content {
    Bytes(Vec<u8>),
    File(File),
}

impl Job {
    pub(crate) fn new(argv: &[&str]) -> Self {
        Self::bytes(argv.iter().map(|argument| argument.as_bytes().to_vec()).collect())
    }

    pub(crate) fn shell(script: &str) -> Self {
        Self::new(&["/bin/sh", "-c", script])
    }

    pub(crate) fn perl(script: &str) -> Self {
        Self::new(&["/usr/bin/perl", "-e", script])
    }

    pub(crate) fn bytes(argv: Vec<Vec<u8>>) -> Self {
        let plan = Plan {
            argv,
            env: Vec::new(),
            cwd: b"/work".to_vec(),
            rootfs: Rootfs { parts: Vec::new() },
            limits: limits(),
            profile: Profile::Default,
            files_in: Vec::new(),
            shown_from: None,
            files_out: Vec::new(),
        };
        Self { plan, stdin: Vec::new(), contents: Vec::new() }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.plan.env.push((name.into(), value.into()));
        self
    }

    pub(crate) fn cwd(mut self, cwd: &str) -> Self {
        self.plan.cwd = cwd.into();
        self
    }

    pub(crate) fn profile(mut self, profile: Profile) -> Self {
        self.plan.profile = profile;
        self
    }

    pub(crate) fn stdin(mut self, stdin: &[u8]) -> Self {
        self.stdin = stdin.to_vec();
        self
    }

    pub(crate) fn limit(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.plan.limits);
        self
    }

    pub(crate) fn file_in(mut self, path: &str, content: &[u8], mode: u32, owner: Owner) -> Self {
        self.plan.files_in.push(FileIn { path: path.into(), way: Way::Copied { mode, owner } });
        self.contents.push(Content::Bytes(content.to_vec()));
        self
    }

    /// Shows the file of this name in this directory.
    pub(crate) fn shown(self, path: &str, directory: &Path, name: &str) -> Self {
        let file = File::open(directory.join(name)).expect("open");
        self.shown_as(path, directory, name, file)
    }

    /// The same, whatever was opened for it.
    pub(crate) fn shown_as(mut self, path: &str, directory: &Path, name: &str, opened: File) -> Self {
        self.plan.files_in.push(FileIn { path: path.into(), way: Way::Shown { name: name.into() } });
        self.plan.shown_from = Some(directory.as_os_str().as_encoded_bytes().to_vec());
        self.contents.push(Content::File(opened));
        self
    }

    pub(crate) fn file_out(mut self, path: &str, max_bytes: u64) -> Self {
        self.plan.files_out.push(FileOut { path: path.into(), max_bytes: count(max_bytes) });
        self
    }
}

impl Ran {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    #[track_caller]
    pub(crate) fn succeeded(&self) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr);
        assert_eq!(self.report.outcome, Outcome::Exited { code: 0 }, "stderr: {stderr}");
        self.text()
    }
}

/// Whether these tests run as root of a user namespace only; what differs then is said where it does.
pub(crate) fn is_confined() -> bool {
    Standing::of_this_process().expect("/proc is mounted").is_confined()
}

pub(crate) fn count(value: u64) -> NonZeroU64 {
    NonZeroU64::new(value).expect("not zero")
}

pub(crate) fn limits() -> Limits {
    Limits {
        cpu_us: count(10_000_000),
        wall_us: count(20_000_000),
        memory_bytes: count(256 * MIB),
        pids: count(64),
        output_bytes: count(MIB),
        file_size_bytes: count(64 * MIB),
        disk_bytes: count(64 * MIB),
        inodes: count(10_000),
        open_files: count(256),
        stack_bytes: count(8 * MIB),
        cpu_rate_millis: NonZeroU32::new(4000).expect("not zero"),
    }
}

impl Jail {
    pub(crate) fn start() -> Self {
        Self::start_allowing(&[])
    }

    pub(crate) fn start_allowing(allow_missing: &[&str]) -> Self {
        let (jail, reply) = Self::try_start(allow_missing);
        assert_eq!(reply, Reply::Ready);
        jail
    }

    pub(crate) fn try_start(allow_missing: &[&str]) -> (Self, Reply) {
        let jail = Self::unconfigured(allow_missing);
        let reply = jail.configure();
        (jail, reply)
    }

    pub(crate) fn start_with(profiles: Vec<CustomProfile>) -> Self {
        let (jail, reply) = Self::try_start_with(profiles);
        assert_eq!(reply, Reply::Ready);
        jail
    }

    pub(crate) fn try_start_with(profiles: Vec<CustomProfile>) -> (Self, Reply) {
        let mut jail = Self::unconfigured(&[]);
        jail.setup.profiles = profiles;
        let reply = jail.configure();
        (jail, reply)
    }

    /// One that was sent its configuration and has not answered yet.
    pub(crate) fn start_unanswered() -> Self {
        let jail = Self::unconfigured(&[]);
        jail.send(&Request::Configure(jail.setup.clone()), &[]);
        jail
    }

    fn unconfigured(allow_missing: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, socket) = spawn();
        let uids = UidRange::claim().expect("a uid range");
        let setup = Setup {
            jail: NEXT.fetch_add(1, Ordering::Relaxed),
            cgroup_name: format!("kiln-{}", std::process::id()),
            cpus: Vec::new(),
            uid_base: uids.base(),
            allow_missing: allow_missing.iter().map(|&name| name.to_owned()).collect(),
            profiles: Vec::new(),
            filters: FilterUse::Required,
        };
        Self { process, socket, uids, setup, has_failed: false, image: image() }
    }

    /// A new process in the place of one that was killed.
    pub(crate) fn restart(mut self) -> Self {
        (self.process, self.socket) = spawn();
        assert_eq!(self.configure(), Reply::Ready);
        self
    }

    fn configure(&self) -> Reply {
        self.send(&Request::Configure(self.setup.clone()), &[]);
        self.receive().expect("an answer to Configure").0
    }

    pub(crate) fn send(&self, request: &Request, descriptors: &[OwnedFd]) {
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        wire::send(self.socket.as_fd(), request, &borrowed, SendFlags::empty()).expect("send");
    }

    pub(crate) fn receive(&self) -> Option<(Reply, Vec<OwnedFd>)> {
        wire::receive(self.socket.as_fd(), RecvFlags::empty()).expect("receive")
    }

    /// The jail itself: as root of a user namespace, the only child of the process that was started, its stand-in outside
    /// the jail's pid namespace.
    pub(crate) fn pid(&self) -> u32 {
        let started = self.process.id();
        if !is_confined() {
            return started;
        }
        let children = std::fs::read_to_string(format!("/proc/{started}/task/{started}/children"));
        children.expect("CONFIG_PROC_CHILDREN").trim().parse().expect("one child")
    }

    pub(crate) fn image(&self) -> &Path {
        self.image.path()
    }

    /// The image of a job that names none.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let root = self.image.path().as_os_str().as_encoded_bytes().to_vec();
        vec![
            Part { source: root, target: b"/".to_vec() },
            Part { source: b"/usr".to_vec(), target: b"/usr".to_vec() },
        ]
    }

    /// Sends a job and returns the readers of its output.
    pub(crate) fn begin(&self, job: Job) -> Running {
        self.begin_as(job, Request::Run)
    }

    fn begin_as(&self, mut job: Job, request: fn(Box<Plan>) -> Request) -> Running {
        let (stdin, feeder) = feed(std::mem::take(&mut job.stdin));
        let (stdout, out) = drain();
        self.begin_with(job, request, stdin, feeder, stdout, out)
    }

    /// Runs a job whose stdin is open and stays silent.
    #[track_caller]
    pub(crate) fn run_with_silent_stdin(&self, job: Job) -> Ran {
        let (stdin, held) = std::io::pipe().expect("pipe");
        let (stdout, out) = drain();
        let running =
            self.begin_with(job, Request::Run, stdin.into(), std::thread::spawn(|| ()), stdout, out);
        let ran = self.end(running).expect("no infrastructure failure");
        drop(held);
        ran
    }

    /// Runs a job whose stdout is read only when it is over.
    #[track_caller]
    pub(crate) fn run_with_unread_stdout(&self, mut job: Job) -> Ran {
        let (stdin, feeder) = feed(std::mem::take(&mut job.stdin));
        let (held, stdout) = std::io::pipe().expect("pipe");
        let running =
            self.begin_with(job, Request::Run, stdin, feeder, stdout.into(), std::thread::spawn(Vec::new));
        let ran = self.end(running).expect("no infrastructure failure");
        drop(held);
        ran
    }

    /// Begins a job between two pipes of the caller's.
    pub(crate) fn begin_between(&self, stdin: OwnedFd, job: Job, stdout: OwnedFd) -> Running {
        let nothing = (std::thread::spawn(|| ()), std::thread::spawn(Vec::new));
        self.begin_with(job, Request::Run, stdin, nothing.0, stdout, nothing.1)
    }

    fn begin_with(
        &self,
        mut job: Job,
        request: fn(Box<Plan>) -> Request,
        stdin: OwnedFd,
        feeder: JoinHandle<()>,
        stdout: OwnedFd,
        out: JoinHandle<Vec<u8>>,
    ) -> Running {
        if job.plan.rootfs.parts.is_empty() {
            job.plan.rootfs.parts = self.parts();
        }
        let (stderr, err) = drain();
        let mut descriptors = vec![stdin, stdout, stderr];
        for content in job.contents {
            descriptors.push(match content {
                Content::File(file) => file.into(),
                Content::Bytes(bytes) => {
                    let mut file = tempfile::tempfile().expect("tempfile");
                    file.write_all(&bytes).expect("write");
                    file.into()
                }
            });
        }
        self.send(&request(Box::new(job.plan)), &descriptors);
        Running { feeder, out, err }
    }

    /// Waits for the end of a job; releases it.
    pub(crate) fn end(&self, running: Running) -> Result<Ran, Failure> {
        let mut replies = Vec::new();
        let result = loop {
            let (reply, descriptors) = self.receive().expect("the jail lives");
            match reply {
                Reply::Finished(report) => break Ok((*report, descriptors)),
                Reply::Failed(failure) => break Err(failure),
                other => replies.push(other),
            }
        };
        let _ = running.feeder.join();
        let stdout = running.out.join().expect("stdout");
        let stderr = running.err.join().expect("stderr");
        let ran = result.map(|(report, descriptors)| {
            let mut descriptors = descriptors.into_iter();
            let files = report.files.iter().map(|file| match file {
                FileFound::Found { .. } => {
                    let mut content = Vec::new();
                    let file = descriptors.next().expect("one descriptor per found file");
                    File::from(file).read_to_end(&mut content).expect("read");
                    Some(content)
                }
                _ => None,
            });
            let files = files.collect();
            Ran { files, report, stdout, stderr, replies }
        });
        self.send(&Request::Release, &[]);
        let (reply, _) = self.receive().expect("the jail lives");
        assert_eq!(reply, Reply::Released);
        ran
    }

    #[track_caller]
    pub(crate) fn run(&self, job: Job) -> Ran {
        self.end(self.begin(job)).expect("no infrastructure failure")
    }

    /// Runs a job with its calls recorded.
    #[track_caller]
    pub(crate) fn learn(&self, job: Job) -> Ran {
        self.end(self.begin_as(job, Request::Learn)).expect("no infrastructure failure")
    }

    #[track_caller]
    pub(crate) fn fail(&self, job: Job) -> Failure {
        self.end(self.begin(job)).expect_err("an infrastructure failure")
    }

    pub(crate) fn kill(&self, reason: KillReason) {
        self.send(&Request::Kill(reason), &[]);
    }
}

impl Drop for Jail {
    /// The end of the socket ends the jail.
    fn drop(&mut self) {
        let (nothing, _) = wire::pair().expect("socketpair");
        drop(std::mem::replace(&mut self.socket, nothing));
        let status = self.process.wait().expect("wait");
        if !self.has_failed && !std::thread::panicking() {
            assert!(status.success(), "the jail ended with {status}");
        }
    }
}

/// A command that was sent.
pub(crate) struct Running {
    feeder: JoinHandle<()>,
    out: JoinHandle<Vec<u8>>,
    err: JoinHandle<Vec<u8>>,
}

fn spawn() -> (Child, OwnedFd) {
    let (ours, theirs) = wire::pair().expect("socketpair");
    let process = Command::new(env!("CARGO_BIN_EXE_kiln-jail"))
        .arg0("kiln-jail")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("start the jail");
    (process, ours)
}

fn feed(bytes: Vec<u8>) -> (OwnedFd, JoinHandle<()>) {
    let (read, write) = std::io::pipe().expect("pipe");
    let feeder = std::thread::spawn(move || {
        let mut write = write;
        // A job may end without reading.
        let _ = write.write_all(&bytes);
    });
    (read.into(), feeder)
}

fn drain() -> (OwnedFd, JoinHandle<Vec<u8>>) {
    let (mut read, write) = std::io::pipe().expect("pipe");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        read.read_to_end(&mut bytes).expect("read");
        bytes
    });
    (write.into(), reader)
}

/// The root of an image: links and directories only; /usr is a part of its own.
fn image() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("tempdir");
    for directory in ["usr", "etc", "opt"] {
        std::fs::create_dir(root.path().join(directory)).expect("mkdir");
    }
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.path().join(link)).expect("symlink");
    }
    std::fs::write(root.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").expect("write");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(root.path(), open).expect("chmod");
    root
}
