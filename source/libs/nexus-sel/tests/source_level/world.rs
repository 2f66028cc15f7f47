//! Random policies as documents: what an author would have written, several files of it, and
//! the text of it in one of the ways it can be written.
use super::random::Random;

/// Services of the manifest; the last one has a name with dots.
pub(crate) const SERVICES: [(&str, u64); 5] =
    [("alpha", 7), ("alter", 1 << 40), ("beta", 9), ("gamma", 3), ("demo.svc", 55)];
/// Ids of the class `bundle`.
pub(crate) const BUNDLES: (u64, u64) = (1_024, u64::MAX - 1);
/// Registered one by one, the family `route.*` aside.
pub(crate) const NAMES: [&str; 6] =
    ["a.x", "a.y", "a.a-name-longer-than-16", "b.x", "b.y.z", "b.y.q"];
/// Services that provide something: `route.<name>` exists for each.
pub(crate) const PROVIDERS: [&str; 2] = ["beta", "demo.svc"];
pub(crate) const FACTS: [&str; 3] = ["f0", "f1", "f2"];
/// Ends of rules: seconds since 1970, and as text.
pub(crate) const ENDS: [(u64, &str); 2] =
    [(1_798_761_600, "2027-01-01T00:00:00Z"), (1_893_456_000, "2030-01-01T01:00:00+01:00")];

/// Every capability there is.
pub(crate) fn capabilities() -> Vec<String> {
    let routes = PROVIDERS.iter().map(|name| format!("route.{name}"));
    NAMES.iter().map(|name| (*name).to_owned()).chain(routes).collect()
}

