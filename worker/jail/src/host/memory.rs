//! Memory: how much there is, and what the kernel does with it unasked. (Swap is the control groups' matter.)

use super::Status::{Advice, Degraded, Ok as Fine};
use super::{Finding, look, read};

/// Below this a worker cannot give one command its usual limits.
const LITTLE_KIB: u64 = 512 * 1024;

pub(super) fn findings() -> Vec<Finding> {
    vec![
        available(read("/proc/meminfo").as_deref().and_then(available_kib)),
        huge_pages(read("/sys/kernel/mm/transparent_hugepage/enabled").as_deref()),
    ]
}

fn available(kib: Option<u64>) -> Finding {
    look("memory", "available memory", "commands' memory, and their files, which are on tmpfs").is(
        if kib.is_some_and(|kib| kib >= LITTLE_KIB) { Fine } else { Degraded },
        kib.map_or("unknown".to_owned(), |kib| format!("{} MiB", kib / 1024)),
        "give the machine more memory, or the worker fewer slots",
    )
}

/// The chosen word is the one in brackets (admin-guide/mm/transhuge.rst).
fn huge_pages(enabled: Option<&str>) -> Finding {
    let looked = look(
        "memory",
        "transparent huge pages",
        "`always` gives a program 2 MiB where it touched a byte: the same program's peak memory differs from run to run",
    );
    let chosen = enabled.and_then(|words| words.split(['[', ']']).nth(1));
    match chosen {
        Some("always") => looked.is(
            Advice,
            "always",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, or boot with transparent_hugepage=madvise",
        ),
        Some(word) => looked.is(Fine, word, ""),
        None => looked.is(Fine, "none in this kernel", ""),
    }
}

fn available_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read() {
        assert_eq!(available_kib("MemTotal: 10 kB\nMemAvailable:   2048 kB\n"), Some(2048));
        assert_eq!(available_kib(""), None);
        assert_eq!(available(Some(LITTLE_KIB)).status, Fine);
        assert_eq!(available(Some(LITTLE_KIB - 1)).status, Degraded);
        assert_eq!((available(None).status, available(None).seen.as_str()), (Degraded, "unknown"));
    }

    #[test]
    fn the_word_in_brackets_is_the_chosen_one() {
        for (text, status, word) in [
            (Some("[always] madvise never"), Advice, "always"),
            (Some("always [madvise] never"), Fine, "madvise"),
            (Some("always madvise [never]"), Fine, "never"),
            (Some("garbage"), Fine, "none in this kernel"),
            (None, Fine, "none in this kernel"),
        ] {
            let finding = huge_pages(text);
            assert_eq!((finding.status, finding.seen.as_str()), (status, word), "{text:?}");
        }
    }
}
