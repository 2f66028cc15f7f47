use super::*;

#[test]
fn globs() {
    for (glob, text, fits) in
        [("*", "", true), ("fs.*", "fs.read", true), ("*.a*", "b.c", false), ("x", "xy", false)]
    {
        assert_eq!(matches(glob.as_bytes(), text.as_bytes()), fits, "{glob} {text}");
    }
}

fn small() -> Matrix {
    let entry = || Entry { state: State::Allowed, text: "allowed".to_owned(), rules: vec![1] };
    Matrix {
        label: "x".to_owned(),
        digest: String::new(),
        version: 1,
        subjects: ["aa", "bb", "cccc", "d"].map(|name| (name.to_owned(), 1)).to_vec(),
        capabilities: vec![Capability {
            name: "c.x".to_owned(),
            meaning: String::new(),
            enforcer: String::new(),
            reserved: false,
            sensitivity: Sensitivity::Low,
            audit: AuditMode::Normal,
            cells: [(0, entry()), (3, entry())].into(),
        }],
        rules: Vec::new(),
    }
}

/// No line is longer than the terminal is wide, and no subject gets lost.
#[test]
fn the_table_fits_the_terminal() {
    let matrix = small();
    let table = |columns| text::table(&matrix, Style::PLAIN, columns);
    let body = |text: &str| text.split("\n● allowed").next().unwrap_or_default().to_owned();
    let whole = body(&table(None));
    assert_eq!(whole.matches("c.x").count(), 1);
    let widest = whole.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert_eq!(body(&table(Some(widest))), whole, "at the bound");
    let cut = body(&table(Some(widest - 1)));
    assert_eq!(cut.matches("c.x").count(), 2, "one column less:\n{cut}");
    for columns in [8, 10, 14, widest - 1] {
        let text = body(&table(Some(columns)));
        assert!(text.lines().all(|line| line.chars().count() <= columns.max(10)), "{text}");
        assert_eq!(text.matches('●').count(), 2, "{text}");
        for (name, _) in &matrix.subjects {
            assert!(text.lines().any(|line| line.ends_with(name.as_str())), "{name} in\n{text}");
        }
    }
}
