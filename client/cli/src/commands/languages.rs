//! `kiln languages`: what can be run, and which version of it.

use clap::Args;
use kiln_proto::language::Language;
use serde_json::{Value, json};

use crate::context::Context;
use crate::embedded::require_root;
use crate::exit;
use crate::failure::Failure;
use crate::found_languages::find;
use crate::output::{Format, note, print, print_json};
use crate::present::tables::{Lean, table};
use crate::private_runner::with_runner;

/// Some tools tell their life's story; a table shows its beginning.
const VERSION_CHARACTERS: usize = 60;

const EXAMPLES: &str = "\
Examples:
  kiln languages                                 those that this host has
  kiln languages --all                           also those whose tools are missing
  kiln languages --server unix:/run/kiln/kiln.sock   those that a server's workers have
  kiln languages --json | jq -r '.languages[].name'";

/// List the languages that can be run, with versions
///
/// Asks the server when one is named, else this host: each language's tool is asked for its version inside a sandbox.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LanguagesArgs {
    /// Also list languages whose tools are missing
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(args: LanguagesArgs, context: &Context) -> Result<u8, Failure> {
    let found = match &context.settings.client_server {
        Some(_) => of_server(context).await?,
        None => of_this_host(context).await?,
    };
    let shown: Vec<_> = found.iter().filter(|(_, version)| args.all || version.is_some()).collect();
    if context.format == Format::Json {
        let languages: Vec<_> =
            shown.iter().map(|(language, version)| language_json(language, version)).collect();
        print_json(&json!({"languages": languages}))?;
        return Ok(exit::SUCCESS);
    }
    if shown.is_empty() {
        note(match &context.settings.client_server {
            Some(_) => "no worker has found a language yet; workers look while no job wants them",
            None => "no language was found; install compilers or interpreters, or see --all",
        });
        return Ok(exit::SUCCESS);
    }
    print(&languages_table(shown.into_iter().map(|(language, version)| (language, version.as_deref()))))?;
    Ok(exit::SUCCESS)
}

pub(crate) fn language_json(language: &Language, version: &Option<String>) -> Value {
    json!({
        "name": language.name,
        "version": version,
        "found": version.is_some(),
        "aliases": language.aliases,
        "extensions": language.extensions,
        "compiled": language.compile.is_some(),
    })
}

/// One line per language.
pub(crate) fn languages_table<'a>(
    found: impl IntoIterator<Item = (&'a Language, Option<&'a str>)>,
) -> String {
    let rows = found.into_iter().map(|(language, version)| {
        let endings: Vec<_> = language.extensions.iter().map(|ending| format!(".{ending}")).collect();
        let version = version.unwrap_or("not found").chars().take(VERSION_CHARACTERS).collect();
        vec![language.name.clone(), endings.join(" "), version]
    });
    table(&["language", "files", "version"], &[Lean::Left; 3], rows)
}

async fn of_server(context: &Context) -> Result<Vec<(Language, Option<String>)>, Failure> {
    let capabilities = context.client().await?.capabilities().await?;
    let version = |name: &str| {
        capabilities.languages.iter().find(|info| info.name == name).map(|info| info.version.clone())
    };
    Ok(context
        .settings
        .languages
        .iter()
        .map(|language| (language.clone(), version(&language.name)))
        .collect())
}

async fn of_this_host(context: &Context) -> Result<Vec<(Language, Option<String>)>, Failure> {
    require_root("kiln languages without a server")?;
    let slots = context.settings.worker.engine.slots.get();
    with_runner(context, slots, async |runner| find(context, runner, slots).await).await
}
