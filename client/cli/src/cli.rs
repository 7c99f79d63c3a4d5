//! The command line as a whole: which commands there are, and what each needs before it begins.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::commands;
use crate::config::{Overrides, Settings};
use crate::context::Context;
use crate::failure::Failure;
use crate::flags::Global;

const EXAMPLES: &str = "\
Examples:
  kiln run prog.cpp < input.txt                  compile and run a program, here and now
  kiln up                                        server and worker on this machine
  kiln submit prog.py --wait                     a durable job on that server
  kiln doctor                                    what this host has and lacks
  kiln attack                                    whether this installation holds

Every command explains itself with --help, and prints JSON with --json.";

/// Runs untrusted programs: each in a throwaway sandbox, with limits, and tells how it ended and what it used
#[derive(Debug, Parser)]
#[command(name = "kiln", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<commands::run::RunArgs>),
    Submit(Box<commands::submit::SubmitArgs>),
    Get(commands::get::GetArgs),
    Wait(commands::wait::WaitArgs),
    Watch(commands::watch::WatchArgs),
    List(commands::list::ListArgs),
    Cancel(commands::cancel::CancelArgs),
    Up(commands::up::UpArgs),
    Server(commands::server::ServerArgs),
    Worker(commands::worker::WorkerArgs),
    Blob(commands::blob::BlobArgs),
    Image(commands::image::ImageArgs),
    Languages(commands::languages::LanguagesArgs),
    Doctor(commands::doctor::DoctorArgs),
    Bench(commands::bench::BenchArgs),
    Attack(commands::attack::AttackArgs),
    #[command(hide = true)]
    AttackTarget(commands::attack_target::AttackTargetArgs),
    #[command(hide = true)]
    BenchTarget(commands::bench_target::BenchTargetArgs),
    Config(commands::config::ConfigArgs),
}

impl Arguments {
    /// Reads a whole command line, the program's name included.
    pub(crate) fn read(command_line: &[OsString]) -> Result<Arguments, clap::Error> {
        let mut arguments = Arguments::try_parse_from(command_line)?;
        if let Command::Run(args) = &mut arguments.command {
            args.look_before(command_line);
        }
        Ok(arguments)
    }
}

/// Resolves the settings and runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let Arguments { global, command } = arguments;
    let overrides = overrides(&global, &command);
    let settings = Settings::load(global.config.as_deref(), &overrides)?;
    let context = &Context { format: global.format(), settings };
    match command {
        Command::Run(args) => commands::run::run(*args, context).await,
        Command::Submit(args) => commands::submit::run(*args, context).await,
        Command::Get(args) => commands::get::run(args, context).await,
        Command::Wait(args) => commands::wait::run(args, context).await,
        Command::Watch(args) => commands::watch::run(args, context).await,
        Command::List(args) => commands::list::run(args, context).await,
        Command::Cancel(args) => commands::cancel::run(args, context).await,
        Command::Up(_) => commands::up::run(context).await,
        Command::Server(_) => commands::server::run(context).await,
        Command::Worker(_) => commands::worker::run(context).await,
        Command::Blob(args) => commands::blob::run(args, context).await,
        Command::Image(args) => commands::image::run(args, context).await,
        Command::Languages(args) => commands::languages::run(args, context).await,
        Command::Doctor(args) => commands::doctor::run(args, context).await,
        Command::Bench(args) => commands::bench::run(args, context).await,
        Command::Attack(args) => commands::attack::run(args, context).await,
        Command::BenchTarget(args) => commands::bench_target::run(args, context).await,
        Command::AttackTarget(_) => commands::attack_target::run(context).await,
        Command::Config(args) => commands::config::run(&args, context),
    }
}

/// What flags and environment say that the file may say, too.
fn overrides(global: &Global, command: &Command) -> Overrides {
    let server = global.server.clone();
    match command {
        Command::Up(args) => Overrides {
            server,
            listen: args.place.listen.clone(),
            data_dir: args.place.data_dir.clone(),
            slots: args.size.slots,
            name: args.size.name.clone(),
            ..Overrides::default()
        },
        Command::Server(args) => Overrides {
            server,
            listen: args.place.listen.clone(),
            data_dir: args.place.data_dir.clone(),
            ..Overrides::default()
        },
        Command::Worker(args) => Overrides {
            server,
            data_dir: args.data_dir.clone(),
            slots: args.size.slots,
            name: args.size.name.clone(),
            ..Overrides::default()
        },
        Command::Config(args) => Overrides { server, ..args.place.overrides() },
        _ => Overrides { server, ..Overrides::default() },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Help must not depend on the width of somebody's terminal.
    const WIDTH: usize = 110;

    fn parse(words: &[&str]) -> Result<Command, clap::Error> {
        Arguments::try_parse_from(std::iter::once(&"kiln").chain(words)).map(|arguments| arguments.command)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_help_is_as_approved_and_has_an_example() {
        let mut kiln = Arguments::command().term_width(WIDTH);
        kiln.build();
        insta::assert_snapshot!("help-kiln", kiln.clone().render_long_help().to_string());
        let mut commands: Vec<(String, clap::Command)> = Vec::new();
        for command in kiln.get_subcommands() {
            commands.push((command.get_name().to_owned(), command.clone()));
            for nested in command.get_subcommands() {
                let name = format!("{}-{}", command.get_name(), nested.get_name());
                commands.push((name, nested.clone()));
            }
        }
        assert!(commands.len() >= 16);
        for (name, command) in commands {
            let help = command.term_width(WIDTH).render_long_help().to_string();
            assert!(help.contains("Example"), "{name} has no example");
            insta::assert_snapshot!(format!("help-{name}"), help);
        }
    }

    #[test]
    fn wrong_usage_exits_2() {
        for words in
            [&["run", "--cpu", "10", "a.py"][..], &["frobnicate"], &["run", "--bogus", "a.py"], &["get"]]
        {
            assert_eq!(parse(words).expect_err("wrong").exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn global_flags_are_taken_before_and_after_the_command() {
        for words in [&["--json", "list"][..], &["list", "--json"]] {
            let arguments = Arguments::try_parse_from(std::iter::once(&"kiln").chain(words)).expect("right");
            assert_eq!(arguments.global.format(), crate::output::Format::Json);
        }
    }
}
