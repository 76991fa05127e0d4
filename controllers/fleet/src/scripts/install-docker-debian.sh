# Docker from the distribution's own repository. Runs as root, again and again without harm.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
# Other users of the package database (cloud-init, unattended-upgrades) get up to ten minutes.
apt="apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3"
command -v cloud-init >/dev/null 2>&1 && timeout 600 cloud-init status --wait >/dev/null 2>&1 || true
dpkg --configure -a
n=0
until $apt update; do
  n=$((n + 1)); [ "$n" -lt 5 ] || { echo "apt-get update failed" >&2; exit 1; }
  sleep $((n * 2))
done
packages=docker.io
apt-cache show docker-cli >/dev/null 2>&1 && packages="$packages docker-cli"
$apt install -y --no-install-recommends $packages ca-certificates
systemctl enable --now docker >/dev/null 2>&1 || service docker start
