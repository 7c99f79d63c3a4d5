//! One command: what to run, with which bytes in and out, in which image, under which limits and profile.

use std::collections::BTreeSet;
use std::fmt::{self, Arguments};
use std::str::FromStr;

use prost::bytes::Bytes;

use super::checker::{Checker, Scope};
use super::content::Content;
use super::digest::Digest;
use super::limits::Limits;
use super::names::{CommandName, ImageName};
use super::path::{FilePath, SandboxPath};
use super::profile::Profile;
use super::units::ByteSize;
use super::violation::quoted;
use crate::v1;

/// Most bytes of argv and env together, each string with its final NUL. The kernel promises room for as many whatever
/// the stack limit (`execve(2)`, ARG_MAX).
pub const MAX_ARGUMENT_BYTES: usize = 128 << 10;
/// Most files put into a command's sandbox: one SCM_RIGHTS message carries 253 descriptors, three are the standard streams.
pub const MAX_FILES_IN: usize = 240;
/// Most files wanted back. One SCM_RIGHTS message carries 253 descriptors.
pub const MAX_FILES_OUT: usize = 250;

/// One command of a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Command {
    /// Unique in the step.
    pub name: CommandName,
    /// Program and arguments, at least one, no NUL.
    pub argv: Vec<Bytes>,
    /// The whole environment, no name twice.
    pub env: Vec<EnvVar>,
    /// Where it starts.
    pub cwd: SandboxPath,
    /// Its root file system.
    pub image: ImageRef,
    /// What it reads on stdin, unless a pipe feeds it.
    pub stdin: Content,
    /// No path twice, none below another.
    pub files_in: Vec<FileIn>,
    /// No path twice.
    pub files_out: Vec<FileOut>,
    /// Within the policy.
    pub limits: Limits,
    /// How it is confined.
    pub profile: Profile,
}

/// One environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EnvVar {
    /// Not empty, no `=`, no NUL.
    pub name: Bytes,
    /// No NUL.
    pub value: Bytes,
}

/// Which read-only root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageRef {
    /// The machine's own toolchains.
    Host,
    /// An imported image, by its name at the moment of the lease.
    Name(ImageName),
    /// An image by its content.
    Digest(Digest),
}

/// A file put into the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileIn {
    /// Where.
    pub path: FilePath,
    /// What is in it.
    pub content: Content,
    /// Whether the command may execute it.
    pub executable: bool,
}

/// A file wanted back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FileOut {
    /// Where.
    pub path: FilePath,
    /// Whether the step may succeed without it.
    pub optional: bool,
    /// The most that is returned; `None` is the server's maximum.
    pub max_bytes: Option<ByteSize>,
}

/// A text that refers to no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is {text}; must be \"host\", the name of an image, or its digest \"blake3:<64 hex>\"")]
pub struct ImageRefError {
    text: String,
}

impl Command {
    /// Checks command `command` of its step; `None` after a violation. `name` is what it is called.
    pub(crate) fn check(
        command: &v1::Command,
        name: &str,
        field: Arguments<'_>,
        checker: &mut Checker<'_>,
    ) -> Option<Command> {
        let name = checker.violations.keep(format_args!("{field}.name"), CommandName::new(name));
        let argv = check_argv(&command.argv, field, checker);
        let env = check_env(&command.env, field, checker);
        check_argument_bytes(command, field, checker);
        let cwd = check_cwd(&command.cwd, field, checker);
        let image = check_image(&command.image, field, checker);
        let stdin = match &command.stdin {
            None => Some(Content::Empty),
            Some(content) => Content::check(content, format_args!("{field}.stdin"), checker),
        };
        let files_in = check_files_in(&command.files_in, field, checker);
        let files_out = check_files_out(&command.files_out, field, checker);
        let limits = check_limits(command.limits.as_ref(), field, checker);
        let profile =
            checker.violations.keep(format_args!("{field}.profile"), Profile::from_wire(&command.profile));
        let checked = Command {
            name: name?,
            argv: argv?,
            env: env?,
            cwd: cwd?,
            image: image?,
            stdin: stdin?,
            files_in: files_in?,
            files_out: files_out?,
            limits: limits?,
            profile: profile?,
        };
        check_cwd_is_no_file(&checked, field, checker)?;
        Some(checked)
    }

