//! The `kiln` binary: command line, configuration, and what people and programs see.
//!
//! `main` looks at its own name before anything else: executed as `kiln-jail` this is the jail, and as `kiln-rootless` an ordinary
//! user's process on its way to be root of a user namespace. Both must have no thread and no runtime.

mod attack;
mod bench;
mod cli;
mod commands;
mod config;
mod contents;
mod context;
mod embedded;
mod exit;
mod explain;
mod failure;
mod files_out;
mod flags;
mod found_languages;
mod json;
mod learn;
mod nearest;
mod output;
mod own_service;
mod present;
mod private_runner;
mod program;
mod services;
mod signals;

use std::ffi::OsString;
use std::process::ExitCode;

use cli::Arguments;
use failure::Failure;
use kiln_jail::rootless;
use output::Format;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The worker executes its sealed copy of this program by this name.
const JAIL_NAME: &str = "kiln-jail";
const NAME: &str = "kiln";

fn main() -> ExitCode {
    let command_line: Vec<OsString> = std::env::args_os().collect();
    if command_line.first().is_some_and(|name| name == JAIL_NAME) {
        kiln_jail::run_jail();
    }
    let arguments = Arguments::read(&command_line).unwrap_or_else(|error| error.exit());
    let format = arguments.global.format();
    if command_line.first().is_some_and(|name| name == rootless::NAME) {
        return ExitCode::from(report(&not_rootless(&rootless::enter(NAME)), format));
    }
    start_logging(arguments.global.verbose);
    take_all_descriptors();
    let ended = runtime().and_then(|runtime| {
        let ended = runtime.block_on(cli::run(arguments));
        // A read of our stdin may still block a thread of the runtime: it must not hold up the end.
        runtime.shutdown_background();
        ended
    });
    ExitCode::from(ended.unwrap_or_else(|failure| report(&failure, format)))
}

/// The soft limit on open files is low for programs that use select(2), which this one never does: the hard one is meant
/// (https://0pointer.net/blog/file-descriptor-limits.html). Whoever is served takes some.
fn take_all_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, connections and transfers are bounded by what there is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// An ordinary user's process that could not become root of a user namespace.
fn not_rootless(error: &rootless::RootlessError) -> Failure {
    Failure::caused("cannot make sandboxes as an ordinary user", error)
        .next("`kiln doctor` shows what this host lacks; or run it with sudo, or talk to a running server: --server unix:/run/kiln/kiln.sock")
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::caused("cannot start the runtime", &error))
}

/// stderr gets warnings, and more with `-v`; `KILN_LOG` says it in tracing's own words.
fn start_logging(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("KILN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let colours = output::stderr_is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
}

fn report(failure: &Failure, format: Format) -> u8 {
    if !failure.message.is_empty() {
        output::note(&failure.to_string());
        if format == Format::Json {
            // The failure has been said on stderr already; a closed stdout changes nothing.
            drop(output::print_json(&failure.to_json()));
        }
    }
    failure.exit
}
