# Installs Debian packages without letting their services start. Run by root.
set -eu
policy=/usr/sbin/policy-rc.d
trap 'exit 130' INT TERM
# invoke-rc.d calls this script before it starts a service; 101 means "do not". An existing script is left alone.
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
# An unreachable mirror matters only if the package is then not found.
apt-get update -q || true
apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
