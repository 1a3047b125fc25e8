#!/bin/sh
# A machine whose first process is systemd, in namespaces of its own that end with this process.
# $1: a control group for it. $2: a folder, which is /srv there; what systemd says is in its systemd.log.
set -e
if [ "$3" != inside ]; then
    echo $$ > "$1/cgroup.procs"
    exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child --propagation private "$0" "$1" "$2" inside
fi
hostname nas
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount --bind "$2" /srv
mount -t tmpfs none /run
mkdir -p /run/etc /run/units /run/lock
# Everybody's, as udev has it on a machine of its own.
mknod -m 666 /run/tun c 10 200
mount --bind /run/tun /dev/net/tun
# An /etc of its own, in which nothing is switched on yet.
cp -a /etc/. /run/etc/
rm -rf /run/etc/systemd/system /run/etc/resolv.conf /run/etc/nsswitch.conf
mkdir -p /run/etc/systemd/system/freehold.service.d
echo 'nameserver 192.0.2.53' > /run/etc/resolv.conf
echo 'hosts: files dns' > /run/etc/nsswitch.conf
mount --bind /run/etc /etc
# Its command, where the node finds it.
mount --bind "$(dirname "$RESOLVECTL")" /usr/local/bin
# There is no journal; the rest of the unit stays as it was written.
printf '[Service]\nStandardOutput=append:/srv/daemon.log\nStandardError=append:/srv/daemon.log\n' \
    > /etc/systemd/system/freehold.service.d/log.conf
# What makes units of this machine's own programs, which have no business here.
mount -t tmpfs none /usr/lib/systemd/system-generators
for target in sysinit basic shutdown network-online multi-user; do
    printf '[Unit]\nDescription=%s\n' "$target" > "/run/units/$target.target"
done
printf '[Unit]\nAllowIsolate=yes\nRequires=multi-user.target\nAfter=multi-user.target\n' > /run/units/default.target
touch /srv/systemd.log
mount --bind /srv/systemd.log /dev/console
export container=freehold SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/units
exec /usr/lib/systemd/systemd --system --log-target=console --show-status=no
