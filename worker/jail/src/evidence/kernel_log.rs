//! What the kernel's log says of a command's own processes: whom the OOM killer took, and where a program crashed.
//!
//! Read from the moment in which a command starts, after its end, and only where the log's names are this jail's: in the
//! host's own pid, user and cgroup namespaces. A line is believed only if it names this command's group, uid or main
//! process, so that nothing is told of a neighbour's. The kernel limits the rate of such lines: none is no news.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::report::Fault;

/// The log holds about as many records (a buffer of 1 MiB); a flood must not hold up a report.
const MAX_RECORDS: usize = 16_384;
/// Longer records are refused by the kernel (PRINTKRB_RECORD_MAX is 1,024 for the text; each byte may take four).
const RECORD_BYTES: usize = 8192;
/// Of one command, as far as anybody wants to read them.
const MAX_VICTIMS: usize = 8;
/// TASK_COMM_LEN without the NUL.
const NAME_BYTES: usize = 15;
/// Initial namespaces have fixed numbers (linux/nsfs.h).
const INITIAL_NAMESPACES: [(&str, u64); 3] =
    [("user", 0xefff_fffd), ("pid", 0xefff_fffc), ("cgroup", 0xefff_fffb)];

/// A reader of /dev/kmsg.
#[derive(Debug)]
pub(crate) struct KernelLog(OwnedFd);

/// Somebody whom the OOM killer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Victim {
    /// As the host numbers it.
    pub(crate) pid: i32,
    pub(crate) name: Vec<u8>,
}

/// What the log tells of the OOM killer's work among a command's processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OomKills {
    pub(crate) victims: Vec<Victim>,
    /// The memory that ran out was the host's or that of a group above, not the command's own.
    pub(crate) elsewhere: Option<bool>,
}