    pub(crate) fn to_wire(&self, names: impl Fn(usize, usize) -> (String, String)) -> v1::Command {
        let file_in = |file: &FileIn| v1::FileIn {
            path: file.path.to_bytes(),
            content: Some(file.content.to_wire(&names)),
            executable: file.executable,
        };
        let file_out = |file: &FileOut| v1::FileOut {
            path: file.path.to_bytes(),
            optional: file.optional,
            max_bytes: file.max_bytes.map(ByteSize::bytes),
        };
        v1::Command {
            name: self.name.to_string(),
            argv: self.argv.clone(),
            env: self
                .env
                .iter()
                .map(|v| v1::EnvVar { name: v.name.clone(), value: v.value.clone() })
                .collect(),
            cwd: self.cwd.to_bytes(),
            image: self.image.to_string(),
            stdin: (self.stdin != Content::Empty).then(|| self.stdin.to_wire(&names)),
            files_in: self.files_in.iter().map(file_in).collect(),
            files_out: self.files_out.iter().map(file_out).collect(),
            limits: Some((&self.limits).into()),
            profile: self.profile.as_str().to_owned(),
        }
    }
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, ImageRefError> {
        if text == "host" {
            return Ok(ImageRef::Host);
        }
        let digest = text.parse().map(ImageRef::Digest).ok();
        let name = || ImageName::new(text).map(ImageRef::Name).ok();
        digest.or_else(name).ok_or_else(|| ImageRefError { text: quoted(text.as_bytes()) })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageRef::Host => f.write_str("host"),
            ImageRef::Name(name) => name.fmt(f),
            ImageRef::Digest(digest) => digest.fmt(f),
        }
    }
}

fn check_argv(argv: &[Bytes], field: Arguments<'_>, checker: &mut Checker<'_>) -> Option<Vec<Bytes>> {
    let field = format_args!("{field}.argv");
    let Some(program) = argv.first() else {
        checker.violations.add(field, "is empty; the program at least is needed");
        return None;
    };
    if program.is_empty() {
        checker.violations.add(format_args!("{field}[0]"), "is empty; must be a program's name or path");
        return None;
    }
    let bad = argv.iter().enumerate().filter(|(_, argument)| argument.contains(&0));
    let mut good = true;
    for (index, _) in bad {
        checker.violations.add(format_args!("{field}[{index}]"), "holds a NUL byte");
        good = false;
    }
    good.then(|| argv.to_vec())
}

fn check_env(env: &[v1::EnvVar], field: Arguments<'_>, checker: &mut Checker<'_>) -> Option<Vec<EnvVar>> {
    let mut seen = BTreeSet::new();
    let mut good = true;
    for (index, variable) in env.iter().enumerate() {
        let mut refuse = |part: &str, why: String| {
            checker.violations.add(format_args!("{field}.env[{index}].{part}"), why);
            good = false;
        };
        let name = &variable.name;
        if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
            refuse("name", format!("is {}; must be 1 byte or more, without '=' and NUL", quoted(name)));
        } else if !seen.insert(name) {
            refuse("name", format!("is {}, which is there already", quoted(name)));
        }
        if variable.value.contains(&0) {
            refuse("value", "holds a NUL byte".to_owned());
        }
    }
    let checked = |v: &v1::EnvVar| EnvVar { name: v.name.clone(), value: v.value.clone() };
    good.then(|| env.iter().map(checked).collect())
}

fn check_argument_bytes(command: &v1::Command, field: Arguments<'_>, checker: &mut Checker<'_>) {
    let argv: usize = command.argv.iter().map(|argument| argument.len() + 1).sum();
    let env: usize = command.env.iter().map(|variable| variable.name.len() + variable.value.len() + 2).sum();
    if argv + env > MAX_ARGUMENT_BYTES {
        let why = format!(
            "together with env has {} bytes, one more for each string counted; at most {MAX_ARGUMENT_BYTES} are allowed",
            argv + env
        );
        checker.violations.add(format_args!("{field}.argv"), why);
    }
}

fn check_cwd(cwd: &Bytes, field: Arguments<'_>, checker: &mut Checker<'_>) -> Option<SandboxPath> {
    if cwd.is_empty() {
        return Some(SandboxPath::work());
    }
    checker.violations.keep(format_args!("{field}.cwd"), SandboxPath::new(cwd.clone()))
}

