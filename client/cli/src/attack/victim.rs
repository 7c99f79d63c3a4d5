//! The neighbour of every attack: an honest job that does work with a known result and measures itself.

use bytes::Bytes;
use kiln_attacks::VICTIM;
use kiln_proto::v1;

use super::programs::{command_of_the_program, job_of};

const MIB: u64 = 1 << 20;
/// What the service may count beyond what the job saw of itself: its start and its end.
const CPU_SLACK_US: u64 = 60_000;
/// As above, of memory: the page cache of the program.
const MEMORY_SLACK: u64 = 8 * MIB;

/// What it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    checksum: String,
    cpu_us: u64,
    peak_bytes: u64,
    /// Processes that it saw besides its own and its sandbox's first.
    strangers: u64,
}

/// The job.
pub(crate) fn job(program: &str) -> v1::JobSpec {
    let mut command = command_of_the_program(program, VICTIM);
    command.env.push(v1::EnvVar { name: Bytes::from_static(b"LANG"), value: Bytes::from_static(b"C") });
    job_of(command)
}

impl Account {
    /// Reads `sum X cpu_us N peak_kib N seen N`, or says why there is none.
    pub(crate) fn read(result: &v1::CommandResult) -> Result<Account, String> {
        let outcome = result.outcome.clone().unwrap_or_default();
        if outcome.code != Some(0) {
            return Err(format!("the job beside it {}", outcome.sentence.escape_default()));
        }
        let text = result.stdout.as_ref().map(|output| String::from_utf8_lossy(&output.data).into_owned());
        let text = text.unwrap_or_default();
        Account::parse(&text).ok_or_else(|| format!("the job beside it wrote {}", text.escape_default()))
    }

    fn parse(text: &str) -> Option<Account> {
        let mut words = text.strip_suffix('\n')?.split(' ');
        let mut field = |name: &str| (words.next() == Some(name)).then(|| words.next()).flatten();
        let account = Account {
            checksum: field("sum")?.to_owned(),
            cpu_us: field("cpu_us")?.parse().ok()?,
            peak_bytes: field("peak_kib")?.parse::<u64>().ok()? * 1024,
            strangers: field("seen")?.parse().ok()?,
        };
        words.next().is_none().then_some(account)
    }

    /// What differs from the same job alone, and between what it measured and what the service says of it.
    pub(crate) fn complaints(&self, alone: &Account, result: &v1::CommandResult) -> Vec<String> {
        let usage = result.usage.clone().unwrap_or_default();
        let mut complaints = Vec::new();
        if self.checksum != alone.checksum {
            complaints.push("the job beside it computed another result".to_owned());
        }
        if self.strangers > 0 {
            complaints.push(format!("the job beside it saw {} processes of others", self.strangers));
        }
        let told = usage.cpu_user_us.unwrap_or(0) + usage.cpu_system_us.unwrap_or(0);
        if told + CPU_SLACK_US / 4 < self.cpu_us || told > self.cpu_us + self.cpu_us / 2 + CPU_SLACK_US {
            complaints.push(format!(
                "the job beside it used {} µs of CPU by its own clock, and was charged {told} µs",
                self.cpu_us
            ));
        }
        let peak = usage.peak_memory_bytes.unwrap_or(0);
        if peak < 8 * MIB || peak > self.peak_bytes.max(alone.peak_bytes) + MEMORY_SLACK {
            complaints.push(format!(
                "the job beside it had {} bytes in memory, and was charged {peak}",
                self.peak_bytes
            ));
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str, cpu_us: u64, peak: u64) -> v1::CommandResult {
        v1::CommandResult {
            outcome: Some(v1::Outcome {
                kind: v1::OutcomeKind::Exited.into(),
                code: Some(0),
                ..v1::Outcome::default()
            }),
            stdout: Some(v1::Output { data: text.to_owned().into(), ..v1::Output::default() }),
            usage: Some(v1::Usage {
                cpu_user_us: Some(cpu_us),
                cpu_system_us: Some(0),
                peak_memory_bytes: Some(peak),
                ..v1::Usage::default()
            }),
            ..v1::CommandResult::default()
        }
    }

    const RIGHT: &str = "sum 00ff cpu_us 100000 peak_kib 9000 seen 0\n";

    #[test]
    fn a_neighbour_that_noticed_nothing_has_no_complaint() {
        let result = result(RIGHT, 110_000, 10 * MIB);
        let account = Account::read(&result).expect("it is well written");
        assert_eq!(account.complaints(&account.clone(), &result), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_a_neighbour_may_notice_is_a_complaint() {
        let right = result(RIGHT, 110_000, 10 * MIB);
        let alone = Account::read(&right).expect("it is well written");
        for (text, cpu, peak, named) in [
            ("sum 00fe cpu_us 100000 peak_kib 9000 seen 0\n", 110_000, 10 * MIB, "another result"),
            ("sum 00ff cpu_us 100000 peak_kib 9000 seen 1\n", 110_000, 10 * MIB, "processes of others"),
            (RIGHT, 900_000, 10 * MIB, "was charged 900000"),
            (RIGHT, 10_000, 10 * MIB, "was charged 10000"),
            (RIGHT, 110_000, 64 * MIB, "bytes in memory"),
            (RIGHT, 110_000, 0, "bytes in memory"),
        ] {
            let result = result(text, cpu, peak);
            let complaints = Account::read(&result).expect("it is well written").complaints(&alone, &result);
            assert!(complaints.len() == 1 && complaints[0].contains(named), "{named}: {complaints:?}");
        }
    }

    #[test]
    fn a_neighbour_that_did_not_end_well_is_told() {
        for text in [
            "",
            "sum 00ff cpu_us",
            "sum 00ff cpu_us x peak_kib 1 seen 0\n",
            "sum 1 cpu_us 1 peak_kib 1 seen 0 more\n",
        ] {
            assert!(Account::read(&result(text, 0, 0)).is_err(), "{text}");
        }
        let mut killed = result(RIGHT, 0, 0);
        killed.outcome =
            Some(v1::Outcome { sentence: "was killed\u{1b}".to_owned(), ..v1::Outcome::default() });
        assert_eq!(Account::read(&killed), Err("the job beside it was killed\\u{1b}".to_owned()));
    }
}
