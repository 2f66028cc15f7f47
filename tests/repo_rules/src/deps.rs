//! Who may depend on whom inside the tree.
use std::collections::BTreeMap;

use crate::Violation;
use crate::tree::File;

/// Crates without any knowledge of the OS: host tools and the image share them.
const PURE: [&str; 8] = [
    "nexus-abi",
    "nexus-audit",
    "nexus-keys",
    "nexus-wire",
    "nexus-sel",
    "nexus-elf",
    "nexus-manifest",
    "nexus-state",
];

/// What only the host uses of the tree besides pure crates: build scripts and generated facts.
const FOR_TOOLS: [&str; 2] = ["nexus-build", "nexus-system"];

/// One crate of the tree: its name, its directory and the crates it builds with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    /// Package name.
    pub name: String,
    /// Directory of its `Cargo.toml`.
    pub dir: String,
    /// Names of normal and build dependencies, also behind features and targets.
    pub deps: Vec<String>,
}

/// Reads every `Cargo.toml` that has a package.
///
/// # Errors
/// When one does not parse.
pub fn crates(files: &[File]) -> Result<Vec<Crate>, String> {
    let manifests = files.iter().filter(|f| f.path.ends_with("/Cargo.toml"));
    let parsed = manifests.map(|f| read(f).map_err(|why| format!("{}: {why}", f.path)));
    parsed.filter_map(Result::transpose).collect()
}

fn read(file: &File) -> Result<Option<Crate>, String> {
    let table: toml::Table = toml::from_str(&file.text).map_err(|why| why.to_string())?;
    let name = table.get("package").and_then(|p| p.get("name")).and_then(toml::Value::as_str);
    let mut deps = direct(&table);
    for target in table.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
        deps.extend(target.1.as_table().map(direct).unwrap_or_default());
    }
    let dir = file.path.trim_end_matches("/Cargo.toml").to_owned();
    Ok(name.map(|name| Crate { name: name.to_owned(), dir, deps }))
}

/// Dependency names of one table; a renamed one counts by its real name.
fn direct(table: &toml::Table) -> Vec<String> {
    let sections =
        ["dependencies", "build-dependencies"].iter().filter_map(|s| table.get(*s)?.as_table());
    sections
        .flatten()
        .map(|(key, value)| {
            value.get("package").and_then(toml::Value::as_str).unwrap_or(key).to_owned()
        })
        .collect()
}

/// Every forbidden edge.
#[must_use]
pub fn check(crates: &[Crate]) -> Vec<Violation> {
    let dirs: BTreeMap<&str, &str> =
        crates.iter().map(|c| (c.name.as_str(), c.dir.as_str())).collect();
    let pure_exist = PURE.iter().filter(|name| !dirs.contains_key(*name));
    let mut found: Vec<Violation> = pure_exist.map(|name| format!("no crate {name}")).collect();
    for from in crates {
        for to in &from.deps {
            let inside = dirs.get(to.as_str()).copied();
            if let Some(why) = forbidden(from, to, inside) {
                found.push(format!("{}/Cargo.toml: {} -> {to}: {why}", from.dir, from.name));
            }
        }
    }
    found
}

/// Why this edge may not be; `to_dir` is `None` for an external crate.
fn forbidden(from: &Crate, to: &str, to_dir: Option<&str>) -> Option<&'static str> {
    let pure = PURE.contains(&to);
    let dir = from.dir.as_str();
    let below = |top: &str| dir.starts_with(top);
    let Some(to_dir) = to_dir else {
        return below("source/kernel/").then_some("no external crate in the kernel");
    };
    if below("source/kernel/core") {
        return (to != "nexus-abi").then_some("the kernel core has the ABI only");
    }
    if PURE.contains(&from.name.as_str()) {
        return (!pure).then_some("a pure crate depends on pure crates only");
    }
    if below("tools/") {
        let fine = pure || FOR_TOOLS.contains(&to) || to_dir.starts_with("tools/");
        return (!fine).then_some("tools use pure crates only");
    }
    if below("source/libs/") || below("source/drivers/") {
        return is_program(to_dir).then_some("a library knows no program");
    }
    // The selftest knows the probe it starts; nobody builds a service into himself.
    let app_on_app = below("source/apps/") && to_dir.starts_with("source/apps/");
    (is_program(dir) && is_program(to_dir) && !app_on_app)
        .then_some("a service never depends on another")
}

