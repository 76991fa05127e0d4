# fence NUMBER: takes the lock for as long as this shell runs, and ends it when a leader with a higher number has been here.
fence() {
  dir=/var/lib/otternauts
  (umask 077; mkdir -p "$dir")
  exec 9>>"$dir/epoch.lock"
  flock 9
  known=0
  if [ -e "$dir/epoch" ]; then known=$(cat "$dir/epoch"); fi
  case $known in
    '' | *[!0-9]*) echo "$dir/epoch is not a number: no leader can be told from another" >&2; exit 75 ;;
  esac
  if [ "$known" -gt "$1" ]; then
    echo "a later leader ($known) has been here: this one is $1" >&2
    exit 75
  fi
  if [ "$known" -ne "$1" ]; then
    printf '%s\n' "$1" >"$dir/epoch.new"
    sync "$dir/epoch.new"
    mv "$dir/epoch.new" "$dir/epoch"
  fi
}
