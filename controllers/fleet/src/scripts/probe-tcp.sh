# One line per address: `ADDRESS PORT open|refused|silent`. All at once, each given three seconds.
probe() {
  while read -r address port; do
    (
      timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$address" "$port" 2>/dev/null
      case $? in 0) state=open ;; 124) state=silent ;; *) state=refused ;; esac
      echo "$address $port $state"
    ) &
  done
  wait
}
