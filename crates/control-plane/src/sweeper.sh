# Makes a folder, and removes it when standard input closes: whoever asked for it is gone or done.
# Processes that write into it may still be on their way out, so removing is tried for ten seconds.
mkdir -m 700 -- "$1" || exit 1
trap '' PIPE
echo made
read -r _
tries=100
while [ "$tries" -gt 0 ] && ! rm -rf -- "$1"; do
    sleep 0.1
    tries=$((tries - 1))
done
