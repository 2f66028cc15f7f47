//! What is not in a file, and what might not be: records that were dropped or lost, a journal that
//! was restarted, and an end that need not be the end.

use nexus_audit::Report;
use nexus_wire::audit::{Decision, Op, Record};

use super::{
    show::{RESTARTED, WIPED},
    verify::{Class, Statement, say},
};

/// Everything of that kind, worst last: that it goes on is what a reader forgets.
pub(super) fn statements(report: &Report, records: &[Record]) -> Vec<Statement> {
    let mut out = not_there(report, records);
    out.extend(restarts(report, records));
    if report.wrong.is_none() && report.complete {
        out.push(the_end(report, records));
    }
    out
}

/// Records that were and are not here.
fn not_there(report: &Report, records: &[Record]) -> Vec<Statement> {
    let mut out = Vec::new();
    if report.dropped > 0 {
        let Report { dropped, dropped_lanes, .. } = report;
        let text = format!(
            "{dropped} numbers have no record: the journal dropped them, from the front of \
             {dropped_lanes} chains, to make room. What they said is not here."
        );
        out.push(say(Class::Open, text));
    }
    let lost = records.iter().filter(|r| r.op == Op::Lost && r.seq <= report.last_seq);
    let lost: u64 = lost.fold(0, |sum, record| sum.saturating_add(record.target));
    if lost > 0 {
        let text = format!(
            "{lost} records were lost before they reached the journal; the `lost` records say \
             when and whose."
        );
        out.push(say(Class::Open, text));
    }
    out
}

/// Restarts of the journal, as far as they are on record.
fn restarts(report: &Report, records: &[Record]) -> Vec<Statement> {
    let of = |trouble| {
        let told = |r: &&Record| {
            r.op == Op::Health && r.decision == Decision::Deny && r.args[0] == trouble
        };
        records.iter().filter(|r| r.seq <= report.last_seq).filter(told).count()
    };
    let mut out = Vec::new();
    if of(RESTARTED) > 0 {
        let text = "The journal was restarted under way (`health` records say when): what it had \
                    stored is here, what had not reached it then is in `lost` records.";
        out.push(say(Class::Open, text));
    }
    if of(WIPED) > 0 {
        let text = "The journal was found unreadable and began anew: what this boot recorded before \
                    its first record is gone.";
        out.push(say(Class::Open, text));
    }
    out
}

/// Whether anything came after: an end that fits can be written behind every record.
fn the_end(report: &Report, records: &[Record]) -> Statement {
    let last = report.last_seq;
    let closed = records.last().is_some_and(|r| r.op == Op::Shutdown && r.seq == last);
    match last {
        0 => say(Class::Open, "There is no record in it: nothing shows that there were none."),
        _ if closed && report.is_vouched_for() => {
            say(Class::Holds, format!("Record {last} is the last: the journal was closed with it."))
        }
        _ => say(
            Class::Open,
            format!(
                "That nothing came after record {last}: an older export, or one cut behind a \
                 checkpoint, looks the same. Only a newer checkpoint shows it (--anchor)."
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_audit::{NoKey, Signatures, verify};
    use nexus_wire::audit::Reason;

    fn record(seq: u64, op: Op, args: [u64; 2]) -> Record {
        Record { seq, args, ..Record::new(op, Decision::Deny, Reason::Degraded) }
    }

    /// As of a whole file of three records, signed or not.
    fn report(signed: bool) -> Report {
        let (signatures, signed_to) =
            if signed { (Signatures::Valid, 3) } else { (Signatures::Unsigned, 0) };
        let (records, last_seq, proven_to) = (3, 3, 3);
        let none = verify(&[], &NoKey);
        Report {
            records,
            last_seq,
            proven_to,
            signatures,
            signed_to,
            complete: true,
            wrong: None,
            ..none
        }
    }

    fn last(report: &Report, op: Op) -> (Class, String) {
        let records = [1, 2, 3].map(|seq| record(seq, op, [0, 0]));
        let said = statements(report, &records).pop().expect("always said");
        (said.class, said.text)
    }

    #[test]
    fn test_reject_an_end_that_nothing_shows_to_be_one() {
        for op in [Op::CheckCap, Op::Health] {
            let (class, text) = last(&report(true), op);
            assert!(class == Class::Open && text.contains("nothing came after record 3"), "{text}");
        }
        assert_eq!(last(&report(false), Op::Shutdown).0, Class::Open, "anybody can write that");
        assert_eq!(last(&report(true), Op::Shutdown).0, Class::Holds);
        let behind = Report { last_seq: 2, ..report(true) };
        assert_eq!(last(&behind, Op::Shutdown).0, Class::Open, "not the last that is good");
        let empty = Report { records: 0, last_seq: 0, proven_to: 0, ..report(false) };
        assert_eq!(statements(&empty, &[]).pop().map(|said| said.class), Some(Class::Open));
    }

    #[test]
    fn restarts_of_the_journal_are_said() {
        let said = |trouble, seq| {
            let records = [record(1, Op::CheckCap, [5, 1]), record(seq, Op::Health, [trouble, 1])];
            let texts = statements(&report(true), &records).into_iter().map(|said| said.text);
            texts.filter(|text| text.contains("The journal was")).count()
        };
        assert_eq!((said(RESTARTED, 2), said(WIPED, 2)), (1, 1));
        assert_eq!((said(1, 2), said(RESTARTED, 4)), (0, 0), "beyond what can be believed");
    }
}
