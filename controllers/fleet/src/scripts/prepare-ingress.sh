# The directory that the ingress puts its admin socket into. Only the user who called sudo, and root, may enter it.
set -eu
dir=/var/lib/otternauts-ingress owner=${SUDO_UID:-0}
mkdir -p "$dir"
chown -h "$owner" "$dir"
chmod 0700 "$dir"
# A proxy that started again has made the socket anew, as root.
if [ -S "$dir/admin.sock" ]; then chown -h "$owner" "$dir/admin.sock"; fi
