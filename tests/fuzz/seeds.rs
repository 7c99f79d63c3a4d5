//! Writes the seed corpora anew: one small valid input, and a few near misses, for each target.
//!
//! `cargo run --bin seeds` here, after a type that is fuzzed has changed.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;

use kiln_jail::plan::{CustomProfile, FileIn, FileOut, Limits, Owner, Part, Plan, Profile, Rootfs, Way, Writes};
use kiln_jail::report::Failure;
use kiln_jail::wire::{FilterUse, KillReason, Reply, Request, Setup};
use kiln_proto::v1;
use prost::Message;
use serde::Serialize;

fn main() -> std::io::Result<()> {
    save("spec", "two-steps", &spec().encode_to_vec())?;
    for (name, result) in results() {
        save("result", name, &result.encode_to_vec())?;
    }
    save("archive", "files-and-links.tar", &archive())?;
    save("config", "every-section.toml", CONFIG.as_bytes())?;
    save("plan", "every-field", &postcard(&plan()))?;
    for (name, frame) in frames() {
        save("jail_socket", name, &frame)?;
    }
    // The variants of handshake::Message, which is private: its number, then its fields.
    let failed = Failure { step: "landlock".to_owned(), errno: 1, detail: "refused".to_owned() };
    let messages = [vec![0], vec![1, 1, 6], [vec![2], postcard(&failed)].concat(), vec![3, 4], vec![4, 4]];
    for (number, message) in messages.iter().enumerate() {
        save("handshake", &format!("message-{number}"), message)?;
    }
    for (name, text) in KERNEL_TEXTS {
        save("kernel_text", name, text.as_bytes())?;
    }
    for (name, text) in PROCESS_TEXTS {
        save("process_text", name, text.as_bytes())?;
    }
    save("profile", "conditions.json", PROFILE.as_bytes())
}

fn save(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join(name), bytes)
}

fn postcard<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain data")
}

fn spec() -> v1::JobSpec {
    let inline =
        |bytes: &'static str| v1::Content { source: Some(v1::content::Source::Inline(bytes.into())) };
    let output = v1::StepOutput {
        step: "compile".to_owned(),
        command: String::new(),
        what: Some(v1::step_output::What::File("/work/a.out".into())),
    };
    let compile = v1::Command {
        argv: vec!["/usr/bin/cc".into(), "/work/a.c".into()],
        env: vec![v1::EnvVar { name: "PATH".into(), value: "/usr/bin".into() }],
        files_in: vec![v1::FileIn {
            path: "/work/a.c".into(),
            content: Some(inline("main(){}")),
            executable: false,
        }],
        files_out: vec![v1::FileOut {
            path: "/work/a.out".into(),
            optional: false,
            max_bytes: Some(1 << 20),
        }],
        profile: "build".to_owned(),
        ..v1::Command::default()
    };
    let run = v1::Command {
        name: "run".to_owned(),
        argv: vec!["/work/a.out".into()],
        stdin: Some(inline("1 2\n")),
        files_in: vec![v1::FileIn {
            path: "/work/a.out".into(),
            content: Some(v1::Content { source: Some(v1::content::Source::OutputOf(output)) }),
            executable: true,
        }],
        limits: Some(v1::Limits {
            cpu_ms: Some(1000),
            memory_bytes: Some(64 << 20),
            ..v1::Limits::default()
        }),
        ..v1::Command::default()
    };
    let reader = v1::Command { name: "read".to_owned(), argv: vec!["cat".into()], ..v1::Command::default() };
    v1::JobSpec {
        steps: vec![
            v1::Step { name: "compile".to_owned(), commands: vec![compile], ..v1::Step::default() },
            v1::Step {
                name: "run".to_owned(),
                needs: vec!["compile".to_owned()],
                commands: vec![run, reader],
                pipes: vec![v1::Pipe { from: "run".to_owned(), to: "read".to_owned() }],
            },
        ],
        labels: [("team".to_owned(), "a".to_owned())].into(),
        ..v1::JobSpec::default()
    }
}

