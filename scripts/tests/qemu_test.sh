# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # stand-ins expand later; $box is the harness's
# qemu-test.sh and qemu-again.sh hand their variables on as options.

machine && stub cargo 'exit ${CARGO_STATUS:-0}'
on_machine ./scripts/qemu-test.sh
check "default" called "cargo nx qemu --image test --timeout 90s"

machine && stub cargo 'exit 2'
on_machine env RUN_PHASE=policy RUN_TIMEOUT=190s ./scripts/qemu-test.sh
check "phase" called "cargo nx qemu --image test --timeout 190s --phase policy"
check "the status of nx is the script's" ended 2

machine && stub cargo :
on_machine env RUN_UNTIL_MARKER=1 ./scripts/qemu-test.sh --smp 2
check "until 1 is the whole ladder; more options pass" called "--timeout 90s --smp 2"

machine && stub cargo :
on_machine env RUN_UNTIL_MARKER=0 ./scripts/qemu-test.sh
check "until 0 is the whole run" not called --until

machine && stub cargo :
on_machine env "RUN_UNTIL_MARKER=SELFTEST: end" ./scripts/qemu-test.sh
check "until text" called "--until SELFTEST: end"

machine && stub cargo :
on_machine env RUN_PHASE=policy ./scripts/qemu-again.sh
check "a phase is booted once" not called "cargo"

machine && stub cargo :
on_machine env RUN_UNTIL_MARKER=x ./scripts/qemu-again.sh
check "a text is booted once" not called "cargo"

machine && stub cargo :
on_machine env RUN_UNTIL_MARKER=1 ./scripts/qemu-again.sh
check "a whole run is compared" called "--same-as build/runs/latest/serial.log"
check "the same disk boots again" called "--timeout 90s --again"
check "another hart boots" called "--smp 2 --variant hart"

machine && stub cargo 'exit 1'
on_machine ./scripts/qemu-again.sh
check "a run that differs fails" ended 1
check "a run that differs ends it" not called "--variant hart"
