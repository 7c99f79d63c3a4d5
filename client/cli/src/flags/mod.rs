//! Low arguments: what was typed, checked word by word, and nothing decided yet.

pub(crate) mod limits;
pub(crate) mod pairs;
pub(crate) mod program;

use std::path::PathBuf;

use clap::{ArgAction, Args};
use kiln_client::Address;

use crate::output::Format;

/// Flags of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Server to talk to: unix:PATH or http://127.0.0.1:PORT
    #[arg(long, global = true, env = "KILN_SERVER", hide_env_values = true, value_name = "ADDRESS")]
    pub(crate) server: Option<Address>,
    /// Configuration file, instead of /etc/kiln/kiln.toml
    #[arg(long, global = true, env = "KILN_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
    /// Say more on stderr; twice: still more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Global {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::People }
    }
}