fn results() -> [(&'static str, v1::CommandResult); 4] {
    let result = |outcome: v1::Outcome| v1::CommandResult {
        name: "main".to_owned(),
        outcome: Some(outcome),
        usage: Some(v1::Usage { cpu_user_us: Some(5), wall_us: Some(9), ..v1::Usage::default() }),
        stdout: Some(v1::Output { data: "out".into(), size_bytes: 3, ..v1::Output::default() }),
        stderr: Some(v1::Output::default()),
        ..v1::CommandResult::default()
    };
    let kind = |kind: v1::OutcomeKind| v1::Outcome { kind: kind.into(), ..v1::Outcome::default() };
    [
        ("exited", result(v1::Outcome { code: Some(3), ..kind(v1::OutcomeKind::Exited) })),
        (
            "limit",
            result(v1::Outcome {
                limit: v1::LimitName::Memory.into(),
                limit_value: Some(64),
                seen_value: Some(64),
                evidence: Some(v1::Evidence { oom_kills: Some(1), ..v1::Evidence::default() }),
                ..kind(v1::OutcomeKind::Limit)
            }),
        ),
        (
            "forbidden",
            result(v1::Outcome {
                syscall: "ptrace".to_owned(),
                syscall_args: vec![16, 1, 0, 0, 0, 0],
                ..kind(v1::OutcomeKind::Forbidden)
            }),
        ),
        (
            "infrastructure",
            result(v1::Outcome {
                infrastructure_step: "mount_proc".to_owned(),
                infrastructure_errno: Some(1),
                ..kind(v1::OutcomeKind::Infrastructure)
            }),
        ),
    ]
}

fn archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut entry = |name: &str, kind: tar::EntryType, link: Option<&str>, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).expect("a short name");
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        if let Some(link) = link {
            header.set_link_name(link).expect("a short name");
        }
        header.set_cksum();
        archive.append(&header, content).expect("memory");
    };
    entry("bin/", tar::EntryType::Directory, None, b"");
    entry("bin/sh", tar::EntryType::Regular, None, b"#!");
    entry("bin/ash", tar::EntryType::Symlink, Some("sh"), b"");
    entry("bin/hard", tar::EntryType::Link, Some("bin/sh"), b"");
    archive.into_inner().expect("memory")
}

fn plan() -> Plan {
    let count = |value: u64| NonZeroU64::new(value).expect("not zero");
    Plan {
        argv: vec![b"/bin/cat".to_vec(), b"in".to_vec()],
        env: vec![(b"LANG".to_vec(), b"C".to_vec())],
        cwd: b"/work".to_vec(),
        rootfs: Rootfs {
            parts: vec![
                Part { source: b"/run/kiln/root".to_vec(), target: b"/".to_vec() },
                Part { source: b"/usr".to_vec(), target: b"/usr".to_vec() },
            ],
        },
        limits: Limits {
            cpu_us: count(1_000_000),
            wall_us: count(2_000_000),
            memory_bytes: count(64 << 20),
            pids: count(16),
            output_bytes: count(1 << 20),
            file_size_bytes: count(16 << 20),
            disk_bytes: count(32 << 20),
            inodes: count(1000),
            open_files: count(64),
            stack_bytes: count(8 << 20),
            cpu_rate_millis: NonZeroU32::new(1000).expect("not zero"),
        },
        profile: Profile::Default,
        files_in: vec![
            FileIn {
                path: b"/work/in".to_vec(),
                way: Way::Copied { mode: 0o644, owner: Owner::Command },
            },
            FileIn { path: b"/work/large".to_vec(), way: Way::Shown { name: b"blake3-00".to_vec() } },
        ],
        shown_from: Some(b"/var/lib/kiln/blobs".to_vec()),
        files_out: vec![FileOut { path: b"/work/out".to_vec(), max_bytes: count(1 << 20) }],
    }
}

