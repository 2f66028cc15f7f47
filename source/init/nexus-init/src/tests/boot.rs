//! From the boot image to running services.

use nexus_abi::{
    Call, Handle, Rights, Sys, SyscallMask,
    layout::{SLOT_CONNECT, SLOT_NOTIFY, SLOT_SERVER},
    syscall::{FactoryCeiling, SourceOp, VmoKind},
};
use nexus_manifest::boot::KERNEL_LOG_BIT;
use nexus_system::slots::nexus_init::{BOOT_IMAGE, FACTORY, KERNEL_LOG};

use super::{CLIENT, LOGD, POLICYD, booted, fake::Fake, image_with};
use crate::{EXIT_NO_BOOT, run};

fn created(sys: &Fake) -> Vec<u64> {
    let service = |call: &Call| match call {
        Call::ProcCreate { service, .. } => Some(service.0),
        _ => None,
    };
    sys.log.iter().filter_map(service).collect()
}

#[test]
fn services_start_by_priority_and_only_those_that_should() {
    booted(&image_with(|_, _| {}), |_, env| {
        assert_eq!(created(env.0), [POLICYD, LOGD, CLIENT]);
        assert_eq!(env.0.console, "init: up policyd\ninit: up logd\ninit: up client\n");
    });
}

#[test]
fn every_service_gets_its_stanza_and_nothing_else() {
    booted(&image_with(|_, _| {}), |_, env| {
        let slots = |id| -> Vec<(u8, Rights, u64)> {
            env.0
                .gifts(id)
                .iter()
                .map(|(slot, _, rights, badge)| (*slot, *rights, *badge))
                .collect()
        };
        let read_write = Rights::READ.or(Rights::WRITE);
        let policyd = [
            (SLOT_CONNECT, Rights::CALL, POLICYD),
            (SLOT_SERVER, Rights::RECV, 0),
            (4, Rights::READ, 0),
            (5, read_write, 0),
            (6, Rights::SIGNAL, 0),
        ];
        assert_eq!(slots(POLICYD), policyd);
        let logd = [
            (SLOT_CONNECT, Rights::CALL, LOGD),
            (SLOT_SERVER, Rights::RECV, 0),
            (SLOT_NOTIFY, Rights::WAIT, 0),
            (4, read_write, 0),
            (5, read_write, 0),
            (6, Rights::AUDIT, 0),
        ];
        assert_eq!(slots(LOGD), logd);
        let ceiling = FactoryCeiling {
            first_id: 900,
            count_log2: 5,
            priority: 2,
            mask: SyscallMask(0xf),
            frame_units: 16,
            object_units: 2,
        };
        let client = [
            (SLOT_CONNECT, Rights::CALL, CLIENT),
            (4, read_write, 0),
            (5, Rights::MANAGE, ceiling.pack().unwrap()),
            (6, Rights::READ, 0),
            (7, read_write.or(Rights::DMA), 0),
            (8, Rights::READ.or(Rights::DERIVE).or(Rights::GRANT), 0),
        ];
        assert_eq!(slots(CLIENT), client);
        let dma = Call::VmoCreate { len: 8192, kind: VmoKind::Dma, authority: FACTORY };
        assert_eq!(env.0.log.iter().filter(|call| **call == dma).count(), 1);
        let client = env.0.gifts(CLIENT);
        assert_eq!(client[1].1, Handle::fixed(BOOT_IMAGE.slot() + 1), "the first device");
        assert_eq!(client[2].1, FACTORY);
    });
}

#[test]
fn lane_and_bell_meet_and_the_kernel_log_rings_its_reader() {
    booted(&image_with(|_, _| {}), |_, env| {
        let (policyd, logd) = (env.0.gifts(POLICYD), env.0.gifts(LOGD));
        assert_eq!(policyd[3].1, logd[3].1, "one lane");
        let notify = logd[2].1;
        assert_eq!(policyd[4].1, notify, "the bell is the reader's notification");
        let bind = Call::SourceControl {
            source: KERNEL_LOG,
            op: SourceOp::Bind,
            notif: notify,
            bit: KERNEL_LOG_BIT,
        };
        assert!(env.0.log.contains(&bind));
    });
}

#[test]
fn test_reject_an_image_with_another_digest() {
    let tampered = image_with(|manifest, image| {
        image[manifest.services[1].image.offset as usize + 5000] ^= 1;
    });
    booted(&tampered, |_, env| {
        assert_eq!(created(env.0), [POLICYD, CLIENT]);
        assert!(env.0.console.contains("init: refused logd: ImageDigest\n"));
        assert!(!env.0.console.contains("up logd"));
    });
}

#[test]
fn test_reject_a_policy_with_another_digest() {
    let tampered = image_with(|manifest, image| image[manifest.policy.offset as usize] ^= 1);
    booted(&tampered, |_, env| {
        assert_eq!(created(env.0), [LOGD, CLIENT]);
        assert!(env.0.console.contains("init: refused policyd: PolicyDigest\n"));
    });
}

#[test]
fn test_reject_a_granted_image_with_another_digest() {
    let tampered = image_with(|manifest, image| {
        image[manifest.services[3].image.offset as usize + 1] ^= 1;
    });
    booted(&tampered, |_, env| {
        assert!(env.0.console.contains("init: refused client: Wiring\n"));
        assert_eq!(env.0.process(CLIENT), None);
        assert!(env.0.procs.values().all(|p| p.started), "the half-made process is gone");
    });
}

#[test]
fn test_reject_an_image_that_is_no_program() {
    let bent = image_with(|manifest, image| {
        let extent = &mut manifest.services[1].image;
        let at = extent.offset as usize;
        image[at] = b'X';
        extent.digest = *blake3::hash(&image[at..at + extent.len as usize]).as_bytes();
    });
    booted(&bent, |_, env| {
        assert!(env.0.console.contains("init: refused logd: Spawn(Image(Malformed))\n"));
        assert_eq!(created(env.0), [POLICYD, CLIENT]);
    });
}

#[test]
fn test_reject_what_is_no_boot_image() {
    let good = image_with(|_, _| {});
    for (len, bend) in [(good.len(), 0usize), (good.len(), 336), (good.len() - 4096, 4096)] {
        let mut image = good.clone();
        image[bend] ^= 0x40;
        let mut sys = Fake::new(&image);
        assert_eq!(run(&mut sys, len as u64), EXIT_NO_BOOT);
        assert!(sys.console.starts_with("init: start\ninit: boot image refused: "));
        assert!(created(&sys).is_empty());
    }
    let mut sys = Fake::new(&good);
    assert_eq!(run(&mut sys, u64::MAX), EXIT_NO_BOOT);
    assert!(sys.map_bytes(BOOT_IMAGE, good.len()).is_ok());
}
