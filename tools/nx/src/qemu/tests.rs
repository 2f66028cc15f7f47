//! The harness around the judge: a shell stands in for QEMU.
use std::process::Command;

use super::folder::RunFolder;
use super::process::{self, Limits, Watched};
use super::report::{Run, first_difference, junit, markers_json};
use super::symbols::{Function, explain};
use super::*;
use crate::judge::{Marker, Origin};

/// A directory of its own for one test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("nx-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn shell(name: &str, script: &str, limit_ms: u64, stop: &str) -> (Watched, String) {
    let scratch = Scratch::new(name);
    let folder = RunFolder::create(&scratch.0).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    let mut stop_at = |line: &str| !stop.is_empty() && line.contains(stop);
    let limits = Limits { timeout: Duration::from_millis(limit_ms), show: false };
    let watched = process::watch(command, &folder, limits, &mut stop_at).unwrap();
    let log = std::fs::read_to_string(folder.serial()).unwrap();
    (watched, log)
}

#[test]
fn test_exit_status_is_the_guests() {
    let (watched, log) = shell("exit", "echo one; echo two; exit 7", 20_000, "");
    assert_eq!((watched.ending, log.as_str()), (Ending::Exit(7), "one\ntwo\n"));
    assert_eq!(watched.log, log);
}

#[test]
fn test_signal_is_told_apart() {
    assert_eq!(shell("signal", "kill -9 $$", 20_000, "").0.ending, Ending::Signal);
}

#[test]
fn test_stop_cuts_the_log_at_the_line() {
    let (watched, log) = shell("stop", "echo a; echo b; echo c; exec sleep 60", 20_000, "b");
    assert_eq!((watched.ending, log.as_str()), (Ending::Stopped, "a\nb\n"));
    assert!(watched.elapsed < Duration::from_secs(20), "the child was not waited for");
}

#[test]
fn test_time_limit_ends_a_silent_and_a_chatty_child() {
    for (name, script) in [("silent", "exec sleep 60"), ("chatty", "while :; do echo x; done")] {
        assert_eq!(shell(name, script, 200, "").0.ending, Ending::TimedOut);
    }
}

#[test]
fn test_time_limit_ends_a_child_that_closed_its_console() {
    assert_eq!(shell("closed", "exec >&-; sleep 3", 200, "").0.ending, Ending::TimedOut);
}

#[test]
fn test_child_that_cannot_start_is_an_error() {
    let scratch = Scratch::new("nostart");
    let folder = RunFolder::create(&scratch.0).unwrap();
    let command = Command::new("no-such-program-anywhere");
    let limits = Limits { timeout: Duration::from_secs(1), show: false };
    assert!(process::watch(command, &folder, limits, &mut |_| false).is_err());
}

#[test]
fn test_run_folders_count_up_and_latest_follows() {
    let scratch = Scratch::new("folders");
    for number in ["1", "2", "3"] {
        let folder = RunFolder::create(&scratch.0).unwrap();
        assert!(folder.path().ends_with(number));
        let latest = std::fs::read_link(scratch.0.join("build/runs/latest")).unwrap();
        assert_eq!(latest, Path::new(number));
    }
}

#[test]
fn test_old_run_folders_go() {
    let scratch = Scratch::new("old");
    for number in [1, 2, 60] {
        std::fs::create_dir_all(scratch.0.join(format!("build/runs/{number}"))).unwrap();
    }
    let keep = scratch.0.join("build/runs/mine");
    std::fs::create_dir_all(&keep).unwrap();
    RunFolder::create(&scratch.0).unwrap();
    let left = |n: &str| scratch.0.join("build/runs").join(n).exists();
    assert!(!left("1") && !left("2") && left("60") && left("61") && keep.exists());
}

#[test]
fn test_command_line_is_deterministic_and_complete() {
    let boot = Boot {
        root: PathBuf::from("r"),
        image: PathBuf::from("i m g"),
        disk: PathBuf::from("a,b/state.img"),
        smp: 2,
        timeout: Duration::from_secs(1),
        entropy: None,
        writes: None,
    };
    let scratch = Scratch::new("command");
    let folder = RunFolder::create(&scratch.0).unwrap();
    folder.write_command(&process::command(&boot)).unwrap();
    let text = std::fs::read_to_string(folder.path().join("command.sh")).unwrap();
    assert_eq!(
        text,
        "qemu-system-riscv64 -machine virt -cpu rv64 -m 128M -bios default -smp 2 \
         -kernel 'i m g' -global virtio-mmio.force-legacy=false \
         -drive if=none,id=state,format=raw,cache=unsafe,file=a,,b/state.img \
         -device virtio-blk-device,bus=virtio-mmio-bus.2,drive=state \
         -object rng-builtin,id=entropy -device virtio-rng-device,rng=entropy,bus=virtio-mmio-bus.1 \
         -nographic -icount shift=0,sleep=off -global virtio-mmio.ioeventfd=off\n"
    );
}

