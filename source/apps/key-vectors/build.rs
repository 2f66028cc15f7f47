//! Link base from the boot manifest.
fn main() {
    nexus_build::service();
}
