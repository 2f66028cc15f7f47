//! A policy from wherever it stands: the working tree, a directory, a file, a blob, a revision.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use nexus_manifest::authoring::{self as manifest, Lock, System};
use nexus_sel::{
    BlobError, Policy,
    authoring::{
        self, BUNDLE, Compiled, Diagnostics, Input, Model, REGISTRY, RuleSource, SystemNames,
    },
    bounds::{FIRST_BUNDLE_ID, LAST_BUNDLE_ID},
};

use super::git;
use crate::policy;

/// What a file is not if its length is wrong.
pub(super) const NO_BLOB: &str = "neither a rule file (`*.toml`) nor a compiled policy";

/// Why a policy could not be had.
pub(super) enum Failure {
    /// The command names something that is not there.
    Usage(String),
    /// What it names does not build.
    Faults(String, Diagnostics),
    /// The same, as text.
    Text(String),
}

/// Where to look for everything that is not named.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The workspace.
    pub(super) root: &'a Path,
    /// The policy directory as given with `--dir`.
    pub(super) dir: &'a Path,
}

impl Place<'_> {
    /// The policy directory as git knows it: from the top of the tree, wherever one stands.
    pub(super) fn in_tree(self) -> PathBuf {
        let real = |path: &Path| path.canonicalize().ok();
        let inside = real(self.dir).zip(real(self.root)).and_then(|(dir, root)| {
            let inside = dir.strip_prefix(root).ok()?;
            (inside != Path::new("")).then(|| inside.to_owned())
        });
        inside.unwrap_or_else(|| self.dir.strip_prefix(self.root).unwrap_or(self.dir).to_owned())
    }
}

/// What a person can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spec {
    /// The policy directory as it is now.
    Working,
    /// A directory, a rule file or a blob.
    Path(PathBuf),
    /// A git revision: what was typed, and the commit.
    Commit(String, String),
}

/// One policy, opened.
pub(super) struct Side {
    /// What to call it.
    pub(super) label: String,
    /// Everything it says.
    pub(super) model: Model,
    /// Where its rules stand; empty for a blob.
    pub(super) rules: Vec<RuleSource>,
    /// Every row: its name and an id that falls into it.
    pub(super) rows: Vec<(String, u64)>,
    /// The position of each name in `rows`.
    positions: HashMap<String, usize>,
    words: Vec<u64>,
    /// All of it, unless it came as a blob.
    pub(super) compiled: Option<Compiled>,
}

impl Side {
    /// The evaluator.
    pub(super) fn policy(&self) -> Result<Policy<'_>, String> {
        Policy::open(&self.words).map_err(|error| format!("{}: {error}", self.label))
    }

    /// A line of a source file.
    pub(super) fn line(&self, file: &str, line: usize) -> Option<&str> {
        let sources = &self.compiled.as_ref()?.warnings.sources;
        let source = sources.iter().find(|source| source.name == file)?;
        source.text.lines().nth(line.checked_sub(1)?)
    }

    /// The digest, in hexadecimal.
    pub(super) fn digest(&self) -> String {
        self.policy().map(|policy| hex(&policy.digest())).unwrap_or_default()
    }

    /// The row of a subject: its number, and an id that falls into it.
    pub(super) fn row(&self, name: &str) -> Option<(usize, u64)> {
        let at = *self.positions.get(name)?;
        Some((at, self.rows.get(at)?.1))
    }

    /// The rule with a number, if its source is at hand.
    pub(super) fn rule(&self, id: u32) -> Option<&RuleSource> {
        self.rules.get((id as usize).checked_sub(1)?).filter(|rule| rule.id.0 == id)
    }

    /// A compiled policy.
    pub(super) fn from_compiled(label: String, compiled: Compiled, system: &SystemNames) -> Side {
        let mut classes = system.classes.clone();
        classes.sort_by_key(|(_, first, _)| *first);
        let classes = classes.into_iter().map(|(name, ..)| name).collect();
        let (model, words) = (compiled.model.clone(), compiled.words.clone());
        let rules = compiled.rules.clone();
        Side { rules, compiled: Some(compiled), ..Side::new(label, model, words, classes) }
    }

    fn from_blob(label: String, bytes: &[u8]) -> Result<Side, Failure> {
        let refuse = |why: &str| Failure::Text(format!("{label}: {why}"));
        let words = authoring::from_bytes(bytes).ok_or_else(|| refuse(NO_BLOB))?;
        let model = Policy::open(&words).map(|policy| Model::from_policy(&policy));
        let model = model.map_err(|error: BlobError| refuse(&error.to_string()))?;
        let bundles = (FIRST_BUNDLE_ID, LAST_BUNDLE_ID);
        let range = |range: &(u64, u64)| match range {
            // A blob keeps no name for it, and there is only one class of this range.
            range if *range == bundles => BUNDLE.to_owned(),
            (first, last) => format!("ids {first:#x}..={last:#x}"),
        };
        let classes = model.classes.iter().map(range).collect();
        Ok(Side::new(label, model, words, classes))
    }

    fn new(label: String, model: Model, words: Vec<u64>, classes: Vec<String>) -> Side {
        let firsts = model.classes.iter().map(|(first, _)| *first);
        let classes = classes.into_iter().zip(firsts);
        let rows: Vec<(String, u64)> = model.subjects.iter().cloned().chain(classes).collect();
        let named = rows.iter().enumerate();
        let positions = named.map(|(at, (name, _))| (name.clone(), at)).collect();
        Side { label, model, rules: Vec::new(), rows, positions, words, compiled: None }
    }
}