#[test]
fn test_durations() {
    assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
    assert_eq!(parse_duration("190s"), Ok(Duration::from_secs(190)));
    assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
    for bad in ["", "s", "0", "-1", "1h", "90 s", "99999999999999999999m", "18446744073709551615m"]
    {
        assert!(parse_duration(bad).is_err(), "{bad}");
    }
}

/// A marker list over the tree's own services.
fn markers(text: &str) -> nexus_manifest::authoring::Markers {
    use nexus_manifest::authoring::{Markers, Source, System};
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let system = System::load(&root).map_err(|why| why.to_string()).unwrap();
    let source = Source { name: "markers.toml".to_owned(), text: text.to_owned() };
    Markers::parse(&source, &system).map_err(|why| why.to_string()).unwrap()
}

const MARKERS: &str = "\
phases = [\"bring-up\", \"kernel\", \"end\"]\n\
[[marker]]\ntext = \"policyd: ready\"\nemitter = \"policyd\"\nphase = \"bring-up\"\nproves = \"p\"\nat-least = 2\n\
[[marker]]\ntext = \"KSELFTEST: k\"\nemitter = \"kernel\"\nphase = \"kernel\"\nproves = \"p\"\nvariant = \"hart\"\n\
[[marker]]\ntext = \"SELFTEST: end\"\nemitter = \"selftest-client\"\nphase = \"end\"\nproves = \"p\"\n";

#[test]
fn test_ladder_resolves_emitters_and_variants() {
    let plain = ladder::ladder(&markers(MARKERS), None).unwrap();
    assert_eq!(plain.phases, ["bring-up", "kernel", "end"]);
    let origins: Vec<Origin> = plain.markers.iter().map(|m| m.origin).collect();
    assert_eq!(origins, [Origin::Service(2), Origin::Service(20)]);
    assert_eq!(plain.markers.first().unwrap().at_least, 2);
    assert_eq!(plain.elsewhere, ["KSELFTEST: k"]);
    let hart = ladder::ladder(&markers(MARKERS), Some("hart")).unwrap();
    assert_eq!((hart.markers.len(), hart.elsewhere.len()), (3, 0));
    assert_eq!(hart.markers.get(1).unwrap().origin, Origin::Kernel);
}

/// A marker that only a second boot can show.
const AGAIN: &str = "\
phases = [\"end\"]\n\
[[marker]]\ntext = \"SELFTEST: kept ok\"\nemitter = \"selftest-client\"\nphase = \"end\"\nproves = \"p\"\nvariant = \"again\"\n\
[[marker]]\ntext = \"SELFTEST: end\"\nemitter = \"selftest-client\"\nphase = \"end\"\nproves = \"p\"\n";

#[test]
fn test_reject_second_boot_marker_missing_on_the_second_or_present_on_the_first() {
    let list = markers(AGAIN);
    let (with, without) = ("[20] SELFTEST: kept ok\n[20] SELFTEST: end\n", "[20] SELFTEST: end\n");
    let code = |log: &str, variant| {
        let ladder = ladder::ladder(&list, variant).unwrap();
        crate::judge::judge(log, &ladder, Scope::All).exit_code(Ending::Exit(0), &Scope::All)
    };
    assert_eq!((code(without, None), code(with, Some(ladder::AGAIN))), (0, 0));
    assert_eq!(code(with, None), 1, "present on the first");
    assert_eq!(code(without, Some(ladder::AGAIN)), 1, "missing on the second");
    // A second boot may be made although nothing is required of it alone.
    assert!(ladder::ladder(&markers(MARKERS), Some(ladder::AGAIN)).is_ok());
}

