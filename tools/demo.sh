#!/bin/sh
# `make demo`: an example from its source to a verdict of a real kernel, each step shown.
set -eu
cd "$(dirname "$0")/.."
policy=${1:-examples/mixed/mixed.sched}
name=$(basename "$policy" .sched)
out=build/demo
schedc=.venv/bin/schedc
mkdir -p "$out"

step() { printf '\n== %s\n' "$*"; }
run() { printf '$ schedc %s\n' "$*"; "$schedc" "$@"; }

step "The policy"
cat "$policy"
step "Is it well-formed, and is it proved?"
run check "$policy"
step "Compile it to C and to a BPF object, with a certificate of the proof"
run compile "$policy" --emit c,obj,cert -o "$out/"
step "Does another solver agree, and is the object the one that was proved?"
run recheck "$out/$name.cert" --policy "$policy" --c "$out/$name.c" --object "$out/$name.o"
step "What of a policy that starves somebody?"
run check examples/refuted/strict_priority/flawed.sched || printf 'exit code %s: refuted\n' "$?"
step "The generated C ($out/$name.c, $(wc -l <"$out/$name.c") lines; here is how a task is placed and queued)"
sed -n '/u32 classify/,$p' "$out/$name.c" | grep -v '^#line' | head -n "${DEMO_LINES:-120}"
printf '…\n'

step "Is it better than the default scheduler? (simulated: the C above, built for this machine)"
run sim "$policy" --workload wakeup --against eevdf --runs 6 --html "$out/$name.html"

step "What does a real kernel say? (in a virtual machine; nothing here needs root)"
# Fetching may fail for good reasons: no network, no apt. The demo then ends here, and says so.
if run vm fetch --no-tools; then
    run vm check "$policy"
else
    printf 'skipped: no virtual machine on this machine (see the error above; `schedc doctor`)\n'
fi
