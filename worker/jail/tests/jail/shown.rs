//! Files that are shown instead of copied: what a command sees of them, what it cannot do to them, and that nobody meets there.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::harness::{Jail, Job, MIB, count, is_confined};
use crate::ready::{keep_ready, kind, wait_for_ready};
use kiln_jail::plan::{Owner, Profile, Writes};
use kiln_jail::report::Outcome;
use rustix::fs::FlockOperation;

/// A directory as a worker's cache, closed to everybody, with one file in it.
struct Cache(tempfile::TempDir);

impl Cache {
    const NAME: &str = "blake3-00";

    fn of(content: &[u8]) -> Self {
        let cache = Self(tempfile::tempdir().expect("tempdir"));
        std::fs::write(cache.file(), content).expect("write");
        std::fs::set_permissions(cache.file(), PermissionsExt::from_mode(0o444)).expect("chmod");
        cache
    }

    /// Only its last bytes take any room on the disk.
    fn sparse(size_bytes: u64, last: &[u8]) -> Self {
        let cache = Self::of(b"");
        let file = File::options().write(true).open(cache.file()).expect("open");
        file.write_all_at(last, size_bytes - last.len() as u64).expect("write");
        cache
    }

    fn directory(&self) -> &Path {
        self.0.path()
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory().join(Self::NAME)
    }
}

impl Job {
    fn showing(self, path: &str, cache: &Cache) -> Self {
        self.shown(path, cache.directory(), Cache::NAME)
    }
}

#[test]
fn a_file_that_is_shown_takes_no_disk_and_no_more_memory_than_there_is() {
    let jail = Jail::start();
    let cache = Cache::sparse(300 * MIB, b"the end");
    let script = "stat -c '%s %a %u' /work/d/in /work/d; tail -c 7 /work/d/in; cat /work/d/in | wc -c; echo x > /work/d/new";
    // Once from nothing and once in a sandbox that stood ready.
    for ready in [0, 2] {
        if ready > 0 {
            keep_ready(&jail, &[kind(&jail, Writes::Work)]);
        }
        wait_for_ready(&jail, ready);
        let job = Job::shell(script).showing("/work/d/in", &cache).limit(|limits| {
            limits.disk_bytes = count(MIB);
            limits.memory_bytes = count(24 * MIB);
        });
        let told = jail.run(job).succeeded();
        // Without host root owners cannot be mapped.
        let owner = if is_confined() { 65534 } else { 0 };
        assert_eq!(told, format!("314572800 444 {owner}\n60 755 1000\nthe end314572800\n"));
    }
}

#[test]
fn it_is_a_mount_of_its_own_and_tells_nothing_of_where_it_lies() {
    let jail = Jail::start();
    let cache = Cache::of(b"content");
    for profile in [Profile::Default, Profile::Build] {
        let job = Job::shell("cat /proc/self/mountinfo; ls -a /work; cat /work/in/.. 2>&1");
        let ran = jail.run(job.profile(profile).showing("/work/in", &cache));
        let told = ran.text();
        let line = told.lines().find(|line| line.contains(" /work/in ")).expect("a mount");
        let options = line.split(' ').nth(5).expect("options");
        for option in ["ro", "nosuid", "nodev", "noexec"] {
            assert!(options.split(',').any(|word| word == option), "{line}");
        }
        let host = cache.directory().to_str().expect("utf-8");
        assert!(
            !told.contains(host) && told.ends_with("\n.\n..\nin\ncat: /work/in/..: Not a directory\n"),
            "{told}"
        );
    }
}

