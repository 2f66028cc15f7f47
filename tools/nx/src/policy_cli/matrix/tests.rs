use super::*;

#[test]
fn globs() {
    for (glob, text, fits) in
        [("*", "", true), ("fs.*", "fs.read", true), ("*.a*", "b.c", false), ("x", "xy", false)]
    {
        assert_eq!(matches(glob.as_bytes(), text.as_bytes()), fits, "{glob} {text}");
    }
}