/// The two sides of `A..B`, `A...B` or `A B`; what is left out is `HEAD` and the working tree.
pub(super) fn pair(place: Place<'_>, given: &[String]) -> Result<(Spec, Spec), Failure> {
    match given {
        [] => Ok((spec(place, "HEAD")?, Spec::Working)),
        [one] if !Path::new(one).exists() && one.contains("..") => range(place, one),
        [one] => Ok((spec(place, one)?, Spec::Working)),
        [one, other] => Ok((spec(place, one)?, spec(place, other)?)),
        _ => Err(Failure::Usage("two policies at most can be compared".to_owned())),
    }
}

fn range(place: Place<'_>, text: &str) -> Result<(Spec, Spec), Failure> {
    let either = |name: &str, empty: Spec| match name {
        "" => Ok(empty),
        name => spec(place, name),
    };
    if let Some((from, to)) = text.split_once("...") {
        let from = if from.is_empty() { "HEAD" } else { from };
        let other = if to.is_empty() { "HEAD" } else { to };
        let base = git::merge_base(place.root, from, other).map_err(Failure::Usage)?;
        return Ok((Spec::Commit(format!("{from}...{to}"), base), either(to, Spec::Working)?));
    }
    let (from, to) = text.split_once("..").unwrap_or((text, ""));
    let from = if from.is_empty() { "HEAD" } else { from };
    Ok((spec(place, from)?, either(to, Spec::Working)?))
}

/// A path if there is one, else a revision.
pub(super) fn spec(place: Place<'_>, text: &str) -> Result<Spec, Failure> {
    let path = Path::new(text);
    if path.exists() {
        return Ok(Spec::Path(path.to_owned()));
    }
    let under = place.root.join(path);
    if under.exists() {
        return Ok(Spec::Path(under));
    }
    let commit = git::commit(place.root, text).ok_or_else(|| {
        let help = "give a policy directory, a rule file, a blob, or a revision like `HEAD~1`";
        Failure::Usage(format!("`{text}` is neither a path nor a git revision; {help}"))
    })?;
    Ok(Spec::Commit(text.to_owned(), commit))
}

/// Reads and compiles what is named.
pub(super) fn load(place: Place<'_>, spec: &Spec) -> Result<Side, Failure> {
    match spec {
        Spec::Working => {
            let dir = super::locate(place.root, place.dir);
            directory(place.root, &dir, "working tree".to_owned())
        }
        Spec::Path(path) => at_path(place, path),
        Spec::Commit(typed, commit) => {
            let label = match typed.as_str() {
                typed if commit.starts_with(typed) => git::short(commit).to_owned(),
                typed => format!("{typed} ({})", git::short(commit)),
            };
            at_commit(place, commit, label)
        }
    }
}

