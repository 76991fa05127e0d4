# Docker from Docker's apt repository, by its documented steps. Runs as root, again and again without harm.
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
patiently apt-get -q -y -o DPkg::Lock::Timeout=60 install --no-install-recommends ca-certificates curl
. /etc/os-release
case $ID in debian | ubuntu) ;; *) echo "no Docker repository for $ID" >&2; exit 1 ;; esac
install -m 0755 -d /etc/apt/keyrings
curl -fsSL --retry 3 "https://download.docker.com/linux/$ID/gpg" -o /etc/apt/keyrings/docker.asc
chmod a+r /etc/apt/keyrings/docker.asc
echo "deb [arch=$(dpkg --print-architecture) signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/$ID $VERSION_CODENAME stable" >/etc/apt/sources.list.d/docker.list
patiently apt-get -q update
patiently apt-get -q -y -o DPkg::Lock::Timeout=60 install --no-install-recommends docker-ce docker-ce-cli containerd.io
systemctl enable --now docker >/dev/null 2>&1 || service docker start
