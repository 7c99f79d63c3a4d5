//! The configuration: what the file, the environment and flags say, and what they resolve to.
//!
//! Two stages: [`file::KilnFile`] is what is written, unknown keys refused; [`Settings`] has everything decided. Flags and environment win over the file.

pub(crate) mod file;
pub(crate) mod places;
pub(crate) mod print;
pub(crate) mod profiles;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_client::Address;
use kiln_jail::plan::CustomProfile;
use kiln_proto::language::Table;
use kiln_proto::model::{LimitPolicy, ProfileNames};

use crate::failure::{Failure, with_sources};
use file::KilnFile;
use places::Places;
use profiles::OwnProfile;

/// Read when it exists and nothing else is named.
pub(crate) const DEFAULT_PATH: &str = "/etc/kiln/kiln.toml";
/// What the worker's own data is called below Kiln's data directory.
const WORKER_DIRECTORY: &str = "worker";

/// What flags and environment say about services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) server: Option<Address>,
    pub(crate) listen: Vec<String>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) slots: Option<usize>,
    pub(crate) name: Option<String>,
    /// What holds where nobody says.
    pub(crate) places: Places,
}

/// Everything decided.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The file that was read.
    pub(crate) path: Option<PathBuf>,
    pub(crate) server: kiln_server::config::Config,
    pub(crate) worker: kiln_worker::config::Config,
    /// Where the commands of a client go; `None` where nobody said.
    pub(crate) client_server: Option<Address>,
    pub(crate) limits: LimitPolicy,
    /// Of the file, by name.
    pub(crate) profiles: Vec<OwnProfile>,
    pub(crate) languages: Table,
    /// Names of the languages that the file adds or replaces.
    pub(crate) own_languages: Vec<String>,
    /// The section as written, for workers inside `kiln run` and `kiln bench`.
    pub(crate) worker_file: kiln_worker::config::WorkerFile,
    /// Defaults of this user.
    pub(crate) places: Places,
}

impl Settings {
    /// Reads the file that holds and resolves it.
    pub(crate) fn load(named: Option<&Path>, overrides: &Overrides) -> Result<Settings, Failure> {
        let default = Path::new(DEFAULT_PATH);
        let path = named.or_else(|| default.exists().then_some(default));
        let text = match path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?,
        };
        let directory = path.and_then(Path::parent).unwrap_or(Path::new(""));
        let overrides = Overrides { places: Places::of_this_process()?, ..overrides.clone() };
        let settings = Settings::parse_in(directory, &text, &overrides).map_err(|why| match path {
            Some(path) => Failure::usage(format!("{}: {why}", path.display()))
                .next("`kiln config print` shows every key with its meaning"),
            None if why.starts_with("server.listen") => {
                Failure::usage(why).next("--listen takes unix:PATH or a loopback address, tcp:127.0.0.1:PORT")
            }
            None => Failure::usage(why),
        })?;
        Ok(Settings { path: path.map(Path::to_owned), ..settings })
    }

    /// The custom profiles' names.
    pub(crate) fn profile_names(&self) -> ProfileNames {
        names(&self.profiles)
    }

    /// The custom profiles, for an engine.
    pub(crate) fn own_profiles(&self) -> Arc<[CustomProfile]> {
        own_profiles(&self.profiles)
    }

    #[cfg(test)]
    pub(crate) fn parse(text: &str, overrides: &Overrides) -> Result<Settings, String> {
        Settings::parse_in(Path::new(""), text, overrides)
    }

    /// Resolves the text of a file in a directory, with the profiles it names; the error is a sentence that names the key.
    fn parse_in(directory: &Path, text: &str, overrides: &Overrides) -> Result<Settings, String> {
        let mut file: KilnFile =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        apply(&mut file, overrides);
        let limits = file.limits.unwrap_or_default();
        let own_languages = file.language.iter().map(|language| language.name.clone()).collect();
        let languages = Table::builtin().extend_with(file.language).map_err(|error| with_sources(&error))?;
        let profiles = profiles::resolve(file.profiles, directory)?;
        let server = kiln_server::config::Config::resolve(file.server)
            .map_err(|error| with_sources(&error))?
            .with_limits(limits)
            .with_profiles(names(&profiles));
        let mut worker = kiln_worker::config::Config::resolve(file.worker.clone())
            .map_err(|error| with_sources(&error))?;
        worker.languages = languages.clone();
        worker.engine.limits = limits;
        worker.engine.profiles = own_profiles(&profiles);
        let written = file.client.server.as_deref().map(str::parse::<Address>).transpose();
        let written = written.map_err(|error| format!("client.server: {error}"))?;
        Ok(Settings {
            path: None,
            server,
            worker,
            client_server: overrides.server.clone().or(written),
            limits,
            profiles,
            languages,
            own_languages,
            worker_file: file.worker,
            places: overrides.places.clone(),
        })
    }
}

/// The profiles in the server's words.
fn names(profiles: &[OwnProfile]) -> ProfileNames {
    profiles.iter().map(|profile| profile.name.clone()).collect()
}

