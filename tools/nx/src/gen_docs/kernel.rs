//! The kernel's reference pages, from the tables in `nexus-abi`.

use nexus_abi::{
    Error, EventKind, FaultCause, Rights,
    syscall::{SPECS, Spec},
};

use super::{heading, table};

pub(super) fn syscalls() -> String {
    let mut out = heading("System calls", "the table in `nexus-abi`");
    out += "Number in `a7`, arguments in `a0..a5`. Any call may also fail with `Denied` (outside \
            the process's mask), `BadHandle`, `StaleHandle`, `WrongType` and `InvalidArgument`.\n\n";
    out += &table(&["nr", "call", "gives"], SPECS.iter().map(overview));
    out += &SPECS.iter().map(section).collect::<String>();
    out += "## Rights\n\n";
    let rights = Rights::NAMES
        .iter()
        .map(|(name, right)| vec![format!("`{name}`"), format!("{:#x}", right.bits())]);
    out += &table(&["right", "bit"], rights);
    out += "## Errors\n\n`a0` holds the negated number.\n\n";
    let errors = Error::ALL.iter().map(|e| vec![(*e as u8).to_string(), format!("`{}`", e.name())]);
    out += &table(&["number", "error"], errors);
    trimmed(out)
}

fn overview(spec: &Spec) -> Vec<String> {
    let name = format!("[`{0}`](#{0})", spec.name);
    vec![spec.number.to_string(), name, spec.returns.to_owned()]
}

fn section(spec: &Spec) -> String {
    let args: Vec<String> = spec.args.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
    let lines: Vec<&str> = spec.doc.lines().map(str::trim).collect();
    let errors: Vec<String> = spec.errors.iter().map(|e| format!("`{}`", e.name())).collect();
    let errors = if errors.is_empty() { "none of its own".to_owned() } else { errors.join(", ") };
    format!(
        "## {}\n\n`{}({})` is number {}.\n\n{}\n\n- needs: {}\n- gives: {}\n- fails with: {errors}\n\n",
        spec.name,
        spec.name,
        args.join(", "),
        spec.number,
        lines.join("\n").trim(),
        spec.rights,
        spec.returns,
    )
}

pub(super) fn events() -> String {
    let mut out = heading("Kernel events", "the tables in `nexus-abi`");
    out += "Records of the kernel event ring. Sequence numbers grow by one per event produced; \
            a gap is a counted loss.\n\n";
    let kinds =
        EventKind::ALL.iter().map(|k| vec![(*k as u8).to_string(), format!("`{}`", k.name())]);
    out += &table(&["number", "event"], kinds);
    out += "## Fault causes\n\n";
    let causes =
        FaultCause::ALL.iter().map(|c| vec![(*c as u8).to_string(), format!("`{}`", c.name())]);
    out += &table(&["number", "cause"], causes);
    trimmed(out)
}

fn trimmed(page: String) -> String {
    format!("{}\n", page.trim_end())
}
