//! Links the program where the boot manifest says.
fn main() {
    nexus_build::service();
}
