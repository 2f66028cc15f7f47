//! Link base from the manifest.
fn main() {
    nexus_build::service();
}