/// The profiles in the worker's words.
fn own_profiles(profiles: &[OwnProfile]) -> Arc<[CustomProfile]> {
    profiles.iter().map(|profile| profile.custom.clone()).collect()
}

fn apply(file: &mut KilnFile, overrides: &Overrides) {
    if !overrides.listen.is_empty() {
        file.server.listen = Some(overrides.listen.clone());
    }
    if let Some(data_dir) = &overrides.data_dir {
        file.server.data_dir = Some(data_dir.clone());
        file.worker.data_dir = Some(data_dir.join(WORKER_DIRECTORY));
    }
    if let Some(server) = &overrides.server {
        file.worker.server = Some(server.to_string());
    }
    file.worker.slots = overrides.slots.or(file.worker.slots);
    file.worker.name = overrides.name.clone().or(file.worker.name.take());
    let Places { socket, data_dir } = &overrides.places;
    file.server.listen.get_or_insert_with(|| vec![format!("unix:{}", socket.display())]);
    file.server.data_dir.get_or_insert_with(|| data_dir.clone());
    file.worker.data_dir.get_or_insert_with(|| data_dir.join(WORKER_DIRECTORY));
    file.worker.server.get_or_insert_with(|| format!("unix:{}", socket.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_every_default() {
        let settings = Settings::parse("", &Overrides::default()).expect("the defaults hold");
        assert_eq!(settings.server.data_dir.as_deref(), Some(Path::new("/var/lib/kiln")));
        assert_eq!(settings.client_server, None);
        assert_eq!(settings.limits, LimitPolicy::default());
    }

    #[test]
    fn a_users_places_are_defaults_only() {
        let places = Places { socket: "/u/kiln.sock".into(), data_dir: "/h/kiln".into() };
        let overrides = Overrides { places, ..Overrides::default() };
        let settings = Settings::parse("", &overrides).expect("the defaults hold");
        assert_eq!(settings.server.listen[0].to_string(), "unix:/u/kiln.sock");
        assert_eq!(settings.server.data_dir.as_deref(), Some(Path::new("/h/kiln")));
        assert_eq!(settings.worker.engine.data_dir, Path::new("/h/kiln/worker"));
        assert_eq!(settings.worker.server, kiln_worker::config::ServerAddress::Unix("/u/kiln.sock".into()));
        let text = "[server]\nlisten = [\"/a.sock\"]\ndata_dir = \"/a\"\n[worker]\ndata_dir = \"/w\"\n";
        let settings = Settings::parse(text, &overrides).expect("the file holds");
        assert_eq!(settings.server.listen[0].to_string(), "unix:/a.sock");
        assert_eq!(settings.worker.engine.data_dir, Path::new("/w"));
    }

    #[test]
    fn flags_and_environment_win_over_the_file() {
        let text = "[server]\nlisten = [\"/a.sock\"]\ndata_dir = \"/a\"\n[worker]\nslots = 3\nserver = \"unix:/a.sock\"\n\
                    [client]\nserver = \"unix:/a.sock\"\n";
        let overrides = Overrides {
            server: Some("unix:/b.sock".parse().expect("an address")),
            listen: vec!["/b.sock".to_owned()],
            data_dir: Some("/b".into()),
            slots: Some(5),
            name: Some("me".to_owned()),
            places: Places::default(),
        };
        let settings = Settings::parse(text, &overrides).expect("both hold");
        assert_eq!(settings.server.listen[0].to_string(), "unix:/b.sock");
        assert_eq!(settings.worker.engine.data_dir, Path::new("/b/worker"));
        assert_eq!((settings.worker.engine.slots.get(), settings.worker.name.as_str()), (5, "me"));
        assert_eq!(
            settings.client_server.map(|address| address.to_string()),
            Some("unix:/b.sock".to_owned())
        );
    }

    #[test]
    fn unknown_keys_and_values_that_do_not_hold_name_themselves() {
        let table = [
            ("[server]\nlisten_on = []", "listen_on"),
            ("[workers]\n", "workers"),
            ("[client]\nurl = \"x\"", "url"),
            ("[server]\nlisten = [\"0.0.0.0:80\"]", "server.listen"),
            ("[worker]\nslots = 0", "worker.slots"),
            ("[client]\nserver = \"nowhere\"", "client.server"),
            ("[limits.default]\ncpu = \"2h\"", "limits.default.cpu"),
            ("[limits.maximum]\ncpu = 5", "has no unit"),
            ("[[language]]\nname = \"x\"", "missing field"),
            ("[server", "TOML parse error"),
        ];
        for (text, named) in table {
            let error = Settings::parse(text, &Overrides::default()).expect_err(text);
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_wrong_usage() {
        let failure = Settings::load(Some(Path::new("/nowhere/kiln.toml")), &Overrides::default())
            .expect_err("there is none");
        assert_eq!(failure.exit, crate::exit::USAGE);
    }
}