/// Directories whose crates are programs of the image.
fn is_program(dir: &str) -> bool {
    ["source/services/", "source/apps/", "source/init/"].iter().any(|top| dir.starts_with(top))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn krate(name: &str, dir: &str, deps: &[&str]) -> Crate {
        let deps = deps.iter().map(|d| (*d).to_owned()).collect();
        Crate { name: name.to_owned(), dir: dir.to_owned(), deps }
    }

    fn tree() -> Vec<Crate> {
        let mut all: Vec<Crate> =
            PURE.iter().map(|name| krate(name, &format!("source/libs/{name}"), &[])).collect();
        all.push(krate("nexus-ipc", "source/libs/nexus-ipc", &["nexus-abi", "nexus-wire"]));
        all.push(krate("nexus-kernel-core", "source/kernel/core", &["nexus-abi"]));
        all.push(krate(
            "policyd",
            "source/services/policyd",
            &["nexus-ipc", "nexus-sel", "heapless"],
        ));
        all
    }

    fn found(extra: Crate) -> usize {
        let mut all = tree();
        all.retain(|c| c.name != extra.name);
        all.push(extra);
        check(&all).len()
    }

    #[test]
    fn test_good_tree_passes() {
        assert_eq!(check(&tree()), [""; 0]);
        assert_eq!(
            found(krate("nexus-manifest", "source/libs/nexus-manifest", &["nexus-abi", "toml"])),
            0
        );
        assert_eq!(found(krate("nx", "tools/nx", &["nexus-sel", "clap"])), 0);
        assert_eq!(found(krate("nexus-sim", "source/sim", &["policyd", "nexus-kernel-core"])), 0);
        assert_eq!(found(krate("e2e", "tests/e2e", &["policyd", "nexus-sim"])), 0);
    }

    #[test]
    fn test_reject_os_crate_below_a_pure_one() {
        for to in ["nexus-ipc", "policyd", "nexus-kernel-core"] {
            assert_eq!(found(krate("nexus-sel", "source/libs/nexus-sel", &[to])), 1, "{to}");
        }
    }

    #[test]
    fn test_reject_anything_but_the_abi_in_the_kernel_core() {
        for to in ["nexus-wire", "heapless", "nexus-ipc"] {
            assert_eq!(
                found(krate("nexus-kernel-core", "source/kernel/core", &["nexus-abi", to])),
                1,
                "{to}"
            );
        }
        assert_eq!(found(krate("nexus-kernel-rv64", "source/kernel/rv64", &["riscv"])), 1);
    }

    #[test]
    fn test_reject_service_on_service() {
        assert_eq!(found(krate("logd", "source/services/logd", &["policyd"])), 1);
        assert_eq!(found(krate("app", "source/apps/app", &["policyd"])), 1);
        assert_eq!(found(krate("nexus-init", "source/init/nexus-init", &["policyd"])), 1);
        assert_eq!(found(krate("nexus-rt", "source/libs/nexus-rt", &["policyd"])), 1);
        let probe = krate("probe", "source/apps/probe", &[]);
        let with_probe = |from: Crate| {
            let mut all = tree();
            all.extend([probe.clone(), from]);
            check(&all).len()
        };
        assert_eq!(with_probe(krate("selftest", "source/apps/selftest", &["probe"])), 0);
        assert_eq!(with_probe(krate("logd", "source/services/logd", &["probe"])), 1);
    }

    #[test]
    fn test_reject_tool_on_os_crate() {
        for to in ["nexus-ipc", "policyd"] {
            assert_eq!(found(krate("nx", "tools/nx", &[to])), 1, "{to}");
        }
    }

    #[test]
    fn test_reject_tree_without_its_pure_crates() {
        let mut all = tree();
        all.retain(|c| c.name != "nexus-elf");
        assert_eq!(check(&all), ["no crate nexus-elf"]);
    }

    #[test]
    fn test_every_kind_of_dependency_is_read() {
        let text = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\nb = { package = \"real\" }\n\
            [build-dependencies]\nc = \"1\"\n[dev-dependencies]\nd = \"1\"\n\
            [target.'cfg(unix)'.dependencies]\ne = \"1\"\n";
        let read = crates(&[File::new("source/x/Cargo.toml", text)]).unwrap();
        assert_eq!(read, [krate("x", "source/x", &["a", "real", "c", "e"])]);
        assert_eq!(crates(&[File::new("a/Cargo.toml", "[workspace]")]).unwrap(), []);
        assert!(crates(&[File::new("a/Cargo.toml", "[package")]).is_err());
    }
}