impl KernelLog {
    /// `None` where there is none for this jail: no /dev/kmsg, no permission (kernel.dmesg_restrict without CAP_SYSLOG),
    /// or one whose numbers are not ours.
    pub(crate) fn open() -> Option<Self> {
        let initial = |(name, number): (&str, u64)| {
            rustix::fs::stat(format!("/proc/self/ns/{name}")).is_ok_and(|state| state.st_ino == number)
        };
        if !INITIAL_NAMESPACES.into_iter().all(initial) {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open("/dev/kmsg", flags, Mode::empty()).ok()?;
        // Container engines put other things in its place (admin-guide/devices.txt: 1, 11).
        let device = rustix::fs::fstat(&file).ok()?.st_rdev;
        (device == rustix::fs::makedev(1, 11)).then_some(Self(file))
    }

    /// From now on only what is new is read.
    pub(crate) fn skip_to_end(&self) {
        // Cannot fail on this file (devkmsg_llseek); if it did, older lines would be read and not match.
        let _ = rustix::fs::seek(&self.0, SeekFrom::End(0));
    }

    /// Whom the OOM killer took of the group with this path, whose processes have this uid.
    pub(crate) fn oom_kills(&self, group: &str, uid: u32) -> OomKills {
        let mut kills = OomKills::default();
        self.each_message(|message| kills.read(message, group, uid));
        kills
    }

    /// Where the process with this pid crashed, whose stack may have `stack_bytes`.
    pub(crate) fn fault(&self, pid: Pid, stack_bytes: u64) -> Option<Fault> {
        let mut fault = None;
        self.each_message(|message| {
            if let Some(found) = parse_fault(message, pid.as_raw_nonzero().get(), stack_bytes) {
                fault = Some(found);
            }
        });
        fault
    }

    fn each_message(&self, mut take: impl FnMut(&[u8])) {
        let mut record = vec![0; RECORD_BYTES];
        for _ in 0..MAX_RECORDS {
            match rustix::io::read(&self.0, &mut record) {
                Ok(0) => return,
                Ok(length) => {
                    if let Some(message) = message(&record[..length]) {
                        take(&message);
                    }
                }
                // Overwritten before it was read: the next read goes on with the oldest there is.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

impl OomKills {
    fn read(&mut self, message: &[u8], group: &str, uid: u32) {
        if let Some((victim, elsewhere)) = parse_chosen(message, group) {
            self.add(victim);
            self.elsewhere = Some(elsewhere);
        } else if let Some(victim) = parse_killed(message, uid) {
            self.add(victim);
        }
    }

    fn add(&mut self, victim: Victim) {
        if self.victims.len() < MAX_VICTIMS && !self.victims.contains(&victim) {
            self.victims.push(victim);
        }
    }
}

/// A record read in each way there is, for the fuzz targets.
#[cfg(fuzzing)]
pub(super) fn read_all(record: &[u8]) {
    let Some(message) = message(record) else { return };
    let mut kills = OomKills::default();
    kills.read(&message, "/kiln-1/0-1", 1_879_048_192);
    assert!(kills.victims.len() <= MAX_VICTIMS);
    let _fault = parse_fault(&message, 7, 8 << 20);
}

/// The text of a record that the kernel itself wrote: `PRIORITY,SEQUENCE,TIME,FLAGS;TEXT\n`, then lines of a dictionary
/// (Documentation/ABI/testing/dev-kmsg). Bytes that are not printable, and `\`, are `\xNN` there.
fn message(record: &[u8]) -> Option<Vec<u8>> {
    let at = record.iter().position(|&byte| byte == b';')?;
    let priority = record[..at].split(|&byte| byte == b',').next()?;
    // The facility is above the three bits of the level, and 0 is the kernel's, which nobody else can use.
    if std::str::from_utf8(priority).ok()?.parse::<u32>().ok()? > 7 {
        return None;
    }
    let text = record[at + 1..].split(|&byte| byte == b'\n').next()?;
    Some(unescape(text))
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match after {
            [b'x', high, low, ..] if first == b'\\' => byte_of(*high, *low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    bytes
}

fn byte_of(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// `oom-kill:constraint=..,oom_memcg=A,task_memcg=B,task=NAME,pid=P,uid=U` (dump_oom_summary in mm/oom_kill.c since 4.19;
/// `global_oom` in the place of `oom_memcg=A` when the host was out of memory). A name is too short to hold a group's.
fn parse_chosen(message: &[u8], group: &str) -> Option<(Victim, bool)> {
    let rest = message.strip_prefix(b"oom-kill:")?;
    let of_group = format!(",task_memcg={group},task=").into_bytes();
    let at = find(rest, &of_group)?;
    let (name, numbers) = split_last(&rest[at + of_group.len()..], b",pid=")?;
    let pid = number(numbers)?;
    let own = format!(",oom_memcg={group}");
    Some((Victim { pid, name: checked_name(name)? }, !rest[..at].ends_with(own.as_bytes())))
}

/// `...: Killed process P (NAME) total-vm:..kB, .., UID:U pgtables:..` (__oom_kill_process, so since 5.3). Not limited in
/// rate, and on cgroup v2 there is one for each process of the group.
fn parse_killed(message: &[u8], uid: u32) -> Option<Victim> {
    let start = b": Killed process ";
    let rest = &message[find(message, start)? + start.len()..];
    let (rest, numbers) = split_last(rest, b") total-vm:")?;
    let (pid, name) = split_first(rest, b" (")?;
    let of_user = format!(", UID:{uid} ");
    find(numbers, of_user.as_bytes())?;
    Some(Victim { pid: std::str::from_utf8(pid).ok()?.parse().ok()?, name: checked_name(name)? })
}

/// `NAME[PID]: segfault at ADDRESS ip I sp S error E in FILE[..]` (show_signal_msg in arch/x86/mm/fault.c), or
/// `traps: NAME[PID] trap KIND ip:I sp:S error:E ..` (show_signal in arch/x86/kernel/traps.c). Both NAME and FILE are the
/// job's to choose, but a NAME is too short to hold the whole of what is looked for, and FILE comes later.
fn parse_fault(message: &[u8], pid: i32, stack_bytes: u64) -> Option<Fault> {
    let marker = format!("[{pid}]: segfault at ");
    if let Some(at) = find(message, marker.as_bytes()).filter(|at| *at <= NAME_BYTES) {
        let text =
            std::str::from_utf8(message.get(at + marker.len()..)?.split(|&b| b == b'[').next()?).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        let [address, "ip", instruction, "sp", stack, "error", ..] = words.as_slice() else { return None };
        let (address, stack) = (hexadecimal(address)?, hexadecimal(stack)?);
        return Some(Fault {
            kind: "segfault".to_owned(),
            address: Some(address),
            instruction: hexadecimal(instruction)?,
            stack,
            at_stack_edge: Some(is_at_edge(address, stack, stack_bytes)),
        });
    }
    let rest = message.strip_prefix(b"traps: ")?;
    let marker = format!("[{pid}] ");
    let at = find(rest, marker.as_bytes()).filter(|at| *at <= NAME_BYTES)?;
    let (kind, numbers) = split_first(&rest[at + marker.len()..], b" ip:")?;
    let numbers = std::str::from_utf8(numbers.split(|&byte| byte == b'[').next()?).ok()?;
    let mut words = numbers.split(' ');
    let instruction = hexadecimal(words.next()?)?;
    let stack = hexadecimal(words.next()?.strip_prefix("sp:")?)?;
    words.next()?.strip_prefix("error:")?;
    let kind = std::str::from_utf8(kind).ok()?;
    let kind = kind.strip_prefix("trap ").unwrap_or(kind);
    let plain =
        kind.len() <= 40 && kind.bytes().all(|byte| byte.is_ascii_lowercase() || b" 3-".contains(&byte));
    plain.then(|| Fault { kind: kind.to_owned(), address: None, instruction, stack, at_stack_edge: None })
}

/// The stack pointer itself is where nothing is mapped: the kernel would have grown the stack, had its limit allowed it
/// (expand_stack). A little below it for what calls push, and up to a whole stack above it for a large frame.
fn is_at_edge(address: u64, stack: u64, stack_bytes: u64) -> bool {
    const BELOW: u64 = 64 * 1024;
    (stack.saturating_sub(BELOW)..stack.saturating_add(stack_bytes)).contains(&address)
}

fn checked_name(name: &[u8]) -> Option<Vec<u8>> {
    (name.len() <= NAME_BYTES).then(|| name.to_vec())
}

fn number(text: &[u8]) -> Option<i32> {
    let digits = text.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn split_first<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    find(text, at).map(|index| (&text[..index], &text[index + at.len()..]))
}

fn split_last<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let index = text.windows(at.len()).rposition(|window| window == at)?;
    Some((&text[..index], &text[index + at.len()..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GROUP: &str = "/kiln-27153/0-3";
    const UID: u32 = 1_879_245_800;

    fn of(lines: &[&str]) -> OomKills {
        let mut kills = OomKills::default();
        for line in lines {
            let record = format!("6,499,1054212653,-;{line}\n SUBSYSTEM=x\n");
            kills.read(&message(record.as_bytes()).expect("a record"), GROUP, UID);
        }
        kills
    }

    fn victim(pid: i32, name: &[u8]) -> Victim {
        Victim { pid, name: name.to_vec() }
    }

    /// Lines of Linux 6.18 (v1) and 6.12 (v2), the latter with the line that tells of the whole group.
    #[test]
    fn victims_of_this_group_are_named_once() {
        let v1 = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/kiln-27153/0-3,task_memcg=/kiln-27153/0-3,task=perl,pid=27172,uid=1879245800";
        let killed = "Memory cgroup out of memory: Killed process 27172 (perl) total-vm:109864kB, anon-rss:65024kB, file-rss:4020kB, shmem-rss:0kB, UID:1879245800 pgtables:192kB oom_score_adj:1000";
        let whole = "Tasks in /kiln-27153/0-3 are going to be killed due to memory.oom.group set";
        let other = killed.replace("27172 (perl)", "27171 (sh)");
        let kills = of(&[v1, killed, whole, killed, &other]);
        assert_eq!(kills.victims, [victim(27172, b"perl"), victim(27171, b"sh")]);
        assert_eq!(kills.elsewhere, Some(false));
    }

    #[test]
    fn the_rate_limit_takes_the_group_and_leaves_the_name() {
        let killed = "Memory cgroup out of memory: Killed process 7 (a) total-vm:1) total-vm:109864kB, anon-rss:0kB, UID:1879245800 pgtables:192kB oom_score_adj:1000";
        let kills = of(&[killed]);
        assert_eq!(kills, OomKills { victims: vec![victim(7, b"a) total-vm:1")], elsewhere: None });
    }

    #[test]
    fn memory_that_ran_out_above_is_told_apart() {
        let line = |whose: &str| {
            format!(
                "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,{whose},task_memcg={GROUP},task=x,pid=5,uid=0"
            )
        };
        assert_eq!(of(&[&line("global_oom")]).elsewhere, Some(true));
        assert_eq!(of(&[&line("oom_memcg=/kiln-27153")]).elsewhere, Some(true));
        assert_eq!(of(&[&line(&format!("oom_memcg={GROUP}"))]).elsewhere, Some(false));
    }

    #[test]
    fn nothing_is_told_of_a_neighbour() {
        let lines = [
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/kiln-27153/0-33,task_memcg=/kiln-27153/0-33,task=perl,pid=1,uid=0",
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a/kiln-27153/0-3,task_memcg=/a/kiln-27153/0-3,task=perl,pid=1,uid=0",
            "Memory cgroup out of memory: Killed process 27172 (perl) total-vm:1kB, UID:18792458001 pgtables:192kB",
            "Memory cgroup out of memory: Killed process 27172 (perl) total-vm:1kB, UID:879245800 pgtables:192kB",
            "Memory cgroup out of memory: Killed process 27172 (perl)",
            "perl invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=1000",
        ];
        assert_eq!(of(&lines), OomKills::default());
    }

    #[test]
    fn names_are_the_bytes_that_the_job_chose() {
        let line = |name: &str| {
            format!("oom-kill:constraint=x,oom_memcg={GROUP},task_memcg={GROUP},task={name},pid=9,uid=0")
        };
        for (written, name) in [
            (r"a\x0ab", &b"a\nb"[..]),
            (r"\x1b[31m", b"\x1b[31m"),
            (r"\xff\x5cx41", b"\xff\\x41"),
            ("x,pid=1,uid=2", b"x,pid=1,uid=2"),
            ("", b""),
        ] {
            assert_eq!(of(&[&line(written)]).victims, [victim(9, name)], "{written}");
        }
        assert_eq!(of(&[&line("longer than any name")]).victims, []);
    }

    #[test]
    fn what_others_wrote_into_the_log_is_not_believed() {
        let text = format!("oom-kill:x,oom_memcg={GROUP},task_memcg={GROUP},task=a,pid=9,uid=0");
        assert!(message(format!("12,1,1,-;{text}\n").as_bytes()).is_none(), "facility 1 is a program's");
        assert!(message(format!("6,1,1,c,caller=T1;{text}\n").as_bytes()).is_some());
        assert!(message(text.as_bytes()).is_none());
    }

    fn fault(line: &str) -> Option<Fault> {
        parse_fault(line.as_bytes(), 10_620, 8 << 20)
    }

    /// Lines of Linux 6.18.
    #[test]
    fn a_crash_at_the_stacks_edge_is_told_from_another() {
        let edge = fault(
            "ev_so[10620]: segfault at 7ffe07913f5c ip 0000564670450134 sp 00007ffe07913f50 error 6 in ev_so[1134,564670450000+1000] likely on CPU 0 (core 0, socket 0)",
        );
        let edge = edge.expect("a fault");
        assert_eq!(edge.address, Some(0x7ffe_0791_3f5c));
        assert_eq!((edge.instruction, edge.stack), (0x5646_7045_0134, 0x7ffe_0791_3f50));
        assert_eq!(edge.at_stack_edge, Some(true));
        let null = fault(
            "ev_so[10620]: segfault at 0 ip 0000564ba9ffa17e sp 00007ffcc87d0310 error 4 in ev_so[117e,564ba9ffa000+1000]",
        );
        assert_eq!(null.expect("a fault").at_stack_edge, Some(false));
        let trap = fault(
            "traps: ev_ill[10620] trap invalid opcode ip:5559389ac15b sp:7fffadc3bfe0 error:0 in ev_ill[115b,5559389ac000+1000]",
        );
        let trap = trap.expect("a fault");
        assert_eq!((trap.kind.as_str(), trap.instruction), ("invalid opcode", 0x5559_389a_c15b));
        let protection =
            fault("traps: x[10620] general protection fault ip:401136 sp:7ffc error:0 in x[401000+1000]");
        assert_eq!(protection.expect("a fault").kind, "general protection fault");
    }

    #[test]
    fn a_neighbours_crash_that_names_our_process_is_not_ours() {
        for line in [
            "ev_so[1062]: segfault at 0 ip 0 sp 0 error 4 in ev_so[0,0+0]",
            "[10620]: segfau[77]: segfault at 0 ip 0 sp 0 error 4 in x[0,0+0]",
            "x[77]: segfault at 0 ip 0 sp 0 error 4 in y[10620]: segfault at 1 ip 1 sp 1 error 4[0,0+0]",
            "traps: [10620] trap x[77] trap int3 ip:1 sp:1 error:0",
            "traps: x[77] trap int3 ip:1 sp:1 error:0 in y[10620] trap int3 ip:1 sp:1 error:0[1]",
        ] {
            assert_eq!(fault(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_upset_a_parser(record: Vec<u8>) {
            let text = message(&record).unwrap_or(record);
            let mut kills = OomKills::default();
            kills.read(&text, GROUP, UID);
            let _ = parse_fault(&text, 1, 1);
        }
    }
}
