//! Random damage: an error or data that was once acknowledged, never a panic, never anything else.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use common::{SECTORS, STARTS, Step, disk, history, play, script};
use nexus_state::{Memory, Mount, Store};
use storage_powercut::{
    disk::{Model, SimDisk},
    mount_options,
    random::Random,
    run::read_all,
};

const ROUNDS: u64 = 20_000;

/// Changes some of the image. Mostly where there is something.
fn damage(disk: &mut SimDisk, older: &mut SimDisk, random: &mut Random) {
    let media = disk.media();
    for _ in 0..=random.below(3) {
        let at = match random.below(4) {
            0 => [0, 8][random.below(2) as usize],
            1 => STARTS[0] + random.below(16) as usize,
            2 => STARTS[1] + random.below(16) as usize,
            _ => random.below(SECTORS as u64) as usize,
        };
        let other = random.below(SECTORS as u64) as usize;
        let byte = random.below(512) as usize;
        match random.below(9) {
            0 | 1 => media[at][byte] ^= 1 << random.below(8),
            2 => media[at] = [0; 512],
            3 => media[at].iter_mut().for_each(|b| *b = random.next() as u8),
            4 => media.swap(at, other),
            5 => media[at] = media[other],
            6 => media[at] = older.media()[at],
            7 => media[at][byte..].fill(0xff),
            _ => {
                let end = (byte + 8).min(512);
                media[at][byte..end].copy_from_slice(&random.next().to_le_bytes()[..end - byte]);
            }
        }
    }
}

#[test]
fn damage_is_an_error_or_leaves_what_was_acknowledged_once() {
    let (script, history) = (script(), history(&script()));
    let (mut refused, mut exact, mut earlier) = (0, 0, 0);
    let mut random = Random::new(5);
    // Images after different numbers of steps: in both regions, before and after compactions.
    let images: Vec<SimDisk> = (1..=script.len())
        .map(|steps| {
            let mut disk = disk(Model::Ordered);
            assert_eq!(play(&mut disk, &script[..steps]), steps);
            disk
        })
        .collect();
    let mut memory = Memory::new();
    for round in 0..ROUNDS {
        let steps = 1 + random.below(script.len() as u64) as usize;
        let older = random.below(steps as u64) as usize;
        let mut disk = images[steps - 1].clone();
        let mut older = images[older].clone();
        disk.open();
        let sequence = Store::mount(&mut disk, &mut memory, &mount_options())
            .expect("mounts")
            .status()
            .sequence;
        damage(&mut disk, &mut older, &mut random);
        if random.once_in(50) {
            disk.media().truncate(random.below(SECTORS as u64) as usize);
        }
        // With an anchor: the very state, or an error. Without: a state that was, or an error.
        for min_sequence in [sequence, 0] {
            let mut disk = disk.clone();
            let how = Mount { min_sequence, ..mount_options() };
            let Ok(mut store) = Store::mount(&mut disk, &mut memory, &how) else {
                refused += 1;
                continue;
            };
            let state = (read_all(&mut store).expect("mount checked all"), store.mounted().boots);
            if state == history[steps] {
                exact += 1;
            } else {
                assert_eq!(min_sequence, 0, "round {round}: an anchored mount is exact");
                assert!(history[..steps].contains(&state), "round {round}: {state:?}");
                earlier += 1;
            }
        }
    }
    println!("{refused} refused, {exact} exact, {earlier} an earlier state without anchor");
    assert!(refused > 1000 && exact > 1000 && earlier > 100);
}

#[test]
fn damage_while_mounted_is_never_handed_out() {
    let script: Vec<Step> = script();
    let history = history(&script);
    let mut random = Random::new(6);
    let mut good = disk(Model::Ordered);
    assert_eq!(play(&mut good, &script), script.len());
    let (last, _) = history.last().expect("states");
    let (mut refused, mut right) = (0, 0);
    for _ in 0..3000 {
        let mut disk = good.clone();
        let mut memory = Memory::new();
        let mut store = Store::mount(&mut disk, &mut memory, &mount_options()).expect("mounts");
        let mut older = good.clone();
        damage(store.device_mut(), &mut older, &mut random);
        for ((namespace, key), value) in last {
            let mut into = [0; 400];
            match store.get(*namespace, key.as_bytes(), &mut into) {
                Ok(found) => {
                    assert_eq!(found, Some(value.as_slice()));
                    right += 1;
                }
                Err(_) => refused += 1,
            }
        }
        // What is damaged is not carried over by a compaction either.
        let compacted = store.compact().is_ok();
        let _ended = store.into_device();
        if compacted {
            let mut memory = Memory::new();
            let mut store = Store::mount(&mut disk, &mut memory, &mount_options()).expect("mounts");
            assert_eq!(&read_all(&mut store).expect("whole"), last);
        }
    }
    println!("{refused} refused, {right} right");
    assert!(refused > 100 && right > 1000);
}

/// Whoever knows the key can write any record; the store must refuse nonsense and not panic.
#[test]
fn noise_under_both_superblocks_never_panics() {
    let mut random = Random::new(7);
    for _ in 0..2000 {
        let mut disk = SimDisk::new(SECTORS, Model::Ordered, 1);
        for sector in disk.media() {
            sector.iter_mut().for_each(|b| *b = random.next() as u8);
            if random.once_in(2) {
                sector[..8].copy_from_slice(b"NEXSTATE");
            }
        }
        let mut memory = Memory::new();
        assert!(Store::mount(&mut disk, &mut memory, &mount_options()).is_err());
    }
}
