//! `kiln config`: what the configuration says, and whether it holds.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::config::Overrides;
use crate::config::print::to_toml;
use crate::context::Context;
use crate::exit;
use crate::failure::Failure;
use crate::output::{Format, print, print_json};

const EXAMPLES: &str = "\
Examples:
  kiln config print > kiln.toml                  every key with its value and meaning
  kiln config check --config kiln.toml           exits 2 and names the key when something is wrong

Read from --config, else KILN_CONFIG, else /etc/kiln/kiln.toml when it exists. Flags and the environment
(KILN_SERVER, KILN_LISTEN, KILN_DATA_DIR, KILN_SLOTS) win over the file.";

/// Print or check the configuration
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    pub(crate) place: Environment,
}

/// What the environment says in every command that it concerns.
#[derive(Args, Clone, Debug)]
pub(crate) struct Environment {
    #[arg(long, env = "KILN_LISTEN", hide = true, value_delimiter = ',')]
    listen: Vec<String>,
    #[arg(long, env = "KILN_DATA_DIR", hide = true)]
    data_dir: Option<PathBuf>,
    #[arg(long, env = "KILN_SLOTS", hide = true)]
    slots: Option<usize>,
}

impl Environment {
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen.clone(),
            data_dir: self.data_dir.clone(),
            slots: self.slots,
            ..Overrides::default()
        }
    }
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Action {
    /// Print the resolved configuration as TOML with comments
    #[command(after_help = "Example:\n  kiln config print > kiln.toml")]
    Print,
    /// Check the configuration and say where it comes from
    #[command(after_help = "Example:\n  kiln config check --config kiln.toml")]
    Check,
}

pub(crate) fn run(args: &ConfigArgs, context: &Context) -> Result<u8, Failure> {
    match args.action {
        Action::Print => show(context)?,
        // Settings exist: it holds. One that does not is refused before any command begins.
        Action::Check => confirm(context)?,
    }
    Ok(exit::SUCCESS)
}

fn show(context: &Context) -> Result<(), Failure> {
    let text = to_toml(&context.settings);
    if context.format == Format::People {
        return print(&text);
    }
    let value: toml::Value = toml::from_str(&text)
        .map_err(|error| Failure::caused("cannot read the printed configuration", &error))?;
    print_json(&value)
}

fn confirm(context: &Context) -> Result<(), Failure> {
    let path = context.settings.path.as_ref().map(|path| path.display().to_string());
    match context.format {
        Format::Json => print_json(&json!({"ok": true, "file": path})),
        Format::People => print(&match path {
            Some(path) => format!("{path} holds\n"),
            None => "no configuration file; all defaults hold\n".to_owned(),
        }),
    }
}
