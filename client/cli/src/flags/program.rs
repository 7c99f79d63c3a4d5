//! Flags that say what a program is given: shared by `run` and `submit`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kiln_proto::model::Profile;
use kiln_proto::v1;

use super::limits::{CompileLimitFlags, LimitFlags};
use super::pairs::{
    EnvPair, FilePair, LabelPair, OutPair, env_pair, file_pair, label_pair, os_parser, out_pair,
};

/// How a program is run.
#[derive(Args, Clone, Debug)]
pub(crate) struct ProgramFlags {
    /// Language of the program, when its file name does not tell; see `kiln languages`
    #[arg(short, long, value_name = "NAME")]
    pub(crate) language: Option<String>,
    /// File that the program reads on stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin: Option<PathBuf>,
    /// Give the program a file; it lands in /work unless SANDBOX says otherwise
    #[arg(short, long = "file", value_name = "HOST[:SANDBOX]", value_parser = os_parser(file_pair))]
    pub(crate) files: Vec<FilePair>,
    /// Bring a file back, into the current directory unless HOST says otherwise
    #[arg(short, long = "out", value_name = "SANDBOX[:HOST]", value_parser = os_parser(out_pair))]
    pub(crate) outs: Vec<OutPair>,
    /// Set an environment variable of the program
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = os_parser(env_pair))]
    pub(crate) env: Vec<EnvPair>,
    /// Image to run in, by name or digest; see `kiln image list`
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Confinement of the program: strict (computing and files only), default (languages with threads and JITs), build
    /// (compilers: may write anywhere in the throwaway root), or a profile of the server's configuration
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<Profile>,
    /// Directory inside the sandbox where the program starts
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) cwd: Option<PathBuf>,
    /// Mark the job, to find it by with `kiln list --label`
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label_pair)]
    pub(crate) labels: Vec<LabelPair>,
    /// Place in the queue
    #[arg(long, value_enum)]
    pub(crate) priority: Option<PriorityName>,
    #[command(flatten)]
    pub(crate) limits: LimitFlags,
    #[command(flatten)]
    pub(crate) compile_limits: CompileLimitFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PriorityName {
    Low,
    Normal,
    High,
}

impl From<PriorityName> for v1::Priority {
    fn from(name: PriorityName) -> v1::Priority {
        match name {
            PriorityName::Low => v1::Priority::Low,
            PriorityName::Normal => v1::Priority::Normal,
            PriorityName::High => v1::Priority::High,
        }
    }
}
