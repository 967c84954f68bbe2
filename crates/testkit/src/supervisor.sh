# Runs one server and stops it when its owner, the program that started it, has ended. The owner holds the write end of
# the standard input; the kernel closes it however the owner ended.
#
# usage: THROUGHLINE_SUPERVISOR=(this) sh -c 'eval "$THROUGHLINE_SUPERVISOR"' supervisor SIGNAL FOLDER CONTAINER COMMAND...
#   SIGNAL     stops the server (TERM, INT)
#   FOLDER     deleted after the server was stopped because its owner has ended; empty: nothing is deleted
#   CONTAINER  name of the container that COMMAND runs in; empty: COMMAND is the server itself
# Prints the server's process id, then nothing more. Exits with the server's exit code.
unset THROUGHLINE_SUPERVISOR
signal=$1 folder=$2 container=$3
shift 3
exec 3<&0 </dev/null

"$@" >&2 3<&- &
server=$!
echo "$server"
exec >/dev/null

send() {
    if [ -n "$container" ]; then docker kill --signal "$1" "$container"; else kill -s "$1" "$server"; fi
}

# A frozen PostgreSQL has frozen children.
continue_all() {
    send CONT
    for child in $(cat "/proc/$server/task/$server/children"); do kill -s CONT "$child"; done
}

orphaned=
trap 'orphaned=yes' USR1
# If the owner ends while the server is frozen, the kernel hangs up on the whole process group.
trap '' HUP
(
    read -r _ <&3
    kill -s USR1 $$
    continue_all
    send "$signal"
    tries=100
    while [ "$tries" -gt 0 ] && kill -0 "$server"; do
        tries=$((tries - 1))
        sleep 0.1
    done
    [ -z "$container" ] || docker rm --force "$container"
    kill -s KILL "$server"
) >/dev/null 2>&1 &
watcher=$!

# A trapped signal interrupts `wait`, so it is repeated while the server runs.
wait "$server"
code=$?
while kill -0 "$server" 2>/dev/null; do
    wait "$server"
    code=$?
done
kill -s KILL "$watcher" 2>/dev/null
if [ -n "$orphaned" ] && [ -n "$folder" ]; then rm -rf "$folder"; fi
exit "$code"
