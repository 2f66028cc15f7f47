//! Links the program where the manifest says.

fn main() {
    nexus_build::service();
}
