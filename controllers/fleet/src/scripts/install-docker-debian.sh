# Docker from the distribution's own repository. Runs as root, again and again without harm.
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
command -v cloud-init >/dev/null 2>&1 && timeout 600 cloud-init status --wait >/dev/null 2>&1 || true
patiently dpkg --configure -a
patiently apt-get -q update
packages=docker.io
apt-cache show docker-cli >/dev/null 2>&1 && packages="$packages docker-cli"
patiently apt-get -q -y -o DPkg::Lock::Timeout=60 install --no-install-recommends $packages ca-certificates
systemctl enable --now docker >/dev/null 2>&1 || service docker start
