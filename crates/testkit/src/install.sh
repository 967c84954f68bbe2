# Installs Debian packages without letting their services start. Run by root.
set -eu
policy=/usr/sbin/policy-rc.d
trap 'exit 130' INT TERM
# invoke-rc.d asks this script before it starts a service; 101 means "do not". One that an administrator wrote stays as it is.
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
# A mirror that is away matters only if the package is then not found.
apt-get update -q || true
apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