/// Two bytes for the target itself, then the frame: 0 and the message, or 1 where a memfd holds it.
fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let inline = |message: Vec<u8>| [vec![0, 0, 0], message].concat();
    let setup = Setup {
        jail: 1,
        cgroup_name: "kiln-1".to_owned(),
        cpus: vec![0, 1],
        uid_base: 1_879_048_192,
        allow_missing: vec!["landlock".to_owned()],
        profiles: vec![CustomProfile {
            name: "own".to_owned(),
            writes: Writes::Root,
            policy: PROFILE.to_owned(),
        }],
        filters: FilterUse::Required,
    };
    vec![
        ("configure", inline(postcard(&Request::Configure(setup)))),
        ("run", [inline(postcard(&Request::Run(Box::new(plan())))), vec![0]].concat()),
        ("kill", inline(postcard(&Request::Kill(KillReason::OutputLimit { seen: 9 })))),
        ("started", inline(postcard(&Reply::Started { unix_us: 1 }))),
        ("in-a-memfd", vec![1, 0, 1]),
        ("not-a-memfd", vec![1, 1, 1]),
    ]
}

const CONFIG: &str = "\
[server]
listen = [\"unix:/run/kiln/kiln.sock\", \"127.0.0.1:7700\"]
queue_max_jobs = 100
[worker]
slots = 2
extra_read_only = [\"/opt\"]
allow_missing = [\"landlock\"]
[limits.default]
cpu = \"10s\"
memory = \"256M\"
[limits.maximum]
wall = \"5m\"
[[language]]
name = \"awk\"
extensions = [\"awk\"]
source = \"prog.awk\"
run = [\"/usr/bin/awk\", \"-f\", \"{source}\"]
version = [\"/usr/bin/awk\", \"--version\"]
";

const KERNEL_TEXTS: [(&str, &str); 5] = [
    (
        "mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
         36 31 0:33 /docker/abc /mnt/with\\040space rw shared:9 master:2 - cgroup cgroup rw,devices\n\
         41 31 0:38 /../.. /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n",
    ),
    ("self-cgroup", "4:memory:/x\n0::/system.slice/kiln.service\n"),
    ("controllers", "cpuset cpu io memory pids\n"),
    ("cpu-stat", "usage_usec 10\nuser_usec 4\nsystem_usec 6\nnr_throttled 1\nthrottled_usec 2\n"),
    ("io-stat", "8:0 rbytes=1 wbytes=2 rios=1\n8:16 Read 3\n8:16 Write 4\n"),
];

const PROCESS_TEXTS: [(&str, &str); 5] = [
    ("stat", "7 (a) S (b\n) S 24350 24340 19735 0 -1 4194304 114 0 0 0 7 5 0 0 20 0 3 0 73187 3133440 360"),
    ("syscall", "0 0x0 0x7ffd 0x1000 0x0 0x0 0x0 0x7ffd 0x7f00\n"),
    ("status", "Name:\tx\\n\nTgid:\t9\nNSpid:\t9\t3\n"),
    (
        "oom-kill",
        "6,499,1,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/kiln-1/0-1,task_memcg=/kiln-1/0-1,task=a\\x20b,pid=7,uid=1\n",
    ),
    (
        "segfault",
        "6,500,1,-;a[7]: segfault at 7ffd00000000 ip 0000000000401136 sp 00007ffd00000010 error 6 in a[401000+1000]\n",
    ),
];

const PROFILE: &str = r#"{
  "about": "A database.",
  "inherits": "strict",
  "rules": [
    {"calls": ["fcntl"], "when": [{"argument": 1, "mask": "0xff", "is": ["F_SETLK", "7"]}], "answer": "allow", "reason": "Locks."},
    {"calls": ["sched_setaffinity"], "answer": {"error": "EPERM"}, "reason": "It copes."}
  ]
}"#;