/// One element of a list under `[allow]` or `[deny]`, in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Item {
    pub(crate) capability: Vec<&'static str>,
    pub(crate) target: Vec<&'static str>,
    pub(crate) when: Vec<String>,
    pub(crate) end: Option<usize>,
    /// Tokens, and nanoseconds in which all of them come back.
    pub(crate) limit: Option<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Section {
    pub(crate) deny: bool,
    /// Subject words and their lists, each subject once.
    pub(crate) lists: Vec<(String, Vec<Item>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Never {
    pub(crate) capability: Vec<&'static str>,
    /// Empty: left out.
    pub(crate) subject: Vec<String>,
    pub(crate) except: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct File {
    pub(crate) groups: Vec<(String, Vec<&'static str>)>,
    pub(crate) facts: Vec<&'static str>,
    /// Name, facts that must hold, facts that must not.
    pub(crate) gates: Vec<(String, Vec<&'static str>, Vec<&'static str>)>,
    pub(crate) sections: Vec<Section>,
    pub(crate) nevers: Vec<Never>,
}

const GROUPS: [(&str, &[&str]); 4] = [
    ("pair", &["alpha", "gamma"]),
    ("mixed", &["beta", "al*", "bundle"]),
    ("all", &["*"]),
    ("dots", &["demo.svc", "*.svc"]),
];
const GATES: [(&str, &[&str], &[&str]); 4] = [
    ("g0", &["f0"], &[]),
    ("g1", &["f1"], &["f0"]),
    ("g2", &[], &["f2"]),
    ("g3", &["f1", "f2"], &[]),
];
const SUBJECTS: [&str; 14] = [
    "alpha", "alter", "beta", "gamma", "demo.svc", "bundle", "pair", "mixed", "all", "dots", "al*",
    "*a", "*", "d*.*c",
];
const WORDS: [&str; 13] = [
    "a.x",
    "a.y",
    "a.a-name-longer-than-16",
    "b.x",
    "b.y.z",
    "b.y.q",
    "a.*",
    "b.*",
    "b.y.*",
    "route.beta",
    "route.demo.svc",
    "route.*",
    "route.demo.*",
];
const TARGETED: [(&str, &[&str]); 4] = [
    ("b.y", &["z", "q", "*"]),
    ("route", &["beta", "demo.svc", "*"]),
    ("a", &["x", "y", "*"]),
    ("route.demo", &["svc"]),
];

/// Many limits over few capabilities: buckets that are shared, and meet.
fn crowded(random: &mut Random) -> (String, Item) {
    let word = ["b.y.z", "b.y.q", "b.y.*", "b.*"][random.below(4)];
    let limit = Some((1 + random.below(3) as u64, [9, 100, 1_000][random.below(3)]));
    let when = if random.below(3) == 0 { random.some(&["g0", "g2"], 1) } else { Vec::new() };
    let when = when.into_iter().map(str::to_owned).collect();
    let subject = ["alpha", "pair", "al*", "bundle"][random.below(4)].to_owned();
    (subject, Item { capability: vec![word], when, limit, ..Item::default() })
}

fn item(random: &mut Random, deny: bool) -> Item {
    let mut item = Item::default();
    if random.below(5) == 0 {
        let (stem, targets) = TARGETED[random.below(TARGETED.len())];
        item.capability.push(stem);
        item.target = random.some(targets, 2);
    } else {
        let most = if random.below(4) == 0 { 2 } else { 1 };
        item.capability = random.some(&WORDS, most);
    }
    if random.below(3) == 0 {
        item.when = random.some(&GATES, 2).iter().map(|gate| gate.0.to_owned()).collect();
    }
    if random.below(5) == 0 {
        item.end = Some(random.below(ENDS.len()));
    }
    if !deny && random.below(3) == 0 {
        item.limit = Some((1 + random.below(3) as u64, [9, 100, 1_000][random.below(3)]));
    }
    if deny && random.below(8) == 0 {
        item.capability = vec!["*"];
        item.target.clear();
    }
    item
}

/// A rule that some author might add.
pub(crate) fn any_item(random: &mut Random, deny: bool) -> (String, Item) {
    (SUBJECTS[random.below(SUBJECTS.len())].to_owned(), item(random, deny))
}

/// A policy of one to three files. What is defined stands in any of them.
pub(crate) fn policy(random: &mut Random) -> Vec<File> {
    let mut files = vec![File::default(); 1 + random.below(3)];
    let count = files.len();
    for (name, members) in GROUPS {
        files[random.below(count)].groups.push((name.to_owned(), members.to_vec()));
    }
    for fact in FACTS {
        files[random.below(count)].facts.push(fact);
    }
    for (name, when, unless) in GATES {
        let gate = (name.to_owned(), when.to_vec(), unless.to_vec());
        files[random.below(count)].gates.push(gate);
    }
    let crowd = random.below(4) == 0;
    for _ in 0..random.below(12) {
        let deny = !crowd && random.below(3) == 0;
        let (subject, item) = if crowd { crowded(random) } else { any_item(random, deny) };
        let at = random.below(count);
        add(&mut files[at], deny, &subject, item);
    }
    if random.below(3) == 0 {
        let words = |random: &mut Random, most| -> Vec<String> {
            random.some(&SUBJECTS, most).into_iter().map(str::to_owned).collect()
        };
        let subject = if random.below(2) == 0 { Vec::new() } else { words(random, 2) };
        let except = if random.below(2) == 0 { Vec::new() } else { words(random, 3) };
        let never = Never { capability: random.some(&WORDS, 1), subject, except };
        files[random.below(count)].nevers.push(never);
    }
    files
}

/// Adds a rule as the last of its subject's list.
pub(crate) fn add(file: &mut File, deny: bool, subject: &str, item: Item) {
    let at = file.sections.iter().position(|section| section.deny == deny);
    let at = at.unwrap_or_else(|| {
        file.sections.push(Section { deny, lists: Vec::new() });
        file.sections.len() - 1
    });
    let lists = &mut file.sections[at].lists;
    match lists.iter_mut().find(|(name, _)| name == subject) {
        Some((_, items)) => items.push(item),
        None => lists.push((subject.to_owned(), vec![item])),
    }
}

/// The same documents in another order: files, definitions, sections, subjects, rules.
pub(crate) fn shuffled(files: &[File], random: &mut Random) -> Vec<File> {
    let mut files = files.to_vec();
    for file in &mut files {
        random.shuffle(&mut file.groups);
        random.shuffle(&mut file.facts);
        random.shuffle(&mut file.gates);
        random.shuffle(&mut file.sections);
        random.shuffle(&mut file.nevers);
        for section in &mut file.sections {
            random.shuffle(&mut section.lists);
            section.lists.iter_mut().for_each(|(_, items)| random.shuffle(items));
        }
    }
    random.shuffle(&mut files);
    files
}

// ---- text --------------------------------------------------------------------------------------

/// The file as TOML, in one of the many ways.
pub(crate) fn toml(file: &File, random: &mut Random) -> String {
    let mut text = String::from("schema = 2\n");
    if !file.groups.is_empty() {
        text += "[groups]\n";
    }
    for (name, members) in &file.groups {
        text += &format!("{name} = {}\n", words(members, random, false));
    }
    for fact in &file.facts {
        text += &format!("[facts.{fact}]\nowner = \"beta\"\nmeaning = \"m\"\n");
    }
    for (name, when, unless) in &file.gates {
        text += &format!("[gates.{name}]\nmeaning = 'm'\n");
        for (key, facts) in [("when", when), ("unless", unless)] {
            if !facts.is_empty() {
                text += &format!("{key} = {}\n", words(facts, random, true));
            }
        }
    }
    for section in &file.sections {
        let name = if section.deny { "deny" } else { "allow" };
        let dotted = random.below(3) == 0;
        if !dotted {
            text += &format!("[{name}]\n");
        }
        let mut lists = String::new();
        for (subject, items) in &section.lists {
            let quoted = format!("{subject:?}");
            let bare = !subject.contains(['*', '.']);
            let key = if bare && random.below(2) == 0 { subject.clone() } else { quoted };
            let prefix = if dotted { format!("{name}.") } else { String::new() };
            lists += &format!("{prefix}{key} = [");
            for item in items {
                lists += &element(item, random);
                lists += if random.below(2) == 0 { ", " } else { ", # why\n  " };
            }
            lists += "]\n";
        }
        if dotted {
            // Dotted keys belong to the top: in front of every header.
            text.insert_str("schema = 2\n".len(), &lists);
        } else {
            text += &lists;
        }
    }
    for never in &file.nevers {
        text += "[[never]]\nreason = \"r\"\n";
        text += &format!("capability = {}\n", words(&never.capability, random, true));
        for (key, list) in [("subject", &never.subject), ("except", &never.except)] {
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            if !list.is_empty() {
                text += &format!("{key} = {}\n", words(&list, random, true));
            }
        }
    }
    text
}

/// A list of strings; one alone may stand without brackets.
fn words(list: &[&str], random: &mut Random, bare: bool) -> String {
    let quoted: Vec<String> = list.iter().map(|word| format!("{word:?}")).collect();
    match &quoted[..] {
        [one] if bare && random.below(2) == 0 => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}

fn element(item: &Item, random: &mut Random) -> String {
    let plain = Item { capability: item.capability.clone(), ..Item::default() };
    if *item == plain && item.capability.len() == 1 && random.below(3) != 0 {
        return format!("{:?}", item.capability[0]);
    }
    let mut fields = vec![format!("capability = {}", words(&item.capability, random, true))];
    if !item.target.is_empty() {
        fields.push(format!("target = {}", words(&item.target, random, true)));
    }
    if !item.when.is_empty() {
        let when: Vec<&str> = item.when.iter().map(String::as_str).collect();
        fields.push(format!("when = {}", words(&when, random, true)));
    }
    fields.extend(item.end.map(|end| format!("until = {}", ENDS[end].1)));
    fields.extend(item.limit.map(|(count, per)| {
        if random.below(2) == 0 {
            format!("limit = {{ count = {count}, per = \"{per}ns\" }}")
        } else {
            format!("limit.per = '{per}ns', limit.count = {count}")
        }
    }));
    random.shuffle(&mut fields);
    format!("{{ {} }}", fields.join(", "))
}
