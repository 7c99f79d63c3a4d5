//! The readers over what a 6.18 kernel told of real sandboxes, each thing spoilt in turn.

use super::*;

const STATUS: &str = "\
Name:\tkiln-jail
Umask:\t0022
Uid:\t1879049192\t1879049192\t1879049192\t1879049192
Gid:\t1879049192\t1879049192\t1879049192\t1879049192
FDSize:\t64
Groups:\t
NStgid:\t4711\t2
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapBnd:\t0000000000000000
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t1
";
const OWN: &str = "Seccomp:\t0\nSeccomp_filters:\t0\n";

const MOUNTINFO: &str = "\
91 90 0:55 / / ro,nosuid,nodev,relatime - overlay overlay ro,lowerdir=/scratch/upper0:/scratch/lower0,redirect_dir=nofollow
92 91 0:56 / /usr ro,nosuid,nodev,relatime - overlay overlay ro,lowerdir=/scratch/lower1:/empty
93 91 0:50 /dev /dev ro,nosuid,noexec,relatime - tmpfs tmpfs rw,size=65536k
94 93 0:50 /shm /dev/shm rw,nosuid,nodev,relatime - tmpfs tmpfs rw,size=65536k
95 91 0:50 /work /work rw,nosuid,nodev,relatime - tmpfs tmpfs rw,size=65536k
96 91 0:60 / /proc ro,nosuid,nodev,noexec,relatime - proc proc ro,hidepid=invisible,subset=pid
";

fn step(result: Result<(), Failure>) -> String {
    result.map_or_else(|failure| failure.step, |()| "fine".to_owned())
}

#[test]
fn privileges_that_were_kept_are_named() {
    let of = |from: &str, to: &str| {
        assert!(STATUS.contains(from), "{from}");
        step(privileges(&STATUS.replacen(from, to, 1), 1_879_049_192, Whose::Command))
    };
    assert_eq!(of("Name", "Name"), "fine");
    for (from, to, named) in [
        ("Uid:\t1879049192", "Uid:\t0", "set_ids"),
        (
            "Uid:\t1879049192\t1879049192\t1879049192\t1879049192",
            "Uid:\t1879049192\t1879049192\t1879049192\t0",
            "set_ids",
        ),
        ("Uid:\t1879049192\t1879049192\t1879049192\t1879049192", "Uid:\t1879049192", "set_ids"),
        ("Gid:\t1879049192", "Gid:\t0", "set_ids"),
        ("Groups:\t", "Groups:\t0 27", "set_ids"),
        ("CapInh:\t0", "CapInh:\t8", "capabilities"),
        ("CapPrm:\t0", "CapPrm:\t8", "capabilities"),
        ("CapEff:\t0000000000000000", "CapEff:\t000001ffffffffff", "capabilities"),
        ("CapEff:\t0000000000000000", "CapEff:\t", "capabilities"),
        ("CapBnd:\t0", "CapBnd:\t8", "bounding_set"),
        ("CapAmb:\t0", "CapAmb:\t8", "capabilities"),
        ("NoNewPrivs:\t1", "NoNewPrivs:\t0", "no_new_privs"),
        ("NoNewPrivs:\t1\n", "", "no_new_privs"),
    ] {
        assert_eq!(of(from, to), named, "{from:?} -> {to:?}");
    }
}

#[test]
fn a_filter_that_is_none_is_named() {
    assert_eq!(filters(STATUS, OWN, LISTENER), Ok(()));
    assert_eq!(filters("Seccomp:\t2\n", "Seccomp:\t0\n", LISTENER), Ok(()), "5.8 does not count them");
    let around_both = "Seccomp:\t2\nSeccomp_filters:\t1\n";
    for (status, own, listener) in [
        ("Seccomp:\t0\n", OWN, LISTENER),
        ("", OWN, LISTENER),
        (STATUS, around_both, LISTENER),
        (STATUS, OWN, "pipe:[4711]"),
        (STATUS, OWN, ""),
    ] {
        assert_eq!(step(filters(status, own, listener)), "seccomp", "{status:?} {listener}");
    }
}

#[test]
fn a_namespace_that_is_the_jails_own_is_named() {
    let ours = NAMESPACES.map(|(kind, _)| format!("{kind}:[1]"));
    let theirs = NAMESPACES.map(|(kind, _)| format!("{kind}:[2]"));
    assert_eq!(namespaces(&theirs, &ours, Whose::Command), Ok(()));
    for (index, (_, name)) in NAMESPACES.iter().enumerate() {
        let mut shared = theirs.clone();
        shared[index].clone_from(&ours[index]);
        let failure = namespaces(&shared, &ours, Whose::Init).unwrap_err();
        assert_eq!(failure.detail, format!("the sandbox's init is in the jail's own {name} namespace"));
    }
}

#[test]
fn a_group_that_was_not_joined_is_named() {
    let v1 = "9:name=systemd:/\n8:pids:/kiln-7/0-1\n4:memory:/kiln-7/0-1\n2:cpu,cpuacct:/outer/kiln-7/0-1\n0::/kiln-7/0-1\n";
    assert_eq!(groups(v1, Version::V1, "kiln-7/0-1"), Ok(()));
    assert_eq!(groups("0::/a/kiln-7/0-1\n", Version::V2, "kiln-7/0-1"), Ok(()));
    for (from, to) in [
        ("8:pids:/kiln-7/0-1", "8:pids:/"),
        ("4:memory:/kiln-7/0-1", "4:memory:/kiln-7/0-10"),
        ("4:memory:/kiln-7/0-1\n", ""),
        ("cpu,cpuacct:/outer/kiln-7/0-1", "cpu,cpuacct:/outer"),
    ] {
        assert_eq!(step(groups(&v1.replace(from, to), Version::V1, "kiln-7/0-1")), "join_cgroup", "{to}");
    }
    assert_eq!(step(groups("0::/\n", Version::V2, "kiln-7/0-1")), "join_cgroup");
    assert_eq!(step(groups("", Version::V2, "kiln-7/0-1")), "join_cgroup");
}

