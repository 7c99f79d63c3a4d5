//! The program that runs as the jail, copied once into a sealed memfd.
//!
//! Nothing a job does can reach or change the file it came from (runc's CVE-2019-5736), and an upgrade of the
//! executable on disk does not mix two versions in one worker.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, SealFlags};

use crate::config::JailProgramSource;

/// A sealed, executable copy.
#[derive(Debug)]
pub(crate) struct JailProgram {
    memfd: OwnedFd,
}

/// Why there is no program to run as the jail.
#[derive(Debug, thiserror::Error)]
pub enum JailProgramError {
    #[error("open the jail program {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error(
        "copy the jail program into memory; fix: let the worker make memfds (memfd_create, Linux 3.17 or later)"
    )]
    Copy { source: io::Error },
    #[error("seal the copy of the jail program; fix: let the worker seal memfds (fcntl F_ADD_SEALS)")]
    Seal { source: io::Error },
    #[error(
        "the kernel took the seals of the jail program's copy and holds none; fix: nothing around the worker may answer in the \
         kernel's place (containers: --security-opt seccomp=unconfined)"
    )]
    NotSealed,
}

impl JailProgram {
    /// Copies and seals. Blocks for as long as reading the file takes.
    pub(crate) fn seal(source: &JailProgramSource) -> Result<Self, JailProgramError> {
        let path = match source {
            JailProgramSource::OwnExecutable => Path::new("/proc/self/exe"),
            JailProgramSource::File(path) => path,
        };
        let mut program =
            File::open(path).map_err(|source| JailProgramError::Open { path: path.to_owned(), source })?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memfd = rustix::fs::memfd_create("kiln-jail", flags)
            .map_err(|errno| JailProgramError::Copy { source: errno.into() })?;
        let mut copy = File::from(memfd);
        io::copy(&mut program, &mut copy).map_err(|source| JailProgramError::Copy { source })?;
        rustix::fs::fchmod(&copy, rustix::fs::Mode::from_raw_mode(0o500))
            .map_err(|errno| JailProgramError::Seal { source: errno.into() })?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        let sealed = rustix::fs::fcntl_add_seals(&copy, seals)
            .and_then(|()| rustix::fs::fcntl_get_seals(&copy))
            .map_err(|errno| JailProgramError::Seal { source: errno.into() })?;
        if !sealed.contains(seals) {
            return Err(JailProgramError::NotSealed);
        }
        Ok(Self { memfd: copy.into() })
    }

    /// Names the copy for exec in a child of this process: the link is resolved before close-on-exec acts.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.memfd.as_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_runs_and_cannot_be_written() {
        let program = JailProgram::seal(&JailProgramSource::File("/bin/true".into())).unwrap();
        assert!(std::process::Command::new(program.path()).status().unwrap().success());
        let write = rustix::io::write(&program.memfd, b"x").unwrap_err();
        assert_eq!(write, rustix::io::Errno::PERM);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = JailProgram::seal(&JailProgramSource::File("/nowhere/kiln".into())).unwrap_err();
        assert!(error.to_string().contains("/nowhere/kiln"));
    }
}
