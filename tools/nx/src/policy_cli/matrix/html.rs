//! The matrix as one page: everything is in the file, and it works without its script.

use std::fmt::Write as _;

use super::{Capability, Entry, Matrix, Rule, State};
use crate::policy_cli::render;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page.
pub(super) fn page(matrix: &Matrix) -> String {
    let digest = matrix.digest.get(..16).unwrap_or(&matrix.digest);
    let all = matrix.capabilities.iter();
    let cells = |state: State| {
        let entries = all.clone().flat_map(|cap| cap.cells.values());
        entries.filter(|entry| entry.state == state).count().to_string()
    };
    let fields = [
        ("style", STYLE.to_owned()),
        ("script", SCRIPT.to_owned()),
        ("policy", escape(&matrix.label)),
        ("version", matrix.version.to_string()),
        ("digest", escape(digest)),
        ("allowed", cells(State::Allowed)),
        ("gated", cells(State::Gated)),
        ("denied", cells(State::Denied)),
        ("subjects", matrix.subjects.len().to_string()),
        ("capabilities", matrix.capabilities.len().to_string()),
        ("head", head(matrix)),
        ("rows", matrix.capabilities.iter().map(|cap| row(matrix, cap)).collect()),
        ("rules", matrix.rules.iter().map(rule).collect()),
    ];
    let mut page = String::with_capacity(PAGE.len());
    let mut rest = PAGE;
    // One pass over the template: what is put in is never looked at again.
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let Some((name, after)) = after.split_once("}}") else { break };
        let value = fields.iter().find(|(field, _)| *field == name);
        page.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    page.push_str(rest);
    page
}

fn head(matrix: &Matrix) -> String {
    let mut text = String::new();
    for (name, id) in &matrix.subjects {
        let name = escape(name);
        let _ = write!(
            text,
            "<th scope=\"col\" class=\"subject\" data-name=\"{name}\" aria-sort=\"none\">\
             <button type=\"button\" title=\"id {id}: sort by what {name} may do\">\
             <span>{name}</span></button></th>"
        );
    }
    text
}

fn row(matrix: &Matrix, cap: &Capability) -> String {
    let level = render::level(cap.sensitivity);
    let name = escape(&cap.name);
    let mut badges = String::new();
    if cap.is_sensitive() {
        badges.push_str(" <span class=\"badge sensitive\">sensitive</span>");
    }
    if cap.reserved {
        badges.push_str(" <span class=\"badge reserved\">reserved</span>");
    }
    let holders = cap.holders();
    let mut text = format!(
        "<tr data-name=\"{name}\" data-level=\"{}\" data-held=\"{holders}\" \
         data-reserved=\"{}\" class=\"{level}\"><th scope=\"row\"><code>{name}</code>{badges}\
         <small>{}</small></th><td class=\"meta\">{level}</td><td class=\"meta\">{}</td>\
         <td class=\"meta held\">{holders}</td>",
        cap.sensitivity as u8,
        cap.reserved,
        escape(&cap.meaning),
        escape(&cap.enforcer),
    );
    for (at, (subject, _)) in matrix.subjects.iter().enumerate() {
        match cap.cells.get(&at) {
            Some(entry) => text.push_str(&cell(matrix, subject, &cap.name, entry)),
            None => {
                text.push_str("<td class=\"none\"><span class=\"sr\">no rule: denied</span></td>")
            }
        }
    }
    text.push_str("</tr>\n");
    text
}

fn cell(matrix: &Matrix, subject: &str, capability: &str, entry: &Entry) -> String {
    let state = entry.state.word();
    let sign = match entry.state {
        State::Allowed => "●",
        State::Gated => "◐",
        State::Denied => "✕",
    };
    let places: Vec<String> = entry.rules.iter().filter_map(|id| place(matrix, *id)).collect();
    let label = escape(&format!("{subject}, {capability}: {}; {}", entry.text, places.join("; ")));
    let first = entry.rules.first().copied().unwrap_or(0);
    let rules: Vec<String> = entry.rules.iter().map(u32::to_string).collect();
    let (rules, words) = (rules.join(" "), escape(&entry.text));
    format!(
        "<td class=\"{state}\"><a href=\"#rule-{first}\" data-rules=\"{rules}\" \
         data-text=\"{words}\" title=\"{label}\" aria-label=\"{label}\">{sign}</a></td>"
    )
}

fn place(matrix: &Matrix, id: u32) -> Option<String> {
    let rule = matrix.rules.get((id as usize).checked_sub(1)?);
    let place = rule.map(|rule| format!(" at {}:{}", rule.source.file, rule.source.line));
    Some(format!("rule {id}{}", place.unwrap_or_default()))
}

fn rule(rule: &Rule) -> String {
    let source = &rule.source;
    let effect = render::effect(source.effect);
    let gates = source.gates.iter().map(|gate| format!("<code>{}</code> ", escape(gate)));
    format!(
        "<tr id=\"rule-{0}\" tabindex=\"-1\"><td class=\"number\">{0}</td>\
         <td class=\"effect {effect}\">{effect}</td><td>{1}</td><td><code>{2}</code></td>\
         <td>{3}</td><td class=\"place\">{4}:{5}</td><td><code class=\"line\">{6}</code></td></tr>\n",
        source.id.0,
        escape(&source.subject),
        escape(&source.capability),
        gates.collect::<String>(),
        escape(&source.file),
        source.line,
        escape(&rule.line),
    )
}

/// Text that stays text in elements and in attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
