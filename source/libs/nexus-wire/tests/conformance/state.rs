//! Golden frames of the state store.
#![allow(clippy::wildcard_imports, reason = "every operation once")]

use nexus_wire::{
    Bytes, FRAME_MAX,
    state::{
        self, BatchBuilder, Change, KeysBuilder, Listing, Op::*, Pair, Reply as R, State,
        Status as St, Value,
    },
};

use super::Vectors;

pub(super) fn vectors() -> Vectors {
    let nonce = Some(0x1122_3344_5566_7788);
    let key = Bytes::new(b"device/key").unwrap();
    let after = Bytes::new(b"device/a").unwrap();
    let pair = Pair::new(b"device/key", b"value").unwrap();
    let listing = Listing { limit: 5, prefix: Bytes::new(b"device/").unwrap() };
    let (mut changes, mut names) = ([0; FRAME_MAX], [0; FRAME_MAX]);
    let mut batch = BatchBuilder::new(&mut changes);
    assert!(batch.push(&Change::Put(pair)) && batch.push(&Change::Del(b"old")));
    let batch = batch.finish();
    let mut keys = KeysBuilder::new(&mut names);
    assert!(keys.push(b"device/key") && keys.push(b"device/n"));
    let keys = keys.finish();
    let status = R::Status {
        state: State::Durable,
        boots: 3,
        sequence: 17,
        used: 120,
        quota: 16_384,
        keys: 2,
        keys_max: 64,
        store_low: 0x0102_0304_0506_0708,
        store_high: 0xA0A1_A2A3_A4A5_A6A7,
    };
    vectors!(state:
        "Put.v2.req" = Request ask!(2 nonce, Put { pair });
        "Put.v2.rsp" = Response reply!(2 nonce, St::Ok, R::Put {});
        "Get.v2.req" = Request ask!(2 nonce, Get { key });
        "Get.v2.rsp" = Response
            reply!(2 nonce, St::Ok, R::Get { value: Value::new(b"value").unwrap() });
        "Get.v2.rsp.missing" = Response reply!(2 nonce, St::NotFound, R::Refused { op: 2 });
        "Del.v2.req" = Request ask!(2 nonce, Del { key });
        "Del.v2.rsp" = Response reply!(2 nonce, St::Ok, R::Del {});
        "List.v2.req" = Request ask!(2 nonce, List { listing });
        "List.v2.rsp" = Response reply!(2 nonce, St::Ok, R::List { keys });
        "Sync.v2.req" = Request ask!(2 nonce, Sync {});
        "Sync.v2.rsp" = Response reply!(2 nonce, St::Io, R::Refused { op: 5 });
        "Batch.v2.req" = Request ask!(2 nonce, Batch { batch });
        "Batch.v2.rsp" = Response reply!(2 nonce, St::Ok, R::Batch {});
        "Status.v2.req" = Request ask!(2 nonce, Status {});
        "Status.v2.rsp" = Response reply!(2 nonce, St::Ok, status);
        "ListAfter.v2.req" = Request ask!(2 nonce, ListAfter { after, listing });
        "ListAfter.v2.rsp" = Response reply!(2 nonce, St::Ok, R::ListAfter { keys });
        "Refused.rsp" = Response reply!(2 nonce, St::Denied, R::Refused { op: 1 });
    )
}
