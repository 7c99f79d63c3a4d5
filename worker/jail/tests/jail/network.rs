//! The empty network that a jail keeps for its commands, one after another, and when it does not.

use kiln_jail::plan::{CustomProfile, Profile, Writes};

use crate::harness::{Jail, Job};

/// The network namespace that a command of this profile is in.
fn network_of(jail: &Jail, profile: Profile) -> String {
    jail.run(Job::new(&["/bin/readlink", "/proc/self/ns/net"]).profile(profile)).succeeded().trim().to_owned()
}

fn network_of_process(pid: u32) -> String {
    let link = std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("a process that lives");
    link.to_string_lossy().into_owned()
}

#[test]
fn commands_have_one_that_is_neither_the_hosts_nor_the_jails() {
    let jail = Jail::start();
    let kept = network_of(&jail, Profile::Default);
    for profile in [Profile::Strict, Profile::Build, Profile::Default] {
        assert_eq!(network_of(&jail, profile), kept);
    }
    let other = Jail::start();
    let others = [
        network_of_process(std::process::id()),
        network_of_process(jail.process.id()),
        network_of(&other, Profile::Default),
    ];
    assert!(!others.contains(&kept), "{kept} is one of {others:?}");
}

/// A socket that is in flight in a cycle of sockets is nobody's, and stays until the kernel looks for such (unix(7), "BUGS").
#[test]
fn the_kept_one_is_given_up_where_a_socket_was_left_in_it() {
    let jail = Jail::start();
    let kept = network_of(&jail, Profile::Default);
    // Sockets that are closed, whatever was done with them, leave nothing.
    let clean = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0name'); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect('\\0name')";
    jail.run(Job::new(&["/usr/bin/python3", "-c", clean])).succeeded();
    assert_eq!(network_of(&jail, Profile::Default), kept);
    let cycle = "import array, socket
server = socket.socket(socket.AF_UNIX); server.bind('\\0name'); server.listen()
pair = socket.socketpair()
for end, passed in [(0, server), (0, pair[0]), (1, pair[1])]:
    pair[end].sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [passed.fileno()]))])";
    for _ in 0..3 {
        jail.run(Job::new(&["/usr/bin/python3", "-c", cycle])).succeeded();
        let answers = "import socket
try: socket.socket(socket.AF_UNIX).connect('\\0name'); print('answers')
except ConnectionRefusedError: print('nobody')";
        assert_eq!(jail.run(Job::new(&["/usr/bin/python3", "-c", answers])).succeeded(), "nobody\n");
    }
    assert_ne!(network_of(&jail, Profile::Default), kept);
}

#[test]
fn a_profile_of_the_operators_has_one_of_its_own_each_time() {
    let policy = r#"{"about": "a", "inherits": "default", "rules": [{"calls": ["socket"], "when": [{"argument": 0, "is": ["AF_INET"]}], "answer": "allow", "reason": "r"}]}"#;
    let own = CustomProfile { name: "own".to_owned(), writes: Writes::Work, policy: policy.to_owned() };
    let jail = Jail::start_with(vec![own]);
    let custom = || Profile::Custom { name: "own".to_owned(), writes: Writes::Work };
    let kept = network_of(&jail, Profile::Default);
    let bind = "import os, socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 4000)); print(os.readlink('/proc/self/ns/net'))";
    for _ in 0..2 {
        let ran = jail.run(Job::new(&["/usr/bin/python3", "-c", bind]).profile(custom()));
        assert_ne!(ran.succeeded().trim(), kept);
    }
    assert_eq!(network_of(&jail, Profile::Default), kept);
}