#[test]
fn a_mount_that_is_not_as_it_was_made_is_named() {
    let of = |from: &str, to: &str, writes| {
        assert!(MOUNTINFO.contains(from), "{from}");
        step(mounts(&MOUNTINFO.replacen(from, to, 1), writes))
    };
    assert_eq!(of("91", "91", Writes::Work), "fine");
    for (from, to, named) in [
        ("/ / ro,nosuid", "/ / rw,nosuid", "mount_overlay"),
        ("/ / ro,nosuid,nodev", "/ / ro,nodev", "mount_overlay"),
        ("overlay overlay ro,lowerdir=/scratch/upper0", "tmpfs tmpfs rw,x=", "pivot_root"),
        ("/ /usr ro,", "/ / ro,", "pivot_root"),
        ("- tmpfs tmpfs", "- ext4 /dev/vda", "pivot_root"),
        ("/dev ro,nosuid", "/dev rw,nosuid", "tmpfs"),
        ("/work rw,nosuid,nodev", "/work rw,nosuid", "tmpfs"),
        ("/proc ro,", "/proc rw,", "mount_proc"),
        (",subset=pid", "", "mount_proc"),
        ("hidepid=invisible", "hidepid=off", "mount_proc"),
        ("91 90 0:55 / / ro", "91", "rootfs"),
    ] {
        assert_eq!(of(from, to, Writes::Work), named, "{from:?} -> {to:?}");
    }
    assert_eq!(of("/ / ro,nosuid", "/ / rw,nosuid", Writes::Root), "fine", "it may write in its root");
    assert_eq!(step(mounts("", Writes::Root)), "pivot_root");
}

#[test]
fn descriptors_and_sessions_are_looked_at() {
    assert_eq!(descriptors(&[(0, 0), (1, 1), (2, 0o102_001), (7, 0o2_000_002)]), Ok(()));
    assert_eq!(step(descriptors(&[(0, 0), (5, 0o100_002)])), "close_range");
    assert_eq!(flags("pos:\t0\nflags:\t02000002\nmnt_id:\t16\n"), Ok(0o2_000_002));
    assert!(flags("pos:\t0\n").is_err());
    assert_eq!(of_init(1), Ok(()));
    assert_eq!(step(of_init(2)), "init_shed");
    assert_eq!(session("4711 (kiln) jail) S 4700 4711 4711 0 -1"), Ok(()));
    assert_eq!(step(session("4711 (kiln-jail) S 4700 4700 4700 0 -1")), "setsid");
    assert_eq!(step(session("")), "setsid");
}

/// As root of a user namespace each device is a mount of its own, and nothing else of the host is.
#[test]
fn devices_of_the_host_are_five_and_confined() {
    let confined = Standing::NamespaceRoot { owner: 1000 };
    let device = |name: &str, options: &str| {
        format!("75 74 0:6 /{name} /dev/{name} {options} - devtmpfs devtmpfs rw,mode=755\n")
    };
    let all: String = DEVICES.iter().map(|(name, ..)| device(name, "ro,nosuid,noexec,relatime")).collect();
    let proc = "58 65 0:44 / /proc ro,nosuid,nodev - proc none rw,hidepid=invisible,subset=pid\n";
    assert_eq!(own_mounts(&format!("{all}{proc}"), confined).as_deref(), Ok(proc));
    let step = |table: &str| own_mounts(table, confined).map_err(|failure| (failure.step, failure.detail));
    let writable = all.replacen("ro,nosuid", "rw,nosuid", 1);
    assert!(step(&writable).is_err_and(|(step, detail)| step == "dev" && detail.contains("without ro")));
    let none = all.lines().skip(1).collect::<Vec<_>>().join("\n");
    assert!(step(&none).is_err_and(|(_, detail)| detail == "nothing is mounted at /dev/null"));
    let more = own_mounts(&format!("{all}{}", device("kmsg", "ro,nosuid,noexec")), confined).unwrap();
    assert!(
        mounts(&more, Writes::Work).is_err_and(|failure| failure.detail.contains("devtmpfs of the host"))
    );
    assert_eq!(own_mounts(&all, Standing::HostRoot).as_deref(), Ok(all.as_str()), "root makes its own");
}

#[test]
fn an_init_that_may_have_something_is_named() {
    let row = |name: &str, value: &str| format!("{name:<25} {value:<20} {value:<20} units\n");
    let rows = [
        "Max processes",
        "Max open files",
        "Max file size",
        "Max locked memory",
        "Max data size",
        "Max address space",
    ];
    let nothing: String = rows.iter().map(|name| row(name, "0")).collect();
    assert_eq!(rlimits::first_that_init_has(&nothing), None);
    for name in rows {
        let limits = nothing.replace(&row(name, "0"), &row(name, "unlimited"));
        assert_eq!(rlimits::first_that_init_has(&limits), Some(name));
    }
    assert_eq!(rlimits::first_that_init_has(""), Some("Max processes"));
}
