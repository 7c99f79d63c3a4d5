//! The resolved configuration as a file: every key with its value and meaning. Reading it back gives the same settings.

use std::fmt::Write;
use std::time::Duration;

use kiln_jail::plan::Writes;
use kiln_proto::model::Limits;
use kiln_worker::config::{JailProgramSource, ServerAddress};

use super::Settings;

/// The whole configuration as TOML with comments.
pub(crate) fn to_toml(settings: &Settings) -> String {
    let mut page = Page::default();
    let from = match &settings.path {
        Some(path) => path.display().to_string(),
        None => "no file: all defaults".to_owned(),
    };
    page.remark(&format!("Configuration of kiln, resolved from {from}, the environment and flags."));
    server(&mut page, settings);
    worker(&mut page, settings);
    client(&mut page, settings);
    page.section(
        "limits.default",
        "What applies to a command where neither the client nor its language says.",
    );
    limits(&mut page, &settings.limits.default);
    page.section("limits.maximum", "The most that a client may ask for.");
    limits(&mut page, &settings.limits.maximum);
    profiles(&mut page, settings);
    if !settings.own_languages.is_empty() {
        page.gap();
        page.remark(&format!(
            "[[language]] entries of the file, not repeated here: {}",
            settings.own_languages.join(", ")
        ));
    }
    page.text
}

fn server(page: &mut Page, settings: &Settings) {
    let config = &settings.server;
    page.section("server", "kiln server, and the server of kiln up.");
    let listen: Vec<String> = config.listen.iter().map(|listen| quoted(&listen.to_string())).collect();
    page.key("listen", format!("[{}]", listen.join(", ")), "Unix sockets (mode 0600) and loopback addresses");
    if let Some(data_dir) = &config.data_dir {
        page.key("data_dir", quoted(&data_dir.display().to_string()), "Holds kiln.db and blobs/");
    }
    page.key("queue_max_jobs", config.queue_max_jobs, "Jobs that wait for their first lease");
    page.key("queue_max_bytes", config.queue_max_bytes, "Specifications of unfinished jobs in memory");
    page.key(
        "retention_seconds",
        config.retention.as_secs(),
        "How long finished jobs and their keys are kept",
    );
    page.key("retention_jobs", config.retention_jobs, "How many finished jobs are kept");
    page.key("blob_max_bytes", config.blob_max_bytes, "Largest blob");
    page.key("blob_total_bytes", config.blob_total_bytes, "All blobs together");
    page.key("blob_retention_seconds", config.blob_retention.as_secs(), "How long an unused blob is kept");
    page.key("image_max_bytes", config.image_max_bytes, "Largest image, unpacked");
    page.key("image_max_entries", config.image_max_entries, "Files in one image");
    page.key("max_file_bytes", config.max_file_bytes, "Largest file out that names no maximum of its own");
    page.key("lease_ms", millis(config.lease), "A lease that no heartbeat mentions for this long is over");
    page.key("heartbeat_ms", millis(config.heartbeat), "How often workers send heartbeats");
    page.key("max_attempts", config.max_attempts, "Leases of one step until Kiln gives up on it");
}

fn worker(page: &mut Page, settings: &Settings) {
    let (config, engine) = (&settings.worker, &settings.worker.engine);
    page.section("worker", "kiln worker, and the worker of kiln up.");
    let server = match &config.server {
        ServerAddress::Unix(path) => format!("unix:{}", path.display()),
        ServerAddress::Loopback(uri) => uri.to_string().trim_end_matches('/').to_owned(),
    };
    page.key("server", quoted(&server), "The server to take work from; kiln up uses its own");
    match &settings.worker_file.name {
        Some(name) => page.key("name", quoted(name), "Unique among the server's workers"),
        None => page.unset("name", "Unique among the server's workers: <hostname>-<pid>"),
    }
    page.key("slots", engine.slots, "Steps that run at the same time; without this, one per CPU");
    page.key("data_dir", quoted(&engine.data_dir.display().to_string()), "Images, blob cache and spool");
    match &engine.jail_program {
        JailProgramSource::File(path) => {
            page.key("jail_program", quoted(&path.display().to_string()), "Executed as the jail");
        }
        JailProgramSource::OwnExecutable => page.unset("jail_program", "Executed as the jail: this program"),
    }
    let paths: Vec<_> =
        engine.extra_read_only.iter().map(|path| quoted(&path.display().to_string())).collect();
    page.key("extra_read_only", format!("[{}]", paths.join(", ")), "More of this host in the host image");
    page.key("probe_languages", config.probe_languages, "Find out which languages the host image has");
    let missing: Vec<_> = engine.allow_missing.iter().map(|layer| quoted(layer)).collect();
    page.key(
        "allow_missing",
        format!("[{}]", missing.join(", ")),
        "Layers that this host may lack; see kiln doctor",
    );
    page.key("blob_cache_bytes", engine.blob_cache_bytes, "Blobs kept on disk");
    page.key("image_cache_bytes", engine.image_cache_bytes, "Unpacked images kept on disk");
    page.key(
        "drain_ms",
        millis(config.drain),
        "How long running steps may take to end when the worker stops",
    );
}