/// Whatever a program can call on a file that it may read, and what leads to the file by another way.
const ATTACKS: &str = r#"
use Fcntl qw(:DEFAULT :flock :mode);
my $f = "/work/in";
sub try { my ($name, $got) = @_; print "GOT $name\n" if $got }
open my $in, "<", $f or die "cannot read: $!";
my $fd = fileno $in;
for my $mode (O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND, O_RDWR | O_CREAT) {
    for my $path ($f, "/proc/self/fd/$fd", "/dev/fd/$fd") { try("open $path $mode", sysopen(my $w, $path, $mode)) }
}
try("truncate", truncate($f, 0)); try("ftruncate", truncate($in, 0));
try("chmod", chmod(0666, $f)); try("fchmod", syscall(91, $fd, 0666) == 0);
try("chown", chown(1000, 1000, $f)); try("utime", utime(1, 1, $f)); try("futimens", syscall(280, $fd, 0, 0, 0) == 0);
for my $to ("/work/hard", "/tmp/hard", "/dev/shm/hard") {
    try("link $to", link($f, $to));
    try("linkat by descriptor", syscall(265, $fd, my $empty = "", -100, my $target = $to, 0x1000) == 0);
    try("linkat by /proc", syscall(265, -100, my $own = "/proc/self/fd/$fd", -100, my $place = $to, 0x400) == 0);
}
open my $own, ">", "/work/own" or die; print $own "mine"; close $own;
try("rename over", rename("/work/own", $f)); try("rename away", rename($f, "/work/away")); try("unlink", unlink($f));
try("exchange", syscall(316, -100, my $a = "/work/own", -100, my $b = $f, 2) == 0);
try("symlink over", symlink("/work/own", $f));
for my $flag (0, 1, 2, 3, 0x10, 0x20) { try("fallocate $flag", syscall(285, $fd, $flag, 0, 4096) == 0) }
my $map = syscall(9, 0, 4096, 3, 1, $fd, 0); try("shared map to write", $map > 0 || $map < -4096);
$map = syscall(9, 0, 4096, 1, 1, $fd, 0); die "cannot map" if $map == -1;
try("mprotect to write", syscall(10, $map, 4096, 3) == 0);
try("mprotect to execute", syscall(10, $map, 4096, 5) == 0);
for my $advice (9, 23) { try("madvise $advice", syscall(28, $map, 4096, $advice) == 0) }
my $flags = pack "l", 0x10; try("FS_IOC_SETFLAGS", ioctl($in, 0x40086602, $flags)); 
try("FS_IOC_FSSETXATTR", ioctl($in, 0x401c5820, my $x = "\0" x 28)); try("FIFREEZE", ioctl($in, 0xc0045877, my $n = 0));
try("FITRIM", ioctl($in, 0xc0185879, my $range = "\0" x 24)); try("FICLONE", ioctl($in, 0x40049409, $fd));
try("fsetxattr", syscall(190, $fd, my $key = "user.x", my $value = "v", 1, 0) == 0);
try("fremovexattr", syscall(199, $fd, my $gone = "user.x") == 0);
open $own, "<", "/work/own" or die; 
try("copy_file_range", syscall(326, fileno($own), 0, $fd, 0, 4, 0) > 0); try("sendfile", syscall(40, $fd, fileno($own), 0, 4) > 0);
try("write", syscall(1, $fd, my $bytes = "x", 1) > 0); try("pwrite", syscall(18, $fd, $bytes, 1, 0) > 0);
try("write lease", fcntl($in, 1024, 1)); try("execute", system($f) == 0);
try("handle", syscall(303, $fd, my $none = "", my $handle = pack("Ll", 128, 0) . "\0" x 128, my $id = pack("l", 0), 0x1000) == 0
    && syscall(304, $fd, $handle, 0) >= 0);
try("leaves", sysopen(my $out, "$f/..", O_RDONLY)); try("leaves by descriptor", syscall(257, $fd, my $up = "..", 0, 0) >= 0);
print -s $f, " ", do { local $/; <$in> }, "\n";
"#;

#[test]
fn nothing_that_a_command_calls_changes_a_file_that_it_is_shown() {
    let cache = Cache::of(b"#!/bin/true");
    let of = || {
        let seen = std::fs::metadata(cache.file()).expect("stat");
        let times = (seen.atime_nsec(), seen.mtime_nsec(), seen.ctime_nsec());
        (seen.ino(), seen.mode(), seen.uid(), seen.nlink(), seen.size(), times)
    };
    let before = of();
    let jail = Jail::start();
    for profile in [Profile::Default, Profile::Build] {
        let job = Job::perl(ATTACKS).profile(profile).limit(|limits| limits.memory_bytes = count(64 * MIB));
        assert_eq!(jail.run(job.showing("/work/in", &cache)).succeeded(), "11 #!/bin/true\n");
        assert_eq!(of(), before);
    }
    assert_eq!(std::fs::read(cache.file()).expect("read"), b"#!/bin/true");
    // Unmounting it ends the sandbox.
    let job = Job::perl("$f = '/work/in'; syscall(166, $f, 2)").showing("/work/in", &cache);
    let ran = jail.run(job);
    assert!(matches!(ran.report.outcome, Outcome::Forbidden { .. }), "{:?}", ran.report.outcome);
}

