//! The test as a program of the booted system: it runs in place of the selftest client.

use nexus_abi::{Handle, ServiceId};
use nexus_ipc::{Deadline, connect, log, policy};
use nexus_sim::{Report, Scenario, SimSys};
use nexus_system::{ids, names};

/// Who the test is.
pub(crate) const ME: ServiceId = ids::SELFTEST_CLIENT;

/// A tenth of a second from now.
pub(crate) fn soon(sys: &mut SimSys) -> Deadline {
    Deadline::after_ns(sys, 100_000_000)
}

/// A route the test may have.
pub(crate) fn route(sys: &mut SimSys, name: &str) -> Handle {
    let deadline = soon(sys);
    connect(sys, name, deadline).expect("an allowed route")
}

/// A connection to policyd.
pub(crate) fn authority(sys: &mut SimSys) -> policy::Client {
    policy::Client::new(route(sys, names::POLICYD), 0x100)
}

/// A connection to logd.
pub(crate) fn journal(sys: &mut SimSys) -> log::Client {
    log::Client::new(route(sys, names::LOGD), 0x200)
}

/// Boots the scenario with `test` in the selftest's place. A failed assertion fails the run.
pub(crate) fn boot(
    scenario: Scenario,
    test: impl Fn(&mut SimSys) + Send + Sync + 'static,
) -> Report {
    let report = scenario
        .program(names::SELFTEST_CLIENT, move |sys, _| {
            test(sys);
            0
        })
        .run(names::SELFTEST_CLIENT);
    if report.outcome != Ok(0) {
        for (origin, line) in &report.console {
            eprintln!("[{}] {line}", origin.0);
        }
    }
    assert_eq!(report.outcome, Ok(0));
    report
}

/// Every record that matches, over all pages.
pub(crate) fn records(
    sys: &mut SimSys,
    journal: &mut log::Client,
    filter: &log::AuditFilter,
) -> Vec<nexus_wire::audit::Record> {
    let mut filter = *filter;
    let mut all = Vec::new();
    loop {
        let deadline = soon(sys);
        let page = journal.audit_query(sys, &filter, 3, deadline).expect("audit is readable");
        let before = all.len();
        all.extend(page.records.iter());
        filter.since_seq = page.next_seq;
        if all.len() < before + 3 {
            return all;
        }
    }
}