fn client(page: &mut Page, settings: &Settings) {
    page.section("client", "run, submit, get, watch, list, cancel ...");
    match &settings.client_server {
        Some(server) => page.key("server", quoted(&server.to_string()), "Where these commands go"),
        None => page.unset(
            "server",
            &format!(
                "Where these commands go: {}; kiln run starts everything inside itself",
                settings.places.socket.display()
            ),
        ),
    }
}

fn limits(page: &mut Page, limits: &Limits) {
    page.key("cpu", quoted(&limits.cpu.exact()), "CPU time of all processes together");
    page.key("wall", quoted(&limits.wall.exact()), "Wall time since the command was executed");
    page.key("memory", quoted(&limits.memory.exact()), "Memory of all processes, written files included");
    page.key("pids", limits.pids.exact(), "Processes and threads at the same time");
    page.key("output", quoted(&limits.output.exact()), "Bytes on stdout, and on stderr, each");
    page.key("file_size", quoted(&limits.file_size.exact()), "Largest file that can be written");
    page.key("disk", quoted(&limits.disk.exact()), "Bytes in all writable places together");
    page.key("inodes", limits.inodes.exact(), "Files and directories in all writable places together");
    page.key("open_files", limits.open_files.exact(), "Open descriptors of one process");
    page.key("stack", quoted(&limits.stack.exact()), "Stack of the main thread");
    page.key("cpu_rate", quoted(&limits.cpu_rate.exact()), "Share of CPUs");
}

fn profiles(page: &mut Page, settings: &Settings) {
    let meaning = "A profile of your own, beside strict, default and build: see docs/profiles.md";
    let file = "Its policy: which system calls are allowed";
    let writes =
        "Where a command may write: work (/work, /tmp, /dev/shm) or root (all of the throwaway root)";
    if settings.profiles.is_empty() {
        page.gap();
        page.remark(meaning);
        page.remark("[profiles.NAME]");
        page.unset("file", file);
        page.unset("writes", writes);
    }
    for profile in &settings.profiles {
        page.section(&format!("profiles.{}", profile.name), meaning);
        let path = std::path::absolute(&profile.file).unwrap_or_else(|_| profile.file.clone());
        page.key("file", quoted(&path.display().to_string()), file);
        let word = match profile.custom.writes {
            Writes::Work => "work",
            Writes::Root => "root",
        };
        page.key("writes", quoted(word), writes);
    }
}

/// A TOML page, written top-down.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn remark(&mut self, text: &str) {
        self.line(&format!("# {text}"));
    }

    fn gap(&mut self) {
        self.line("");
    }

    fn section(&mut self, name: &str, meaning: &str) {
        self.gap();
        self.remark(meaning);
        self.line(&format!("[{name}]"));
    }

    fn key(&mut self, name: &str, value: impl std::fmt::Display, meaning: &str) {
        self.remark(meaning);
        self.line(&format!("{name} = {value}"));
    }

    /// A key whose default no value can say.
    fn unset(&mut self, name: &str, meaning: &str) {
        self.remark(meaning);
        self.line(&format!("# {name} ="));
    }

    fn line(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a String takes everything");
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn millis(duration: Duration) -> u128 {
    duration.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    /// Settings that do not depend on the machine.
    fn settings(text: &str) -> Settings {
        let overrides = Overrides { slots: Some(2), ..Overrides::default() };
        Settings::parse(text, &overrides).expect("the text holds")
    }

    #[test]
    fn the_defaults_are_printed_with_their_meaning() {
        insta::assert_snapshot!(to_toml(&settings("")));
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same() {
        let text = "[server]\nlisten = [\"/a \\\"b.sock\", \"127.0.0.1:7460\"]\nlease_ms = 4000\nheartbeat_ms = 1000\n\
                    [worker]\nserver = \"http://127.0.0.1:7460\"\nname = \"w\"\nextra_read_only = [\"/opt/x\"]\n\
                    [client]\nserver = \"http://127.0.0.1:7460\"\n[limits.default]\ncpu = \"1500ms\"\ncpu_rate = \"50%\"\n";
        let directory = tempfile::tempdir().expect("a temporary directory");
        let policy = directory.path().join("own.json");
        std::fs::write(&policy, r#"{"about": "a", "inherits": "strict", "rules": []}"#)
            .expect("it can be written");
        let own = format!("[profiles.own]\nfile = {:?}\nwrites = \"root\"\n", policy);
        for text in ["", text, &own] {
            let page = to_toml(&settings(text));
            assert_eq!(to_toml(&settings(&page)), page);
        }
    }
}
