# Runs a command and makes sure that it does not outlive whoever started this.
# Arguments: the log, the tenths of a second between TERM and KILL, the command and its arguments.
# Standard input carries one signal name a line; when it closes, the other side is gone or done, and the command must go.
# Standard output carries "pid N" first and "exit N" last. This shell leads a process group of its own.
log=$1 grace=$2
shift 2
exec 3<&0 </dev/null
"$@" >>"$log" 2>&1 3<&- &
child=$!
# Only now, so that the command does not inherit it: a report that nobody reads must not end this shell.
trap '' PIPE
(
    while read -r signal; do kill -s "$signal" "$child"; done
    kill -s TERM "$child"
    while [ "$grace" -gt 0 ] && kill -s 0 "$child"; do
        sleep 0.1
        grace=$((grace - 1))
    done
    kill -s KILL "$child"
) <&3 >/dev/null 2>&1 3<&- &
echo "pid $child"
wait "$child"
echo "exit $?"
# Whatever the command left behind, the loop above and this shell itself.
kill -s KILL -- "-$$"
