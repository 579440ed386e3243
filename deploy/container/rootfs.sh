#!/bin/sh
# rootfs.sh ROOT: what the image holds: Python without what a service never loads, our environment, the libraries that both are
# linked against, certificates, time zones, and what scanners read.  No shell, no package manager, nothing that is set-user-id.
set -eu
root=$1
python=$(readlink -f "$(command -v python3)")
stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')

for folder in usr/bin usr/sbin usr/lib usr/lib64 usr/local/bin etc/ssl/certs opt proc sys dev var/lib/dpkg/status.d; do
    mkdir -p "$root/$folder"
done
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done

cp -a --parents "$stdlib" "$root"
cp -a --parents "$python" "$root"
ln -sf "$(basename "$python")" "$root$(dirname "$python")/python3"
cp -a /opt/wattledger "$root/opt/"
kept=$root$stdlib
# Who measures tests nothing, draws no windows, edits nothing, and installs nothing.
rm -rf "$kept/test" "$kept/idlelib" "$kept/tkinter" "$kept/turtledemo" "$kept/turtle.py" "$kept/ensurepip" "$kept/lib2to3" \
    "$kept/pydoc_data" "$kept/site-packages" "$kept"/config-* "$kept/curses" "$kept/dbm"
for name in _test _ctypes_test _xxtest _tkinter _curses readline _dbm _gdbm nis xx; do rm -f "$kept/lib-dynload/$name"*.so; done
find "$root" -name __pycache__ -type d -prune -exec rm -rf {} +
find "$root/opt/wattledger" -path '*/bin/activate*' -o -name '*.pyi' -type f | xargs rm -f

# What a program or a library is linked against, the loader included.
linked() {
    while read -r file; do ldd "$file" 2>/dev/null || true; done |
        sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p'
}
{
    echo "$python" | linked
    find "$kept/lib-dynload" "$root/opt/wattledger" -name '*.so*' -type f | linked
    # Opened by name, when a thread ends.
    ldconfig -p | sed -n 's/.* => \(\/.*libgcc_s\.so\.1\)$/\1/p'
} | sort -u | while read -r library; do
    case $library in "$root"/* | /opt/*) continue ;; esac
    cp -L --parents "$library" "$root"
    real=$(readlink -f "$library")
    for known in "$library" "$real" "${real#/usr}"; do
        package=$(dpkg-query -S "$known" 2>/dev/null | sed -n '1s/[:,].*//p')
        if [ -n "$package" ]; then
            dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
            break
        fi
    done
done

for name in debian_version os-release nsswitch.conf ssl/certs/ca-certificates.crt; do cp -L "/etc/$name" "$root/etc/$name"; done
cp -a --parents /usr/share/zoneinfo "$root"
rm -rf "$root/usr/share/zoneinfo/posix" "$root/usr/share/zoneinfo/right"
echo 'wattledger:x:65532:65532:wattledger:/:/nonexistent' >"$root/etc/passwd"
echo 'wattledger:x:65532:' >"$root/etc/group"

# Where libpython is; the NVIDIA runtime makes the cache anew for the driver's libraries that it adds.
cp -a /etc/ld.so.conf.d "$root/etc/"
cp /etc/ld.so.conf "$root/etc/"
ldconfig -r "$root"

# The root is read only in use: compiled here, once, by content and not by date.
python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$root" "$kept" "$root/opt/wattledger/lib"
install -d -m 1777 "$root/tmp"
install -d -m 0700 -o 65532 -g 65532 "$root/var/lib/wattledger"
install -d -m 0755 -o 65532 -g 65532 "$root/run/wattledger"
