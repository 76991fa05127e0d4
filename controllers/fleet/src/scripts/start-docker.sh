# Starts an installed engine and waits until it answers. An interrupted installation is finished first.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
# Others may hold the package database: cloud-init, unattended-upgrades, or an earlier try of ours. They get ten minutes.
patiently() {
  n=0
  until out=$("$@" 2>&1); do
    n=$((n + 1))
    case $out in *lock*) limit=200 ;; *) limit=4 ;; esac
    [ "$n" -lt "$limit" ] || { echo "$out" | tail -n 40 >&2; exit 1; }
    sleep 3
  done
}
if command -v dpkg >/dev/null 2>&1; then patiently dpkg --configure -a; fi
systemctl enable --now docker >/dev/null 2>&1 || service docker start || true
n=0
until docker version >/dev/null 2>&1; do
  n=$((n + 1)); [ "$n" -lt 30 ] || { docker version >&2; exit 1; }
  sleep 1
done
