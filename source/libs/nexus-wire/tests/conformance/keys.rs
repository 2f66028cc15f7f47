//! Golden frames of the key store.
#![allow(clippy::wildcard_imports, reason = "every operation once")]

use nexus_wire::{Bytes, FRAME_MAX, keys};

use super::Vectors;

pub(super) fn vectors() -> Vectors {
    use keys::{Durability::Durable, KeyState::Active, Op::*, Reply as R, Rotation, Status as S};
    let nonce = Some(0x1122_3344);
    let slot = keys::Slot::new(b"token", b"secret").unwrap();
    let name = keys::Slot::new(b"token", b"").unwrap();
    let value = Bytes::new(b"secret").unwrap();
    let none = Bytes::new(b"").unwrap();
    let message = Bytes::new(b"message").unwrap();
    let (purpose, generation, boot, signature) = (1, 2, 3, [0x5a; 64]);
    let verify = Verify { purpose, caller: 20, generation, boot, signature, message };
    let status = keys::Standing {
        flags: 7,
        boot: 3,
        generation: 2,
        uses: 5,
        slots: 1,
        signed: 9,
        refused: 4,
    };
    let rotate = Rotate { reason: Rotation::Compromise, overlap_boots: 1, overlap_ns: 1_000 };
    let pubkey = R::Pubkey { generation, state: Active, public: [0xb0; 32] };
    let chain = R::Chain { first: 1, active: 2, certificate: Bytes::new(b"cert").unwrap() };
    let standing = R::Status { status };
    vectors!(keys:
        "PutPlain.v1.req" = Request ask!(1 None, PutPlain { slot });
        "PutPlain.v1.rsp" = Response reply!(1 None, S::Ok, R::PutPlain { value: none });
        "Put.v2.req" = Request ask!(2 nonce, Put { slot });
        "Put.v2.rsp" = Response reply!(2 nonce, S::Ok, R::Put { durability: Durable });
        "Get.v1.req" = Request ask!(1 None, Get { slot: name });
        "Get.v1.rsp" = Response reply!(1 None, S::Ok, R::Get { value });
        "Get.v1.rsp.not-found" = Response reply!(1 None, S::NotFound, R::Get { value: none });
        "Get.v2.req" = Request ask!(2 nonce, Get { slot: name });
        "Get.v2.rsp" = Response reply!(2 nonce, S::Ok, R::Get { value });
        "DelPlain.v1.req" = Request ask!(1 None, DelPlain { slot: name });
        "DelPlain.v1.rsp" = Response reply!(1 None, S::Ok, R::DelPlain { value: none });
        "Del.v2.req" = Request ask!(2 nonce, Del { slot: name });
        "Del.v2.rsp" = Response reply!(2 nonce, S::Ok, R::Del { durability: Durable });
        "Verify.v2.req" = Request ask!(2 nonce, verify);
        "Verify.v2.rsp" = Response reply!(2 nonce, S::Ok, R::Verify { valid: 1, state: Active });
        "Sign.v2.req" = Request ask!(2 nonce, Sign { message });
        "Sign.v2.rsp" = Response
            reply!(2 nonce, S::Ok, R::Sign { generation, boot, signature });
        "KeygenPlain.v1.req" = Request ask!(1 None, KeygenPlain {});
        "KeygenPlain.v1.rsp" = Response
            reply!(1 None, S::KeyExists, R::KeygenPlain { value: none });
        "Keygen.v2.req" = Request ask!(2 nonce, Keygen { max_uses: 1_000, max_boots: 9 });
        "Keygen.v2.rsp" = Response
            reply!(2 nonce, S::Ok, R::Keygen { generation: 1, durability: Durable });
        "DevicePubkey.v1.req" = Request ask!(1 None, DevicePubkey {});
        "DevicePubkey.v1.rsp" = Response
            reply!(1 None, S::Ok, R::DevicePubkey { value: Bytes::new(&[0xb0; 32]).unwrap() });
        "Pubkey.v2.req" = Request ask!(2 nonce, Pubkey { purpose, generation: keys::ACTIVE });
        "Pubkey.v2.rsp" = Response reply!(2 nonce, S::Ok, pubkey);
        "DeviceSign.v2.req" = Request ask!(2 nonce, DeviceSign { purpose, message });
        "DeviceSign.v2.rsp" = Response
            reply!(2 nonce, S::Ok, R::DeviceSign { generation, boot, signature });
        "DevicePrivkey.v1.req" = Request ask!(1 None, DevicePrivkey {});
        "DevicePrivkey.v1.rsp" = Response
            reply!(1 None, S::PrivateExportDenied, R::DevicePrivkey { value: none });
        "DevicePrivkey.v2.req" = Request ask!(2 nonce, DevicePrivkey {});
        "DevicePrivkey.v2.rsp" = Response
            reply!(2 nonce, S::PrivateExportDenied, R::DevicePrivkey { value: none });
        "Rotate.v2.req" = Request ask!(2 nonce, rotate);
        "Rotate.v2.rsp" = Response
            reply!(2 nonce, S::Ok, R::Rotate { generation, durability: Durable });
        "Revoke.v2.req" = Request ask!(2 nonce, Revoke { generation: 1 });
        "Revoke.v2.rsp" = Response reply!(2 nonce, S::Ok, R::Revoke { durability: Durable });
        "Chain.v2.req" = Request ask!(2 nonce, Chain { purpose, generation: 1 });
        "Chain.v2.rsp" = Response reply!(2 nonce, S::Ok, chain);
        "CounterRead.v2.req" = Request ask!(2 nonce, CounterRead { counter: 1 });
        "CounterRead.v2.rsp" = Response reply!(2 nonce, S::Ok, R::CounterRead { value: 8 });
        "CounterIncrement.v2.req" = Request ask!(2 nonce, CounterIncrement { counter: 1, by: 1 });
        "CounterIncrement.v2.rsp" = Response
            reply!(2 nonce, S::Ok, R::CounterIncrement { value: 9, durability: Durable });
        "Attest.v2.req" = Request
            ask!(2 nonce, Attest { challenge: Bytes::new(&[0xcc; 32]).unwrap() });
        "Attest.v2.rsp" = Response
            reply!(2 nonce, S::Ok, R::Attest { quote: Bytes::new(b"quote").unwrap(), signature });
        "Status.v2.req" = Request ask!(2 nonce, Status {});
        "Status.v2.rsp" = Response reply!(2 nonce, S::Ok, standing);
        "Refused.rsp" = Response reply!(2 nonce, S::Denied, R::Refused { op: 5 });
    )
}
