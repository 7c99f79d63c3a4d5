//! Files of `/proc/PID` as text. Pure; every parser takes any bytes, since a process chooses its own name.

/// What is needed of `/proc/PID/stat` (proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// At most 15 bytes of any kind.
    pub(super) name: Vec<u8>,
    /// `R`, `S`, `D`, `T`, `Z` ...
    pub(super) state: u8,
    /// User and system time of all threads.
    pub(super) cpu_ticks: u64,
    pub(super) threads: u64,
}

/// The system call that a thread is in, from `/proc/PID/syscall` (proc_pid_syscall(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) args: [u64; 6],
}

impl Stat {
    /// The name is between the first `(` and the last `)`: it may hold both, and newlines; what follows is numbers.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|&byte| byte == b'(')?;
        let close = text.iter().rposition(|&byte| byte == b')')?;
        let name = text.get(open + 1..close)?.to_vec();
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        // The first of these is the file's third field.
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            name,
            state: *fields.first()?.as_bytes().first()?,
            cpu_ticks: number(14)?.saturating_add(number(15)?),
            threads: number(20)?,
        })
    }
}

impl Call {
    /// `None` for `running`, and for `-1 SP PC`: waiting, but not in a call.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
        let number = words.next()?.parse().ok()?;
        let mut args = [0; 6];
        for arg in &mut args {
            *arg = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        }
        Some(Self { number, args })
    }
}

/// The pid in the innermost namespace, from `/proc/PID/status`; `None` where that is the reader's own.
///
/// The name is on the first line, and its newlines are escaped there (proc_task_name in fs/proc/array.c).
pub(super) fn inner_pid(status: &[u8]) -> Option<u32> {
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"))?;
    let pids: Vec<&str> = std::str::from_utf8(line).ok()?.split_ascii_whitespace().collect();
    match pids.as_slice() {
        [_, .., innermost] => innermost.parse().ok(),
        _ => None,
    }
}

/// The process that a thread belongs to, as the reader numbers it.
pub(super) fn process_of_thread(status: &[u8]) -> Option<i32> {
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"Tgid:"))?;
    std::str::from_utf8(line).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REST: &str = "S 24350 24340 19735 0 -1 4194304 114 0 0 0 7 5 0 0 20 0 3 0 73187 3133440 360";

    #[test]
    fn a_name_may_hold_what_the_format_uses() {
        for name in ["cat", "", "a) R 1 (b", "((", "x\n) Z 1 1", "\u{e9} )"] {
            let stat = Stat::parse(format!("24353 ({name}) {REST}\n").as_bytes()).expect(name);
            let expected = Stat { name: name.into(), state: b'S', cpu_ticks: 12, threads: 3 };
            assert_eq!(stat, expected);
        }
        assert_eq!(Stat::parse(b"24353 (\xff\xfe) R 1"), None, "cut off");
    }

    #[test]
    fn a_call_is_told_only_where_a_thread_waits_in_one() {
        let text = b"0 0x0 0x7ff5618e9000 0x20000 0x7ff56197cb60 0xffffffff 0xffffffffffffffff 0x7fffa428a388 0x7ff561a652ad\n";
        let call = Call::parse(text).expect("a call");
        assert_eq!((call.number, call.args[2], call.args[5]), (0, 0x20000, u64::MAX));
        for none in
            [&b"running\n"[..], b"-1 0x7fffa428a388 0x7ff561a652ad\n", b"0 0x0", b"", b"0 1 2 3 4 5 6"]
        {
            assert_eq!(Call::parse(none), None);
        }
    }

    #[test]
    fn a_pid_inside_is_told_only_for_a_process_of_a_namespace_below() {
        let status = |pids: &str| format!("Name:\tNSpid:\\n\nTgid:\t24353\nNSpid:{pids}\nNSsid:\t1\n");
        assert_eq!(inner_pid(status("\t24353\t3").as_bytes()), Some(3));
        assert_eq!(inner_pid(status("\t24353\t44\t5").as_bytes()), Some(5));
        assert_eq!(inner_pid(status("\t24353").as_bytes()), None);
        assert_eq!(process_of_thread(status("").as_bytes()), Some(24353));
        assert_eq!((inner_pid(b""), process_of_thread(b"")), (None, None));
    }

    proptest! {
        #[test]
        fn no_bytes_upset_a_parser(text: Vec<u8>) {
            let _ = (Stat::parse(&text), Call::parse(&text), inner_pid(&text), process_of_thread(&text));
        }

        #[test]
        fn every_name_comes_back(name in prop::collection::vec(any::<u8>(), 0..16)) {
            let text = [b"1 (", &name[..], b") ", REST.as_bytes()].concat();
            prop_assert_eq!(Stat::parse(&text).map(|stat| stat.name), Some(name));
        }
    }
}
