# Runs one server and ends it when the program that started it is gone, however that program ended: the program holds the
# write end of our standard input, and the kernel closes it.
#
# usage: THROUGHLINE_SUPERVISOR=(this) sh -c 'eval "$THROUGHLINE_SUPERVISOR"' supervisor SIGNAL FOLDER CONTAINER COMMAND...
#   SIGNAL     asks the server to end (TERM, INT)
#   FOLDER     deleted once the server has ended because its owner is gone; empty: nothing is deleted
#   CONTAINER  name of the container that COMMAND runs in; empty: COMMAND is the server itself
# Prints the server's process id, then nothing more. Exits with the server's own code.
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

orphaned=
trap 'orphaned=yes' USR1
(
    read -r _ <&3
    kill -s USR1 $$
    send CONT
    send "$signal"
    patience=100
    while [ "$patience" -gt 0 ] && kill -0 "$server"; do
        patience=$((patience - 1))
        sleep 0.1
    done
    [ -z "$container" ] || docker rm --force "$container"
    kill -s KILL "$server"
) >/dev/null 2>&1 &
watcher=$!

# A trapped signal interrupts `wait`, so it is asked again for as long as the server is there.
wait "$server"
code=$?
while kill -0 "$server" 2>/dev/null; do
    wait "$server"
    code=$?
done
kill -s KILL "$watcher" 2>/dev/null
if [ -n "$orphaned" ] && [ -n "$folder" ]; then rm -rf "$folder"; fi
exit "$code"
