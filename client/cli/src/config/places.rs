//! Where Kiln's socket and data are when nobody says otherwise: the system's places for root, the user's own for anybody else.
//!
//! The one place that decides this. It looks at who this process is and at the environment's XDG_RUNTIME_DIR,
//! XDG_DATA_HOME and HOME; it makes nothing.

use std::path::{Path, PathBuf};

use kiln_client::Address;
use kiln_jail::runtime_directory;
use kiln_jail::standing::Standing;
use kiln_server::config::{DEFAULT_DATA_DIR, DEFAULT_SOCKET};

use crate::failure::Failure;

/// Defaults of this process' user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) socket: PathBuf,
    pub(crate) data_dir: PathBuf,
}

/// Root's.
impl Default for Places {
    fn default() -> Places {
        Places { socket: DEFAULT_SOCKET.into(), data_dir: DEFAULT_DATA_DIR.into() }
    }
}

impl Places {
    /// Those of whoever this is.
    pub(crate) fn of_this_process() -> Result<Places, Failure> {
        let standing = Standing::of_this_process()
            .map_err(|error| Failure::caused("cannot find out whose root this is", &error))?;
        let runtime = runtime_directory::of(standing)
            .map_err(|error| Failure::caused("cannot find a place for sockets", &error))?;
        if runtime == Path::new(runtime_directory::OF_ROOT) {
            return Ok(Places::default());
        }
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        Ok(Places::of_user(&runtime, path("XDG_DATA_HOME"), path("HOME")))
    }

    /// The XDG base directories; relative ones do not count. Without any home everything is where the socket is.
    fn of_user(runtime: &Path, data_home: Option<PathBuf>, home: Option<PathBuf>) -> Places {
        let absolute = |path: &PathBuf| path.is_absolute();
        let data_home =
            data_home.filter(absolute).or_else(|| Some(home.filter(absolute)?.join(".local/share")));
        Places {
            socket: runtime.join("kiln.sock"),
            data_dir: data_home.map_or_else(|| runtime.join("data"), |home| home.join("kiln")),
        }
    }

    /// Sockets and locks.
    pub(crate) fn runtime_directory(&self) -> &Path {
        self.socket.parent().unwrap_or(Path::new("/"))
    }

    /// Where a client goes: to this user's own server, or to the system's where there is only that one.
    pub(crate) fn server(&self) -> Address {
        let systems = Path::new(DEFAULT_SOCKET);
        let socket = if !self.socket.exists() && systems.exists() { systems } else { &self.socket };
        Address::Unix(socket.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_places_follow_the_base_directories() {
        let places = |data_home: Option<&str>, home: Option<&str>| {
            Places::of_user(
                Path::new("/run/user/7/kiln"),
                data_home.map(PathBuf::from),
                home.map(PathBuf::from),
            )
        };
        let of_home = places(None, Some("/home/me"));
        assert_eq!(of_home.socket, Path::new("/run/user/7/kiln/kiln.sock"));
        assert_eq!(of_home.data_dir, Path::new("/home/me/.local/share/kiln"));
        assert_eq!(places(Some("/data"), Some("/home/me")).data_dir, Path::new("/data/kiln"));
        assert_eq!(places(Some("relative"), Some("/home/me")), of_home);
        assert_eq!(places(None, None).data_dir, Path::new("/run/user/7/kiln/data"));
    }
}