fn check_image(image: &str, field: Arguments<'_>, checker: &mut Checker<'_>) -> Option<ImageRef> {
    let field = format_args!("{field}.image");
    if image.is_empty() {
        return Some(ImageRef::Host);
    }
    let image = checker.violations.keep(field, image.parse::<ImageRef>())?;
    if matches!((&image, checker.scope), (ImageRef::Name(_), Scope::Lease)) {
        checker.violations.add(field, "is a name; a lease holds \"host\" or a digest");
        return None;
    }
    Some(image)
}

fn check_files_in(
    files: &[v1::FileIn],
    field: Arguments<'_>,
    checker: &mut Checker<'_>,
) -> Option<Vec<FileIn>> {
    let field = format_args!("{field}.files_in");
    let mut checked = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let path_field = format_args!("{field}[{index}].path");
        let path = checker.violations.keep(path_field, FilePath::new(file.path.clone()));
        let content_field = format_args!("{field}[{index}].content");
        let content = match &file.content {
            Some(content) => Content::check(content, content_field, checker),
            None => {
                checker.violations.add(content_field, "is unset; set one of inline, blob, output_of");
                None
            }
        };
        let file =
            path.zip(content).map(|(path, content)| FileIn { path, content, executable: file.executable });
        checked.push(file);
    }
    check_places(&checked, field, checker)?;
    checked.into_iter().collect()
}

/// No path twice, and no file where another needs a directory.
fn check_places(files: &[Option<FileIn>], field: Arguments<'_>, checker: &mut Checker<'_>) -> Option<()> {
    let mut places = BTreeSet::new();
    let mut good = true;
    let mut refuse = |index: usize, path: &FilePath, why: &str| {
        let why = format!("is {}; {why}", quoted(path.as_bytes()));
        checker.violations.add(format_args!("{field}[{index}].path"), why);
        good = false;
    };
    let known = files.iter().enumerate().filter_map(|(index, file)| Some((index, &file.as_ref()?.path)));
    for (index, path) in known.clone() {
        if !places.insert(path.as_bytes()) {
            refuse(index, path, "another file is put there too");
        }
    }
    for (index, path) in known {
        if path.as_path().ancestors().any(|above| places.contains(above)) {
            refuse(index, path, "a directory on its way is put there as a file");
        }
    }
    good.then_some(())
}

fn check_cwd_is_no_file(command: &Command, field: Arguments<'_>, checker: &mut Checker<'_>) -> Option<()> {
    if command.files_in.iter().any(|file| command.cwd.is_within(file.path.as_path())) {
        let why = format!("is {}; a file is put there", quoted(command.cwd.as_bytes()));
        checker.violations.add(format_args!("{field}.cwd"), why);
        return None;
    }
    Some(())
}

fn check_files_out(
    files: &[v1::FileOut],
    field: Arguments<'_>,
    checker: &mut Checker<'_>,
) -> Option<Vec<FileOut>> {
    let mut places = BTreeSet::new();
    let mut checked = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let field = format_args!("{field}.files_out[{index}]");
        if !places.insert(&file.path) {
            let why = format!("is {}, which is there already", quoted(&file.path));
            checker.violations.add(format_args!("{field}.path"), why);
        }
        let path = checker.violations.keep(format_args!("{field}.path"), FilePath::new(file.path.clone()));
        let max_bytes = check_max_bytes(file.max_bytes, field, checker);
        let file =
            path.zip(max_bytes).map(|(path, max_bytes)| FileOut { path, optional: file.optional, max_bytes });
        checked.push(file);
    }
    checked.into_iter().collect()
}

fn check_max_bytes(
    max_bytes: Option<u64>,
    field: Arguments<'_>,
    checker: &mut Checker<'_>,
) -> Option<Option<ByteSize>> {
    let Some(bytes) = max_bytes else {
        return Some(None);
    };
    let most = checker.policy.maximum.file_size;
    match ByteSize::new(bytes) {
        Ok(size) if size <= most => Some(Some(size)),
        _ => {
            checker
                .violations
                .add(format_args!("{field}.max_bytes"), format!("is {bytes}; must be 1 B to {most}"));
            None
        }
    }
}

fn check_limits(
    limits: Option<&v1::Limits>,
    field: Arguments<'_>,
    checker: &mut Checker<'_>,
) -> Option<Limits> {
    let nothing = v1::Limits::default();
    let field = format_args!("{field}.limits");
    let unset = checker.unset_limits();
    match Limits::check(limits.unwrap_or(&nothing), checker.policy, field, unset) {
        Ok(limits) => Some(limits),
        Err(violations) => {
            checker.violations.extend(violations);
            None
        }
    }
}
