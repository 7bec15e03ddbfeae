# What happens on the machine; run.py puts SPIN, WINDOW, CANARY and GUARD before it. Each command's
# output goes to out/, and the load's own figures, a line a second, to out/day.jsonl.

admin() {          # what administers a machine that is full has to get its turn: at nice -10
	python3 -I -S -c 'import os, sys; os.nice(-10); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
}

say() {            # say NAME COMMAND…: run it, keep what it prints and its status
	name=$1
	shift
	echo "$name begins at $(date +%s)" >>out/status_of
	admin timeout 120 "$@" >"out/$name" 2>&1
	echo "$name $? at $(date +%s)" >>out/status_of
}

load() {           # load PLAN: another load from now on
	[ -z "$running" ] || { kill "$running"; wait "$running"; } 2>/dev/null
	wl-phases --spin-rate "$SPIN" --every 1000 <"$1.plan" >>"out/$1.jsonl" &
	running=$!
}

until_line() {     # until_line TEXT FILE SECONDS
	left=$3
	while [ "$left" -gt 0 ] && ! grep -q "$1" "$2" 2>/dev/null; do
		sleep 1
		left=$((left - 1))
	done
}

profile() {
	load day
	sleep 3
	say profile schedc profile --object collect.o --for "${WINDOW}s" -o out/p.json
	kill "$running"
	running=
}

deploy() {
	admin python3 -I -m schedc.load serve 2>out/serve &
	load day
	sleep 2
	for round in $ROUNDS; do
		sleep "$WINDOW"
		say "plan$round" schedc plan low_p99.o -o plan.json
		say "apply$round" schedc apply plan.json --canary --for "${CANARY}s" --guard "$GUARD"
		sleep "$WINDOW"
		[ "$round" = "${ROUNDS##* }" ] || say "unload$round" schedc unload --reason "measure the default again"
	done
	say status schedc status
}

watch() {
	action=unload
	if [ -f night.o ]; then
		say plan_night schedc plan night.o -o night.json
		action=night.json
	fi
	admin schedc watch p.json --object collect.o --every "${EVERY}s" --look "${LOOK}s" \
		--drift "$DRIFT" --on-drift "$action" --for "${CANARY}s" >out/watch 2>&1 &
	watcher=$!
	until_line "^look 1" out/watch 60
	load night
	if [ -f night.o ]; then
		until_line "took over" out/watch 90
		load day
	fi
	until_line "^unloaded" out/watch 90
	kill -INT "$watcher" 2>/dev/null
	wait "$watcher"
	echo "watch $?" >>out/status_of
	say history schedc history
	say history_json schedc history --json
	say after schedc status
	kill "$running"
}