fn at_path(place: Place<'_>, path: &Path) -> Result<Side, Failure> {
    let label = shown(place.root, path);
    if path.is_dir() {
        // A whole workspace brings its own services.
        let inner = path.join(place.dir);
        if path.join(manifest::SYSTEM).is_file() && inner.join(REGISTRY).is_file() {
            return directory(path, &inner, label);
        }
        return directory(place.root, path, label);
    }
    let bytes = read(path)?;
    if path.extension().is_none_or(|extension| extension != "toml") {
        return Side::from_blob(label, &bytes);
    }
    let registry = super::locate(place.root, place.dir).join(REGISTRY);
    let registry = Input::new(shown(place.root, &registry), read(&registry)?);
    let names = names(place.root)?;
    compile(label.clone(), registry, vec![Input::new(label, bytes)], &names)
}

fn directory(root: &Path, dir: &Path, label: String) -> Result<Side, Failure> {
    let listed =
        fs::read_dir(dir).map_err(|e| Failure::Usage(format!("{}: {e}", dir.display())))?;
    let mut paths: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| is_rules(path));
    paths.sort();
    let registry = dir.join(REGISTRY);
    let registry = Input::new(shown(root, &registry), read(&registry)?);
    let rules = paths.iter().map(|path| Ok(Input::new(shown(root, path), read(path)?)));
    compile(label, registry, rules.collect::<Result<_, Failure>>()?, &names(root)?)
}

fn at_commit(place: Place<'_>, commit: &str, label: String) -> Result<Side, Failure> {
    let dir = place.in_tree();
    let Some(dir) = dir.to_str().filter(|_| dir.is_relative()) else {
        let dir = place.dir.display();
        return Err(Failure::Usage(format!("--dir {dir} is outside the repository")));
    };
    let read = |path: &str| git::file(place.root, commit, path).map_err(Failure::Usage);
    let text = |path: &str| {
        let text = String::from_utf8(read(path)?);
        text.map_err(|e| Failure::Text(format!("{path} in {label}: {e}")))
    };
    let source = |name: &str| {
        Ok::<_, Failure>(manifest::Source { name: name.to_owned(), text: text(name)? })
    };
    let faults = |faults: manifest::Diagnostics| Failure::Text(faults.to_string());
    let lock = Lock::parse(&source(manifest::LOCK)?).map_err(faults)?;
    let system = System::parse(&source(manifest::SYSTEM)?, &lock).map_err(faults)?;
    let input = |path: &str| Ok::<_, Failure>(Input::new(path, read(path)?));
    let registry = input(&format!("{}/{REGISTRY}", dir.trim_end_matches('/')))?;
    let files = git::files(place.root, commit, dir).map_err(Failure::Usage)?;
    let rules = files.iter().filter(|path| is_rules(Path::new(path))).map(|path| input(path));
    compile(
        label.clone(),
        registry,
        rules.collect::<Result<_, Failure>>()?,
        &policy::names(&system),
    )
}

fn is_rules(path: &Path) -> bool {
    authoring::is_recipe(path) && path.file_name().is_some_and(|name| name != REGISTRY)
}

/// What the workspace's manifest lets a policy name.
pub(super) fn names(root: &Path) -> Result<SystemNames, Failure> {
    let system = System::load(root).map_err(|faults| Failure::Text(faults.to_string()))?;
    Ok(policy::names(&system))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))
}

/// A path as it is called in messages: relative to the workspace where it lies in it.
fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

fn compile(
    label: String,
    registry: Input,
    rules: Vec<Input>,
    names: &SystemNames,
) -> Result<Side, Failure> {
    match authoring::compile(registry, rules, names) {
        Ok(compiled) => Ok(Side::from_compiled(label, compiled, names)),
        Err(faults) => Err(Failure::Faults(label, faults)),
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