/// Takes every lock and watch it can get, says so, and looks what came of it once the other has spoken.
const FIRST: &str = r#"
use Fcntl qw(:DEFAULT :flock);
$| = 1;
open $in, "<", "/work/in" or die;
flock($in, LOCK_EX | LOCK_NB) or die "flock: $!";
my $shared = pack "ssx4qqlx4", F_RDLCK, 0, 0, 0, 0; fcntl($in, 37, $shared) or die "lock: $!";
my $lease = fcntl($in, 1024, F_RDLCK); 
my $watcher = syscall(294, 04000); my $place = "/work/in";
my $watch = $watcher >= 0 && syscall(254, $watcher, $place, 0xfff) >= 0;
open my $events, "<&=", $watcher if $watch;
print "go\n"; $said = <STDIN>;
$said .= " event" if $watch && sysread($events, my $event, 4096);
print STDERR $said;
"#;

/// Opens, locks and asks; says what it met.
const SECOND: &str = r#"
use Fcntl qw(:DEFAULT :flock);
<STDIN>;
open $in, "<", "/work/in" or die;
sysread $in, my $byte, 1;
my $met = "";
$met .= " flock" unless flock($in, LOCK_EX | LOCK_NB);
my $wanted = pack "ssx4qqlx4", F_WRLCK, 0, 0, 0, 0; fcntl($in, 36, $wanted) or die "ask: $!";
$met .= " lock" unless unpack("s", $wanted) == F_UNLCK;
print "met nobody$met";
"#;

#[test]
fn two_sandboxes_that_are_shown_one_file_do_not_meet_there() {
    let cache = Cache::of(b"content");
    // Nor do they meet whoever has the file open on the host.
    let on_the_host = File::open(cache.file()).expect("open");
    rustix::fs::flock(&on_the_host, FlockOperation::LockExclusive).expect("flock");
    let (one, two) = (Jail::start(), Jail::start());
    let ((to_two, from_one), (to_one, from_two)) =
        (std::io::pipe().expect("pipe"), std::io::pipe().expect("pipe"));
    let job = |script| Job::perl(script).showing("/work/in", &cache);
    let second = two.begin_between(to_two.into(), job(SECOND), from_two.into());
    let first = one.begin_between(to_one.into(), job(FIRST), from_one.into());
    let second = two.end(second).expect("no infrastructure failure");
    let first = one.end(first).expect("no infrastructure failure");
    assert_eq!(String::from_utf8_lossy(&second.stderr), "");
    assert_eq!(String::from_utf8_lossy(&first.stderr), "met nobody");
}

#[test]
fn a_file_that_is_not_the_one_that_was_opened_is_not_shown() {
    let jail = Jail::start();
    let cache = Cache::of(b"content");
    symlink("/etc/passwd", cache.directory().join("link")).expect("symlink");
    std::fs::create_dir(cache.directory().join("directory")).expect("mkdir");
    std::fs::write(cache.directory().join("other"), "content").expect("write");
    let stale = rustix::io::Errno::STALE.raw_os_error();
    let table = [("other", stale), ("link", stale), ("directory", stale), ("none", libc::ENOENT)];
    for (name, errno) in table {
        let opened = File::open(cache.file()).expect("open");
        let job = Job::new(&["/bin/true"]).shown_as("/work/in", cache.directory(), name, opened);
        let failure = jail.fail(job);
        assert_eq!((failure.step.as_str(), failure.errno), ("show_files", errno), "{name}: {failure}");
    }
    // And the next one is none the worse.
    jail.run(Job::new(&["/bin/cat", "/work/in"]).showing("/work/in", &cache)).succeeded();
}

#[test]
fn what_is_copied_beside_it_is_the_commands_own_and_nothing_stays_mounted() {
    let jail = Jail::start();
    let cache = Cache::of(b"content");
    let mounts = || std::fs::read_to_string(format!("/proc/{}/mountinfo", jail.pid())).expect("mountinfo");
    let before = mounts();
    let script = "echo more >> copied; cat copied a b; rm copied; ! rm a 2>/dev/null";
    let job = Job::shell(script)
        .showing("/work/a", &cache)
        .file_in("/work/copied", b"copied ", 0o644, Owner::Command)
        .showing("/work/b", &cache);
    assert_eq!(jail.run(job).succeeded(), "copied more\ncontentcontent");
    assert_eq!(mounts(), before);
}
