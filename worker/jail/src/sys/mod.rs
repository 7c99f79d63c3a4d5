//! The raw system calls that no safe wrapper offers, one file per area.
//!
//! The only place of the whole project with `unsafe`. It must never decide anything: each function is one system
//! call (or one C library call) with typed arguments and an errno.
#![expect(unsafe_code, reason = "raw system calls; every block states its invariant")]

pub(crate) mod clone;
pub(crate) mod landlock;
pub(crate) mod mount;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod seccomp;
