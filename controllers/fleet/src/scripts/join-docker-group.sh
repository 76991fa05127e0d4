# The user who called sudo may use the Docker socket from the next login on.
set -eu
[ -n "${SUDO_USER:-}" ] || { echo "SUDO_USER is not set" >&2; exit 1; }
[ "$SUDO_USER" != root ] || exit 0
getent group docker >/dev/null || groupadd --system docker
usermod -aG docker "$SUDO_USER"
