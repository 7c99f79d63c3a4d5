//! The names of signals. The one table there is: outcomes, tables and JSON all read it.

/// Name of a signal, e.g. `SIGSEGV`, where it has one.
pub fn signal_name(signal: i32) -> Option<&'static str> {
    // The numbers of x86_64 and aarch64 (signal(7)).
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    let index = usize::try_from(signal).ok()?.checked_sub(1)?;
    NAMES.get(index).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_names_of_signal_7() {
        let table = [(1, Some("SIGHUP")), (9, Some("SIGKILL")), (11, Some("SIGSEGV")), (31, Some("SIGSYS"))];
        for (number, name) in table {
            assert_eq!(signal_name(number), name);
        }
        for none in [i32::MIN, -1, 0, 32, 64, i32::MAX] {
            assert_eq!(signal_name(none), None, "{none}");
        }
    }
}