#[test]
fn test_disks_are_made_once_and_anew_on_request() {
    let scratch = Scratch::new("disk");
    let path = scratch.0.join("state.img");
    let seed = || {
        let disk = std::fs::read(&path).unwrap();
        assert_eq!(disk.len() as u64, disk::DISK_BYTES);
        let (blank, last) = disk.split_at(disk.len() - 512);
        assert!(blank.iter().all(|b| *b == 0));
        assert!(last.starts_with(disk::SEED_MAGIC) && last[56..].iter().all(|b| *b == 0));
        last[8..56].to_vec()
    };
    disk::prepare(&path, false).unwrap();
    let first = seed();
    disk::prepare(&path, false).unwrap();
    assert_eq!(seed(), first, "kept");
    disk::prepare(&path, true).unwrap();
    assert_ne!(seed(), first, "reset");
    assert!(disk::prepare(&scratch.0.join("no/such/state.img"), false).is_err());
}

#[test]
fn test_reject_unknown_variant() {
    assert!(ladder::ladder(&markers(MARKERS), Some("heart")).unwrap_err().contains("heart"));
}

#[test]
fn test_first_difference_names_the_line() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, "b", "c")));
    assert_eq!(first_difference("a\n", "a\nc\n"), Some((2, "<end>", "c")));
}

#[test]
fn test_first_difference_counts_repeated_kills_of_policyd_once() {
    let kill = |n| {
        format!("[1] init: policyd died: killed\n[1] init: restarted policyd ({n})\n[2] t\n[2] r\n")
    };
    let once = format!("a\n{}b\n{}c\n", kill(1), kill(2));
    let often = format!("a\n{}{}{}b\n{}c\n", kill(1), kill(2), kill(3), kill(4));
    assert_eq!(first_difference(&once, &often), None);
    let never = format!("a\n{}b\nc\n", kill(1));
    assert_eq!(
        first_difference(&once, &never),
        Some((7, "[1] init: policyd died: killed", "c")),
        "a kill that is no repetition counts"
    );
    let other = format!("{}[2] t\n", kill(1));
    assert_eq!(first_difference(&kill(1), &other), Some((5, "<end>", "[2] t")));
    let stopped = format!("{}[1] init: policyd died: killed\n", kill(1));
    assert!(first_difference(&kill(1), &stopped).is_some(), "half a kill");
    assert_eq!(first_difference("a\n", "a\n[3] logd: audit degraded\n"), None);
}

#[test]
fn test_reports_say_the_same_as_the_verdict() {
    let ladder = Ladder {
        phases: vec!["p".to_owned()],
        markers: ["A <ok> & \"b\"", "B"]
            .map(|text| Marker {
                text: text.to_owned(),
                origin: Origin::Kernel,
                phase: 0,
                at_least: 1,
            })
            .to_vec(),
        elsewhere: vec![],
    };
    let log = "[kernel] A <ok> & \"b\"\n".to_owned();
    let captured = Captured {
        ending: Ending::Exit(0),
        folder: PathBuf::new(),
        elapsed: Duration::from_secs(1),
        log,
    };
    let verdict = crate::judge::judge(&captured.log, &ladder, Scope::All);
    let run = Run { captured: &captured, ladder: &ladder, verdict: &verdict, scope: &Scope::All };
    let json = markers_json(&run);
    assert_eq!(json.pointer("/exit_code"), Some(&1.into()));
    assert_eq!(json.pointer("/markers/0/line"), Some(&1.into()));
    assert_eq!(json.pointer("/markers/1/line"), Some(&serde_json::Value::Null));
    let xml = junit(&run);
    assert!(xml.contains("tests=\"3\" failures=\"2\""), "{xml}");
    assert!(xml.contains("name=\"A &lt;ok&gt; &amp; &quot;b&quot;\"/>"), "{xml}");
    assert!(xml.contains("name=\"B\"><failure message=\"missing\"/>"), "{xml}");
}

#[test]
fn test_addresses_are_told_by_function() {
    let function = Function {
        program: "policyd".to_owned(),
        name: "policyd::run".to_owned(),
        start: 0x1400_0000,
        len: 0x20,
    };
    let log = "[1] fault at 0x1400001c, again 0x1400001c\n[1] 0x14000020 0x0 0x zz";
    let lines = explain(log, std::slice::from_ref(&function));
    assert_eq!(lines, ["0x1400001c is policyd::run in policyd, +0x1c"]);
}

#[test]
fn test_symbols_of_no_folder_are_none() {
    assert_eq!(symbols::load(Path::new("no/such/folder")), []);
}
